"""Observations of single hands: the hand-landmark network's output for one crop, mapped back to the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lgnet_core.engines.base import Engine
from lgnet_core.geometry.affine import invert_affine, transform_points
from lgnet_core.geometry.crops import crop_projection
from lgnet_core.geometry.hand_crops import HandCrops, crops_from_joints, valid_crops
from lgnet_core.inference.camera import local_intrinsics
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.crops import extract_crops
from lgnet_core.network.prediction import HAND_CROP_SIZE, HandLandmarks, sigmoid
from lgnet_core.types import FloatArray, Side


@dataclass(frozen=True, eq=False)
class HandObservation:
    """One hand as observed in one crop.

    Args:
        right_probability: handedness: probability of a right hand.
        presence: probability that the crop shows a hand.
        joints: (21, 2) pixels of the image.
        affine: (2, 3) pixels of the image -> pixels of the crop.
        intrinsics: (3, 3) K of the crop in the camera's axes, pixels.
        canonical_frame: (3, 3) camera axes -> canonical axes of the hand.
        mirrored: whether the crop is mirrored, as for a left hand.
        features: outputs of the hand-landmark network for this crop, without the batch axis.
    """

    right_probability: float
    presence: float
    joints: FloatArray
    affine: FloatArray
    intrinsics: FloatArray
    canonical_frame: FloatArray
    mirrored: bool
    features: HandLandmarks

    @property
    def side(self) -> Side:
        """The more probable side."""
        return Side.RIGHT if self.right_probability >= 0.5 else Side.LEFT

    @property
    def box(self) -> FloatArray:
        """(4,) bounding box of the joints: left, top, right, bottom, pixels of the image."""
        return np.concatenate([self.joints.min(0), self.joints.max(0)])

    @property
    def size(self) -> float:
        """Longer side of :attr:`box`, pixels."""
        return float((self.joints.max(0) - self.joints.min(0)).max())

    @property
    def crop_side(self) -> float:
        """Side of the crop, pixels of the image. It depends on the palm alone, not on the pose of the fingers."""
        return HAND_CROP_SIZE / float(np.sqrt(abs(np.linalg.det(self.affine[:, :2]))))

    def side_probability(self, side: Side) -> float:
        """Probability that the hand is of this side."""
        return self.right_probability if side is Side.RIGHT else 1 - self.right_probability

    def with_right_probability(self, value: float) -> HandObservation:
        """A copy with another handedness."""
        return replace(self, right_probability=value)


class HandObserver:
    """Runs the hand-landmark network on crops of an image.

    Args:
        engine: of :class:`lgnet_core.network.detector.hand_landmark.HandLandmarkNet`.
    """

    def __init__(self, engine: Engine[HandLandmarks]) -> None:
        self.engine = engine

    def observe(self, context: ImageContext, crops: HandCrops) -> list[HandObservation | None]:
        """One observation per crop; None if the crop is too small or invalid, or the output is not finite."""
        observations: list[HandObservation | None] = [None] * len(crops.side)
        rows = np.flatnonzero(valid_crops(crops, context.thresholds.min_crop_side))
        if len(rows) == 0:
            return observations
        crops = crops.select(rows)
        with context.stopwatch("crop"):
            affine = crops.affine(HAND_CROP_SIZE)
            images = extract_crops(context.image, affine, HAND_CROP_SIZE)
            intrinsics = np.stack([local_intrinsics(context.camera, centre) for centre in crops.centre])
            frames = crops.canonical_frames(intrinsics)
            projections = crop_projection(affine, intrinsics)
        with context.stopwatch("network"):
            output = self.engine(images)
        finite = np.isfinite(np.concatenate([output.landmarks, output.world_landmarks], 1)).all((1, 2))
        presence, right = sigmoid(output.presence_logits).tolist(), sigmoid(output.side_logits).tolist()
        landmarks = output.landmarks[..., :2].astype(np.float64)
        for k, row in enumerate(rows.tolist()):
            if not finite[k]:
                continue
            mirrored = bool(crops.mirrored[k])
            observations[row] = HandObservation(
                right_probability=1 - right[k] if mirrored else right[k],
                presence=presence[k],
                joints=transform_points(invert_affine(affine[k]), landmarks[k]),
                affine=affine[k],
                intrinsics=projections[k],
                canonical_frame=frames[k],
                mirrored=mirrored,
                features=HandLandmarks(*(field[k] for field in output)),
            )
        return observations


def crops_from_observations(observations: Sequence[HandObservation], sides: Sequence[Side] | None = None) -> HandCrops:
    """Crops around the joints of observed hands, mirrored for left hands.

    Args:
        sides: of the hands; None: the more probable side of each observation.
    """
    joints = np.stack([hand.joints for hand in observations])
    sides = [hand.side for hand in observations] if sides is None else sides
    return crops_from_joints(joints).mirror_left(np.array([int(side) for side in sides]))
