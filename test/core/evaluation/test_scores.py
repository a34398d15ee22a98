"""All metrics together: names, units, protocols, and the inputs that each metric depends on."""

from __future__ import annotations

import math

import pytest
import torch
from support.oracle_network import STD, perfect_prediction

from lgnet_core.data.sample import HandsGroundTruth
from lgnet_core.evaluation.baselines import RandomHands, WristRelativeHands
from lgnet_core.evaluation.comparison import Comparison, compare
from lgnet_core.evaluation.metrics.alignment import ALIGNMENTS
from lgnet_core.evaluation.metrics.errors import procrustes_errors
from lgnet_core.evaluation.scores import (
    METRICS,
    PROTOCOL_DESCRIPTIONS,
    HandScores,
    MetricKey,
    PredictionScores,
    ScoreSummary,
)
from lgnet_core.synthetic.generator import SyntheticHands


@pytest.fixture(scope="module")
def comparison(hand_model) -> Comparison:
    batch = SyntheticHands(9, hand_model).crops(torch.arange(16), 64)
    return compare(perfect_prediction(batch, hand_model), batch.wrist, batch, HandsGroundTruth.of(batch, hand_model))


def score(comparison: Comparison, **settings) -> ScoreSummary:
    scores = PredictionScores(**settings)
    scores.update(comparison)
    return scores.compute()


def test_every_metric_has_a_name_and_a_protocol(comparison):
    scores = score(comparison)
    assert {key.metric for key in scores.metrics} == set(METRICS)
    assert {key.protocol for key in scores.metrics} == set(PROTOCOL_DESCRIPTIONS)
    assert set(scores.pck) == {alignment.name for alignment in ALIGNMENTS}
    assert {alignment.name for alignment in ALIGNMENTS} < set(PROTOCOL_DESCRIPTIONS)


def test_perfect_prediction_has_perfect_scores(comparison):
    """All errors are 0, all fractions 1; an uncertainty of 4 mm with errors of 0 is underconfident."""
    for key, value in score(comparison).metrics.items():
        if key.metric.startswith("coverage"):
            assert value == 1
        elif key.metric == "sigma_mm":
            assert value == pytest.approx(1000 * STD)
        elif METRICS[key.metric].perfect is not None and key.metric != "calibration_error":
            assert value == pytest.approx(METRICS[key.metric].perfect, abs=2e-3), key
    assert score(comparison).metrics[MetricKey("calibration_error", "per-axis")] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("field", "change", "moved"),
    [
        (
            "joints",
            lambda x: 1.1 * x,
            {
                *("mpjpe_mm", "auc_0_50", "mpvpe_mm", "cs_mpjpe_mm", "depth_percent"),
                *("calibration_error", "nll", "coverage_1sigma"),
            },
        ),
        ("vertices", lambda x: x + 0.01, {"mpvpe_mm"}),
        ("vertices", lambda x: x * torch.tensor([1, 1, 1.5]), {"mpvpe_mm", "pa_mpvpe_mm"}),
        ("rough_vertices", lambda x: x + 0.01, {"rough_mpvpe_mm"}),
        ("relative_translation", lambda x: x + 0.01, {"mrrpe_mm"}),
        ("wrist", lambda x: 1.1 * x, {"wrist_percent", "depth_percent", "mrrpe_mm", "cs_mpjpe_mm"}),
        ("pixels", lambda x: x + 1, {"joints_2d_px256"}),
        ("presence_logits", lambda x: -x, {"presence"}),
        ("joint_log_variance", lambda x: x + 1, {"nll", "sigma_mm"}),
    ],
)
def test_change_affects_only_its_metrics(comparison, field, change, moved):
    before = score(comparison).metrics
    after = score(comparison._replace(**{field: change(getattr(comparison, field))})).metrics
    scores = {key.metric for key in before if abs(after[key] - before[key]) > 1e-2}
    scores.discard("coverage_2sigma")  # 10 % of a hand is about two of its sigmas
    assert scores == moved


