"""Pose difference of two hands, and errors in bins of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import roma
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.oracle_network import perfect_prediction

from lgnet_core.data.sample import HandsGroundTruth
from lgnet_core.evaluation.comparison import compare
from lgnet_core.evaluation.datasets.base import LabelledImages
from lgnet_core.evaluation.metrics.asymmetry import EDGES, AsymmetryScore, pose_difference
from lgnet_core.synthetic.generator import SyntheticHands

KNOWN = torch.ones(1, 2, 21, dtype=torch.bool)
MIRROR = torch.tensor([-1.0, 1.0, 1.0])


@given(st.integers(0, 1000))
def test_mirror_images_have_no_pose_difference(seed):
    """Independent of rotation, translation and scale of each hand."""
    generator = torch.Generator().manual_seed(seed)
    right = 0.05 * torch.randn(21, 3, generator=generator)
    rotation = roma.random_rotmat(1, generator=generator)[0]
    left = 1.3 * (right * MIRROR) @ rotation.T + torch.randn(3, generator=generator)
    assert float(pose_difference(torch.stack([right, left])[None], KNOWN)) == pytest.approx(0, abs=1e-2)


def test_pose_difference_equals_procrustes_distance():
    """Equals scipy's Procrustes over the joints known of both hands."""
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
    result = float(pose_difference(joints, known))
    assert result == pytest.approx(expected, rel=0.05)  # scipy also allows reflections, which matter little here
    known[0, 0, :18] = False
    assert math.isnan(float(pose_difference(joints, known)))


def test_errors_by_bin(hand_model):
    """The mean error of the pairs in each bin, by explicit loops."""
    batch = SyntheticHands(5, hand_model).crops(torch.arange(40), 32)
    truth = HandsGroundTruth.of(batch, hand_model)
    predicted = perfect_prediction(batch, hand_model)
    noise = 0.01 * torch.randn(predicted.joints.shape, generator=torch.Generator().manual_seed(1))
    comparison = compare(predicted._replace(joints=predicted.joints + noise), batch.wrist, batch, truth)
    none = torch.full((40,), -1)
    score = AsymmetryScore()
    score.update(comparison, LabelledImages(batch, none, truth, none, none))
    result = score.compute()
    difference = pose_difference(truth.joints, truth.joints_known)
    assert sum(pose_bin.pairs for pose_bin in result) == int(batch.presence.all(1).sum())
    assert sum(pose_bin.pairs > 0 for pose_bin in result) >= 3
    for pose_bin in result:
        errors = []
        for k in range(40):
            if batch.presence[k].all() and pose_bin.low <= float(difference[k]) < pose_bin.high:
                for side in range(2):
                    apart = noise[k, side] - noise[k, side, 0]
                    errors.append(float(apart.norm(dim=-1).mean()) * 1000)
        assert pose_bin.pairs == len(errors) // 2
        expected = np.mean(errors) if errors else math.nan
        assert pose_bin.mpjpe["wrist-raw"] == pytest.approx(expected, rel=1e-4, nan_ok=True)
    assert [pose_bin.low for pose_bin in result] == list(EDGES)
