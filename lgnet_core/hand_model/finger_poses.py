"""Preset finger poses, as anatomical angles (:mod:`lgnet_core.hand_model.anatomy`)."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.hand_model.anatomy import FLEXION, INDEX, MIDDLE, PINKY, RING, THUMB

# Degrees. Fingers: (knuckle flexion, knuckle abduction, middle flexion, end flexion); thumb: (flexion, abduction,
# twist) of its base, then the flexion of its knuckle and of its end joint. Decimals where fingers touch.
_PRESETS: dict[str, dict[int, tuple[float, ...]]] = {
    "flat": {},
    "open": {
        INDEX: (-4, 5, 4, 3),
        MIDDLE: (-4, 1, 4, 3),
        RING: (-4, -3, 4, 3),
        PINKY: (-4, -7, 4, 3),
        THUMB: (-8, 6, 0, 0, 0),
    },
    "spread": {
        INDEX: (-8, 14, 0, 0),
        MIDDLE: (-8, 3, 0, 0),
        RING: (-8, -9, 0, 0),
        PINKY: (-8, -16, 0, 0),
        THUMB: (-15, 12, -5, 0, -10),
    },
    "relaxed": {
        INDEX: (16, 2, 24, 12),
        MIDDLE: (22, 0, 28, 15),
        RING: (26, -2, 30, 16),
        PINKY: (28, -5, 28, 15),
        THUMB: (4, 2, 4, 8, 14),
    },
    "fist": {
        INDEX: (66, 0, 91, 50),
        MIDDLE: (68, 0, 97, 49),
        RING: (62, 0, 94, 48),
        PINKY: (77, 0, 88, 46),
        THUMB: (23, 35, -21, 21, 34),
    },
    "point": {
        INDEX: (0, 0, 4, 3),
        MIDDLE: (70, 0, 100, 50),
        RING: (75, 0, 89, 50),
        PINKY: (74, 0, 85, 44),
        THUMB: (11, 2, 8, 29, 42),
    },
    "victory": {
        INDEX: (0, 8, 4, 3),
        MIDDLE: (0, -6, 4, 3),
        RING: (71, 0, 78, 46),
        PINKY: (73, 0, 86, 44),
        THUMB: (21, -9, 18, 32, 47),
    },
    "thumbs_up": {
        INDEX: (70, 0, 85, 45),
        MIDDLE: (64, 0, 94, 50),
        RING: (66, 0, 96, 48),
        PINKY: (78, 0, 88, 46),
        THUMB: (-15, 19, -12, -5, -15),
    },
    "pinch": {
        INDEX: (34.5, 0, 50, 51),
        MIDDLE: (20, 0, 25, 12),
        RING: (16, 0, 25, 12),
        PINKY: (14, 0, 25, 12),
        THUMB: (16.5, -5.5, 28.6, 16.7, 12),
    },
    "ok": {
        INDEX: (34.5, 0, 50, 51),
        MIDDLE: (8, 2, 8, 5),
        RING: (2, -6, 8, 5),
        PINKY: (0, -12, 8, 5),
        THUMB: (16.5, -5.5, 28.6, 16.7, 12),
    },
    "hook": {INDEX: (0, 0, 92, 60), MIDDLE: (0, 0, 94, 60), RING: (0, 0, 94, 60), PINKY: (0, 0, 92, 60)},
    "flex90": {INDEX: (88, 0, 0, 0), MIDDLE: (88, 0, 0, 0), RING: (88, 0, 0, 0), PINKY: (88, 0, 0, 0)},
}


def preset_names() -> tuple[str, ...]:
    """Names of the finger poses of :func:`preset`."""
    return tuple(_PRESETS)


def preset(name: str) -> Tensor:
    """Angles (16, 3) in radians of a named finger pose.

    On the bundled mean hand no segment penetrates another by more than 1 mm, except for skin folds next to a shared
    joint, and "pinch" and "ok" bring the tip vertices of thumb and index within 3 mm of each other.

    Raises:
        KeyError: if there is no pose of this name; the message lists all names.
    """
    if name not in _PRESETS:
        raise KeyError(f"no finger pose named {name!r}: choose one of {', '.join(_PRESETS)}")
    angles = torch.zeros(16, 3)
    for chain, values in _PRESETS[name].items():
        if chain == THUMB:
            base, (knuckle, end) = values[:3], values[3:]
        else:
            base, (knuckle, end) = (*values[:2], 0.0), values[2:]
        angles[chain] = torch.tensor(base)
        angles[chain + 1, FLEXION], angles[chain + 2, FLEXION] = knuckle, end
    return torch.deg2rad(angles)
