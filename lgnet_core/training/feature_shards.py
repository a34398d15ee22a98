"""Features of a landmark network as batches to train on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.inference.crops import VIRTUAL_FOCAL
from lgnet_core.network.hand_landmark import HandLandmarkNet

MAPS = ("early", "middle", "deep")
FIELDS = (*MAPS, "landmarks", "world_landmarks", "presence_logits")
"""Of :class:`~lgnet_core.network.hand_landmark.HandLandmarks`, what :func:`~lgnet_core.network.hand_rows.predict_both`
takes."""


@dataclass(frozen=True, eq=False)
class FeatureBatch:
    """Images, what is known of their hands, and the landmark network's features of these.

    Args:
        batch: the images and their labels; of a real image all hands are marked absent, since nothing is labelled.
        inputs: of :func:`lgnet_core.network.hand_rows.predict_both`, in order, without the network.
        affine: pixels of the image -> pixels of each crop.
        teacher: joints as a teacher has them, pixels of the image; NaN where there is none.

    Shapes:
        affine: (B, 2, 2, 3); teacher: (B, 2, 21, 2).
    """

    batch: HandsBatch
    inputs: tuple[Tensor, ...]
    affine: Tensor
    teacher: Tensor

    def __len__(self) -> int:
        return len(self.batch)

    def to(self, device: torch.device | str) -> FeatureBatch:
        inputs = tuple(x.to(device, non_blocking=True) for x in self.inputs)
        others = (x.to(device, non_blocking=True) for x in (self.affine, self.teacher))
        return FeatureBatch(self.batch.to(device), inputs, *others)


def concatenate_features(samples: Sequence[FeatureBatch]) -> FeatureBatch:
    """One batch out of several."""
    inputs = tuple(torch.cat(parts) for parts in zip(*(sample.inputs for sample in samples)))
    affine, teacher = (torch.cat([getattr(sample, name) for sample in samples]) for name in ("affine", "teacher"))
    return FeatureBatch(concatenate([sample.batch for sample in samples]), inputs, affine, teacher)


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


def weights_digest(landmarker: HandLandmarkNet, about: str) -> str:
    """Names what features follow from: the network's weights, and a text about the rest."""
    digest = hashlib.sha256(about.encode())
    for name, tensor in sorted(landmarker.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
