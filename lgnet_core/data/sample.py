"""HandsBatch, the batch of labelled images shared by generators, data sets, augmentation and training.

A batch stores only what cannot be derived (image, camera, model parameters, wrists); joints and meshes follow from the
hand model, so that an augmentation that rotates or flips the parameters transforms every label with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import HandLayer
from lgnet_core.hand_model.asset import NUM_VERTICES

BACKGROUND, RIGHT_HAND, LEFT_HAND, ARM, OTHER = range(5)
"""Values of ``HandsBatch.segmentation``; a hand's value is its Side + 1; ARM holds forearms and sleeves."""

LABEL_SOURCES = frozenset({"intrinsics", "rotations", "shape", "wrist"})
"""Fields of ``HandsBatch`` that its labels are computed from."""


class HandsLabels(NamedTuple):
    """Geometry derived from a batch's parameters. Absent hands have finite but meaningless values.

    Shapes:
        joints: (B, 2, 21, 3) metres, camera frame; vertices: (B, 2, 778, 3) metres, camera frame;
        joints_2d: (B, 2, 21, 2) pixels of the crop; relative_translation: (B, 3) wrist_left - wrist_right, metres.
    """

    joints: Tensor
    vertices: Tensor
    joints_2d: Tensor
    relative_translation: Tensor


class HandsGroundTruth(NamedTuple):
    """Ground truth for evaluation, possibly partial; camera frame of the image, metres.

    Synthetic hands are fully known. Real hands have a fitted mesh, or measured joints, or some of these. Unknown values
    are finite but meaningless.

    Shapes:
        joints: (B, 2, 21, 3); joints_known: (B, 2, 21) bool; joints_2d: (B, 2, 21, 2) pixels.
        vertices: (B, 2, 778, 3); vertices_known: (B, 2) bool: the vertices are known, and the joints are derived from
        them. measured: (B, 2, 21, 3) joints as annotated in the data set, which may differ from those of a fitted mesh;
        measured_known: (B, 2, 21) bool.
    """

    joints: Tensor
    joints_known: Tensor
    joints_2d: Tensor
    vertices: Tensor
    vertices_known: Tensor
    measured: Tensor
    measured_known: Tensor

    @classmethod
    def of(cls, batch: HandsBatch, hand_model: HandLayer) -> HandsGroundTruth:
        """From the parameters of a fully labelled batch."""
        labels = batch.labels(hand_model)
        known = batch.presence[..., None].expand(labels.joints.shape[:-1])
        return cls(labels.joints, known, labels.joints_2d, labels.vertices, batch.presence, labels.joints, known)

    @classmethod
    def of_joints(cls, joints: Tensor, known: Tensor) -> HandsGroundTruth:
        """Of measured joints alone; ``joints_2d`` is not set yet. Unknown joints may have any value.

        Shapes:
            joints: (B, 2, 21, 3) metres, camera frame; known: (B, 2, 21) bool.
        """
        joints = torch.where(known[..., None], joints, joints.new_tensor([0.0, 0.0, 1.0]))
        hands = joints.shape[:2]
        unknown = torch.zeros(hands, dtype=torch.bool)
        return cls(joints, known, joints[..., :2], joints.new_zeros(*hands, NUM_VERTICES, 3), unknown, joints, known)

    def in_crop(self, rotation: Tensor, intrinsics: Tensor) -> HandsGroundTruth:
        """The same hands in the camera of a crop (:func:`lgnet_core.geometry.crops.crop_intrinsics`).

        Shapes:
            rotation: (B, 3, 3) camera frame of the image -> that of the crop; intrinsics: (B, 3, 3), pixels.
        """
        rotated = {key: getattr(self, key) @ rotation[:, None].mT for key in ("joints", "vertices", "measured")}
        return self._replace(**rotated, joints_2d=project(rotated["joints"], intrinsics[:, None]))

    def select(self, rows: Tensor) -> HandsGroundTruth:
        """Some of the images. Shapes: rows (N,) indices."""
        return HandsGroundTruth(*(value[rows] for value in self))

    def to(self, device: torch.device | str) -> HandsGroundTruth:
        return HandsGroundTruth(*(value.to(device, non_blocking=True) for value in self))


@dataclass(frozen=True, eq=False)
class HandsBatch:
    """Images of zero to two hands with everything needed for supervision.

    Shapes:
        image: (B, 3, H, W) uint8 RGB.
        intrinsics: (B, 3, 3) K of this image (of the crop, if it is one), pixels.
        affine: (B, 2, 3) pixels of the full image -> pixels of this one (identity for a full image).
        rotations: (B, 2, 16, 3, 3) hand-model rotations, root in camera axes.
        shape: (B, 2, 10) hand-model shape.
        wrist: (B, 2, 3) metres, camera frame: the wrist joint.
        presence: (B, 2) bool: the hand is in the image.
        visibility: (B, 2, 21) bool: the joint is inside the image and not occluded by another surface.
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
        """A copy with some fields replaced; it keeps the computed labels if these do not depend on the fields."""
        changed = replace(self, **changes)
        if LABEL_SOURCES.isdisjoint(changes) and "_labels" in vars(self):
            vars(changed)["_labels"] = vars(self)["_labels"]
        return changed

    def labels(self, hand_model: HandLayer) -> HandsLabels:
        """Joints, meshes and projections of both hands, derived from the parameters."""
        cached_model, cached = vars(self).get("_labels", (None, None))
        if cached is not None and cached_model is hand_model:
            return cached
        mesh = hand_model(self.rotations, self.shape).wrist_relative()
        root = self.wrist[:, :, None]
        joints = mesh.joints + root
        labels = HandsLabels(
            joints=joints,
            vertices=mesh.vertices + root,
            joints_2d=project(joints, self.intrinsics[:, None]),
            relative_translation=self.wrist[:, 1] - self.wrist[:, 0],
        )
        # Tensors of an autograd graph or of inference mode are valid in their context only.
        if not labels.vertices.requires_grad and not labels.vertices.is_inference():
            vars(self)["_labels"] = hand_model, labels
        return labels

    def __getstate__(self) -> dict[str, Tensor]:
        """The fields alone: a pickled batch carries neither labels nor a hand model."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def inside_image(pixels: Tensor, width: int, height: int) -> Tensor:
    """Whether positions (..., 2) lie inside an image, up to the outer edges of its border pixels."""
    limit = pixels.new_tensor([width, height]) - 0.5
    return ((pixels > -0.5) & (pixels < limit)).all(-1)


def joints_inside(batch: HandsBatch, labels: HandsLabels) -> Tensor:
    """Whether joints of present hands lie inside the image. Shapes: (B, 2, 21) bool."""
    height, width = batch.image.shape[-2:]
    return inside_image(labels.joints_2d, width, height) & batch.presence[..., None]


def concatenate(batches: Sequence[HandsBatch]) -> HandsBatch:
    """Concatenate batches of images of the same size."""
    return HandsBatch(*(torch.cat([getattr(b, f.name) for b in batches]) for f in fields(HandsBatch)))
