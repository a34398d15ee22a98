"""Validation metrics of predictions with known errors."""

from __future__ import annotations

import pytest
import torch
from support.oracle_network import perfect_prediction

from lgnet_core.evaluation.metrics.validation import ValidationMetrics
from lgnet_core.synthetic.generator import SyntheticHands

SHIFT = torch.tensor([0.003, -0.004, 0.0])


@pytest.fixture(scope="module")
def batch(hand_model):
    return SyntheticHands(1, hand_model).crops(torch.arange(8), 64)


def test_metrics_of_known_errors(hand_model, batch):
    """Vertices off by 5 mm, all joints but the wrist by 10 mm, the translation by 20 mm; one presence wrong."""
    predicted = perfect_prediction(batch, hand_model)
    logits, joints = predicted.presence_logits.clone(), predicted.joints + 2 * SHIFT
    logits[0, 0] *= -1
    joints[:, :, 0] = predicted.joints[:, :, 0]
    predicted = predicted._replace(
        vertices=predicted.vertices + SHIFT,
        joints=joints,
        presence_logits=logits,
        relative_translation=predicted.relative_translation + torch.tensor([0.0, 0.0, 0.02]),
    )
    metrics = ValidationMetrics()
    for part in (slice(0, 3), slice(3, 8)):  # parts are weighted by their hands
        part_prediction = type(predicted)(*(value[part] for value in predicted))
        metrics.update(part_prediction, batch[part], batch[part].labels(hand_model))
    expected = {
        "mpvpe_mm": 5,
        "mpjpe_mm": 10 * 20 / 21,
        "rough_mpvpe_mm": 0,
        "mrrpe_mm": 20,
        "presence": 15 / 16,
    }
    assert metrics.compute() == pytest.approx(expected, abs=1e-3)


def test_compute_resets_and_omits_undefined_metrics(hand_model, batch):
    metrics = ValidationMetrics()
    metrics.update(perfect_prediction(batch, hand_model), batch, batch.labels(hand_model))
    assert metrics.compute()["presence"] == 1
    single = batch[batch.presence.sum(1) == 1]
    metrics.update(
        perfect_prediction(single, hand_model)._replace(presence_logits=torch.zeros(len(single), 2)),
        single,
        single.labels(hand_model),
    )
    values = metrics.compute()
    assert values["presence"] == 0.5
    assert "mrrpe_mm" not in values
