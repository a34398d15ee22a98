"""Baselines: the mean pose, and the nearest of a thousand random hands."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import Tensor

from lgnet_core.evaluation.baselines import BUNDLED_HANDS, NUM_RANDOM_HANDS, RandomHands, mean_pose
from lgnet_core.evaluation.metrics.alignment import ALIGNMENTS
from lgnet_core.evaluation.metrics.errors import procrustes_errors
from lgnet_core.geometry.camera import project
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.types import Side

FROZEN = "69dc671e80ae21146f6267b270d3cc7367467c471f346bed2dd88d2b7d6b14cc"


@pytest.fixture(scope="module")
def random_hands(hand_model) -> RandomHands:
    return RandomHands(hand_model)


def test_random_hands_are_frozen(random_hands):
    """Published results depend on them."""
    assert random_hands.digest == hashlib.sha256(BUNDLED_HANDS.read_bytes()).hexdigest() == FROZEN
    assert random_hands.mesh.joints.shape == (NUM_RANDOM_HANDS, 2, 21, 3)


def test_random_hands_are_plausible_and_distinct(random_hands):
    right = random_hands.mesh.joints[:, Side.RIGHT]
    longer_side = (right[:, 10] - right[:, 9]).norm(dim=-1)
    assert (longer_side > 0.02).all()
    assert (longer_side < 0.07).all()
    apart = torch.cdist(right.flatten(1), right.flatten(1)) + torch.eye(NUM_RANDOM_HANDS) * 9
    assert apart.min() > 1e-3


def test_left_hands_mirror_right_hands(random_hands):
    right, left = random_hands.mesh.joints[:, Side.RIGHT], random_hands.mesh.joints[:, Side.LEFT]
    torch.testing.assert_close(left, right * torch.tensor([-1.0, 1.0, 1.0]), atol=1e-5, rtol=0)


def random_truth(count: int = 3) -> tuple[Tensor, Tensor]:
    """Random joints; the last image has no left hand."""
    joints = 0.06 * torch.randn(count, 2, 21, 3, generator=torch.Generator().manual_seed(0))
    hands = torch.ones(count, 2, dtype=torch.bool)
    hands[-1, 1] = False
    return joints - joints[:, :, :1], hands


@pytest.mark.parametrize("name", [*(p.name for p in ALIGNMENTS), "similarity"])
def test_nearest_has_minimum_error(random_hands, name):
    """Equals an exhaustive search; the mesh belongs to the same hand."""
    true_joints, hands = random_truth()
    measures = {p.name: lambda j, t, p=p: p.errors(j, j, t, t) for p in ALIGNMENTS} | {"similarity": procrustes_errors}
    nearest = random_hands.nearest(true_joints, hands)[name]
    for k, side in hands.nonzero().tolist():
        errors = [float(measures[name](j, true_joints[k, side]).mean()) for j in random_hands.mesh.joints[:, side]]
        best = int(np.argmin(errors))
        assert torch.equal(nearest.joints[k, side], random_hands.mesh.joints[best, side])
        assert torch.equal(nearest.vertices[k, side], random_hands.mesh.vertices[best, side])


def test_random_hand_is_its_own_nearest(random_hands):
    """Also after transformations that the alignment removes."""
    chosen = random_hands.mesh.joints[[3, 500, 999]]
    everywhere = torch.ones(3, 2, dtype=torch.bool)
    for nearest in random_hands.nearest(chosen, everywhere).values():
        torch.testing.assert_close(nearest.joints, chosen)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
    turn = turn * torch.linalg.det(turn).sign()
    nearest = random_hands.nearest(1.3 * chosen @ turn.T + 0.5, everywhere)
    torch.testing.assert_close(nearest["similarity"].joints, chosen)
    torch.testing.assert_close(random_hands.nearest(1.3 * chosen, everywhere)["mcp-scaled"].joints, chosen)


def test_no_hands(random_hands):
    nearest = random_hands.nearest(torch.zeros(0, 2, 21, 3), torch.zeros(0, 2, dtype=torch.bool))["similarity"]
    assert nearest.vertices.shape == (0, 2, 778, 3)


def test_mean_pose_ignores_the_image(hand_model):
    """The same hand in the centre of every crop, which spans 0.3 m at its depth."""
    size = 128
    batch = SyntheticHands(1, hand_model).crops(torch.arange(6), size)
    predicted, wrists = mean_pose(hand_model, batch)
    black, elsewhere = mean_pose(hand_model, batch.replace(image=0 * batch.image, wrist=batch.wrist + 1))
    assert torch.equal(predicted.joints, black.joints)
    assert torch.equal(wrists, elsewhere)
    assert (predicted.joints == predicted.joints[:1]).all()
    middle = torch.tensor((size - 1) / 2).expand(6, 2, 2)
    torch.testing.assert_close(project(wrists, batch.intrinsics), middle, atol=1e-2, rtol=0)
    across = project(wrists + torch.tensor([0.15, 0, 0]), batch.intrinsics) - project(wrists, batch.intrinsics)
    torch.testing.assert_close(across.norm(dim=-1), torch.full((6, 2), size / 2), rtol=0.02, atol=0)
    assert (predicted.joints_grid == 1.5).all()
    assert (predicted.presence_logits > 0).all()
    assert not predicted.relative_translation.any()
