"""Scene sampling: kind of interaction, poses, relative placement and orientation of two, one or no hands.

Person frame: x to the right, y up, z backwards, metres. A scene is sampled in three steps: poses and relative placement
depending on the kind of interaction; the orientation, of a fixed number of candidates, that best fits a person's arms;
contact resolution with a fixed number of iterations. There is no rejection, so that every image index yields a scene.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.capsules import CapsuleHandModel
from lgnet_core.synthetic.scene.contact import ContactGoal, resolve_contact
from lgnet_core.synthetic.scene.placement import RelativePlacement, beside, crossed, holding, interlaced, palm_to_palm
from lgnet_core.synthetic.scene.poses import (
    DEFAULT_STYLE_WEIGHTS,
    FLAT_HAND_STYLE_WEIGHTS,
    PoseStyle,
    clamp_angles,
    joint_rotations,
    sample_joint_angles,
)


class SceneKind(IntEnum):
    """Kind of scene. In the first four the hands interact; FREE and SEPARATE hands are placed independently."""

    PALM_TO_PALM = 0
    CROSSED = 1
    INTERLACED = 2
    HOLDING = 3
    FREE = 4
    SEPARATE = 5
    SINGLE_RIGHT = 6
    SINGLE_LEFT = 7
    NONE = 8


SCENE_KIND_WEIGHTS: list[float] = [0.09, 0.08, 0.07, 0.11, 0.10, 0.15, 0.15, 0.15, 0.10]
"""Probabilities of the kinds: interacting 45 %, separate 15 %, one hand 30 %, none 10 %."""

PLAUSIBLE_PROBABILITY = 0.6
"""Fraction of scenes with plausible arms; the others have uniformly random orientations, to cover all of them."""

HOLDING_PROBABILITY = 0.3
"""Fraction of non-interacting hands that hold an object."""

_CANDIDATES = 64  # sampled orientations, of which the most plausible is used


class Scene(NamedTuple):
    """Two hands in the person frame.

    Shapes:
        kind: (B,) int64, see :class:`SceneKind`; presence: (B, 2) bool; plausible: (B,) bool: plausible arm posture;
        rotations: (B, 2, 16, 3, 3), root in the person frame; shape: (B, 2, 10); wrist: (B, 2, 3) metres;
        penetration: (B,) maximum remaining penetration between capsules of different hands, metres.
    """

    kind: Tensor
    presence: Tensor
    plausible: Tensor
    rotations: Tensor
    shape: Tensor
    wrist: Tensor
    penetration: Tensor


def sample_scene_kinds(rng: CounterRng) -> Tensor:
    """Sample the :class:`SceneKind` (B,) of each scene."""
    return rng.choice("kind", SCENE_KIND_WEIGHTS)


def sample_holding(rng: CounterRng, kind: Tensor) -> Tensor:
    """Mask (B, 2) of the hands that hold an object; interacting hands never do."""
    return rng.bernoulli("held/there", HOLDING_PROBABILITY, 2) & (kind >= SceneKind.FREE)[:, None]


def sample_scene(rng: CounterRng, hands: CapsuleHandModel, kind: Tensor | None = None) -> Scene:
    """Sample poses, shapes and placement of both hands.

    Args:
        kind: (B,) :class:`SceneKind` of each scene; None samples them with ``SCENE_KIND_WEIGHTS``.
    """
    kind = sample_scene_kinds(rng) if kind is None else kind
    right = (kind != SceneKind.SINGLE_LEFT) & (kind != SceneKind.NONE)
    left = (kind != SceneKind.SINGLE_RIGHT) & (kind != SceneKind.NONE)
    plausible = rng.bernoulli("plausible", PLAUSIBLE_PROBABILITY)
    shape = rng.normal("shape", 1, 10).expand(-1, 2, -1) + rng.normal("shape/side", 2, 10, std=0.1)
    shape = shape.clamp(-2.5, 2.5)

    left_holds = rng.bernoulli("holding/left", 0.5)
    holder = torch.stack([~left_holds, left_holds], 1) & (kind == SceneKind.HOLDING)[:, None]
    angles = _correlate_poses(rng, kind, sample_joint_angles(rng, "pose", _sample_styles(rng, kind, holder)))
    points = hands.pose(joint_rotations(angles), shape).points @ hands.frames  # in the axes of each hand
    independent = beside(rng, kind == SceneKind.SEPARATE)
    placement = palm_to_palm(rng, points).select(
        [crossed(rng, points), interlaced(rng, points), holding(rng, points, left_holds), *([independent] * 5)], kind
    )

    orientation = _choose_orientation(rng, hands, kind, plausible, placement)  # (B, 2, 3, 3)
    frame = torch.stack([orientation[:, 0], orientation[:, 1] @ placement.frame], 1)
    root = frame @ hands.frames.transpose(-1, -2)
    coupled = (kind < SceneKind.FREE)[:, None]
    knuckles = (frame @ points[:, :, 9, :, None])[..., 0]  # (B, 2, 3)
    wrist_offset = placement.offset + knuckles[:, 0] - knuckles[:, 1]
    offset = torch.where(coupled, (orientation[:, 0] @ placement.offset[..., None])[..., 0], wrist_offset)
    separation_direction = torch.where(
        coupled, (orientation[:, 0] @ placement.separation_direction[..., None])[..., 0], placement.separation_direction
    )
    goal = ContactGoal(right & left, offset, separation_direction, placement.gap, holder)
    angles, offset, penetration = resolve_contact(hands, goal, angles, shape, root)
    wrist = torch.stack([torch.zeros_like(offset), offset], 1)
    return Scene(
        kind, torch.stack([right, left], 1), plausible, joint_rotations(angles, root), shape, wrist, penetration
    )


def forearm_directions(hands: CapsuleHandModel, rotations: Tensor) -> Tensor:
    """Unit vectors (B, 2, 3) from the wrists along the forearms, in the frame of the root rotations."""
    return (rotations[:, :, 0] @ hands.forearm[None, :, :, None])[..., 0]


def _sample_styles(rng: CounterRng, kind: Tensor, holder: Tensor) -> Tensor:
    """Pose styles (B, 2) for each kind of scene; ``holder`` (B, 2) marks the hand that grasps the other."""
    style = rng.choice("style", DEFAULT_STYLE_WEIGHTS, 2)
    grips = sample_holding(rng, kind) & rng.bernoulli("style/grips", 0.6, 2)
    style = torch.where(grips, int(PoseStyle.GRASP), style)
    style = torch.where(
        (kind == SceneKind.PALM_TO_PALM)[:, None], rng.choice("style/flat", FLAT_HAND_STYLE_WEIGHTS, 2), style
    )
    style = torch.where((kind == SceneKind.INTERLACED)[:, None], int(PoseStyle.INTERLACED), style)
    return torch.where(holder, int(PoseStyle.GRASP), style)


def _correlate_poses(rng: CounterRng, kind: Tensor, angles: Tensor) -> Tensor:
    """Give both hands nearly the same pose in half of the scenes, except in HOLDING scenes."""
    alike = rng.bernoulli("alike", 0.5) & (kind != SceneKind.HOLDING)
    copy = clamp_angles(angles[:, 0] + rng.normal("alike/noise", 16, 3, std=0.08))
    return torch.stack([angles[:, 0], torch.where(alike[:, None, None], copy, angles[:, 1])], 1)


def _choose_orientation(
    rng: CounterRng, hands: CapsuleHandModel, kind: Tensor, plausible: Tensor, placement: RelativePlacement
) -> Tensor:
    """Orientations (B, 2, 3, 3) of the hand axes: the random candidate whose forearms point best to plausible elbows.

    Interacting hands are rotated jointly. Elbows of reaching arms lie behind, below and outside of the hands; thumbs
    preferably point up or to the other hand.
    """
    device = rng.device
    coupled = (kind < SceneKind.FREE)[:, None, None]
    candidates = rng.rotation("turn", _CANDIDATES, 2)  # (B, K, 2, 3, 3)
    candidates = torch.where(coupled[..., None, None], candidates[:, :, :1], candidates)
    mirror = torch.tensor([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]], device=device)  # right, left
    elbow = torch.tensor([0.35, -0.55, 0.75], device=device) * mirror
    elbow = normalize(elbow + rng.normal("elbow", 2, 3, std=0.45), dim=-1)
    up = torch.tensor([-0.4, 0.8, 0.2], device=device) * mirror
    up = normalize(up + rng.normal("thumb up", 2, 3, std=0.7), dim=-1)

    arm = (hands.frames.transpose(-1, -2) @ hands.forearm[..., None])[..., 0]  # (2, 3) in the axes of each hand
    frame = torch.stack([torch.eye(3, device=device).expand_as(placement.frame), placement.frame], 1)
    arm = (frame @ arm[..., None])[..., 0]
    thumb = frame[..., 1] * torch.tensor([-1.0, 1.0], device=device)[:, None]  # (B, 2, 3)
    to_arm = torch.einsum("bksij,bsj->bksi", candidates, arm)
    to_thumb = torch.einsum("bksij,bsj->bksi", candidates, thumb)
    score = (to_arm * elbow[:, None]).sum(-1) + 0.35 * (to_thumb * up[:, None]).sum(-1)  # (B, K, 2)
    score = score - 2.0 * (to_arm[..., 2] < -0.3)  # elbows are not in front of the hands
    side = (candidates[:, :, 0] @ placement.offset[:, None, :, None])[
        ..., 0, 0
    ]  # of the left wrist, positive to the right
    score = torch.where(coupled, (score.sum(-1) - 4.0 * side.clamp(-0.1, 0.1))[..., None], score)
    score = torch.where(plausible[:, None, None], score, 0.0)  # uniform: the first candidate wins ties
    best = score.argmax(1)[:, None, :, None, None]
    return candidates.gather(1, best.expand(-1, 1, 2, 3, 3))[:, 0]
