"""Pseudo-labels of real images by a pretrained teacher: confident hands, and false positives of the palm detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.hand_pairs import CropJitter
from lgnet_core.data.photometry import Photometry
from lgnet_core.engines.base import Engine
from lgnet_core.geometry.hand_crops import crops_from_palms
from lgnet_core.inference.association import assign_sides
from lgnet_core.inference.camera import default_camera
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.crops import extract_crops
from lgnet_core.inference.detection import HandDetector
from lgnet_core.inference.observation import HandObserver
from lgnet_core.inference.palms import PalmDetection
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.network.prediction import HAND_CROP_SIZE, HandLandmarks, PalmCandidates, sigmoid
from lgnet_core.training.features.negatives import is_background, shows_image
from lgnet_core.types import FloatArray, ImageArray, Side

MAX_CANDIDATES = 12
"""Palm candidates per image that are considered as hard negatives, best first."""

_CACHE_KEY_NAMES = (
    "presence", "side", "no_hand", "candidate", "rejected", "paste", "real", "object", "offset", "sizes", "occluded",
    "inside", "jitter", "photometry",
)  # fmt: skip


@dataclass(frozen=True)
class TeacherSettings:
    """Confidence thresholds of the teacher, and the augmentation of the student's images.

    Args:
        min_presence, min_side_probability: minimum probabilities of the hand and of its side for a pseudo-label.
        max_background_presence: maximum presence probability of a crop that is used as background.
        min_candidate_score: minimum score of a palm candidate that becomes a hard negative if the teacher rejects it.
        candidate_probability: probability that a background crop is such a rejected candidate, if there is one.
        paste_probability: probability that an occluder is pasted over a hand (copy-paste augmentation).
        real_probability, object_probability: probabilities that the occluder is a real hand of another image, or a
            rendered object; otherwise it is a rendered hand.
        max_paste_offset: maximum offset of the occluder from the centre of the hand, in sizes of the hand.
        paste_scale: range of the size of the occluder, in sizes of the hand.
        max_occluded: maximum fraction of a hand's joints that an occluder covers: the rest must determine the pose.
        min_inside: minimum fraction of the joints of a pasted hand inside the image for a pseudo-label.
        jitter, photometry: augmentation of the student's crops and colours.
    """

    min_presence: float = 0.9
    min_side_probability: float = 0.8
    max_background_presence: float = 0.1
    min_candidate_score: float = 0.02
    candidate_probability: float = 0.6
    paste_probability: float = 0.6
    real_probability: float = 0.4
    object_probability: float = 0.2
    max_paste_offset: float = 0.6
    paste_scale: tuple[float, float] = (0.6, 1.3)
    max_occluded: float = 0.7
    min_inside: float = 0.7
    jitter: CropJitter = field(default_factory=CropJitter)
    photometry: Photometry = field(default_factory=lambda: Photometry(erase=0.0))

    def cache_key(self) -> str:
        """Text that identifies the settings in the name of a cache folder, independent of the names of the fields."""
        values = (getattr(self, f.name) for f in fields(self))
        return f"TeacherSettings({', '.join(f'{k}={v!r}' for k, v in zip(_CACHE_KEY_NAMES, values, strict=True))})"


class PseudoLabel(NamedTuple):
    """One hand predicted by the teacher. Shapes: joints_2d: (21, 2) image pixels."""

    side: Side
    joints_2d: FloatArray


class Teacher:
    """Pretrained palm detector and landmark network that label clean real images.

    Args:
        landmarks: engine of :class:`lgnet_core.network.detector.hand_landmark.HandLandmarkNet`.
        palms: engine of :class:`lgnet_core.network.detector.palm_detector.PalmDetector`.
    """

    def __init__(
        self, landmarks: Engine[HandLandmarks], palms: Engine[PalmCandidates], settings: TeacherSettings
    ) -> None:
        self.settings = settings
        self.detector = HandDetector(PalmDetection(palms), HandObserver(landmarks))

    def label(self, image: ImageArray) -> list[PseudoLabel]:
        """Detect the hands of an image; only confident ones are kept."""
        thresholds = Thresholds()
        hands = assign_sides(self.detector.detect(_context(image, thresholds)), thresholds)
        return [
            PseudoLabel(side, hand.joints)
            for side, hand in hands.items()
            if hand.presence >= self.settings.min_presence
            and hand.side_probability(side) >= self.settings.min_side_probability
        ]

    def rejected_candidates(self, image: ImageArray, hands: Sequence[PseudoLabel]) -> list[Tensor]:
        """Crops (2, 3) of palm candidates that the landmark network rejects.

        They lie mostly inside the image and contain no labelled hand.
        """
        if not hands:
            return []
        thresholds = Thresholds(palm_score=self.settings.min_candidate_score, max_palms=MAX_CANDIDATES)
        palms = self.detector.palms.detect(_context(image, thresholds))
        crops = crops_from_palms(palms.boxes, palms.keypoints)
        observations = self.detector.observer.observe(_context(image, Thresholds()), crops)
        joints = torch.from_numpy(np.stack([hand.joints_2d for hand in hands]))
        rejected = [
            torch.from_numpy(observation.affine)
            for observation in observations
            if observation is not None and observation.presence < self.settings.max_background_presence
        ]
        height, width = image.shape[:2]
        return [affine for affine in rejected if is_background(affine, joints) and shows_image(affine, (width, height))]

    def sees_background(self, image: ImageArray, affine: Tensor) -> bool:
        """Whether the landmark network finds no hand in a crop (2, 3)."""
        output = self.detector.observer.engine(extract_crops(image, affine[None].numpy(), HAND_CROP_SIZE))
        return float(sigmoid(output.presence_logits)[0]) < self.settings.max_background_presence


def _context(image: ImageArray, thresholds: Thresholds) -> ImageContext:
    return ImageContext(image, default_camera(image), metric=False, thresholds=thresholds)
