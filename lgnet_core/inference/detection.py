"""Hands in a whole image: palms, then the hand-landmark network on a crop of each, twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lgnet_core.geometry.hand_crops import PALM_JOINTS, crops_of_palms
from lgnet_core.inference.association import same_hand, suppress_duplicates
from lgnet_core.inference.observation import HandObservation, HandObserver, crops_of_observations
from lgnet_core.inference.palms import PalmDetection
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.types import Camera, FloatArray


class HandDetector:
    """Finds the hands of an image, whatever came before.

    Args:
        palms: finds candidates. observer: judges them.
    """

    def __init__(self, palms: PalmDetection, observer: HandObserver) -> None:
        self.palms, self.observer = palms, observer

    def detect(
        self,
        image: FloatArray,
        camera: Camera,
        thresholds: Thresholds,
        watch: Stopwatch,
        known: Sequence[HandObservation] = (),
    ) -> list[HandObservation]:
        """The hands of an image, each once, the surer first.

        Where none is found, and none is known, the detector sees the image once more, smaller.

        Args:
            image: (H, W, 3) RGB, uint8. camera: of the image, or the one that stands in for an unknown one.
            known: hands that were seen in this image already; what is found of them again is left out.
        """
        margins = (1.0,) if known else (1.0, thresholds.wide_margin)
        for margin in margins:
            found = self._detect(image, camera, thresholds, watch, known, margin)
            if found:
                return found
        return []

    def _detect(
        self,
        image: FloatArray,
        camera: Camera,
        thresholds: Thresholds,
        watch: Stopwatch,
        known: Sequence[HandObservation],
        margin: float,
    ) -> list[HandObservation]:
        with watch("detect"):
            palms = self.palms.find(image, thresholds, margin)
            crops = crops_of_palms(torch.from_numpy(palms.boxes), torch.from_numpy(palms.keypoints))
            if known and len(palms):
                new = [
                    not any(_is_palm_of(hand, keypoints, thresholds) for hand in known) for keypoints in palms.keypoints
                ]
                crops = crops.select(torch.tensor(new))
        first = suppress_duplicates(
            self.observer.observe(image, camera, crops, watch), thresholds, thresholds.first_presence
        )
        first = [hand for hand in first if not any(same_hand(hand, other, thresholds) for other in known)]
        if not first:
            return []
        second = self.observer.observe(image, camera, crops_of_observations(first), watch)
        hands = suppress_duplicates(second, thresholds, thresholds.presence)
        return [hand for hand in hands if not any(same_hand(hand, other, thresholds) for other in known)]


def _is_palm_of(hand: HandObservation, keypoints: FloatArray, thresholds: Thresholds) -> bool:
    """Whether a palm (7, 2) is that of a hand: its keypoints lie on the hand's joints, in the mean."""
    palm = hand.joints[list(PALM_JOINTS)]
    side = float((palm.max(0) - palm.min(0)).max())
    return float(np.linalg.norm(palm - keypoints, axis=-1).mean()) < thresholds.palm_distance * side
