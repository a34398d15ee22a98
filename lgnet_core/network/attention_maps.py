"""Attention maps of a network over its input crops, for visualization."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class AttentionMap(NamedTuple):
    """Spatial attention of one module, as in the LGNet paper's attention figures.

    Args:
        name: of the module and the attended map, e.g. ``local: right hand's map``.
        weights: attention weight of each cell, non-negative; the cells tile the whole crop at any resolution.

    Shapes:
        weights: (B, H, W).
    """

    name: str
    weights: Tensor
