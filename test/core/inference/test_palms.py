"""Palm detection: letterboxing, score thresholds, and keypoint-based non-maximum suppression."""

from __future__ import annotations

import numpy as np
import pytest
from support.scripted_engines import ScriptedPalms, coordinate_image, hand_at

from lgnet_core.geometry.hand_crops import PALM_JOINTS
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.palms import PalmDetection, Palms, merge_palms
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.network.detector.palm_detector import PALM_CANDIDATES
from lgnet_core.network.prediction import PalmCandidates
from lgnet_core.types import Side

THRESHOLDS = Thresholds()
PALM = np.array([[0.0, 30], [-10, 0], [0, 0], [10, 0], [20, 5], [-15, 25], [-20, 15]])
BOX = np.array([-20.0, -5, 20, 35])


def detect(engine: ScriptedPalms, image: np.ndarray | None = None, margin: float = 1.0) -> Palms:
    context = ImageContext.from_image(coordinate_image() if image is None else image, None, THRESHOLDS)
    return PalmDetection(engine).detect(context, margin)


def palms(*items: tuple[float, np.ndarray, np.ndarray]) -> Palms:
    scores, boxes, keypoints = zip(*items)
    return Palms(np.array(scores), np.stack(boxes), np.stack(keypoints))


@pytest.mark.parametrize("margin", [1.0, 1.5])
@pytest.mark.parametrize("size", [(240, 180), (150, 230)])
def test_palms_are_mapped_back_to_the_image(margin, size):
    hands = [hand_at(70, 110), hand_at(100, 150, Side.LEFT, palm_score=0.6)]
    engine = ScriptedPalms(hands)
    detected = detect(engine, coordinate_image(*size), margin)
    assert engine.scales == [pytest.approx(192 / (max(size) * margin), rel=1e-3)]
    np.testing.assert_allclose(detected.scores, [0.8, 0.6], atol=1e-5)
    for hand, box, keypoints in zip(hands, detected.boxes, detected.keypoints):
        np.testing.assert_allclose(box, hand.palm_box, atol=0.1)
        np.testing.assert_allclose(keypoints, hand.joints[list(PALM_JOINTS)], atol=0.1)


def test_candidates_with_a_low_score_are_dropped():
    hands = [hand_at(70, 110, palm_score=0.09), hand_at(170, 110, palm_score=0.11)]
    detected = detect(ScriptedPalms(hands))
    np.testing.assert_allclose(detected.scores, [0.11], atol=1e-6)


@pytest.mark.parametrize("field", ["logits", "boxes", "keypoints"])
def test_candidates_that_are_not_finite_are_dropped(field):
    class Overflowing(ScriptedPalms):
        def __call__(self, image):
            candidates = super().__call__(image)
            getattr(candidates, field)[0, 0] = np.nan
            return candidates

    detected = detect(Overflowing([hand_at(70, 110), hand_at(170, 110)]))
    assert len(detected) == 1
    assert detected.boxes[0, 0] > 120


def test_an_image_without_palms():
    detected = detect(ScriptedPalms([]))
    assert len(detected) == 0
    assert (detected.boxes.shape, detected.keypoints.shape) == ((0, 4), (0, 7, 2))


def test_duplicates_are_merged_into_their_score_weighted_mean():
    first, second, third = (0.6, BOX, PALM), (0.3, BOX + 3, PALM + 3), (0.1, BOX + 6, PALM - 6)
    merged = merge_palms(palms(first, second, third), THRESHOLDS)
    assert merged.scores.tolist() == [0.6]  # of the best candidate
    np.testing.assert_allclose(merged.boxes[0], BOX + 0.3 * 3 + 0.1 * 6)
    np.testing.assert_allclose(merged.keypoints[0], PALM + 0.3 * 3 - 0.1 * 6)


def test_crossed_palms_are_both_kept():
    """Their boxes coincide, so box IoU would merge them."""
    centre = np.array([0.0, 15])
    crossed = (PALM - centre) @ np.array([[0.0, 1], [-1, 0]]) + centre  # rotated by 90 degrees
    merged = merge_palms(palms((0.9, BOX, PALM), (0.8, BOX, crossed)), THRESHOLDS)
    assert len(merged) == 2
    np.testing.assert_array_equal(merged.keypoints, [PALM, crossed])


def test_distances_are_relative_to_the_larger_palm():
    limit = THRESHOLDS.palm_nms_distance * 40
    for distance, count in ((limit - 0.1, 1), (limit + 0.1, 2)):
        shift = np.array([distance, 0])
        small = (0.5, BOX / 2, PALM + shift)  # its own box of 20 pixels would reject the match
        assert len(merge_palms(palms((0.9, BOX, PALM), small), THRESHOLDS)) == count


def test_the_best_palms_are_kept():
    many = palms(*((0.9 - 0.1 * k, BOX + 100 * k, PALM + 100 * k) for k in range(6)))
    np.testing.assert_allclose(merge_palms(many, THRESHOLDS).scores, [0.9, 0.8, 0.7, 0.6])


def test_a_degenerate_box_is_kept():
    """Its gate of zero width excludes even itself, which must not result in the mean of an empty set."""
    merged = merge_palms(palms((0.9, np.array([5.0, 6, 5, 6]), PALM)), THRESHOLDS)
    np.testing.assert_array_equal(merged.keypoints[0], PALM)
    np.testing.assert_array_equal(merged.boxes[0], [5, 6, 5, 6])


def test_extreme_logits_do_not_overflow():
    class Certain(ScriptedPalms):
        def __call__(self, image):
            candidates = super().__call__(image)
            logits = np.full((1, PALM_CANDIDATES), -1e4, np.float32)
            logits[0, 0] = 1e4
            return PalmCandidates(logits, candidates.boxes, candidates.keypoints)

    with np.errstate(all="raise"):
        detected = detect(Certain([hand_at(70, 110)]))
    assert detected.scores.tolist() == [1.0]