def test_regressed_and_placed_translations_are_distinguished(comparison):
    shift = torch.tensor([0.0, 0.0, 0.1])
    wrist = comparison.wrist.clone()
    wrist[:, 1] += shift
    scores = score(comparison._replace(wrist=wrist)).metrics
    assert scores[MetricKey("mrrpe_mm", "regressed")] == pytest.approx(0, abs=1e-3)
    assert scores[MetricKey("mrrpe_mm", "placed")] == pytest.approx(100, abs=1e-2)


def test_camera_space_error_of_displaced_hands(comparison):
    """A hand 20 mm too far has an error of 20 mm in camera space, whatever its distance."""
    scores = score(comparison._replace(wrist=comparison.wrist + torch.tensor([0, 0, 0.02]))).metrics
    assert scores[MetricKey("cs_mpjpe_mm", "camera")] == pytest.approx(20, abs=1e-3)
    assert scores[MetricKey("mpjpe_mm", "wrist-raw")] == pytest.approx(0, abs=1e-3)


def test_depth_of_hands_of_known_size(comparison):
    """Hands predicted a tenth too large and too far are placed correctly once their size is known."""
    larger = comparison._replace(joints=1.1 * comparison.joints, wrist=1.1 * comparison.wrist)
    scores = score(larger).metrics
    assert scores[MetricKey("depth_percent", "camera")] == pytest.approx(10, abs=1e-3)
    assert scores[MetricKey("depth_percent", "size-known")] == pytest.approx(0, abs=1e-3)


def test_absent_hands_do_not_count(comparison):
    outliers = comparison.joints.clone()
    outliers[~comparison.presence] = 100.0
    assert not comparison.presence.all()
    for key, value in score(comparison._replace(joints=outliers)).metrics.items():
        assert value == pytest.approx(score(comparison).metrics[key], abs=1e-9)


def test_images_without_hands_have_nan_errors(comparison):
    without_hands = comparison.select(~comparison.presence.any(1))
    assert len(without_hands.presence)
    for key, value in score(without_hands).metrics.items():
        assert math.isnan(value) == (key.metric != "presence"), key


def test_no_calibration_without_uncertainty(comparison):
    scores = score(comparison, uncertainty=False)
    assert {key.protocol for key in scores.metrics} == set(PROTOCOL_DESCRIPTIONS) - {"per-axis"}
    assert not scores.reliability


def test_hands_may_differ_by_alignment(hand_model, comparison):
    """The nearest hand under an alignment determines the metrics of that alignment."""
    nearest = RandomHands(hand_model).nearest(comparison.true_joints, comparison.presence)
    scores = HandScores()
    scores.update(nearest, comparison)
    scores = scores.compute().metrics
    hands = comparison.presence
    for alignment in ALIGNMENTS:
        predicted, true = nearest[alignment.name].joints[hands], comparison.true_joints[hands]
        assert scores[MetricKey("mpjpe_mm", alignment.name)] == pytest.approx(
            float(alignment.errors(predicted, predicted, true, true).mean()), rel=1e-5
        )
    errors = procrustes_errors(nearest["similarity"].joints[hands], comparison.true_joints[hands])
    assert scores[MetricKey("pa_mpjpe_mm", "similarity")] == pytest.approx(float(errors.mean()), rel=1e-5)


def test_nearest_hand_is_best_under_its_alignment(hand_model, comparison):
    """The nearest hand of another alignment has no smaller error."""
    nearest = RandomHands(hand_model).nearest(comparison.true_joints, comparison.presence)

    def mpjpe(hands_: WristRelativeHands) -> dict[MetricKey, float]:
        scores = HandScores()
        scores.update(dict.fromkeys(nearest, hands_), comparison)
        return scores.compute().metrics

    by_baseline = {name: mpjpe(hands_) for name, hands_ in nearest.items()}
    for alignment in ALIGNMENTS:
        key = MetricKey("mpjpe_mm", alignment.name)
        assert by_baseline[alignment.name][key] == pytest.approx(
            min(metrics[key] for metrics in by_baseline.values()), rel=1e-6
        )
