"""Scenes of two hands, one or none: what they do, where they are to each other and how a person's arms turn them.

The person's frame: x to their right, y up, z backwards, metres. A scene is drawn in three steps: poses and an approach
that the kind of interaction asks for, of a fixed number of turns the one that best suits a person's arms, and a fixed
number of steps that bring the hands together and take overlaps apart. Nothing is rejected, so every image index gives
a scene.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.scene.approach import Approach, beside, crossed, holding, interlaced, palm_to_palm
from lgnet_core.synthetic.scene.capsules import CapsuleHands
from lgnet_core.synthetic.scene.contact import Meeting, settle
from lgnet_core.synthetic.scene.poses import EVERYDAY, FLAT, Style, both_rotations, clamp_angles, draw_angles


class Kind(IntEnum):
    """What is in a scene. The first four are placed hand against hand, FREE and SEPARATE hands each for itself."""

    PALM_TO_PALM = 0
    CROSSED = 1
    INTERLACED = 2
    HOLDING = 3
    FREE = 4
    SEPARATE = 5
    SINGLE_RIGHT = 6
    SINGLE_LEFT = 7
    NONE = 8


COMPOSITION: list[float] = [0.09, 0.08, 0.07, 0.11, 0.10, 0.15, 0.15, 0.15, 0.10]
"""Shares of the kinds: interacting 45 %, separate 15 %, one hand 30 %, none 10 %."""

PLAUSIBLE = 0.6
"""Share of scenes with a person's arms; the others are turned any way, so that no orientation is unknown."""

HELD = 0.3
"""Share of the hands by themselves that hold a thing."""

_CANDIDATES = 64


class Scene(NamedTuple):
    """Two hands in the person's frame.

    Shapes:
        kind: (B,) long, see :class:`Kind`; presence: (B, 2) bool; plausible: (B,) bool: arms as a person has them;
        rotations: (B, 2, 16, 3, 3), root in the person's frame; shape: (B, 2, 10); wrist: (B, 2, 3) metres;
        overlap: (B,) metres: the deepest overlap that is left between capsules of different hands.
    """

    kind: Tensor
    presence: Tensor
    plausible: Tensor
    rotations: Tensor
    shape: Tensor
    wrist: Tensor
    overlap: Tensor


def draw_kinds(draws: Draws) -> Tensor:
    """(B,) :class:`Kind` of each scene."""
    return draws.choice("kind", COMPOSITION)


def draw_held(draws: Draws, kind: Tensor) -> Tensor:
    """(B, 2) bool: which hands hold a thing; never those that meet another hand."""
    return draws.bernoulli("held/there", HELD, 2) & (kind >= Kind.FREE)[:, None]


def draw_scene(draws: Draws, hands: CapsuleHands, kind: Tensor | None = None) -> Scene:
    """Draw poses, shapes and the placement of both hands.

    Args:
        kind: (B,) :class:`Kind` of each scene; None draws them with COMPOSITION.
    """
    kind = draw_kinds(draws) if kind is None else kind
    right = (kind != Kind.SINGLE_LEFT) & (kind != Kind.NONE)
    left = (kind != Kind.SINGLE_RIGHT) & (kind != Kind.NONE)
    plausible = draws.bernoulli("plausible", PLAUSIBLE)
    shape = draws.normal("shape", 1, 10).expand(-1, 2, -1) + draws.normal("shape/side", 2, 10, std=0.1)
    shape = shape.clamp(-2.5, 2.5)

    left_holds = draws.bernoulli("holding/left", 0.5)
    holder = torch.stack([~left_holds, left_holds], 1) & (kind == Kind.HOLDING)[:, None]
    angles = _share_pose(draws, kind, draw_angles(draws, "pose", _draw_styles(draws, kind, holder)))
    points = hands.pose(both_rotations(angles), shape).points @ hands.frames  # each hand's in its own axes
    apart = beside(draws, kind == Kind.SEPARATE)
    approach = palm_to_palm(draws, points).select(
        [crossed(draws, points), interlaced(draws, points), holding(draws, points, left_holds), *([apart] * 5)], kind
    )

    turn = _choose_turn(draws, hands, kind, plausible, approach)  # (B, 2, 3, 3)
    frame = torch.stack([turn[:, 0], turn[:, 1] @ approach.frame], 1)
    root = frame @ hands.frames.transpose(-1, -2)
    coupled = (kind < Kind.FREE)[:, None]
    knuckles = (frame @ points[:, :, 9, :, None])[..., 0]  # (B, 2, 3)
    between = approach.offset + knuckles[:, 0] - knuckles[:, 1]
    offset = torch.where(coupled, (turn[:, 0] @ approach.offset[..., None])[..., 0], between)
    escape = torch.where(coupled, (turn[:, 0] @ approach.escape[..., None])[..., 0], approach.escape)
    meeting = Meeting(right & left, offset, escape, approach.gap, holder)
    angles, offset, overlap = settle(hands, meeting, angles, shape, root)
    wrist = torch.stack([torch.zeros_like(offset), offset], 1)
    return Scene(kind, torch.stack([right, left], 1), plausible, both_rotations(angles, root), shape, wrist, overlap)


