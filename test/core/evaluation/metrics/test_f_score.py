"""F-scores of surfaces: known cases, and nearest points found by a k-d tree."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from support.metric_samples import hands

from lgnet_core.evaluation.metrics.f_score import f_scores


def test_equal_and_distant_surfaces():
    points = hands(0, 2, points=100)
    assert f_scores(points, points).tolist() == [[1, 1], [1, 1]]
    assert f_scores(points, points + 10).tolist() == [[0, 0], [0, 0]]


def test_displacement_between_the_thresholds():
    """Points of a 1 m grid, displaced by 10 mm: none within 5 mm, all within 15 mm."""
    grid = torch.cartesian_prod(*[torch.arange(3.0)] * 3)[None]
    assert f_scores(grid + torch.tensor([0.01, 0, 0]), grid).tolist() == [[0, 1]]


def test_precision_and_recall_are_combined():
    """One of two predicted points is near the only true one: precision 1/2, recall 1, F 2/3."""
    predicted = torch.tensor([[[0.0, 0, 0], [1, 0, 0]]])
    assert f_scores(predicted, predicted[:, :1]).tolist() == [pytest.approx([2 / 3, 2 / 3])]


def test_equals_nearest_neighbours_of_a_tree():
    predicted, true = hands(1, 4, points=300), hands(2, 4, points=200)
    scores = f_scores(0.3 * predicted, 0.3 * true)
    for k in range(4):
        a, b = 0.3 * predicted[k].numpy(), 0.3 * true[k].numpy()
        to_true, to_predicted = cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]
        for limit, score in zip((0.005, 0.015), scores[k].tolist()):
            precision, recall = np.mean(to_true < limit), np.mean(to_predicted < limit)
            assert 0 < precision < 1
            assert score == pytest.approx(2 * precision * recall / (precision + recall), rel=1e-9)
