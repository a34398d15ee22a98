"""The pose difference of two hands, and errors by it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import roma
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.perfect import perfect

from lgnet_core.data.sample import HandsTruth
from lgnet_core.evaluation.asymmetry import EDGES, AsymmetryScore, pose_difference
from lgnet_core.evaluation.comparison import compare
from lgnet_core.evaluation.image_sets import Labelled
from lgnet_core.synthetic.generator import SyntheticHands

KNOWN = torch.ones(1, 2, 21, dtype=torch.bool)
MIRROR = torch.tensor([-1.0, 1.0, 1.0])


@given(st.integers(0, 1000))
def test_mirror_images_do_not_differ(seed):
    """However each of them is turned, placed and sized."""
    generator = torch.Generator().manual_seed(seed)
    right = 0.05 * torch.randn(21, 3, generator=generator)
    turn = roma.random_rotmat(1, generator=generator)[0]
    left = 1.3 * (right * MIRROR) @ turn.T + torch.randn(3, generator=generator)
    assert float(pose_difference(torch.stack([right, left])[None], KNOWN)) == pytest.approx(0, abs=1e-2)


def test_is_the_distance_after_the_best_similarity():
    """Against scipy's Procrustes, of the joints that are known of both."""
    from scipy.spatial import procrustes

    generator = torch.Generator().manual_seed(0)
    joints = 0.05 * torch.randn(1, 2, 21, 3, generator=generator)
    known = KNOWN.clone()
    known[0, 0, 3] = known[0, 1, 7] = False
    both = [j for j in range(21) if j not in (3, 7)]
    right, left = joints[0, 0, both].double().numpy(), (joints[0, 1, both] * MIRROR).double().numpy()
    a, b, _ = procrustes(right, left)
    size = np.linalg.norm(right - right.mean(0))
    expected = np.linalg.norm(a - b, axis=-1).mean() * size * 1000
    found = float(pose_difference(joints, known))
    assert found == pytest.approx(expected, rel=0.05)  # scipy may also mirror; here it does not help much
    known[0, 0, :18] = False
    assert math.isnan(float(pose_difference(joints, known)))


def test_errors_by_bin(hand_model):
    """Each pair's error in the bin of its difference, hand by hand and joint by joint."""
    batch = SyntheticHands(5, hand_model).crops(torch.arange(40), 32)
    truth = HandsTruth.of(batch, hand_model)
    said = perfect(batch, hand_model)
    noise = 0.01 * torch.randn(said.joints.shape, generator=torch.Generator().manual_seed(1))
    outcome = compare(said._replace(joints=said.joints + noise), batch.wrist, batch, truth)
    none = torch.full((40,), -1)
    score = AsymmetryScore()
    score.update(outcome, Labelled(batch, none, truth, none, none))
    found = score.compute()
    difference = pose_difference(truth.joints, truth.joints_known)
    assert sum(one.pairs for one in found) == int(batch.presence.all(1).sum())
    assert sum(one.pairs > 0 for one in found) >= 3
    for one in found:
        errors = []
        for k in range(40):
            if batch.presence[k].all() and one.low <= float(difference[k]) < one.high:
                for side in range(2):
                    apart = noise[k, side] - noise[k, side, 0]
                    errors.append(float(apart.norm(dim=-1).mean()) * 1000)
        assert one.pairs == len(errors) // 2
        expected = np.mean(errors) if errors else math.nan
        assert one.mpjpe["wrist-raw"] == pytest.approx(expected, rel=1e-4, nan_ok=True)
    assert [one.low for one in found] == list(EDGES)
