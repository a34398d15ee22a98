"""A network judged by category: networks whose errors are known, and sets that are asked in another order."""

from __future__ import annotations

import math

import pytest
import torch
from support.perfect import KnowingNetwork, SmallSet
from support.small_network import small_network

from lgnet_core.evaluation.baselines import mean_pose
from lgnet_core.evaluation.evaluate import ALL, CategoryResult, chosen, evaluate, skill
from lgnet_core.evaluation.image_sets import Category
from lgnet_core.evaluation.scores import FIGURES, Key
from lgnet_core.network import HandLGNetConfig
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net

MPJPE = Key("mpjpe_mm", "wrist-raw")
CATEGORIES = [category.value for category in Category]


@pytest.fixture(scope="module")
def images(hand_model) -> SmallSet:
    found = SmallSet(hand_model)
    assert set(found.category.tolist()) == {0, 1, 2, 3}
    return found


def stretched(said):
    """Hands a tenth too large, everything else right."""
    return said._replace(joints=1.1 * said.joints, vertices=1.1 * said.vertices)


@pytest.fixture(scope="module")
def results(hand_model, images) -> dict[str, CategoryResult]:
    return evaluate(KnowingNetwork(images, hand_model, stretched), images, 64, batch_size=7)


def test_categories_add_up(images, results):
    assert list(results) == [ALL, *CATEGORIES]
    for counted in ("images", "hands", "pairs"):
        parts = [getattr(results[name], counted) for name in CATEGORIES]
        assert sum(parts) == getattr(results[ALL], counted)
    assert results[ALL].images == 24
    assert results[ALL].hands == int(images.batch.presence.sum())
    assert results[ALL].pairs == int(images.batch.presence.all(1).sum())
    assert results["single-hand"].pairs == results["no-hand"].hands == 0


def test_all_is_the_mean_over_the_hands_of_the_categories(results):
    for key in (MPJPE, Key("mpvpe_mm", "mcp-raw"), Key("pa_mpjpe_mm", "similarity"), Key("auc_0_50", "wrist-raw")):
        for scored in ("weights", "mean_pose", "nearest"):
            values = [(getattr(results[name], scored).figures[key], results[name].hands) for name in CATEGORIES]
            mean = sum(value * hands for value, hands in values if hands) / results[ALL].hands
            assert getattr(results[ALL], scored).figures[key] == pytest.approx(mean, rel=1e-6)


def test_a_known_error_is_found(hand_model, images, results):
    """A tenth of every joint's distance from the wrist; nothing where the size is scaled away."""
    labels = images.batch.labels(hand_model)
    far = (labels.joints - labels.joints[:, :, :1]).norm(dim=-1)[images.batch.presence]
    figures = results[ALL].weights.figures
    assert figures[MPJPE] == pytest.approx(100 * float(far.mean()), rel=1e-4)
    for protocol in ("wrist-scaled", "mcp-scaled"):
        assert figures[Key("mpjpe_mm", protocol)] == pytest.approx(0, abs=1e-3)
        assert figures[Key("mpvpe_mm", protocol)] == pytest.approx(0, abs=1e-3)
    assert figures[Key("depth_percent", "camera")] == pytest.approx(10, abs=1.5)  # a larger hand stands farther off
    assert figures[Key("presence", "at-half")] == 1


def test_an_empty_category_has_no_number(results):
    for key, figure in results["no-hand"].figures().items():
        assert math.isnan(figure.value) == (key.figure != "presence")
        assert math.isnan(figure.nearest)


def test_batches_do_not_matter(hand_model, images, results):
    whole = evaluate(KnowingNetwork(images, hand_model, stretched), images, 64, batch_size=24)
    for name, result in results.items():
        for key, figure in result.figures().items():
            for value, other in zip(vars(figure).values(), vars(whole[name].figures()[key]).values(), strict=True):
                assert value == pytest.approx(other, rel=1e-4, abs=1e-4, nan_ok=True), (name, key)


def test_a_network_of_one_crop_per_hand_is_given_the_true_crops(hand_model, images, results):
    """Image by image, also those without a hand, or all at once; what is not there is never reported."""
    network = small_network(hand_model, config=HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32))
    network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
    single, whole = (evaluate(network, images, 64, batch_size=size) for size in (1, 24))
    for name, result in single.items():
        for key, figure in result.figures().items():
            other = whole[name].figures()[key]
            assert figure.value == pytest.approx(other.value, rel=1e-3, abs=1e-3, nan_ok=True), (name, key)
    assert whole[ALL].hands == results[ALL].hands
    assert whole["no-hand"].weights.figures[Key("presence", "at-half")] == 1
    joints = Key("joints_2d_px256", "in-crop")
    assert whole[ALL].weights.figures[joints] < 0.7 * whole[ALL].mean_pose.figures[joints]


def test_a_network_that_sees_nothing_has_no_skill(hand_model, images):
    """One that says the mean pose is exactly as good as the mean pose."""
    network = KnowingNetwork(images, hand_model)
    network.change = lambda _: mean_pose(hand_model, images.asked[-1])[0]
    for key, figure in evaluate(network, images, 64)[ALL].figures().items():
        if key.figure in ("mpjpe_mm", "mpvpe_mm", "auc_0_50", "pa_mpjpe_mm", "joints_2d_px256", "presence"):
            assert skill(figure.value, figure.mean_pose, FIGURES[key.figure].perfect) == pytest.approx(0, abs=1e-9)


def test_some_images_only_are_spread_over_the_set(hand_model, images):
    assert chosen(2000, 4).tolist() == [0, 500, 1000, 1500]
    assert chosen(5, None).tolist() == chosen(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert evaluate(KnowingNetwork(images, hand_model), images, 64, count=5)[ALL].images == 5


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


def test_baselines_are_judged_on_the_same_hands(results):
    """Both know nothing of the network: the same figures whatever it says. The nearest hand beats the mean pose."""
    figures = results[ALL].figures()
    assert figures[MPJPE].nearest < figures[MPJPE].mean_pose
    assert math.isnan(figures[Key("mrrpe_mm", "regressed")].nearest)
    assert math.isnan(figures[Key("nll", "per-axis")].mean_pose)
    assert torch.tensor([figures[MPJPE].nearest, figures[MPJPE].mean_pose]).isfinite().all()
