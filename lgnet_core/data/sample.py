"""HandsBatch: what generators, stored sets, real datasets, augmentation and the trainer hand to each other.

A batch stores what cannot be derived (image, camera, model parameters, wrists); joints and meshes follow from the
hand model, so that an augmentation that turns or mirrors the parameters turns and mirrors every label with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import HandModel

BACKGROUND, RIGHT_HAND, LEFT_HAND, ARM, OTHER = range(5)
"""Values of ``HandsBatch.segmentation``; a hand's value is its Side + 1; ARM holds forearms and sleeves."""


class HandsLabels(NamedTuple):
    """Geometry that follows from a batch's parameters. Absent hands hold finite but meaningless values.

    Shapes:
        joints: (B, 2, 21, 3) metres, camera frame; vertices: (B, 2, 778, 3) metres, camera frame;
        joints_2d: (B, 2, 21, 2) pixels of the crop; relative_translation: (B, 3) wrist_left - wrist_right, metres.
    """

    joints: Tensor
    vertices: Tensor
    joints_2d: Tensor
    relative_translation: Tensor


class HandsTruth(NamedTuple):
    """What is known of the hands of images, to hold predictions against; camera frame of the image, metres.

    Synthetic hands are known whole. Of real ones a surface was fitted, or joints were measured, or some of them.
    What is not known is finite but without meaning.

    Shapes:
        joints: (B, 2, 21, 3); joints_known: (B, 2, 21) bool; joints_2d: (B, 2, 21, 2) pixels.
        vertices: (B, 2, 778, 3); surfaces: (B, 2) bool: the vertices are known, and the joints are theirs.
        measured: (B, 2, 21, 3) joints as the data set has them, which need not be those of a surface; measured_known:
        (B, 2, 21) bool.
    """

    joints: Tensor
    joints_known: Tensor
    joints_2d: Tensor
    vertices: Tensor
    surfaces: Tensor
    measured: Tensor
    measured_known: Tensor

    @classmethod
    def of(cls, batch: HandsBatch, hand_model: HandModel) -> HandsTruth:
        """Of images whose every hand is known whole, by its parameters."""
        labels = batch.labels(hand_model)
        known = batch.presence[..., None].expand(labels.joints.shape[:-1])
        return cls(labels.joints, known, labels.joints_2d, labels.vertices, batch.presence, labels.joints, known)

    def in_crop(self, turn: Tensor, intrinsics: Tensor) -> HandsTruth:
        """The same hands in the camera of a crop (:func:`lgnet_core.geometry.camera.crop_intrinsics`).

        Shapes:
            turn: (B, 3, 3) camera frame of the image -> that of the crop; intrinsics: (B, 3, 3), pixels.
        """
        moved = {key: getattr(self, key) @ turn[:, None].mT for key in ("joints", "vertices", "measured")}
        return self._replace(**moved, joints_2d=project(moved["joints"], intrinsics[:, None]))

    def select(self, rows: Tensor) -> HandsTruth:
        """Some of the images. Shapes: rows (N,) indices."""
        return HandsTruth(*(value[rows] for value in self))

    def to(self, device: torch.device | str) -> HandsTruth:
        return HandsTruth(*(value.to(device, non_blocking=True) for value in self))


@dataclass(frozen=True, eq=False)
class HandsBatch:
    """Images of zero to two hands with everything needed to supervise them.

    Shapes:
        image: (B, 3, H, W) uint8 RGB.
        intrinsics: (B, 3, 3) K of this image (of the crop, if it is one), pixels.
        affine: (B, 2, 3) pixels of the full image -> pixels of this one (identity for a full image).
        rotations: (B, 2, 16, 3, 3) hand-model rotations, root in camera axes.
        shape: (B, 2, 10) hand-model shape.
        wrist: (B, 2, 3) metres, camera frame: the wrist joint.
        presence: (B, 2) bool: the hand is in the image.
        visibility: (B, 2, 21) bool: the joint is inside the image and not hidden by another surface.
        segmentation: (B, H, W) uint8: see the constants above.
    """

    image: Tensor
    intrinsics: Tensor
    affine: Tensor
    rotations: Tensor
    shape: Tensor
    wrist: Tensor
    presence: Tensor
    visibility: Tensor
    segmentation: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: slice | Tensor) -> HandsBatch:
        return HandsBatch(*(getattr(self, f.name)[index] for f in fields(self)))

    def to(self, device: torch.device | str) -> HandsBatch:
        return HandsBatch(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))

    def replace(self, **changes: Tensor) -> HandsBatch:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def labels(self, hand_model: HandModel) -> HandsLabels:
        """Joints, meshes and projections of both hands, from the parameters."""
        mesh = hand_model(self.rotations, self.shape).wrist_relative()
        root = self.wrist[:, :, None]
        joints = mesh.joints + root
        return HandsLabels(
            joints=joints,
            vertices=mesh.vertices + root,
            joints_2d=project(joints, self.intrinsics[:, None]),
            relative_translation=self.wrist[:, 1] - self.wrist[:, 0],
        )


def joints_inside(batch: HandsBatch, labels: HandsLabels) -> Tensor:
    """Joints of hands that are there which lie inside the image. Shapes: (B, 2, 21) bool."""
    joints, size = labels.joints_2d, batch.image.shape[-1]
    return ((joints > -0.5) & (joints < size - 0.5)).all(-1) & batch.presence[..., None]


def concatenate(batches: Sequence[HandsBatch]) -> HandsBatch:
    """One batch out of several with images of the same size."""
    return HandsBatch(*(torch.cat([getattr(b, f.name) for b in batches]) for f in fields(HandsBatch)))
