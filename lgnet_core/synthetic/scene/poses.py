r"""Finger poses as hands take them: within the joint limits, neighbouring fingers together, presets as anchors.

A pose is built from a style's closure c (0 straight, 1 a fist) per finger: the knuckle bends by 88 c degrees, the
middle joint by 103 c, the last one follows the middle one by 0.58, as its tendon makes it. Fingers spread less the
more they bend. The thumb follows its opposition to the palm. Source of the joint limits and axes:
:mod:`lgnet_core.hand_model.anatomy`.
"""

from __future__ import annotations

import math
from enum import IntEnum

import torch
from torch import Tensor

from lgnet_core.hand_model.anatomy import JOINT_LIMITS, angles_to_rotations, preset, preset_names
from lgnet_core.synthetic.random import Draws


class Style(IntEnum):
    """Families of finger poses; INDEPENDENT lets every finger go its own way, ANCHOR keeps near the presets."""

    OPEN = 0
    RELAXED = 1
    FIST = 2
    INDEPENDENT = 3
    POINT = 4
    GRASP = 5
    INTERLACED = 6
    ANCHOR = 7


EVERYDAY: list[float] = [0.16, 0.25, 0.09, 0.15, 0.08, 0.07, 0.0, 0.2]
"""Weights of the styles for a hand that does nothing in particular."""

FLAT: list[float] = [0.55, 0.25, 0.0, 0.05, 0.0, 0.0, 0.0, 0.15]
"""Weights of the styles for a hand that is laid against another."""

# Per style: closure's mean, its std, its std from finger to finger; thumb's opposition (mean, std), bend (mean, std).
_STYLES = [
    (0.02, 0.07, 0.05, 0.10, 0.25, 0.10, 0.15),
    (0.30, 0.13, 0.09, 0.35, 0.25, 0.22, 0.20),
    (0.85, 0.12, 0.08, 0.70, 0.20, 0.60, 0.20),
    (0.45, 0.12, 0.32, 0.35, 0.35, 0.25, 0.25),
    (0.60, 0.18, 0.12, 0.80, 0.20, 0.35, 0.20),
    (0.30, 0.10, 0.06, 0.80, 0.15, 0.10, 0.15),
    (0.22, 0.10, 0.05, 0.30, 0.25, 0.25, 0.15),
    (0.00, 0.00, 0.07, 0.00, 0.15, 0.00, 0.15),
]
_FINGER_JOINTS = (1, 4, 10, 7)  # first joint of index, middle, ring, pinky in MANO's order
_THUMB = 13
_SPREAD = (9.0, 1.5, -6.0, -13.0)  # degrees to the thumb's side, index to pinky
_KNUCKLE, _MIDDLE, _LAST_OVER_MIDDLE = 88.0, 103.0, 0.58  # degrees per closure; ratio


