"""Recall and precision of regions, on hand-made cases."""

from __future__ import annotations

import pytest
import torch

from lgnet_core.evaluation.regions import LARGE, RegionFigures
from lgnet_core.network.region_net import REGION_IMAGE_SIZE, Boxes

SMALL = LARGE * REGION_IMAGE_SIZE - 1


APART = [[0.0, 0, 40, 40], [90, 0, 130, 40]]
NEAR = [[0.0, 0, 40, 40], [50, 0, 90, 40]]
NOTHING = [[0.0] * 4] * 2


def report(found: Boxes, boxes: list[list[list[float]]], presence: list[list[bool]]) -> dict[str, float]:
    figures = RegionFigures()
    for k in range(len(boxes)):  # in any batches
        picture = Boxes(*(x[k : k + 1] for x in found))
        figures.update(picture, torch.tensor(boxes[k : k + 1]), torch.tensor(presence[k : k + 1]))
    return {name: float(value) for name, value in figures.compute().items()}


def test_figures_of_known_boxes() -> None:
    """Four regions: one found, one half found (its box too large), two missed; one box where there is nothing."""
    found = [[[92.0, 0, 130, 40], [0, 0, 65, 65]], [[0.0, 0, 40, 40]] * 2, [[0.0, 0, 30, 9], [0, 0, 9, 9]]]
    scores = torch.tensor([[0.9, 0.8], [0.1, 0.2], [0.7, 0.0]])
    figures = report(Boxes(scores, torch.tensor(found)), [APART, APART, NOTHING], [[True] * 2, [True] * 2, [False] * 2])
    same = {"recall": 1 / 4, "precision": 1 / 3}
    assert figures == pytest.approx({**same, **{f"{k} of large": v for k, v in same.items()}, "iou": 38 / 40})


def test_hands_near_each_other_are_one_region_both_in_truth_and_in_what_is_said() -> None:
    """Each hand is found: one region. One of them alone is found: half of it. A hand between them stands for both."""
    found = [NEAR, [NEAR[0], NEAR[1]], [[5.0, 0, 85, 40], [0, 0, 9, 9]]]
    scores = torch.tensor([[0.9, 0.8], [0.9, 0.1], [0.9, 0.1]])
    figures = report(Boxes(scores, torch.tensor(found)), [NEAR] * 3, [[True, True]] * 3)
    assert figures["recall"] == figures["precision"] == pytest.approx(2 / 3)
    assert figures["iou"] == pytest.approx((1 + 80 / 90) / 2)


def test_small_hands_count_for_all_but_not_for_large_ones() -> None:
    """A small hand that is missed, and a small box where there is nothing, leave the figures of large hands alone."""
    boxes = [[[0.0, 0, 40, 40], [100, 0, 100 + SMALL, SMALL]]]
    found = Boxes(torch.tensor([[0.9, 0.8]]), torch.tensor([[[0.0, 0, 40, 40], [100, 100, 100 + SMALL, 110]]]))
    assert report(found, boxes, [[True, True]]) == pytest.approx(
        {"recall": 0.5, "precision": 0.5, "recall of large": 1, "precision of large": 1, "iou": 1}
    )
