"""2D pseudo ground truth from MediaPipe's frozen networks, for images of one hand without annotations.

The published networks are a reference that is independent of the weights under evaluation. Every detected palm gives an
upright crop, its landmarks give a better crop, and there the hand-landmark network predicts joints, presence and side.
The most confident hand of an image is used if both its presence and its side are certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lgnet_core.evaluation.end_to_end.boxes import MATCH_IOU, iou, longer_side
from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand
from lgnet_core.geometry.affine import inverse_transform_points, invert_affine, transform_points
from lgnet_core.geometry.crops import bounding_box, letterbox
from lgnet_core.geometry.hand_crops import HandCrops, crops_from_joints, crops_from_palms
from lgnet_core.inference import make_engine
from lgnet_core.inference.crops import extract_crops
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.network.detector.palm_detector import load_mediapipe_palm_detector
from lgnet_core.network.prediction import HAND_CROP_SIZE, PALM_IMAGE_SIZE, HandLandmarks, sigmoid
from lgnet_core.types import FloatArray, ImageArray, Side

SINGLE_HANDS = ("subhih", "lebanese", "asl")
"""Sources of realhands with images of one hand."""


@dataclass(frozen=True)
class ReferenceThresholds:
    """Thresholds for accepting a reference hand.

    Args:
        palm: minimum score of a palm: low, because the hand-landmark network decides.
        palms: maximum number of palms per image; one hand is expected, and the best palms contain it.
        same_palm: minimum IoU of two detections of the same palm.
        presence, side: minimum probabilities of the hand and of its side.
    """

    palm: float = 0.2
    palms: int = 4
    same_palm: float = 0.3
    presence: float = 0.9
    side: float = 0.9


class Reference(NamedTuple):
    """The most confident hand of an image. Shapes: joints_2d: (21, 2) pixels of the image."""

    side: Side
    joints_2d: FloatArray


class Agreement(NamedTuple):
    """Agreement of the matching reported hand with the reference.

    Args:
        side: whether the sides agree.
        difference: mean distance of the 2D joints, relative to the longer side of the box around the reference joints.
    """

    side: bool
    difference: float


class MediaPipeReference:
    """MediaPipe's published networks, on the CPU.

    Raises:
        FileNotFoundError, ValueError: if their weights are not installed.
    """

    def __init__(self, thresholds: ReferenceThresholds = ReferenceThresholds()) -> None:
        self.thresholds = thresholds
        self._palms = make_engine(load_mediapipe_palm_detector(), device="cpu")
        self._hands = make_engine(load_hand_landmark_net(), device="cpu")

    @torch.inference_mode()
    def __call__(self, image: ImageArray) -> Reference | None:
        """Reference for an image (H, W, 3) uint8 RGB; None if no hand is certain."""
        crops = self._detect(image)
        if crops is None:
            return None
        for _ in range(2):  # first in crops of the palms, then in crops of the landmarks
            affine = crops.affine(HAND_CROP_SIZE)
            output = self._predict_landmarks(image, affine)
            joints = inverse_transform_points(affine, output.landmarks[..., :2])
            crops = crops_from_joints(joints)
        presence, right = torch.sigmoid(output.presence_logits), torch.sigmoid(output.side_logits)
        best = int(presence.argmax())
        side_certain = max(float(right[best]), 1 - float(right[best])) > self.thresholds.side
        if not side_certain or float(presence[best]) <= self.thresholds.presence:
            return None
        return Reference(Side.RIGHT if right[best] > 0.5 else Side.LEFT, joints[best].double().numpy())

    def _detect(self, image: ImageArray) -> HandCrops | None:
        height, width = image.shape[:2]
        affine = letterbox(width, height, PALM_IMAGE_SIZE)
        detections = self._palms(extract_crops(image, affine[None], PALM_IMAGE_SIZE))
        to_image_affine = invert_affine(affine)
        scores = torch.from_numpy(sigmoid(detections.logits[0]))
        kept: list[int] = []
        boxes = detections.boxes[0].astype(np.float64)
        for k in scores.argsort(descending=True, stable=True).tolist():
            if scores[k] < self.thresholds.palm or len(kept) == self.thresholds.palms:
                break
            if all(iou(boxes[k], boxes[other]) < self.thresholds.same_palm for other in kept):
                kept.append(k)
        if not kept:
            return None
        corners = transform_points(to_image_affine, boxes[kept].reshape(-1, 2, 2)).reshape(-1, 4)
        keypoints = transform_points(to_image_affine, detections.keypoints[0, kept].astype(np.float64))
        return crops_from_palms(torch.from_numpy(corners).float(), torch.from_numpy(keypoints).float())

    def _predict_landmarks(self, image: ImageArray, affines: Tensor) -> HandLandmarks:
        output = self._hands(extract_crops(image, affines.double().numpy(), HAND_CROP_SIZE))
        return HandLandmarks(*map(torch.from_numpy, output))


def compare_with_reference(hands: Sequence[ReportedHand], reference: Reference) -> Agreement | None:
    """Agreement of the best-matching reported hand with the reference; None without a match."""
    box = bounding_box(reference.joints_2d)
    overlaps = [iou(bounding_box(hand.joints_2d), box) for hand in hands]
    if not overlaps or max(overlaps) < MATCH_IOU:
        return None
    hand = hands[int(np.argmax(overlaps))]
    distance = np.linalg.norm(hand.joints_2d - reference.joints_2d, axis=-1).mean()
    return Agreement(hand.side is reference.side, float(distance) / longer_side(box))


def agreement_metrics(agreements: Sequence[Agreement | None]) -> dict[str, float]:
    """Metrics over the images that have a reference."""
    matched = [agreement for agreement in agreements if agreement is not None]
    side, difference = np.mean(matched, axis=0) if matched else (np.nan, np.nan)
    return {
        "images with a reference": len(agreements),
        "of these with a matching hand": len(matched),
        "correct side, %": 100 * float(side),
        "2D difference, % of the hand size": 100 * float(difference),
    }
