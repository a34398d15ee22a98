"""Pose prior of the fingers: joint angles within anatomical limits, correlated between fingers, with preset poses.

Poses are parametrized by the closure c of each finger (0 straight, 1 fist): the MCP joint flexes by 88 c degrees, the
PIP joint by 103 c, and the DIP joint by 0.58 of the PIP joint, coupled by the tendon. Abduction decreases with flexion.
The thumb is parametrized by its opposition to the palm. Joint limits and axes: :mod:`lgnet_core.hand_model.anatomy`.
"""

from __future__ import annotations

import math
from enum import IntEnum

import torch
from torch import Tensor

from lgnet_core.hand_model.anatomy import JOINT_LIMITS, angles_to_rotations
from lgnet_core.hand_model.finger_poses import preset, preset_names
from lgnet_core.synthetic.rng import CounterRng


class PoseStyle(IntEnum):
    """Families of finger poses.

    INDEPENDENT moves each finger separately; ANCHOR stays close to the presets; SIGN has each finger either extended or
    curled into the palm, as in counting, pointing and finger spelling.
    """

    OPEN = 0
    RELAXED = 1
    FIST = 2
    INDEPENDENT = 3
    POINT = 4
    GRASP = 5
    INTERLACED = 6
    ANCHOR = 7
    SIGN = 8


DEFAULT_STYLE_WEIGHTS: list[float] = [0.13, 0.16, 0.12, 0.10, 0.06, 0.06, 0.0, 0.13, 0.24]
"""Default probabilities of the styles. Fists and curled fingers are as frequent as in the train split of `realhands`
(tools/benchmarks/compare_with_real.py)."""

FLAT_HAND_STYLE_WEIGHTS: list[float] = [0.55, 0.25, 0.0, 0.05, 0.0, 0.0, 0.0, 0.15, 0.0]
"""Probabilities of the styles of hands pressed flat against each other."""

# Per style: closure (mean, std, std between fingers), thumb opposition (mean, std), thumb flexion (mean, std).
_STYLE_PARAMETERS = [
    (0.02, 0.07, 0.05, 0.10, 0.25, 0.10, 0.15),
    (0.30, 0.13, 0.09, 0.35, 0.25, 0.22, 0.20),
    (0.85, 0.12, 0.08, 0.70, 0.20, 0.60, 0.20),
    (0.45, 0.12, 0.32, 0.35, 0.35, 0.25, 0.25),
    (0.60, 0.18, 0.12, 0.80, 0.20, 0.35, 0.20),
    (0.30, 0.10, 0.06, 0.80, 0.15, 0.10, 0.15),
    (0.22, 0.10, 0.05, 0.30, 0.25, 0.25, 0.15),
    (0.00, 0.00, 0.07, 0.00, 0.15, 0.00, 0.15),
    (0.00, 0.00, 0.05, 0.15, 0.25, 0.10, 0.20),
]
_CURLED_PROBABILITY, _CURLED_CLOSURE = 0.6, 0.95
"""Of a finger of PoseStyle.SIGN; the thumb is folded over the palm with the same probability."""
_FOLDED_OPPOSITION, _FOLDED_FLEXION = 0.75, 0.75
_FINGER_JOINTS = (1, 4, 10, 7)  # MCP joints of index, middle, ring, pinky in MANO order
_THUMB = 13
_ABDUCTION = (9.0, 1.5, -6.0, -13.0)  # degrees towards the thumb of spread fingers, index to pinky
_MCP_FLEXION, _PIP_FLEXION, _DIP_PIP_RATIO = 88.0, 103.0, 0.58  # degrees per closure; ratio


