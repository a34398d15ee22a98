"""MediaPipe's frozen networks as the reference of images of one hand, where they are sure.

Nobody annotated joints on these images. MediaPipe's two networks, as they were published, are a reference that does
not move with the weights that are judged. Every palm gives an upright crop, the landmarks there a better one, and in
that the hand-landmark network says where the joints are, whether there is a hand and of which side. The surest hand
of an image counts, if both its presence and its side are beyond doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lgnet_core.evaluation.end_to_end.boxes import AT_ITS_PLACE, iou, length
from lgnet_core.evaluation.reported import ReportedHand
from lgnet_core.geometry.camera import box_of_points, invert_affine, letterbox, transform_points
from lgnet_core.geometry.hand_crops import HandCrops, crops_of_joints, crops_of_palms, to_image
from lgnet_core.inference import make_engine
from lgnet_core.inference.crops import cut
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE, HandLandmarks, load_hand_landmark_net
from lgnet_core.network.detector.palm_detector import PALM_IMAGE_SIZE, load_mediapipe_palm_detector
from lgnet_core.types import FloatArray, Side

SINGLE_HANDS = ("subhih", "lebanese", "asl")
"""Sources of realhands with images of one hand."""


@dataclass(frozen=True)
class ReferenceThresholds:
    """When the reference counts.

    Args:
        palm: score from which on a palm is looked into: low, since the hand network decides.
        palms: most of an image; one hand is wanted, and the best palms hold it.
        same_palm: intersection over union from which on two palms are one.
        presence, side: probabilities beyond which the hand and its side are beyond doubt.
    """

    palm: float = 0.2
    palms: int = 4
    same_palm: float = 0.3
    presence: float = 0.9
    side: float = 0.9


class Reference(NamedTuple):
    """The surest hand of an image. Shapes: joints_2d: (21, 2) pixels of the image."""

    side: Side
    joints_2d: FloatArray


class Agreement(NamedTuple):
    """Of the reported hand at the reference's place.

    Args:
        side: it has the reference's side.
        difference: mean distance of the joints in the image, in the longer side of the box around the reference's.
    """

    side: bool
    difference: float


class FrozenReference:
    """MediaPipe's networks as they were published, on the CPU.

    Raises:
        FileNotFoundError, ValueError: if their weights are not installed.
    """

    def __init__(self, sureness: ReferenceThresholds = ReferenceThresholds()) -> None:
        self.sureness = sureness
        self._palms = make_engine(load_mediapipe_palm_detector(), device="cpu")
        self._hands = make_engine(load_hand_landmark_net(), device="cpu")

    @torch.inference_mode()
    def __call__(self, image: FloatArray) -> Reference | None:
        """Of an image (H, W, 3) uint8 RGB; None: nothing is sure."""
        crops = self._detect(image)
        if crops is None:
            return None
        for _ in range(2):  # in the palms' crops, then in the landmarks' own
            affine = crops.affine(HAND_CROP_SIZE)
            seen = self._look(image, affine)
            joints = to_image(affine, seen.landmarks[..., :2])
            crops = crops_of_joints(joints)
        presence, right = torch.sigmoid(seen.presence_logits), torch.sigmoid(seen.side_logits)
        best = int(presence.argmax())
        sure = max(float(right[best]), 1 - float(right[best])) > self.sureness.side
        if not sure or float(presence[best]) <= self.sureness.presence:
            return None
        return Reference(Side.RIGHT if right[best] > 0.5 else Side.LEFT, joints[best].double().numpy())

    def _detect(self, image: FloatArray) -> HandCrops | None:
        height, width = image.shape[:2]
        affine = letterbox(width, height, PALM_IMAGE_SIZE)
        found = self._palms(cut(image, affine[None], PALM_IMAGE_SIZE))
        back = invert_affine(affine)
        scores = torch.sigmoid(found.logits[0])
        kept: list[int] = []
        boxes = found.boxes[0].double().numpy()
        for k in scores.argsort(descending=True, stable=True).tolist():
            if scores[k] < self.sureness.palm or len(kept) == self.sureness.palms:
                break
            if all(iou(boxes[k], boxes[other]) < self.sureness.same_palm for other in kept):
                kept.append(k)
        if not kept:
            return None
        corners = transform_points(back, boxes[kept].reshape(-1, 2, 2)).reshape(-1, 4)
        keypoints = transform_points(back, found.keypoints[0, kept].double().numpy())
        return crops_of_palms(torch.from_numpy(corners).float(), torch.from_numpy(keypoints).float())

    def _look(self, image: FloatArray, affines: Tensor) -> HandLandmarks:
        return self._hands(cut(image, affines.double().numpy(), HAND_CROP_SIZE))


def compare(hands: Sequence[ReportedHand], reference: Reference) -> Agreement | None:
    """The reported hand that lies best on the reference's; None: none lies there."""
    box = box_of_points(reference.joints_2d)
    overlaps = [iou(box_of_points(hand.joints_2d), box) for hand in hands]
    if not overlaps or max(overlaps) < AT_ITS_PLACE:
        return None
    hand = hands[int(np.argmax(overlaps))]
    distance = np.linalg.norm(hand.joints_2d - reference.joints_2d, axis=-1).mean()
    return Agreement(hand.side is reference.side, float(distance) / length(box))


def agreement_figures(agreements: Sequence[Agreement | None]) -> dict[str, float]:
    """Figures of the images where the reference is sure."""
    there = [agreement for agreement in agreements if agreement is not None]
    side, difference = np.mean(there, axis=0) if there else (np.nan, np.nan)
    return {
        "images where the reference is sure": len(agreements),
        "of these reported there": len(there),
        "side right, %": 100 * float(side),
        "2D difference, % of the hand": 100 * float(difference),
    }
