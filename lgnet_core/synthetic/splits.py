"""What training never draws: ranges of looks, surroundings, cameras, poses and meetings kept for judging.

A network is judged by images whose every quantity below comes from its reserved range (:attr:`Part.HELD_OUT`), and
trained with images in which none does. The ranges are quantiles: (0.3, 0.4) of a uniform draw are the three to four
tenths of its interval, of a normal draw the values between its 30 % and its 40 % quantile, of a choice among ten equal
ones the fourth.

They are ranges of draws, not of what several draws make together: a finger's angle is the sum of some, so that of the
held-out poses only the two that are named (``pose/anchor``) are unlike any of training; and quantiles move where a
range does, as that of the lenses did after the frozen set was drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import torch
from torch import Tensor


class Part(Enum):
    """Which quantiles of the quantities in :data:`RESERVED` are drawn: all others, or these alone."""

    TRAINING = "training"
    HELD_OUT = "held out"


Ranges = Sequence[tuple[float, float]]

_TWO_BANDS: Ranges = ((0.22, 0.32), (0.68, 0.78))
_MIDDLE: Ranges = ((0.42, 0.58),)

RESERVED: dict[str, Ranges] = {
    # looks
    "skin/tone": _TWO_BANDS,
    "skin/noise_cells": _MIDDLE,
    "cloth/frequency": _MIDDLE,
    "light/level": _TWO_BANDS,
    "light/key_share": _TWO_BANDS,
    "light/key/warmth": _TWO_BANDS,
    "gamma": _MIDDLE,
    # surroundings
    **{f"{where}/photo": ((3 / 10, 5 / 10),) for where in ("background", "behind", "things")},  # two of ten
    # a spectrum of noise, a mesh width of patterns
    **{f"{where}/noise": ((12 / 36, 16 / 36), (28 / 36, 32 / 36)) for where in ("background", "behind", "things")},
    # objects
    "held/radius": _MIDDLE,
    "behind/size": _MIDDLE,
    # cameras
    "view/fov": _TWO_BANDS,
    # finger poses: two of the twelve named ones (victory, hook), and bands of how far hands close and thumbs oppose
    "pose/anchor": ((6 / 12, 7 / 12), (10 / 12, 11 / 12)),
    "pose/other anchor": ((6 / 12, 7 / 12), (10 / 12, 11 / 12)),
    "pose/closure": _TWO_BANDS,
    "pose/opposition": _TWO_BANDS,
    # how two hands meet
    "palms/yaw": _TWO_BANDS,
    "crossed/along": _TWO_BANDS,
    "crossed/swing": _TWO_BANDS,
    "interlaced/angle": _TWO_BANDS,
    "holding/around": _TWO_BANDS,
    "beside/near": _TWO_BANDS,
    "beside/far": _TWO_BANDS,
}
"""Reserved ranges by the name of the draw, in order, without overlap."""


def quantiles(unit: Tensor, reserved: Ranges, part: Part) -> Tensor:
    """Spread uniform numbers over what is reserved (held out), or over what is left (training).

    Shapes:
        unit: any shape, in [0, 1); returns the same shape, in [0, 1).
    """
    widths = [high - low for low, high in reserved]
    if part is Part.TRAINING:
        place = unit * (1 - sum(widths))
        for (low, high), width in zip(reserved, widths):
            place = torch.where(place >= low, (place + width).clamp_min(high), place)
        return place
    place = unit * sum(widths)
    start, spread = 0.0, torch.zeros_like(unit)
    for (low, high), width in zip(reserved, widths):
        inside = place >= start
        spread = torch.where(inside, (low + place - start).clamp(low, high - 2.0**-24), spread)
        start += width
    return spread
