"""Distance between two hands, and errors in bins of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree
from support.oracle_network import perfect_prediction

from lgnet_core.data.sample import HandsGroundTruth
from lgnet_core.evaluation.comparison import compare
from lgnet_core.evaluation.datasets.base import LabelledImages
from lgnet_core.evaluation.metrics.proximity import EDGES, ProximityScore
from lgnet_core.synthetic.generator import SyntheticHands

COUNT = 100


def test_errors_by_bin(hand_model):
    """Joints and the left wrist are displaced; distances are those of a k-d tree."""
    batch = SyntheticHands(5, hand_model).crops(torch.arange(COUNT), 32)
    truth = HandsGroundTruth.of(batch, hand_model)
    predicted = perfect_prediction(batch, hand_model)
    generator = torch.Generator().manual_seed(1)
    noise = 0.01 * torch.randn(predicted.joints.shape, generator=generator)
    shift = 0.05 * torch.randn(COUNT, 3, generator=generator)
    wrist = batch.wrist + torch.stack([torch.zeros_like(shift), shift], 1)
    comparison = compare(predicted._replace(joints=predicted.joints + noise), wrist, batch, truth)
    none = torch.full((COUNT,), -1)
    score = ProximityScore()
    score.update(comparison, LabelledImages(batch, none, truth, none, none))
    bins = score.compute()
    assert [distance_bin.low for distance_bin in bins] == list(EDGES)
    assert sum(distance_bin.pairs > 0 for distance_bin in bins) >= 3
    right, left = (truth.vertices[:, side].double().numpy() for side in range(2))
    distances = [1000 * KDTree(right[k]).query(left[k])[0].min() for k in range(COUNT)]
    for distance_bin in bins:
        inside = [
            k for k in range(COUNT) if batch.presence[k].all() and distance_bin.low <= distances[k] < distance_bin.high
        ]
        assert distance_bin.pairs == len(inside)
        joints = [1000 * (noise[k] - noise[k, :, :1]).norm(dim=-1).mean().item() for k in inside]
        expected = (
            (np.mean(joints), 1000 * np.mean([shift[k].norm().item() for k in inside])) if inside else (math.nan,) * 2
        )
        assert (distance_bin.mpjpe, distance_bin.mrrpe) == pytest.approx(expected, rel=1e-3, nan_ok=True)


def test_no_pairs(hand_model):
    assert all(
        distance_bin.pairs == 0 and math.isnan(distance_bin.mrrpe) for distance_bin in ProximityScore().compute()
    )
