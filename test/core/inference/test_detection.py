"""Detection over scripted networks: which crops they are given, what is kept, what it costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.scripted_engines import (
    CAMERA,
    ScriptedHand,
    ScriptedLandmarks,
    ScriptedPalms,
    coordinate_image,
    hand_at,
)

from lgnet_core.geometry.camera import transform_points
from lgnet_core.geometry.hand_crops import crops_of_joints, crops_of_palms
from lgnet_core.inference.detection import HandDetector
from lgnet_core.inference.observation import HandObservation, HandObserver
from lgnet_core.inference.palms import PalmDetection
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE
from lgnet_core.types import Side

THRESHOLDS = Thresholds()


class Bench:
    """A detector over hands that a test places."""

    def __init__(self, *hands: ScriptedHand) -> None:
        self.hands = list(hands)
        self.palms, self.landmarks = ScriptedPalms(self.hands), ScriptedLandmarks(self.hands)
        self.watch = Stopwatch()

    def detect(self, known: list[HandObservation] | None = None, **settings: float) -> list[HandObservation]:
        detector = HandDetector(PalmDetection(self.palms), HandObserver(self.landmarks))
        thresholds = Thresholds(**settings)
        return detector.detect(coordinate_image(), CAMERA, thresholds, self.watch, known or [])


def test_hands_are_found_the_surer_first():
    bench = Bench(hand_at(60, 130, presence=0.7), hand_at(180, 110, Side.LEFT, presence=0.8))
    found = bench.detect()
    for seen, hand in zip(found, reversed(bench.hands), strict=True):
        np.testing.assert_allclose(seen.joints, hand.joints, atol=0.05)
        assert seen.presence == pytest.approx(hand.presence)
    assert [seen.mirrored for seen in found] == [True, False]  # each in the crop of its side
    assert bench.landmarks.batches == [2, 2]
    assert len(bench.palms.scales) == 1
    assert bench.watch.seconds["detect"] > 0


def test_the_first_crop_is_the_palms_and_the_second_the_joints():
    bench = Bench(hand_at(120, 120, Side.LEFT))
    seen_in: list[np.ndarray] = []

    class Recording(ScriptedLandmarks):
        def __call__(self, crops):
            found = super().__call__(crops)
            seen_in.extend(self.affines)
            return found

    bench.landmarks = Recording(bench.hands)
    bench.detect()
    (hand,) = bench.hands
    palm = crops_of_palms(
        torch.from_numpy(hand.palm_box)[None], torch.from_numpy(hand.joints[[0, 5, 9, 13, 17, 1, 2]])[None]
    )
    joints = crops_of_joints(torch.from_numpy(hand.joints)[None]).mirror_left(torch.tensor([1]))
    corners = np.array([[60.0, 60], [180, 140]])
    for read, crop in zip(seen_in, (palm, joints), strict=True):
        wanted = transform_points(crop.affine(HAND_CROP_SIZE)[0].numpy(), corners)
        np.testing.assert_allclose(transform_points(read, corners), wanted, atol=0.7)


def test_where_nothing_is_found_the_image_is_shown_smaller():
    bench = Bench(hand_at(120, 120))
    bench.palms.largest_scale = 0.7  # 192 / 240 is 0.8
    (seen,) = bench.detect()
    np.testing.assert_allclose(seen.joints, bench.hands[0].joints, atol=0.05)
    np.testing.assert_allclose(bench.palms.scales, [0.8, 0.8 / THRESHOLDS.wide_margin], rtol=1e-3)


def test_a_hand_among_what_is_found_is_enough():
    """The image is not shown smaller for the other one's sake."""
    bench = Bench(hand_at(60, 130), hand_at(180, 110, presence=0.3))
    assert len(bench.detect()) == 1
    assert len(bench.palms.scales) == 1


def test_palms_that_are_no_hands_count_for_nothing():
    bench = Bench(hand_at(60, 130, presence=0.01), hand_at(180, 110, presence=0.02))
    assert bench.detect() == []
    assert len(bench.palms.scales) == 2
    assert bench.landmarks.batches == [2, 2]  # in each size of the image once: no second crops


def test_a_face_costs_a_first_crop_only():
    bench = Bench(hand_at(60, 130), hand_at(180, 110, presence=0.04))
    assert len(bench.detect()) == 1
    assert bench.landmarks.batches == [2, 1]


def test_a_hand_that_is_doubtful_in_its_first_crop_gets_a_second():
    bench = Bench(hand_at(60, 130, presence=0.3))
    assert bench.detect() == []
    (seen,) = bench.detect(presence=0.25)
    assert seen.presence == pytest.approx(0.3)


def test_an_image_without_palms_costs_no_crop():
    bench = Bench(hand_at(60, 130, palm_score=0.0))
    assert bench.detect() == []
    assert bench.landmarks.batches == []


def test_two_palms_of_one_hand_are_one_hand():
    """Candidates too far from each other to be merged, whose crops show the same hand."""
    bench = Bench(hand_at(120, 120))
    beside = hand_at(108, 120)
    bench.palms = ScriptedPalms([bench.hands[0], beside])
    (seen,) = bench.detect(palm_distance=0.1)
    np.testing.assert_allclose(seen.joints, bench.hands[0].joints, atol=0.05)
    assert bench.landmarks.batches == [2, 1]


def test_known_hands_are_left_out_before_they_cost_a_crop():
    bench = Bench(hand_at(60, 130), hand_at(180, 110, Side.LEFT))
    known = bench.detect()
    bench.landmarks.batches.clear()
    assert bench.detect(known) == []
    assert bench.landmarks.batches == []
    assert len(bench.palms.scales) == 2, "where a hand is known the image is not shown smaller"
    (seen,) = bench.detect(known[:1])
    np.testing.assert_allclose(seen.joints, known[1].joints, atol=1e-6)
    assert bench.landmarks.batches == [1, 1]


def test_a_palm_beside_a_known_hand_that_turns_out_to_be_its():
    """It is no palm of the known hand by its place, but its crop shows that hand."""
    bench = Bench(hand_at(120, 120))
    known = bench.detect()
    bench.landmarks.batches.clear()
    bench.palms = ScriptedPalms([hand_at(102, 120)])
    assert bench.detect(known) == []
    assert bench.landmarks.batches == [1]


def test_crossed_hands_are_two():
    """Their palms lie on each other and point elsewhere."""
    one, other = hand_at(110, 120), hand_at(110, 120, Side.LEFT)
    middle = one.joints[[0, 9]].mean(0)
    quarter = np.array([[0.0, 1], [-1, 0]])
    other.joints = (other.joints - middle) @ quarter + middle

    class ByDirection(ScriptedLandmarks):
        """Both lie in either crop; the upright one is seen."""

        def _hand_in(self, affine):
            up = [affine[1, :2] @ (hand.joints[0] - hand.joints[9]) for hand in self.hands]
            return self.hands[int(np.argmax(up))]

    bench = Bench(one, other)
    bench.landmarks = ByDirection(bench.hands)
    found = bench.detect()
    assert sorted(seen.side for seen in found) == list(Side)
    for seen in found:
        wanted = one if seen.side is Side.RIGHT else other
        np.testing.assert_allclose(seen.joints, wanted.joints, atol=0.05)
