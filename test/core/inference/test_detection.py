"""Hand detection with scripted networks: crops of both passes, verification, duplicates and cost."""

from __future__ import annotations

import numpy as np
import pytest
from support.scripted_engines import (
    CAMERA,
    ScriptedHand,
    ScriptedLandmarks,
    ScriptedPalms,
    coordinate_image,
    hand_at,
)

from lgnet_core.geometry.affine import transform_points
from lgnet_core.geometry.hand_crops import crops_from_joints, crops_from_palms
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.detection import HandDetector
from lgnet_core.inference.observation import HandObservation, HandObserver
from lgnet_core.inference.palms import PalmDetection
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.network.prediction import HAND_CROP_SIZE
from lgnet_core.types import Side

THRESHOLDS = Thresholds()


class Setup:
    """A hand detector with scripted networks.

    Attributes:
        seconds: spent in each stage of the last detection.
    """

    def __init__(self, *hands: ScriptedHand) -> None:
        self.hands = list(hands)
        self.palms, self.landmarks = ScriptedPalms(self.hands), ScriptedLandmarks(self.hands)
        self.seconds: dict[str, float] = {}

    def detect(self, known: list[HandObservation] | None = None, **thresholds: float) -> list[HandObservation]:
        detector = HandDetector(PalmDetection(self.palms), HandObserver(self.landmarks))
        context = ImageContext.from_image(coordinate_image(), CAMERA, Thresholds(**thresholds))
        hands = detector.detect(context, known or [])
        self.seconds = context.stopwatch.seconds
        return hands


def test_hands_are_sorted_by_presence():
    setup = Setup(hand_at(60, 130, presence=0.7), hand_at(180, 110, Side.LEFT, presence=0.8))
    observations = setup.detect()
    for observation, hand in zip(observations, reversed(setup.hands), strict=True):
        np.testing.assert_allclose(observation.joints, hand.joints, atol=0.05)
        assert observation.presence == pytest.approx(hand.presence)
    assert [observation.mirrored for observation in observations] == [True, False]  # according to the sides
    assert setup.landmarks.batches == [2, 2]
    assert len(setup.palms.scales) == 1
    assert setup.seconds["detect"] > 0


def test_the_first_crop_follows_from_the_palm_and_the_second_from_the_joints():
    setup = Setup(hand_at(120, 120, Side.LEFT))
    affines: list[np.ndarray] = []

    class Recording(ScriptedLandmarks):
        def __call__(self, crops):
            output = super().__call__(crops)
            affines.extend(self.affines)
            return output

    setup.landmarks = Recording(setup.hands)
    setup.detect()
    (hand,) = setup.hands
    palm = crops_from_palms(hand.palm_box[None], hand.joints[[0, 5, 9, 13, 17, 1, 2]][None])
    joints = crops_from_joints(hand.joints[None]).mirror_left(np.array([1]))
    corners = np.array([[60.0, 60], [180, 140]])
    for affine, crop in zip(affines, (palm, joints), strict=True):
        expected = transform_points(crop.affine(HAND_CROP_SIZE)[0], corners)
        np.testing.assert_allclose(transform_points(affine, corners), expected, atol=0.7)


def test_detection_is_retried_on_the_downscaled_image():
    setup = Setup(hand_at(120, 120))
    setup.palms.max_scale = 0.7  # 192 / 240 is 0.8
    (observation,) = setup.detect()
    np.testing.assert_allclose(observation.joints, setup.hands[0].joints, atol=0.05)
    np.testing.assert_allclose(setup.palms.scales, [0.8, 0.8 / THRESHOLDS.retry_margin], rtol=1e-3)


def test_detection_is_not_retried_for_a_second_hand():
    setup = Setup(hand_at(60, 130), hand_at(180, 110, presence=0.3))
    assert len(setup.detect()) == 1
    assert len(setup.palms.scales) == 1


def test_rejected_candidates_do_not_prevent_a_retry():
    setup = Setup(hand_at(60, 130, presence=0.01), hand_at(180, 110, presence=0.02))
    assert setup.detect() == []
    assert len(setup.palms.scales) == 2
    assert setup.landmarks.batches == [2, 2]  # one pass at each scale, no second pass


def test_a_false_positive_costs_a_first_pass_only():
    setup = Setup(hand_at(60, 130), hand_at(180, 110, presence=0.04))
    assert len(setup.detect()) == 1
    assert setup.landmarks.batches == [2, 1]


def test_a_hand_of_low_presence_gets_a_second_pass():
    setup = Setup(hand_at(60, 130, presence=0.3))
    assert setup.detect() == []
    (observation,) = setup.detect(presence=0.25)
    assert observation.presence == pytest.approx(0.3)


def test_an_image_without_palms_costs_no_crops():
    setup = Setup(hand_at(60, 130, palm_score=0.0))
    assert setup.detect() == []
    assert setup.landmarks.batches == []


def test_two_candidates_of_one_hand_give_one_hand():
    """They are too far apart for non-maximum suppression, but their crops show the same hand."""
    setup = Setup(hand_at(120, 120))
    beside = hand_at(108, 120)
    setup.palms = ScriptedPalms([setup.hands[0], beside])
    (observation,) = setup.detect(palm_nms_distance=0.1)
    np.testing.assert_allclose(observation.joints, setup.hands[0].joints, atol=0.05)
    assert setup.landmarks.batches == [2, 1]


def test_palms_of_known_hands_cost_no_crops():
    setup = Setup(hand_at(60, 130), hand_at(180, 110, Side.LEFT))
    known = setup.detect()
    setup.landmarks.batches.clear()
    assert setup.detect(known) == []
    assert setup.landmarks.batches == []
    assert len(setup.palms.scales) == 2, "no retry if a hand is known"
    (observation,) = setup.detect(known[:1])
    np.testing.assert_allclose(observation.joints, known[1].joints, atol=1e-6)
    assert setup.landmarks.batches == [1, 1]


def test_a_misplaced_palm_of_a_known_hand_is_rejected_after_the_first_pass():
    setup = Setup(hand_at(120, 120))
    known = setup.detect()
    setup.landmarks.batches.clear()
    setup.palms = ScriptedPalms([hand_at(102, 120)])
    assert setup.detect(known) == []
    assert setup.landmarks.batches == [1]


def test_crossed_hands_are_both_detected():
    """Their palms overlap but point in different directions."""
    one, other = hand_at(110, 120), hand_at(110, 120, Side.LEFT)
    centre = one.joints[[0, 9]].mean(0)
    quarter_turn = np.array([[0.0, 1], [-1, 0]])
    other.joints = (other.joints - centre) @ quarter_turn + centre

    class ByDirection(ScriptedLandmarks):
        """Both hands are inside either crop; the upright one is detected."""

        def find_hand(self, affine):
            up = [affine[1, :2] @ (hand.joints[0] - hand.joints[9]) for hand in self.hands]
            return self.hands[int(np.argmax(up))]

    setup = Setup(one, other)
    setup.landmarks = ByDirection(setup.hands)
    observations = setup.detect()
    assert sorted(observation.side for observation in observations) == list(Side)
    for observation in observations:
        expected = one if observation.side is Side.RIGHT else other
        np.testing.assert_allclose(observation.joints, expected.joints, atol=0.05)
