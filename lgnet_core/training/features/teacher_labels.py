"""What the teacher sees in each real image, stored while the features of a cache are computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from rich.progress import track
from safetensors.torch import load
from torch import Tensor

from lgnet_core.training.features.shards import GrowingShard, shard_length
from lgnet_core.training.features.teacher import MAX_CANDIDATES, PseudoLabel, Teacher
from lgnet_core.types import ImageArray, Side

_NO_STATE = torch.zeros(1, dtype=torch.uint8)  # the teacher draws no random numbers


class ImageLabels(NamedTuple):
    """What the teacher sees in an image.

    Args:
        hands: hands it is confident of, see :meth:`Teacher.label`.
        rejected: crops (2, 3) of rejected palm candidates, see :meth:`Teacher.rejected_candidates`.
    """

    hands: list[PseudoLabel]
    rejected: list[Tensor]


def label_images(teacher: Teacher, images: Sequence[ImageArray], path: Path, progress: bool) -> list[ImageLabels]:
    """Labels of all images.

    Args:
        path: file in which they are stored, so that a later process resumes where an interrupted one stopped.
        progress: show a progress bar.
    """
    if shard_length(path) != len(images):
        with GrowingShard(path) as shard:
            rest = images[shard.rows("given") :]
            for image in track(rest, "computing pseudo-labels", disable=not progress, transient=True):
                hands = teacher.label(image)
                shard.append(_to_tensors(ImageLabels(hands, teacher.rejected_candidates(image, hands))), _NO_STATE)
    tensors = load(path.read_bytes())
    return [_from_tensors({name: value[k] for name, value in tensors.items()}) for k in range(len(images))]


def _to_tensors(labels: ImageLabels) -> dict[str, Tensor]:
    """One row: ``given`` (1, 2) sides of the hands in their order, -1 for none; and padded joints and crops."""
    given = torch.full((1, len(Side)), -1)
    joints = torch.full((1, len(Side), 21, 2), torch.nan, dtype=torch.float64)
    rejected = torch.full((1, MAX_CANDIDATES, 2, 3), torch.nan, dtype=torch.float64)
    for k, hand in enumerate(labels.hands):
        given[0, k], joints[0, k] = int(hand.side), torch.from_numpy(hand.joints_2d)
    for k, crop in enumerate(labels.rejected):
        rejected[0, k] = crop
    return {"given": given, "joints": joints, "rejected": rejected}


def _from_tensors(row: dict[str, Tensor]) -> ImageLabels:
    """Inverse of :func:`_to_tensors`, of one row."""
    hands = [
        PseudoLabel(Side(int(side)), joints.numpy()) for side, joints in zip(row["given"], row["joints"]) if side >= 0
    ]
    return ImageLabels(hands, [crop for crop in row["rejected"] if not crop.isnan().any()])
