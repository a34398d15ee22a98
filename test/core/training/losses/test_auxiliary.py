"""Direct supervision: what it wants, and that it moves the backbone alone."""

from __future__ import annotations

import math

import pytest
import torch

from lgnet_core.data.sample import HandsBatch
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.training.losses.auxiliary import RELATIVE_SCALE, AuxiliaryHeads, AuxiliaryPrediction, auxiliary_loss
from lgnet_core.training.losses.terms import grid_target

DEPTH_BOX = 0.5


@pytest.fixture(scope="module")
def batch(hand_model: HandModel) -> HandsBatch:
    batch = SyntheticHands(1, hand_model).crops(torch.arange(16), 64)
    assert batch.presence.all(1).any()
    return batch


def truth(batch: HandsBatch, hand_model: HandModel) -> AuxiliaryPrediction:
    labels = batch.labels(hand_model)
    logits = torch.where(batch.presence, 40.0, -40.0)
    grid = grid_target(batch, labels, DEPTH_BOX)[0]
    return AuxiliaryPrediction(logits, batch.rotations, grid, labels.relative_translation)


def test_the_truth_costs_nothing(batch: HandsBatch, hand_model: HandModel) -> None:
    loss = auxiliary_loss(truth(batch, hand_model), batch, batch.labels(hand_model), DEPTH_BOX)
    assert float(loss) == pytest.approx(0, abs=1e-5)


def test_what_each_error_costs(batch: HandsBatch, hand_model: HandModel) -> None:
    """By hand: half an image (one coordinate of three), a metre along an axis, no idea of the presence."""
    labels, right = batch.labels(hand_model), truth(batch, hand_model)
    shifted = right.joints + torch.tensor([1.0, 0, 0])
    far = right.relative_translation + torch.tensor([0, 0, 1.0])
    for wrong, cost in (
        (right._replace(joints=shifted), 1 / 3),
        (right._replace(relative_translation=far), RELATIVE_SCALE / 3),
        (right._replace(presence_logits=torch.zeros(len(batch), 2)), math.log(2)),
    ):
        assert float(auxiliary_loss(wrong, batch, labels, DEPTH_BOX)) == pytest.approx(cost, rel=1e-4)


def test_hands_that_are_not_there_cost_nothing(batch: HandsBatch, hand_model: HandModel) -> None:
    labels, right = batch.labels(hand_model), truth(batch, hand_model)
    absent = ~batch.presence[..., None, None]
    wrong = right._replace(joints=torch.where(absent, 9.0, right.joints))
    assert float(auxiliary_loss(wrong, batch, labels, DEPTH_BOX)) == pytest.approx(0, abs=1e-5)


def test_heads_give_rotations(batch: HandsBatch, hand_model: HandModel) -> None:
    torch.manual_seed(0)
    guess = AuxiliaryHeads(32)(torch.randn(16, 32, 2, 2))
    identity = guess.rotations @ guess.rotations.transpose(-1, -2)
    torch.testing.assert_close(identity, torch.eye(3).expand_as(identity), atol=1e-5, rtol=0)
    labels = batch.labels(hand_model)
    assert [x.shape for x in guess] == [
        (16, 2),
        batch.rotations.shape,
        labels.joints.shape,
        labels.relative_translation.shape,
    ]
