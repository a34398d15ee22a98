"""Recall and precision of regions, on hand-made cases."""

from __future__ import annotations

import pytest
import torch

from lgnet_core.evaluation.regions import LARGE, RegionFigures
from lgnet_core.network.region_net import REGION_IMAGE_SIZE, RegionBoxes

SMALL = LARGE * REGION_IMAGE_SIZE - 1


def test_figures_of_known_boxes() -> None:
    """Four regions: one found, one half found (its box too large), two missed; one box where there is nothing."""
    boxes = torch.tensor([[[0, 0, 40, 40], [60, 0, 100, 40]], [[0, 0, 40, 40], [60, 0, 100, 40]], [[0.0] * 4] * 2])
    presence = torch.tensor([[True, True], [True, True], [False, False]])
    found = torch.tensor([[[62.0, 0, 100, 40], [0, 0, 80, 80]], [[0, 0, 40, 40]] * 2, [[0, 0, 30, 9], [0, 0, 9, 9]]])
    scores = torch.tensor([[0.9, 0.8], [0.1, 0.2], [0.7, 0.0]])
    figures = RegionFigures()
    for k in range(3):  # in any batches
        part = slice(k, k + 1)
        hand = torch.full((1, 2), 40.0)
        figures.update(RegionBoxes(scores[part], found[part]), boxes[part], presence[part], hand)
    report = {name: float(value) for name, value in figures.compute().items()}
    same = {"recall": 1 / 4, "precision": 1 / 3}
    assert report == pytest.approx({**same, **{f"{k} of large": v for k, v in same.items()}, "iou": 38 / 40})


def test_small_hands_count_for_all_but_not_for_large_ones() -> None:
    """A small hand that is missed, and a small box where there is nothing, leave the figures of large hands alone."""
    boxes = torch.tensor([[[0.0, 0, 40, 40], [60, 0, 60 + SMALL, SMALL]]])
    found = RegionBoxes(torch.tensor([[0.9, 0.8]]), torch.tensor([[[0.0, 0, 40, 40], [100, 100, 100 + SMALL, 110]]]))
    figures = RegionFigures()
    figures.update(found, boxes, torch.tensor([[True, True]]), torch.tensor([[40.0, SMALL]]))
    report = {name: float(value) for name, value in figures.compute().items()}
    assert report == pytest.approx(
        {"recall": 0.5, "precision": 0.5, "recall of large": 1, "precision of large": 1, "iou": 1}
    )
