"""Auxiliary heads and their loss."""

from __future__ import annotations

import math

import pytest
import torch

from lgnet_core.data.sample import HandsBatch
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.training.losses.auxiliary import (
    RELATIVE_TRANSLATION_WEIGHT,
    AuxiliaryHeads,
    AuxiliaryPrediction,
    auxiliary_loss,
)
from lgnet_core.training.losses.terms import grid_target

DEPTH_BOX = 0.5


@pytest.fixture(scope="module")
def batch(hand_model: HandModel) -> HandsBatch:
    batch = SyntheticHands(1, hand_model).crops(torch.arange(16), 64)
    assert batch.presence.all(1).any()
    return batch


def perfect_prediction(batch: HandsBatch, hand_model: HandModel) -> AuxiliaryPrediction:
    labels = batch.labels(hand_model)
    logits = torch.where(batch.presence, 40.0, -40.0)
    grid = grid_target(batch, labels, DEPTH_BOX)[0]
    return AuxiliaryPrediction(logits, batch.rotations, grid, labels.relative_translation)


def test_perfect_prediction_has_zero_loss(batch: HandsBatch, hand_model: HandModel) -> None:
    loss = auxiliary_loss(perfect_prediction(batch, hand_model), batch, batch.labels(hand_model), DEPTH_BOX)
    assert float(loss) == pytest.approx(0, abs=1e-5)


def test_loss_of_single_errors(batch: HandsBatch, hand_model: HandModel) -> None:
    """Half an image in one of three coordinates, a metre along one axis, and undecided presence."""
    labels, perfect = batch.labels(hand_model), perfect_prediction(batch, hand_model)
    shifted = perfect.joints + torch.tensor([1.0, 0, 0])
    far = perfect.relative_translation + torch.tensor([0, 0, 1.0])
    for wrong, loss in (
        (perfect._replace(joints=shifted), 1 / 3),
        (perfect._replace(relative_translation=far), RELATIVE_TRANSLATION_WEIGHT / 3),
        (perfect._replace(presence_logits=torch.zeros(len(batch), 2)), math.log(2)),
    ):
        assert float(auxiliary_loss(wrong, batch, labels, DEPTH_BOX)) == pytest.approx(loss, rel=1e-4)


def test_absent_hands_have_zero_loss(batch: HandsBatch, hand_model: HandModel) -> None:
    labels, perfect = batch.labels(hand_model), perfect_prediction(batch, hand_model)
    absent = ~batch.presence[..., None, None]
    wrong = perfect._replace(joints=torch.where(absent, 9.0, perfect.joints))
    assert float(auxiliary_loss(wrong, batch, labels, DEPTH_BOX)) == pytest.approx(0, abs=1e-5)


def test_heads_predict_valid_rotations(batch: HandsBatch, hand_model: HandModel) -> None:
    torch.manual_seed(0)
    prediction = AuxiliaryHeads(32)(torch.randn(16, 32, 2, 2))
    identity = prediction.rotations @ prediction.rotations.transpose(-1, -2)
    torch.testing.assert_close(identity, torch.eye(3).expand_as(identity), atol=1e-5, rtol=0)
    labels = batch.labels(hand_model)
    assert [x.shape for x in prediction] == [
        (16, 2),
        batch.rotations.shape,
        labels.joints.shape,
        labels.relative_translation.shape,
    ]
