"""Hand detection in a whole image: palms, then two passes of the hand-landmark network on a crop of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lgnet_core.geometry.hand_crops import PALM_JOINTS, HandCrops, crops_from_palms
from lgnet_core.inference.association import suppress_duplicates
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.observation import HandObservation, HandObserver, crops_from_observations
from lgnet_core.inference.palms import PalmDetection
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.types import FloatArray


class HandDetector:
    """Detects the hands of a single image, without temporal information.

    Args:
        palms: proposes candidates.
        observer: verifies them.
    """

    def __init__(self, palms: PalmDetection, observer: HandObserver) -> None:
        self.palms, self.observer = palms, observer

    def detect(self, context: ImageContext, known: Sequence[HandObservation] = ()) -> list[HandObservation]:
        """Detect the hands of an image: each once, by descending presence.

        If neither a known nor a new hand is found, detection is repeated on the downscaled image.

        Args:
            known: hands that were already observed in this image; they are not returned again.
        """
        margins = (1.0,) if known else (1.0, context.thresholds.retry_margin)
        for margin in margins:
            hands = self._detect(context, known, margin)
            if hands:
                return hands
        return []

    def _detect(self, context: ImageContext, known: Sequence[HandObservation], margin: float) -> list[HandObservation]:
        """The palm's crop is only roughly aligned, so the landmarks found there define the crop of a second pass."""
        thresholds = context.thresholds
        crops = self._candidate_crops(context, known, margin)
        first_pass = self.observer.observe(context, crops)
        hands = suppress_duplicates(first_pass, thresholds, thresholds.first_pass_presence, known)
        if not hands:
            return []
        second_pass = self.observer.observe(context, crops_from_observations(hands))
        return suppress_duplicates(second_pass, thresholds, thresholds.presence, known)

    def _candidate_crops(self, context: ImageContext, known: Sequence[HandObservation], margin: float) -> HandCrops:
        """Crops of the detected palms, except those of known hands."""
        with context.stopwatch("detect"):
            palms = self.palms.detect(context, margin)
            crops = crops_from_palms(palms.boxes, palms.keypoints)
            if known and len(palms):
                new = [
                    not any(_is_palm_of(hand, keypoints, context.thresholds) for hand in known)
                    for keypoints in palms.keypoints
                ]
                crops = crops.select(np.array(new))
        return crops


def _is_palm_of(hand: HandObservation, keypoints: FloatArray, thresholds: Thresholds) -> bool:
    """Whether a palm (7, 2) belongs to a hand, by the mean distance of its keypoints to the hand's joints."""
    palm = hand.joints[list(PALM_JOINTS)]
    side = float((palm.max(0) - palm.min(0)).max())
    return float(np.linalg.norm(palm - keypoints, axis=-1).mean()) < thresholds.palm_nms_distance * side
