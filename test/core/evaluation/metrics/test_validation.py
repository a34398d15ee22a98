"""What a training watches."""

from __future__ import annotations

import pytest
import torch
from support.perfect import perfect

from lgnet_core.evaluation.validation import ValidationFigures
from lgnet_core.synthetic.generator import SyntheticHands

SHIFT = torch.tensor([0.003, -0.004, 0.0])


@pytest.fixture(scope="module")
def batch(hand_model):
    return SyntheticHands(1, hand_model).crops(torch.arange(8), 64)


def test_figures_of_a_known_error(hand_model, batch):
    """All vertices 5 mm off, all joints but the wrist 10 mm, the translation 20 mm; one presence wrong."""
    said = perfect(batch, hand_model)
    logits, joints = said.presence_logits.clone(), said.joints + 2 * SHIFT
    logits[0, 0] *= -1
    joints[:, :, 0] = said.joints[:, :, 0]
    said = said._replace(
        vertices=said.vertices + SHIFT,
        joints=joints,
        presence_logits=logits,
        relative_translation=said.relative_translation + torch.tensor([0.0, 0.0, 0.02]),
    )
    figures = ValidationFigures()
    for part in (slice(0, 3), slice(3, 8)):  # halves are weighed by their hands
        some = type(said)(*(value[part] for value in said))
        figures.update(some, batch[part], batch[part].labels(hand_model))
    expected = {
        "mpvpe_mm": 5,
        "mpjpe_mm": 10 * 20 / 21,
        "rough_mpvpe_mm": 0,
        "mrrpe_mm": 20,
        "presence": 15 / 16,
    }
    assert figures.compute() == pytest.approx(expected, abs=1e-3)


def test_each_validation_starts_anew_and_gives_only_what_it_has(hand_model, batch):
    figures = ValidationFigures()
    figures.update(perfect(batch, hand_model), batch, batch.labels(hand_model))
    assert figures.compute()["presence"] == 1
    single = batch[batch.presence.sum(1) == 1]
    figures.update(
        perfect(single, hand_model)._replace(presence_logits=torch.zeros(len(single), 2)),
        single,
        single.labels(hand_model),
    )
    found = figures.compute()
    assert found["presence"] == 0.5
    assert "mrrpe_mm" not in found