def draw_angles(draws: Draws, name: str, style: Tensor) -> Tensor:
    """Anatomical angles of finger poses.

    Args:
        name: prefix of the draws' names.
        style: :class:`Style` of each hand.

    Shapes:
        style: (B, 2) long; returns (B, 2, 16, 3) radians (flexion, abduction, twist) in MANO's joint order, within
        JOINT_LIMITS, zero for the root.
    """
    table = torch.tensor(_STYLES, device=draws.device)[style]  # (B, 2, 7)
    mean, std, scatter, opposition, opposition_std, bend, bend_std = table.unbind(-1)
    degrees = torch.zeros(*style.shape, 16, 3, device=draws.device)

    together = draws.normal(name + "/scatter", 2, 4) * scatter[..., None]
    together = torch.cat([together[..., :1], 0.55 * together[..., 1:] + 0.45 * together[..., :-1]], -1)
    slope = draws.normal(name + "/slope", 2, 1, std=0.04) * torch.arange(-1.5, 2, device=draws.device)
    closure = mean[..., None] + draws.normal(name + "/closure", 2, 1) * std[..., None] + together + slope
    closure = closure.clamp(-0.15, 1.05)  # (B, 2, 4) index to pinky
    pointing = (style == Style.POINT) & draws.bernoulli(name + "/points", 0.6, 2)
    straight = draws.normal(name + "/straight", 2, std=0.08).clamp_min(-0.1)
    closure[..., 0] = torch.where(pointing, straight, closure[..., 0])

    knuckle = (closure + draws.normal(name + "/knuckle", 2, 4, std=0.10)).clamp(-0.2, 1)
    # Fingers between those of the other hand bend at the knuckles first.
    middle_part = torch.where(style == Style.INTERLACED, 0.5, 1.0)[..., None]
    middle = (closure * middle_part + draws.normal(name + "/middle", 2, 4, std=0.08)).clamp(-0.02, 1)
    spread = draws.normal(name + "/spread", 2, 1, mean=0.2, std=0.45)
    spread = torch.where((style == Style.INTERLACED)[..., None], 1.3, spread)
    spread = spread * torch.tensor(_SPREAD, device=draws.device) * (1 - 0.8 * knuckle.clamp(0, 1))
    joints = torch.tensor(_FINGER_JOINTS, device=draws.device)
    degrees[..., joints, 0] = knuckle * _KNUCKLE
    degrees[..., joints + 1, 0] = middle * _MIDDLE
    degrees[..., joints + 2, 0] = middle * _MIDDLE * _LAST_OVER_MIDDLE + draws.normal(name + "/last", 2, 4, std=6.0)
    degrees[..., joints, 1] = spread + draws.normal(name + "/aside", 2, 4, std=2.5)
    degrees[..., joints, 2] = draws.normal(name + "/twist", 2, 4, std=2.0)

    opposed = (opposition + draws.normal(name + "/opposition", 2) * opposition_std).clamp(-0.3, 1.1)
    bent = (bend + draws.normal(name + "/bend", 2) * bend_std).clamp(-0.25, 1)
    noise = draws.normal(name + "/thumb", 2, 6)
    thumb = [
        26 * opposed - 2 + 6 * noise[..., 0],
        -10 * opposed + 3 + 8 * noise[..., 1],
        15 * opposed - 2 + 5 * noise[..., 2],
    ]
    degrees[..., _THUMB, :] = torch.stack(thumb, -1)
    degrees[..., _THUMB + 1, 0] = 45 * bent + 6 * noise[..., 3]
    degrees[..., _THUMB + 1, 1] = 3 * noise[..., 4]
    degrees[..., _THUMB + 2, 0] = 65 * bent + 10 * noise[..., 5]

    anchored = (style == Style.ANCHOR)[..., None, None]
    angles = degrees * (math.pi / 180) + torch.where(anchored, _anchors(draws, name), 0.0)
    return clamp_angles(angles)


def _anchors(draws: Draws, name: str) -> Tensor:
    """(B, 2, 16, 3) radians: a preset, or half of the time a point between two."""
    presets = torch.stack([preset(key) for key in preset_names()]).to(draws.device)
    count = [1.0] * len(presets)
    first, second = (presets[draws.choice(name + suffix, count, 2)] for suffix in ("/anchor", "/other anchor"))
    blend = draws.uniform(name + "/blend", 2, low=-1.0, high=1.0).clamp_min(0)[..., None, None]
    return first + blend * (second - first)


def clamp_angles(angles: Tensor) -> Tensor:
    """Angles (..., 16, 3) within the joint limits."""
    limits = JOINT_LIMITS.to(angles)
    return torch.maximum(torch.minimum(angles, limits[..., 1]), limits[..., 0])


def both_rotations(angles: Tensor, root: Tensor | None = None) -> Tensor:
    """Rotations of both hands for angles (B, 2, 16, 3); root (B, 2, 3, 3) or the identity; returns (B, 2, 16, 3, 3)."""
    rotations = angles_to_rotations(angles)
    return rotations if root is None else torch.cat([root[:, :, None], rotations[:, :, 1:]], 2)
