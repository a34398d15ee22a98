"""FreiHAND's F-scores: alignment by vertices or joints, and the whole evaluation of a small set."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from support.oracle_network import perfect_prediction
from support.stubs import save_untrained_network
from support.synthetic_freihand import write_freihand

from lgnet_core.data.sample import HandsGroundTruth
from lgnet_core.evaluation.comparison import compare
from lgnet_core.evaluation.datasets.base import LabelledImages
from lgnet_core.evaluation.datasets.factory import DatasetConfig, open_images
from lgnet_core.evaluation.evaluate import ALL
from lgnet_core.evaluation.metrics.errors import fit_similarity
from lgnet_core.evaluation.protocols.freihand_protocol import FreiHANDScore
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.evaluation.scores import MetricKey
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.generator import SyntheticHands


@pytest.fixture(scope="module")
def dataset(mano, tmp_path_factory):
    return write_freihand(tmp_path_factory.mktemp("freihand"), mano)


@pytest.fixture(scope="module")
def hands(hand_model):
    batch = SyntheticHands(5, hand_model).crops(torch.arange(8), 32)
    return batch, HandsGroundTruth.of(batch, hand_model)


def score(hands, hand_model: HandModel, change, same_vertices: bool):
    batch, truth = hands
    none = torch.full((len(batch),), -1)
    predicted = change(perfect_prediction(batch, hand_model))
    observer = FreiHANDScore(same_vertices)
    observer.update(compare(predicted, batch.wrist, batch, truth), LabelledImages(batch, none, truth, none, none))
    return observer.compute()


def test_scaled_and_displaced_meshes_are_aligned(hands, hand_model):
    for same_vertices in (True, False):
        result = score(
            hands,
            hand_model,
            lambda p: p._replace(vertices=1.2 * p.vertices + 0.3, joints=1.2 * p.joints + 0.3),
            same_vertices,
        )
        assert (result.f_5mm, result.f_15mm) == pytest.approx((1, 1))
        assert result.hands == int(hands[0].presence.sum())
        assert result.aligned_by_vertices == same_vertices


def test_other_vertices_are_aligned_by_the_joints(hands, hand_model):
    """Half the vertices, away from their joints by 10 mm: F-score of the displaced subset from a k-d tree."""
    shift = torch.tensor([0.01, 0, 0])
    result = score(hands, hand_model, lambda p: p._replace(vertices=p.vertices[:, :, ::2] + shift), False)
    batch, truth = hands
    expected = []
    for k, side in batch.presence.nonzero().tolist():
        true = truth.vertices[k, side].numpy()
        predicted = true[::2] + shift.numpy()
        to_true, to_predicted = cKDTree(true).query(predicted)[0], cKDTree(predicted).query(true)[0]
        precision, recall = np.mean(to_true < 0.005), np.mean(to_predicted < 0.005)
        expected.append(2 * precision * recall / (precision + recall))
    assert result.f_5mm == pytest.approx(np.mean(expected), abs=2e-3)
    assert 0 < result.f_5mm < 0.9


def test_fit_similarity_recovers_a_transform():
    points = torch.rand(30, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    angle = torch.tensor(0.7, dtype=torch.float64)
    rotation = torch.eye(3, dtype=torch.float64)
    rotation[:2, :2] = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    moved = 1.3 * points @ rotation.T + torch.tensor([1.0, -2, 0.5])
    fit = fit_similarity(points, moved)
    torch.testing.assert_close(fit.transform(points), moved)
    assert float(fit.scale) == pytest.approx(1.3)


def test_no_hands_have_no_score(hand_model):
    assert math.isnan(FreiHANDScore(True).compute().f_5mm)


def test_complete_evaluation(dataset, tmp_path):
    """An untrained network of another hand model: joints under all protocols, F-scores instead of vertex errors."""
    out = tmp_path / "out"
    weights = save_untrained_network(tmp_path / "untrained.safetensors")
    report = run_evaluation(out, DatasetConfig("freihand", dataset.root), weights, device="cpu", batch_size=4)
    metrics = report.results[ALL].weights.metrics
    assert report.results["single-hand"].images == report.results[ALL].hands == 4
    assert metrics[MetricKey("pa_mpjpe_mm", "similarity")] > 0
    assert math.isnan(metrics[MetricKey("pa_mpvpe_mm", "similarity")])
    document = json.loads((out / "figures.json").read_text())
    assert document["f_scores"]["hands"] == 4
    assert 0 <= document["f_scores"]["f_5mm"] <= document["f_scores"]["f_15mm"] <= 1
    assert not document["f_scores"]["aligned_by_vertices"]
    assert "F-scores" in document["notes"][0]
    assert any("F@5 mm" in str(table.columns[2].header) for table in report.analyses.tables())


def test_vertices_are_compared_with_the_same_mano(dataset, mano, tmp_path):
    images = open_images(DatasetConfig("freihand", dataset.root), mano, mano)
    assert images.hand_model is mano
    assert images.read(torch.arange(2), 64).truth.vertices_known.tolist() == [[True, False]] * 2
    with pytest.raises(ValueError, match="--root"):
        open_images(DatasetConfig("freihand"), mano)
