"""Training and held-out splits of the generator: quantile ranges of random streams reserved for evaluation.

In held-out images (:attr:`Split.HELD_OUT`) every stream listed below is sampled from its reserved ranges only; in
training images never. Ranges are quantiles: (0.3, 0.4) of a uniform stream is that part of its interval, of a Gaussian
stream the values between its 30 % and 40 % quantiles, of a uniform choice among ten options the fourth.

Limitations. Ranges apply to single streams, not to quantities composed of several: finger angles are sums of streams,
so that of the held-out poses only the two named presets (``pose/anchor``) differ from all training poses. If the
limits of a stream change, its quantiles refer to other values, as happened to the field of view after the frozen set
was generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import torch
from torch import Tensor


class Split(Enum):
    """Data split: which quantiles of the streams in :data:`HELD_OUT_RANGES` are sampled."""

    TRAINING = "training"
    HELD_OUT = "held out"


QuantileRanges = Sequence[tuple[float, float]]

_TWO_RANGES: QuantileRanges = ((0.22, 0.32), (0.68, 0.78))
_MIDDLE: QuantileRanges = ((0.42, 0.58),)

HELD_OUT_RANGES: dict[str, QuantileRanges] = {
    # skin, cloth and lighting
    "skin/tone": _TWO_RANGES,
    "skin/noise_cells": _MIDDLE,
    "cloth/frequency": _MIDDLE,
    "light/level": _TWO_RANGES,
    "light/key_share": _TWO_RANGES,
    "light/key/warmth": _TWO_RANGES,
    "gamma": _MIDDLE,
    # backgrounds
    **{f"{where}/photo": ((3 / 10, 5 / 10),) for where in ("background", "behind", "things")},  # two of ten photographs
    # one noise spectrum and one pattern period
    **{f"{where}/noise": ((12 / 36, 16 / 36), (28 / 36, 32 / 36)) for where in ("background", "behind", "things")},
    # objects
    "held/radius": _MIDDLE,
    "behind/size": _MIDDLE,
    # cameras
    "view/fov": _TWO_RANGES,
    # finger poses: two of the twelve presets (victory, hook), and ranges of finger closure and thumb opposition
    "pose/anchor": ((6 / 12, 7 / 12), (10 / 12, 11 / 12)),
    "pose/other anchor": ((6 / 12, 7 / 12), (10 / 12, 11 / 12)),
    "pose/closure": _TWO_RANGES,
    "pose/opposition": _TWO_RANGES,
    # relative placement of two hands
    "palms/yaw": _TWO_RANGES,
    "crossed/along": _TWO_RANGES,
    "crossed/swing": _TWO_RANGES,
    "interlaced/angle": _TWO_RANGES,
    "holding/around": _TWO_RANGES,
    "beside/near": _TWO_RANGES,
    "beside/far": _TWO_RANGES,
}
"""Quantile ranges reserved for evaluation by stream name; sorted and disjoint."""


def map_to_split(unit: Tensor, reserved: QuantileRanges, split: Split) -> Tensor:
    """Map uniform samples onto the reserved ranges (held out) or onto their complement (training).

    Shapes:
        unit: any shape, in [0, 1); returns the same shape, in [0, 1).
    """
    widths = [high - low for low, high in reserved]
    if split is Split.TRAINING:
        position = unit * (1 - sum(widths))
        for (low, high), width in zip(reserved, widths):
            position = torch.where(position >= low, (position + width).clamp_min(high), position)
        return position
    position = unit * sum(widths)
    start, mapped = 0.0, torch.zeros_like(unit)
    for (low, high), width in zip(reserved, widths):
        inside = position >= start
        mapped = torch.where(inside, (low + position - start).clamp(low, high - 2.0**-24), mapped)
        start += width
    return mapped
