"""Batches of cached landmark-network features with their labels and pseudo-labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.inference.camera import DEFAULT_FOCAL_RATIO
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet

FEATURE_MAPS = ("early", "middle")
"""Outputs of :class:`~lgnet_core.network.detector.hand_landmark.HandLandmarks` that are cached. The others follow from
them by the layers after stride 16, which may be trained."""
FORMAT_VERSION = 5
"""Version of the cache files and of the random draws behind them; part of the folder name, so that files of another
version are not read."""


@dataclass(frozen=True, eq=False)
class FeatureBatch:
    """Images with labels, and the landmark network's feature maps of their hands.

    Args:
        batch: images and labels; in real images without labels, all hands are marked as absent.
        early, middle: feature maps of the crops of both hands (:data:`FEATURE_MAPS`).
        intrinsics, frames, given: see :func:`lgnet_core.network.per_hand.batching.predict_both`.
        affine: image pixels -> pixels of each crop.
        teacher: pseudo-labels: joints predicted by the teacher, image pixels; NaN if there is none.
        negative: ``middle`` map of one hard-negative crop per image, see
            :mod:`lgnet_core.training.features.negatives`.
        negative_labels: whether the hard-negative crop shows a hand, and whether it is a right hand: 1 or 0; NaN if
            unknown.

    Shapes:
        early: (B, 2, 24, 56, 56); middle: (B, 2, 112, 14, 14); affine: (B, 2, 2, 3); teacher: (B, 2, 21, 2);
        negative: (B, 112, 14, 14); negative_labels: (B, 2).
    """

    batch: HandsBatch
    early: Tensor
    middle: Tensor
    intrinsics: Tensor
    frames: Tensor
    given: Tensor
    affine: Tensor
    teacher: Tensor
    negative: Tensor
    negative_labels: Tensor

    def __len__(self) -> int:
        return len(self.batch)

    def tensors(self) -> dict[str, Tensor]:
        """All fields except ``batch``."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "batch"}

    def to(self, device: torch.device | str) -> FeatureBatch:
        tensors = {name: value.to(device, non_blocking=True) for name, value in self.tensors().items()}
        return FeatureBatch(self.batch.to(device), **tensors)


def concatenate_features(samples: Sequence[FeatureBatch]) -> FeatureBatch:
    """Concatenate several batches into one."""
    parts = [sample.tensors() for sample in samples]
    tensors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return FeatureBatch(concatenate([sample.batch for sample in samples]), **tensors)


def missing_pseudo_labels(count: int) -> Tensor:
    """(count, 2, 21, 2) of NaN: no pseudo-labels."""
    return torch.full((count, 2, 21, 2), torch.nan)


def unlabelled_batch(count: int, size: int) -> HandsBatch:
    """Black images with all hands absent and finite placeholder labels.

    The camera is the default one of uncalibrated images (:func:`lgnet_core.inference.camera.default_camera`).
    """
    identity = torch.eye(3)
    focal, centre = DEFAULT_FOCAL_RATIO * size, (size - 1) / 2
    intrinsics = torch.tensor([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])
    return HandsBatch(
        image=torch.zeros(count, 3, size, size, dtype=torch.uint8),
        intrinsics=intrinsics.repeat(count, 1, 1),
        affine=identity[:2].repeat(count, 1, 1),
        rotations=identity.repeat(count, 2, 16, 1, 1),
        shape=torch.zeros(count, 2, 10),
        wrist=torch.tensor([0.0, 0, 1]).repeat(count, 2, 1),
        presence=torch.zeros(count, 2, dtype=torch.bool),
        visibility=torch.zeros(count, 2, 21, dtype=torch.bool),
        segmentation=torch.zeros(count, size, size, dtype=torch.uint8),
    )


def cache_digest(landmarker: HandLandmarkNet, settings: str) -> str:
    """Digest that identifies cached features: weights up to stride 16, file format and a description of the crops."""
    digest = hashlib.sha256(f"{FORMAT_VERSION} {settings}".encode())
    layers = nn.ModuleList(landmarker.encoder.middle_layers())
    for name, tensor in sorted(layers.state_dict().items()):
        digest.update(name.encode())
        values = tensor.detach().cpu().contiguous() + 0  # averaging over a training turns -0.0 into 0.0
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:12]
