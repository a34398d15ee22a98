"""Where a network looks, part by part: for images like the LGNet paper's of its attention."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class AttentionMap(NamedTuple):
    """Where one part of a network looks.

    Args:
        part: its name, e.g. ``local, right hand's map``.
        share: how much it looks at each cell, at least 0; the cells cover the whole crop, whatever their number.

    Shapes:
        share: (B, H, W).
    """

    part: str
    share: Tensor