def forearm_directions(hands: CapsuleHands, rotations: Tensor) -> Tensor:
    """(B, 2, 3) unit vectors from the wrist along the forearm, in the frame of the root rotations."""
    return (rotations[:, :, 0] @ hands.forearm[None, :, :, None])[..., 0]


def _draw_styles(draws: Draws, kind: Tensor, holder: Tensor) -> Tensor:
    """(B, 2) finger-pose styles that suit the kind; ``holder`` (B, 2) marks the hand that holds the other."""
    style = draws.choice("style", EVERYDAY, 2)
    grips = draw_held(draws, kind) & draws.bernoulli("style/grips", 0.6, 2)
    style = torch.where(grips, int(Style.GRASP), style)
    style = torch.where((kind == Kind.PALM_TO_PALM)[:, None], draws.choice("style/flat", FLAT, 2), style)
    style = torch.where((kind == Kind.INTERLACED)[:, None], int(Style.INTERLACED), style)
    return torch.where(holder, int(Style.GRASP), style)


def _share_pose(draws: Draws, kind: Tensor, angles: Tensor) -> Tensor:
    """Give both hands nearly the same pose in half of the scenes, as people do; a hand that holds keeps its own."""
    alike = draws.bernoulli("alike", 0.5) & (kind != Kind.HOLDING)
    copy = clamp_angles(angles[:, 0] + draws.normal("alike/noise", 16, 3, std=0.08))
    return torch.stack([angles[:, 0], torch.where(alike[:, None, None], copy, angles[:, 1])], 1)


def _choose_turn(draws: Draws, hands: CapsuleHands, kind: Tensor, plausible: Tensor, approach: Approach) -> Tensor:
    """(B, 2, 3, 3): of 64 random turns of the hands' axes, the one with which the arms reach back to a person's elbows.

    Coupled hands turn together. The elbow of a reaching arm lies behind, below and outside of the hand; the thumb
    points up or to the other hand more often than not.
    """
    device = draws.device
    coupled = (kind < Kind.FREE)[:, None, None]
    turns = draws.rotation("turn", _CANDIDATES, 2)  # (B, K, 2, 3, 3)
    turns = torch.where(coupled[..., None, None], turns[:, :, :1], turns)
    mirror = torch.tensor([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]], device=device)  # right, left
    elbow = torch.tensor([0.35, -0.55, 0.75], device=device) * mirror
    elbow = normalize(elbow + draws.normal("elbow", 2, 3, std=0.45), dim=-1)
    up = torch.tensor([-0.4, 0.8, 0.2], device=device) * mirror
    up = normalize(up + draws.normal("thumb up", 2, 3, std=0.7), dim=-1)

    arm = (hands.frames.transpose(-1, -2) @ hands.forearm[..., None])[..., 0]  # (2, 3) in each hand's axes
    frame = torch.stack([torch.eye(3, device=device).expand_as(approach.frame), approach.frame], 1)
    arm = (frame @ arm[..., None])[..., 0]
    thumb = frame[..., 1] * torch.tensor([-1.0, 1.0], device=device)[:, None]  # (B, 2, 3)
    to_arm = torch.einsum("bksij,bsj->bksi", turns, arm)
    to_thumb = torch.einsum("bksij,bsj->bksi", turns, thumb)
    score = (to_arm * elbow[:, None]).sum(-1) + 0.35 * (to_thumb * up[:, None]).sum(-1)  # (B, K, 2)
    score = score - 2.0 * (to_arm[..., 2] < -0.3)  # nobody's elbow is in front of the hand
    side = (turns[:, :, 0] @ approach.offset[:, None, :, None])[..., 0, 0]  # of the left wrist, to the person's right
    score = torch.where(coupled, (score.sum(-1) - 4.0 * side.clamp(-0.1, 0.1))[..., None], score)
    score = torch.where(plausible[:, None, None], score, 0.0)  # any turn: the first candidate wins a tie
    best = score.argmax(1)[:, None, :, None, None]
    return turns.gather(1, best.expand(-1, 1, 2, 3, 3))[:, 0]
