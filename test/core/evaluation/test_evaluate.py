"""Evaluation by category with networks of known errors."""

from __future__ import annotations

import math

import pytest
import torch
from support.oracle_network import OracleNetwork, SmallDataset
from support.small_network import small_network

from lgnet_core.evaluation.baselines import mean_pose
from lgnet_core.evaluation.datasets.base import Category
from lgnet_core.evaluation.evaluate import ALL, CategoryResult, evaluate, evenly_spaced, skill
from lgnet_core.evaluation.scores import METRICS, MetricKey
from lgnet_core.network import HandLGNetConfig
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net

MPJPE = MetricKey("mpjpe_mm", "wrist-raw")
CATEGORIES = [category.value for category in Category]


@pytest.fixture(scope="module")
def images(hand_model) -> SmallDataset:
    found = SmallDataset(hand_model)
    assert set(found.category.tolist()) == {0, 1, 2, 3}
    return found


def enlarge_hands(predicted):
    """Hands enlarged by 10 %, everything else correct."""
    return predicted._replace(joints=1.1 * predicted.joints, vertices=1.1 * predicted.vertices)


@pytest.fixture(scope="module")
def results(hand_model, images) -> dict[str, CategoryResult]:
    return evaluate(OracleNetwork(images, hand_model, enlarge_hands), images, 64, batch_size=7)


def test_categories_add_up(images, results):
    assert list(results) == [ALL, *CATEGORIES]
    for counted in ("images", "hands", "pairs"):
        parts = [getattr(results[name], counted) for name in CATEGORIES]
        assert sum(parts) == getattr(results[ALL], counted)
    assert results[ALL].images == 24
    assert results[ALL].hands == int(images.batch.presence.sum())
    assert results[ALL].pairs == int(images.batch.presence.all(1).sum())
    assert results["single-hand"].pairs == results["no-hand"].hands == 0


def test_overall_result_is_mean_over_hands_of_categories(results):
    for key in (
        MPJPE,
        MetricKey("mpvpe_mm", "mcp-raw"),
        MetricKey("pa_mpjpe_mm", "similarity"),
        MetricKey("auc_0_50", "wrist-raw"),
    ):
        for scored in ("weights", "mean_pose", "nearest"):
            values = [(getattr(results[name], scored).metrics[key], results[name].hands) for name in CATEGORIES]
            mean = sum(value * hands for value, hands in values if hands) / results[ALL].hands
            assert getattr(results[ALL], scored).metrics[key] == pytest.approx(mean, rel=1e-6)


def test_known_error_is_measured(hand_model, images, results):
    """10 % of the distance of every joint from the wrist; 0 with scaled alignment."""
    labels = images.batch.labels(hand_model)
    distances = (labels.joints - labels.joints[:, :, :1]).norm(dim=-1)[images.batch.presence]
    metrics = results[ALL].weights.metrics
    assert metrics[MPJPE] == pytest.approx(100 * float(distances.mean()), rel=1e-4)
    for protocol in ("wrist-scaled", "mcp-scaled"):
        assert metrics[MetricKey("mpjpe_mm", protocol)] == pytest.approx(0, abs=1e-3)
        assert metrics[MetricKey("mpvpe_mm", protocol)] == pytest.approx(0, abs=1e-3)
    assert metrics[MetricKey("depth_percent", "camera")] == pytest.approx(
        10, abs=1.5
    )  # a larger hand is placed farther away
    assert metrics[MetricKey("presence", "at-half")] == 1


def test_empty_category_is_nan(results):
    for key, metric in results["no-hand"].metrics().items():
        assert math.isnan(metric.value) == (key.metric != "presence")
        assert math.isnan(metric.nearest)


def test_result_does_not_depend_on_batch_size(hand_model, images, results):
    whole = evaluate(OracleNetwork(images, hand_model, enlarge_hands), images, 64, batch_size=24)
    for name, result in results.items():
        for key, metric in result.metrics().items():
            for value, other in zip(vars(metric).values(), vars(whole[name].metrics()[key]).values(), strict=True):
                assert value == pytest.approx(other, rel=1e-4, abs=1e-4, nan_ok=True), (name, key)


def test_network_with_one_crop_per_hand_gets_true_crops(hand_model, images, results):
    """With batches of one, also without hands, or of all images; absent hands are never reported."""
    network = small_network(hand_model, config=HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32))
    network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
    single, whole = (evaluate(network, images, 64, batch_size=size) for size in (1, 24))
    for name, result in single.items():
        for key, metric in result.metrics().items():
            other = whole[name].metrics()[key]
            assert metric.value == pytest.approx(other.value, rel=1e-3, abs=1e-3, nan_ok=True), (name, key)
    assert whole[ALL].hands == results[ALL].hands
    assert whole["no-hand"].weights.metrics[MetricKey("presence", "at-half")] == 1
    joints = MetricKey("joints_2d_px256", "in-crop")
    assert whole[ALL].weights.metrics[joints] < 0.7 * whole[ALL].mean_pose.metrics[joints]


def test_mean_pose_prediction_has_no_skill(hand_model, images):
    """A network that predicts the mean pose is exactly as good as that baseline."""
    network = OracleNetwork(images, hand_model)
    network.change = lambda _: mean_pose(hand_model, images.batches_read[-1])[0]
    for key, metric in evaluate(network, images, 64)[ALL].metrics().items():
        if key.metric in ("mpjpe_mm", "mpvpe_mm", "auc_0_50", "pa_mpjpe_mm", "joints_2d_px256", "presence"):
            assert skill(metric.value, metric.mean_pose, METRICS[key.metric].perfect) == pytest.approx(0, abs=1e-9)


def test_limited_count_is_spread_evenly(hand_model, images):
    assert evenly_spaced(2000, 4).tolist() == [0, 500, 1000, 1500]
    assert evenly_spaced(5, None).tolist() == evenly_spaced(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert evaluate(OracleNetwork(images, hand_model), images, 64, count=5)[ALL].images == 5


@pytest.mark.parametrize(
    ("value", "baseline", "perfect", "expected"),
    [
        (10.0, 40.0, 0.0, 0.75),
        (60.0, 40.0, 0.0, -0.5),
        (0.9, 0.6, 1.0, 0.75),
        (0.0, 40.0, 0.0, 1.0),
        (3.0, 0.0, 0.0, math.nan),
        (3.0, math.nan, 0.0, math.nan),
        (3.0, 4.0, None, math.nan),
    ],
)
def test_skill(value, baseline, perfect, expected):
    assert skill(value, baseline, perfect) == pytest.approx(expected, nan_ok=True)


def test_baselines_do_not_depend_on_the_network(results):
    """The nearest hand beats the mean pose; metrics that a baseline lacks are NaN."""
    metrics = results[ALL].metrics()
    assert metrics[MPJPE].nearest < metrics[MPJPE].mean_pose
    assert math.isnan(metrics[MetricKey("mrrpe_mm", "regressed")].nearest)
    assert math.isnan(metrics[MetricKey("nll", "per-axis")].mean_pose)
    assert torch.tensor([metrics[MPJPE].nearest, metrics[MPJPE].mean_pose]).isfinite().all()
