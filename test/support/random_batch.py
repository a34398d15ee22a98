"""Labelled batches with random hands and black images, e.g. for tests of losses."""

from __future__ import annotations

import torch

from lgnet_core.data.sample import HandsBatch
from lgnet_core.hand_model import HandModel

SIZE = 128


def random_batch(hand_model: HandModel, count: int = 2, seed: int = 0) -> HandsBatch:
    """Two hands in each of ``count`` black images of ``SIZE``, with random poses, 0.8 m from the camera."""
    g = torch.Generator().manual_seed(seed)
    wrist = torch.tensor([0.0, 0.0, 0.8]) + 0.03 * torch.randn(count, 2, 3, generator=g)
    return HandsBatch(
        image=torch.zeros(count, 3, SIZE, SIZE, dtype=torch.uint8),
        intrinsics=torch.tensor([[2.0 * SIZE, 0, SIZE / 2], [0, 2.0 * SIZE, SIZE / 2], [0, 0, 1]]).repeat(count, 1, 1),
        affine=torch.eye(3)[:2].repeat(count, 1, 1),
        rotations=hand_model.pose_to_rotations(0.3 * torch.randn(count, 2, 48, generator=g)),
        shape=torch.randn(count, 2, 10, generator=g),
        wrist=wrist,
        presence=torch.ones(count, 2, dtype=torch.bool),
        visibility=torch.ones(count, 2, 21, dtype=torch.bool),
        segmentation=torch.zeros(count, SIZE, SIZE, dtype=torch.uint8),
    )
