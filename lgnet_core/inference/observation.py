"""What the hand-landmark network sees of one hand in one crop, and the network at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lgnet_core.engines.base import Engine
from lgnet_core.geometry.camera import invert_affine, transform_points
from lgnet_core.geometry.hand_crops import HandCrops, crop_projection, crops_of_joints, usable
from lgnet_core.inference.crops import cut, local_intrinsics
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE, HandLandmarks
from lgnet_core.types import Camera, FloatArray, Side

SMALLEST_CROP = 8.0
"""Pixels of the image: a crop of fewer shows nothing."""


@dataclass(frozen=True, eq=False)
class HandObservation:
    """One hand as seen in one crop.

    Args:
        right_probability: that it is a right hand. presence: probability that it is a hand.
        joints: (21, 2) pixels of the image.
        affine: (2, 3) pixels of the image -> pixels of the crop.
        intrinsics: (3, 3) K of the crop in the camera's axes, pixels.
        frame: (3, 3) camera axes -> canonical axes of the hand.
        mirrored: whether the crop is mirrored, as for a left hand.
        features: the landmark network's outputs for this crop, each without the batch axis.
    """

    right_probability: float
    presence: float
    joints: FloatArray
    affine: FloatArray
    intrinsics: FloatArray
    frame: FloatArray
    mirrored: bool
    features: HandLandmarks

    @property
    def side(self) -> Side:
        """The likelier side."""
        return Side.RIGHT if self.right_probability >= 0.5 else Side.LEFT

    @property
    def box(self) -> FloatArray:
        """(4,) left, top, right, bottom of the joints, pixels of the image."""
        return np.concatenate([self.joints.min(0), self.joints.max(0)])

    @property
    def size(self) -> float:
        """Longer side of :attr:`box`, pixels."""
        return float((self.joints.max(0) - self.joints.min(0)).max())

    @property
    def crop_side(self) -> float:
        """Side of the crop, pixels of the image: follows the palm, whatever the fingers do."""
        return HAND_CROP_SIZE / float(np.sqrt(abs(np.linalg.det(self.affine[:, :2]))))

    def side_probability(self, side: Side) -> float:
        """That it is of this side."""
        return self.right_probability if side is Side.RIGHT else 1 - self.right_probability

    def with_right_probability(self, value: float) -> HandObservation:
        """The same with another belief in its side."""
        return replace(self, right_probability=value)


class HandObserver:
    """Runs the hand-landmark network on crops of an image.

    Args:
        engine: of :class:`lgnet_core.network.detector.hand_landmark.HandLandmarkNet`.
    """

    def __init__(self, engine: Engine[HandLandmarks]) -> None:
        self.engine = engine

    def observe(
        self, image: FloatArray, camera: Camera, crops: HandCrops, watch: Stopwatch
    ) -> list[HandObservation | None]:
        """What each crop shows; None for crops that are too small and for answers that are not finite.

        Args:
            image: (H, W, 3) RGB, uint8. camera: of the image, or the one that stands in for an unknown one.
        """
        found: list[HandObservation | None] = [None] * len(crops.side)
        rows = usable(crops, SMALLEST_CROP).nonzero()[:, 0]
        if len(rows) == 0:
            return found
        crops = crops.select(rows)
        with watch("crop"):
            affine = crops.affine(HAND_CROP_SIZE)
            images = cut(image, affine.numpy(), HAND_CROP_SIZE)
            intrinsics = torch.from_numpy(np.stack([local_intrinsics(camera, p) for p in crops.centre.numpy()]))
            frames, projections = crops.frame(intrinsics).numpy(), crop_projection(affine, intrinsics).numpy()
        with watch("network"):
            seen = self.engine(images)
        numbers = torch.cat([field.flatten(1) for field in (seen.landmarks, seen.world_landmarks)], 1)
        finite = torch.isfinite(numbers).all(1).tolist()
        presence, right = torch.sigmoid(seen.presence_logits).tolist(), torch.sigmoid(seen.side_logits).tolist()
        pixels = seen.landmarks[..., :2].double().numpy()
        for k, row in enumerate(rows.tolist()):
            if not finite[k]:
                continue
            mirrored = bool(crops.mirrored[k])
            found[row] = HandObservation(
                right_probability=1 - right[k] if mirrored else right[k],
                presence=presence[k],
                joints=transform_points(invert_affine(affine[k].numpy()), pixels[k]),
                affine=affine[k].numpy(),
                intrinsics=projections[k],
                frame=frames[k],
                mirrored=mirrored,
                features=HandLandmarks(*(field[k] for field in seen)),
            )
        return found


def crops_of_observations(observations: Sequence[HandObservation]) -> HandCrops:
    """Crops around hands that were seen, those of likelier left ones mirrored."""
    joints = torch.from_numpy(np.stack([hand.joints for hand in observations]))
    sides = torch.tensor([int(hand.side) for hand in observations])
    return crops_of_joints(joints).mirror_left(sides)