def sample_joint_angles(rng: CounterRng, name: str, style: Tensor) -> Tensor:
    """Sample anatomical joint angles.

    Args:
        name: prefix of the stream names.
        style: :class:`PoseStyle` of each hand.

    Shapes:
        style: (B, 2) long; returns (B, 2, 16, 3) radians (flexion, abduction, twist) in MANO joint order, within
        JOINT_LIMITS, zero for the root.
    """
    table = torch.tensor(_STYLE_PARAMETERS, device=rng.device)[style]  # (B, 2, 7)
    mean, std, scatter, opposition, opposition_std, bend, bend_std = table.unbind(-1)
    degrees = torch.zeros(*style.shape, 16, 3, device=rng.device)

    variation = rng.normal(name + "/scatter", 2, 4) * scatter[..., None]
    variation = torch.cat([variation[..., :1], 0.55 * variation[..., 1:] + 0.45 * variation[..., :-1]], -1)
    slope = rng.normal(name + "/slope", 2, 1, std=0.04) * torch.arange(-1.5, 2, device=rng.device)
    curled = (style == PoseStyle.SIGN)[..., None] & rng.bernoulli(name + "/curled", _CURLED_PROBABILITY, 2, 5)
    opposition = torch.where(curled[..., 4], _FOLDED_OPPOSITION, opposition)
    bend = torch.where(curled[..., 4], _FOLDED_FLEXION, bend)
    mean = torch.where(curled[..., :4], _CURLED_CLOSURE, mean[..., None])  # (B, 2, 4) index to pinky
    closure = mean + rng.normal(name + "/closure", 2, 1) * std[..., None] + variation + slope
    closure = closure.clamp(-0.15, 1.05)
    pointing = (style == PoseStyle.POINT) & rng.bernoulli(name + "/points", 0.6, 2)
    straight = rng.normal(name + "/straight", 2, std=0.08).clamp_min(-0.1)
    closure[..., 0] = torch.where(pointing, straight, closure[..., 0])

    mcp = (closure + rng.normal(name + "/knuckle", 2, 4, std=0.10)).clamp(-0.2, 1)
    # Interlaced fingers flex mainly at the MCP joints.
    pip_closure = torch.where(style == PoseStyle.INTERLACED, 0.5, 1.0)[..., None]
    pip = (closure * pip_closure + rng.normal(name + "/middle", 2, 4, std=0.08)).clamp(-0.02, 1)
    spread = rng.normal(name + "/spread", 2, 1, mean=0.2, std=0.45)
    spread = torch.where((style == PoseStyle.INTERLACED)[..., None], 1.3, spread)
    spread = spread * torch.tensor(_ABDUCTION, device=rng.device) * (1 - 0.8 * mcp.clamp(0, 1))
    joints = torch.tensor(_FINGER_JOINTS, device=rng.device)
    degrees[..., joints, 0] = mcp * _MCP_FLEXION
    degrees[..., joints + 1, 0] = pip * _PIP_FLEXION
    degrees[..., joints + 2, 0] = pip * _PIP_FLEXION * _DIP_PIP_RATIO + rng.normal(name + "/last", 2, 4, std=6.0)
    degrees[..., joints, 1] = spread + rng.normal(name + "/aside", 2, 4, std=2.5)
    degrees[..., joints, 2] = rng.normal(name + "/twist", 2, 4, std=2.0)

    opposed = (opposition + rng.normal(name + "/opposition", 2) * opposition_std).clamp(-0.3, 1.1)
    flexion = (bend + rng.normal(name + "/bend", 2) * bend_std).clamp(-0.25, 1)
    noise = rng.normal(name + "/thumb", 2, 6)
    thumb = [
        26 * opposed - 2 + 6 * noise[..., 0],
        -10 * opposed + 3 + 8 * noise[..., 1],
        15 * opposed - 2 + 5 * noise[..., 2],
    ]
    degrees[..., _THUMB, :] = torch.stack(thumb, -1)
    degrees[..., _THUMB + 1, 0] = 45 * flexion + 6 * noise[..., 3]
    degrees[..., _THUMB + 1, 1] = 3 * noise[..., 4]
    degrees[..., _THUMB + 2, 0] = 65 * flexion + 10 * noise[..., 5]

    anchored = (style == PoseStyle.ANCHOR)[..., None, None]
    angles = degrees * (math.pi / 180) + torch.where(anchored, _sample_anchor_pose(rng, name), 0.0)
    return clamp_angles(angles)


def _sample_anchor_pose(rng: CounterRng, name: str) -> Tensor:
    """Joint angles (B, 2, 16, 3), radians: a preset, or in half of the cases an interpolation between two."""
    presets = torch.stack([preset(key) for key in preset_names()]).to(rng.device)
    weights = [1.0] * len(presets)
    first, second = (presets[rng.choice(name + suffix, weights, 2)] for suffix in ("/anchor", "/other anchor"))
    blend = rng.uniform(name + "/blend", 2, low=-1.0, high=1.0).clamp_min(0)[..., None, None]
    return first + blend * (second - first)


def clamp_angles(angles: Tensor) -> Tensor:
    """Clamp joint angles (..., 16, 3) to the joint limits."""
    limits = torch.from_numpy(JOINT_LIMITS).to(angles)
    return torch.maximum(torch.minimum(angles, limits[..., 1]), limits[..., 0])


def joint_rotations(angles: Tensor, root: Tensor | None = None) -> Tensor:
    """Joint rotations (B, 2, 16, 3, 3) for angles (B, 2, 16, 3) and root rotations (B, 2, 3, 3), default identity."""
    rotations = angles_to_rotations(angles)
    return rotations if root is None else torch.cat([root[:, :, None], rotations[:, :, 1:]], 2)
