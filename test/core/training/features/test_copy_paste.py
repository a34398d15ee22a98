"""Copy-paste augmentation."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands, write_shards
from lgnet_core.training.features.copy_paste import Occluder, cut_out_hand, paste_occluders
from lgnet_core.training.features.teacher import PseudoLabel, TeacherSettings
from lgnet_core.types import JOINT_PARENTS, Side

ALWAYS = TeacherSettings(paste_probability=1.0, max_occluded=1.0, real_probability=0.0, object_probability=0.0)
GREY = np.full((160, 200, 3), 128, np.uint8)
FLAT_HAND = np.array(
    [[50, 95]] + [[20 + 15 * f + 3 * (f - 2) * j, 60 - 14 * j] for f in range(5) for j in range(4)], float
)
"""(21, 2) joints of an upright hand with spread fingers, in an image of 110 x 110 pixels."""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, hand_model) -> StoredHands:
    folder = write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 24, 64, progress=False)
    return StoredHands(folder, hand_model)


def random_hand(seed: int = 0) -> PseudoLabel:
    """A right hand of about 20 pixels near (60, 60)."""
    return PseudoLabel(Side.RIGHT, np.random.default_rng(seed).uniform(50, 70, (21, 2)))


def white_cutout(side: Side = Side.RIGHT) -> Occluder:
    """A white square of 40 pixels, in which every joint is labelled at the left end of the middle row."""
    label = PseudoLabel(side, np.full((21, 2), (2.0, 19.5)))
    return Occluder(np.full((40, 40, 3), 255, np.uint8), np.ones((40, 40), np.float32), label)


@pytest.mark.parametrize("kind", ["rendered hand", "object", "real hand"])
def test_occluder_covers_the_hand_only(rendered, kind):
    """It changes pixels near the hand, and none farther away than its scale and offset allow."""
    real, thing = float(kind == "real hand"), float(kind == "object")
    settings = replace(ALWAYS, real_probability=real, object_probability=thing)
    hand = random_hand()
    changed = 0
    for seed in range(8):
        pasted, _ = paste_occluders(GREY, [hand], [white_cutout()], rendered, settings, np.random.default_rng(seed))
        rows, columns = np.nonzero((pasted != GREY).any(-1))
        changed += len(rows)
        distance = np.hypot(columns - hand.joints_2d[:, 0].mean(), rows - hand.joints_2d[:, 1].mean())
        assert len(rows) < 3000
        assert distance.max(initial=0) < 20 * (0.6 * np.sqrt(2) + 1.3 * np.sqrt(2))
    assert changed > 8 * 20
    assert (GREY == 128).all()


@pytest.mark.parametrize("side", list(Side))
def test_pasted_real_hand_becomes_the_other_hand(rendered, side):
    """Its joints follow its pixels, and it is mirrored only if it is of the same side as the hand below."""
    settings = replace(ALWAYS, real_probability=1.0, min_inside=0.0)
    hand = random_hand()
    for seed in range(6):
        cutout = white_cutout(side)
        cutout.patch[:, :8] = (255, 0, 0)  # the end where the joints are
        pasted, hands = paste_occluders(GREY, [hand], [cutout], rendered, settings, np.random.default_rng(seed))
        assert [h.side for h in hands] == [Side.RIGHT, Side.LEFT]
        u, v = hands[1].joints_2d[0].round().astype(int)
        assert pasted[v, u, 0] > 200
        assert pasted[v, u, 1] < 60


def test_second_hand_of_an_image_of_two_hands_is_not_labelled(rendered):
    hands = [random_hand(), PseudoLabel(Side.LEFT, random_hand(1).joints_2d + np.array([80, 0]))]
    settings = replace(ALWAYS, real_probability=1.0)
    pasted, result = paste_occluders(GREY, hands, [white_cutout()], rendered, settings, np.random.default_rng(0))
    assert result == hands
    assert (pasted != GREY).any()


def test_hands_that_would_vanish_are_not_covered(rendered):
    """Whatever is pasted leaves at least the required fraction of the joints."""
    hand = PseudoLabel(Side.RIGHT, np.full((21, 2), 60.0) + np.random.default_rng(0).uniform(-9, 9, (21, 2)))
    settings = replace(ALWAYS, real_probability=1.0, max_occluded=0.5, paste_scale=(1.0, 3.0))
    fractions = []
    for seed in range(40):
        pasted, _ = paste_occluders(GREY, [hand], [white_cutout()], rendered, settings, np.random.default_rng(seed))
        u, v = hand.joints_2d.round().astype(int).T
        fractions.append(float((pasted[v, u] > 192).all(-1).mean()))
    assert max(fractions) <= 0.5
    assert any(fraction > 0 for fraction in fractions)


def test_hand_pasted_outside_the_image_is_not_labelled(rendered):
    hand = PseudoLabel(Side.RIGHT, random_hand().joints_2d - (58, 58))  # in the corner
    settings = replace(ALWAYS, real_probability=1.0)
    for seed in range(20):
        _, hands = paste_occluders(GREY, [hand], [white_cutout()], rendered, settings, np.random.default_rng(seed))
        for pasted in hands[1:]:
            assert ((pasted.joints_2d >= -0.5) & (pasted.joints_2d < (199.5, 159.5))).all()


def test_cut_out_hand_is_the_hand():
    """A drawn hand on a textured background is segmented nearly exactly, and its joints lie on it."""
    random = np.random.default_rng(0)
    image = random.integers(60, 120, (160, 160, 3)).astype(np.uint8)
    joints = FLAT_HAND + 25
    truth = np.zeros(image.shape[:2], np.uint8)
    for child, parent in enumerate(JOINT_PARENTS):
        if parent >= 0:
            cv2.line(truth, *(tuple(map(int, joints[k].round())) for k in (parent, child)), 1, 7)
    cv2.fillConvexPoly(truth, cv2.convexHull(joints[[0, 1, 5, 9, 13, 17]].round().astype(np.int32)), 1)
    image[truth > 0] = (220, 170, 140)
    cutout = cut_out_hand(image, PseudoLabel(Side.LEFT, joints))
    assert cutout is not None
    assert cutout.hand is not None
    assert cutout.hand.side == Side.LEFT
    scale = np.ptp(cutout.hand.joints_2d[:, 0]) / np.ptp(joints[:, 0])
    offset = joints[0] * scale - cutout.hand.joints_2d[0]
    matrix = np.column_stack([np.eye(2) * scale, -offset])
    expected = cv2.warpAffine(truth.astype(np.float32), matrix, cutout.mask.shape[::-1])
    intersection = np.minimum(expected, cutout.mask).sum()
    assert intersection / np.maximum(expected, cutout.mask).sum() > 0.85
    u, v = cutout.hand.joints_2d.round().astype(int).T
    assert cutout.mask[v, u].min() > 0.5


def test_hand_without_surroundings_cannot_be_cut_out():
    image = np.full((20, 20, 3), 90, np.uint8)
    assert cut_out_hand(image, PseudoLabel(Side.LEFT, np.full((21, 2), 10.0))) is None
    everything = np.zeros((21, 2))
    everything[[1, 5, 9]] = [(19, 0), (19, 19), (0, 19)]  # the palm fills the image
    assert cut_out_hand(image, PseudoLabel(Side.LEFT, everything)) is None
