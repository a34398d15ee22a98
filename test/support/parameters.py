"""Counting of network parameters."""

from __future__ import annotations

from torch import nn


def parameter_count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
