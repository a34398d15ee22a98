"""All figures at once: each metric gets what it is to judge, and each figure has a name, a unit and a protocol."""

from __future__ import annotations

import math

import pytest
import torch
from support.perfect import STD, perfect

from lgnet_core.data.sample import HandsTruth
from lgnet_core.evaluation.baselines import Guess, RandomHands
from lgnet_core.evaluation.comparison import Comparison, compare
from lgnet_core.evaluation.metrics import procrustes_errors
from lgnet_core.evaluation.protocol import PROTOCOLS
from lgnet_core.evaluation.scores import FIGURES, TERMS, HandScores, Key, Scored, Scores
from lgnet_core.synthetic.generator import SyntheticHands


@pytest.fixture(scope="module")
def outcome(hand_model) -> Comparison:
    batch = SyntheticHands(9, hand_model).crops(torch.arange(16), 64)
    return compare(perfect(batch, hand_model), batch.wrist, batch, HandsTruth.of(batch, hand_model))


def scored(outcome: Comparison, **settings) -> Scored:
    scores = Scores(**settings)
    scores.update(outcome)
    return scores.compute()


def test_every_figure_has_a_name_and_a_protocol(outcome):
    found = scored(outcome)
    assert {key.figure for key in found.figures} == set(FIGURES)
    assert {key.protocol for key in found.figures} == set(TERMS)
    assert set(found.pck) == {p.name for p in PROTOCOLS}
    assert {p.name for p in PROTOCOLS} < set(TERMS)


def test_the_truth_is_without_fault(outcome):
    """All errors 0, all shares 1; an uncertainty of 4 mm about errors of 0 is too cautious."""
    for key, value in scored(outcome).figures.items():
        if key.figure.startswith("coverage"):
            assert value == 1
        elif key.figure == "sigma_mm":
            assert value == pytest.approx(1000 * STD)
        elif FIGURES[key.figure].perfect is not None and key.figure != "calibration_error":
            assert value == pytest.approx(FIGURES[key.figure].perfect, abs=2e-3), key
    assert scored(outcome).figures[Key("calibration_error", "per-axis")] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("field", "change", "moved"),
    [
        (
            "joints",
            lambda x: 1.1 * x,
            {"mpjpe_mm", "auc_0_50", "mpvpe_mm", "calibration_error", "nll", "coverage_1sigma"},
        ),
        ("vertices", lambda x: x + 0.01, {"mpvpe_mm"}),
        ("rough_vertices", lambda x: x + 0.01, {"rough_mpvpe_mm"}),
        ("relative_translation", lambda x: x + 0.01, {"mrrpe_mm"}),
        ("wrist", lambda x: 1.1 * x, {"wrist_percent", "depth_percent", "mrrpe_mm"}),
        ("pixels", lambda x: x + 1, {"joints_2d_px256"}),
        ("presence_logits", lambda x: -x, {"presence"}),
        ("joint_log_variance", lambda x: x + 1, {"nll", "sigma_mm"}),
    ],
)
def test_what_changes_moves_its_figures_alone(outcome, field, change, moved):
    before = scored(outcome).figures
    after = scored(outcome._replace(**{field: change(getattr(outcome, field))})).figures
    found = {key.figure for key in before if abs(after[key] - before[key]) > 1e-2}
    found.discard("coverage_2sigma")  # 10 % of a hand is about two of its sigmas
    assert found == moved


def test_regressed_and_placed_translations_are_told_apart(outcome):
    shift = torch.tensor([0.0, 0.0, 0.1])
    wrist = outcome.wrist.clone()
    wrist[:, 1] += shift
    found = scored(outcome._replace(wrist=wrist)).figures
    assert found[Key("mrrpe_mm", "regressed")] == pytest.approx(0, abs=1e-3)
    assert found[Key("mrrpe_mm", "placed")] == pytest.approx(100, abs=1e-2)


def test_hands_that_are_not_there_do_not_count(outcome):
    wild = outcome.joints.clone()
    wild[~outcome.hands] = 100.0
    assert not outcome.hands.all()
    for key, value in scored(outcome._replace(joints=wild)).figures.items():
        assert value == pytest.approx(scored(outcome).figures[key], abs=1e-9)


def test_images_without_hands_have_no_errors(outcome):
    nobody = outcome.select(~outcome.hands.any(1))
    assert len(nobody.hands)
    for key, value in scored(nobody).figures.items():
        assert math.isnan(value) == (key.figure != "presence"), key


def test_without_uncertainty_there_is_no_calibration(outcome):
    found = scored(outcome, uncertainty=False)
    assert {key.protocol for key in found.figures} == set(TERMS) - {"per-axis"}
    assert not found.reliability


def test_a_guess_may_differ_by_protocol(hand_model, outcome):
    """Each figure of the nearest hand is of the hand that is nearest under its protocol."""
    nearest = RandomHands(hand_model).nearest(outcome.true_joints, outcome.hands)
    scores = HandScores()
    scores.update(nearest, outcome)
    found = scores.compute().figures
    hands = outcome.hands
    for p in PROTOCOLS:
        said, true = nearest[p.name].joints[hands], outcome.true_joints[hands]
        assert found[Key("mpjpe_mm", p.name)] == pytest.approx(float(p.errors(said, said, true, true).mean()), rel=1e-5)
    errors = procrustes_errors(nearest["similarity"].joints[hands], outcome.true_joints[hands])
    assert found[Key("pa_mpjpe_mm", "similarity")] == pytest.approx(float(errors.mean()), rel=1e-5)


def test_the_nearest_under_a_protocol_is_the_best_under_it(hand_model, outcome):
    """No other protocol's choice has a smaller error under this one."""
    nearest = RandomHands(hand_model).nearest(outcome.true_joints, outcome.hands)

    def mpjpe(choice: Guess) -> dict[Key, float]:
        scores = HandScores()
        scores.update(dict.fromkeys(nearest, choice), outcome)
        return scores.compute().figures

    by_choice = {name: mpjpe(choice) for name, choice in nearest.items()}
    for p in PROTOCOLS:
        key = Key("mpjpe_mm", p.name)
        assert by_choice[p.name][key] == pytest.approx(min(figures[key] for figures in by_choice.values()), rel=1e-6)
