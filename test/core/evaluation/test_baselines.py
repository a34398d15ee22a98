"""Both guesses: what sees nothing, and the best of a thousand hands."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import Tensor

from lgnet_core.evaluation.baselines import BUNDLED_HANDS, HANDS, RandomHands, mean_pose
from lgnet_core.evaluation.metrics import procrustes_errors
from lgnet_core.evaluation.protocol import PROTOCOLS
from lgnet_core.geometry.camera import project
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.types import Side

FROZEN = "69dc671e80ae21146f6267b270d3cc7367467c471f346bed2dd88d2b7d6b14cc"


@pytest.fixture(scope="module")
def random_hands(hand_model) -> RandomHands:
    return RandomHands(hand_model)


def test_the_thousand_hands_stay_as_they_are(random_hands):
    """Figures were published against them."""
    assert random_hands.digest == hashlib.sha256(BUNDLED_HANDS.read_bytes()).hexdigest() == FROZEN
    assert random_hands.mesh.joints.shape == (HANDS, 2, 21, 3)


def test_they_are_hands_and_no_two_are_alike(random_hands):
    right = random_hands.mesh.joints[:, Side.RIGHT]
    length = (right[:, 10] - right[:, 9]).norm(dim=-1)
    assert (length > 0.02).all()
    assert (length < 0.07).all()
    apart = torch.cdist(right.flatten(1), right.flatten(1)) + torch.eye(HANDS) * 9
    assert apart.min() > 1e-3


def test_a_left_hand_is_the_mirror_image_of_a_right_one(random_hands):
    right, left = random_hands.mesh.joints[:, Side.RIGHT], random_hands.mesh.joints[:, Side.LEFT]
    torch.testing.assert_close(left, right * torch.tensor([-1.0, 1.0, 1.0]), atol=1e-5, rtol=0)


def truth(count: int = 3) -> tuple[Tensor, Tensor]:
    """Hands of random turns and forms; the last image has no left hand."""
    joints = 0.06 * torch.randn(count, 2, 21, 3, generator=torch.Generator().manual_seed(0))
    hands = torch.ones(count, 2, dtype=torch.bool)
    hands[-1, 1] = False
    return joints - joints[:, :, :1], hands


@pytest.mark.parametrize("name", [*(p.name for p in PROTOCOLS), "similarity"])
def test_nearest_is_the_best_of_all(random_hands, name):
    """Against a search hand by hand; the mesh is that of the same hand."""
    true, hands = truth()
    measures = {p.name: lambda j, t, p=p: p.errors(j, j, t, t) for p in PROTOCOLS} | {"similarity": procrustes_errors}
    guess = random_hands.nearest(true, hands)[name]
    for k, side in hands.nonzero().tolist():
        errors = [float(measures[name](j, true[k, side]).mean()) for j in random_hands.mesh.joints[:, side]]
        best = int(np.argmin(errors))
        assert torch.equal(guess.joints[k, side], random_hands.mesh.joints[best, side])
        assert torch.equal(guess.vertices[k, side], random_hands.mesh.vertices[best, side])


def test_a_hand_of_the_thousand_is_found(random_hands):
    """Moved, turned and scaled, by the protocols that do not see it."""
    chosen = random_hands.mesh.joints[[3, 500, 999]]
    everywhere = torch.ones(3, 2, dtype=torch.bool)
    for guess in random_hands.nearest(chosen, everywhere).values():
        torch.testing.assert_close(guess.joints, chosen)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
    turn = turn * torch.linalg.det(turn).sign()
    found = random_hands.nearest(1.3 * chosen @ turn.T + 0.5, everywhere)
    torch.testing.assert_close(found["similarity"].joints, chosen)
    torch.testing.assert_close(random_hands.nearest(1.3 * chosen, everywhere)["mcp-scaled"].joints, chosen)


def test_no_hands_have_no_nearest(random_hands):
    guess = random_hands.nearest(torch.zeros(0, 2, 21, 3), torch.zeros(0, 2, dtype=torch.bool))["similarity"]
    assert guess.vertices.shape == (0, 2, 778, 3)


def test_mean_pose_does_not_look(hand_model):
    """The same hand in the middle of every crop, 0.3 m of which are seen at its depth."""
    size = 128
    batch = SyntheticHands(1, hand_model).crops(torch.arange(6), size)
    said, wrist = mean_pose(hand_model, batch)
    black, elsewhere = mean_pose(hand_model, batch.replace(image=0 * batch.image, wrist=batch.wrist + 1))
    assert torch.equal(said.joints, black.joints)
    assert torch.equal(wrist, elsewhere)
    assert (said.joints == said.joints[:1]).all()
    middle = torch.tensor((size - 1) / 2).expand(6, 2, 2)
    torch.testing.assert_close(project(wrist, batch.intrinsics), middle, atol=1e-2, rtol=0)
    across = project(wrist + torch.tensor([0.15, 0, 0]), batch.intrinsics) - project(wrist, batch.intrinsics)
    torch.testing.assert_close(across.norm(dim=-1), torch.full((6, 2), size / 2), rtol=0.02, atol=0)
    assert (said.joints_grid == 1.5).all()
    assert (said.presence_logits > 0).all()
    assert not said.relative_translation.any()
