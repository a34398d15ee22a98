"""Minimal exportable network with three inputs, one of them unused, and two outputs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lgnet_core.network.exportable import ExportableModule


class TinyOutputs(NamedTuple):
    """Shapes: map (B, 4, S / 2, S / 2); total (B,)."""

    map: Tensor
    total: Tensor


class TinyNetwork(ExportableModule[TinyOutputs]):
    """Normalised convolution, and its scaled sum. Shapes: image (B, 3, S, S), scale (B, 2), unused (B,)."""

    INPUTS = ("image", "scale", "unused")
    OUTPUTS = TinyOutputs

    def __init__(self, size: int = 8, about: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.size = size
        self.about = about
        self.conv = nn.Conv2d(3, 4, 2, stride=2)
        self.norm = nn.BatchNorm2d(4)

    def example_inputs(self) -> tuple[Tensor, ...]:
        return torch.rand(2, 3, self.size, self.size), torch.rand(2, 2), torch.zeros(2)

    def description(self) -> dict[str, str]:
        return {"about": self.about}

    def forward(self, image: Tensor, scale: Tensor, unused: Tensor) -> TinyOutputs:
        features = self.norm(self.conv(image))
        return TinyOutputs(features, features.sum((1, 2, 3)) * scale.prod(1))


def tiny_inputs(batch: int, size: int = 8) -> tuple[np.ndarray, ...]:
    """Reproducible random float32 inputs."""
    rng = np.random.default_rng(batch)
    return (
        rng.random((batch, 3, size, size), np.float32),
        rng.random((batch, 2), np.float32),
        np.ones(batch, np.float32),
    )
