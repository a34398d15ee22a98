"""Features of a landmark network as batches to train on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.inference.crops import VIRTUAL_FOCAL
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet

MAPS = ("early", "middle")
"""Of :class:`~lgnet_core.network.detector.hand_landmark.HandLandmarks`, what is stored: the rest follows from it by the
layers after stride 16, which a training may change."""
LAYOUT = 3
"""Of the stored files and of what is drawn for them; part of their folder's name, so that older ones are not read."""


@dataclass(frozen=True, eq=False)
class FeatureBatch:
    """Images, what is known of their hands, and the landmark network's maps of these.

    Args:
        batch: the images and their labels; of a real image all hands are marked absent, since nothing is labelled.
        early, middle: maps of the crops of both hands, :data:`MAPS`. intrinsics, frames, given: as
            :func:`lgnet_core.network.per_hand.batching.predict_both` takes them.
        affine: pixels of the image -> pixels of each crop.
        teacher: joints as a teacher has them, pixels of the image; NaN where there is none.
        negative: the middle map of one more crop of each image, see :mod:`lgnet_core.training.negatives`.
        negative_labels: of that crop, whether it shows a hand and whether that is a right one, 1 or 0; NaN where it is
            not known.

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
        """All but the images and their labels."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "batch"}

    def to(self, device: torch.device | str) -> FeatureBatch:
        moved = {name: value.to(device, non_blocking=True) for name, value in self.tensors().items()}
        return FeatureBatch(self.batch.to(device), **moved)


def concatenate_features(samples: Sequence[FeatureBatch]) -> FeatureBatch:
    """One batch out of several."""
    parts = [sample.tensors() for sample in samples]
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return FeatureBatch(concatenate([sample.batch for sample in samples]), **joined)


def no_teacher(count: int) -> Tensor:
    """(count, 2, 21, 2) of NaN."""
    return torch.full((count, 2, 21, 2), torch.nan)


def empty_labels(count: int, size: int) -> HandsBatch:
    """Labels of images of which nothing is known: no hand counts, and all values are finite.

    The camera is the one that stands in for an unknown one (:func:`lgnet_core.inference.crops.image_camera`).
    """
    identity = torch.eye(3)
    focal, centre = VIRTUAL_FOCAL * size, (size - 1) / 2
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


def maps_digest(landmarker: HandLandmarkNet, about: str) -> str:
    """Names what stored maps follow from: the layers up to stride 16, the files' layout, and a text about the rest."""
    digest = hashlib.sha256(f"{LAYOUT} {about}".encode())
    layers = nn.ModuleList(landmarker.encoder.middle_layers())
    for name, tensor in sorted(layers.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
