r"""Where two hands are relative to each other, and that they do not run through each other.

Frames here: the person's (x to their right, y up, z backwards, metres) and each hand's own axes (x towards the fingers,
z out of the palm, y = z x x; see :class:`~lgnet_core.data.synthetic.capsules.CapsuleHands`). In its own axes the right
hand's thumb lies towards -y, the left hand's towards +y.

A scene is drawn in three steps: a pose and an approach that the kind of interaction asks for, the turn among a fixed
number of candidates that best suits a person's forearms, and a fixed number of descent steps that take overlapping
capsules apart. Nothing is rejected, so every picture index gives a scene.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import roma
import torch
from torch import Tensor
from torch.nn.functional import normalize

from lgnet_core.data.synthetic.capsules import CapsuleHands
from lgnet_core.data.synthetic.contact import take_apart
from lgnet_core.data.synthetic.poses import EVERYDAY, Style, both_rotations, clamp_angles, draw_angles
from lgnet_core.data.synthetic.random import Draws


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

_CANDIDATES = 64


class Scene(NamedTuple):
    """Two hands in the person's frame.

    Shapes:
        kind: (B,) long, see :class:`Kind`; presence: (B, 2) bool; plausible: (B,) bool: arms as a person has them;
        rotations: (B, 2, 16, 3, 3), root in the person's frame; shape: (B, 2, 10); wrist: (B, 2, 3) metres;
        overlap: (B,) metres: the deepest remaining overlap of capsules of different hands.
    """

    kind: Tensor
    presence: Tensor
    plausible: Tensor
    rotations: Tensor
    shape: Tensor
    wrist: Tensor
    overlap: Tensor


def draw_scene(draws: Draws, capsules: CapsuleHands, kind: Tensor | None = None) -> Scene:
    """Draw poses, shapes and the placement of both hands.

    Args:
        kind: (B,) :class:`Kind` of each scene; None draws them with COMPOSITION.
    """
    kind = draws.choice("kind", COMPOSITION) if kind is None else kind
    presence = torch.stack(
        [
            (kind != Kind.SINGLE_LEFT) & (kind != Kind.NONE),
            (kind != Kind.SINGLE_RIGHT) & (kind != Kind.NONE),
        ],
        1,
    )
    plausible = draws.bernoulli("plausible", PLAUSIBLE)
    shape = draws.normal("shape", 1, 10).expand(-1, 2, -1) + draws.normal("shape/side", 2, 10, std=0.1)
    shape = shape.clamp(-2.5, 2.5)

    holder = draws.bernoulli("holder", 0.5)
    angles = draw_angles(draws, "pose", _draw_styles(draws, kind, holder))
    angles = _share_pose(draws, kind, angles)
    # Points of both hands in their own axes, with which the placements are made.
    local = capsules.points(both_rotations(angles), shape) @ capsules.frames
    frame, offset, escape = _approach(draws, kind, holder, local)

    turn = _choose_turn(draws, capsules, kind, plausible, frame, offset)
    frame = turn @ frame
    coupled = kind < Kind.FREE
    offset = torch.where(coupled[:, None], (turn[:, 0] @ offset[..., None])[..., 0], offset)
    escape = torch.where(coupled[:, None], (turn[:, 0] @ escape[..., None])[..., 0], escape)
    root = frame @ capsules.frames.transpose(-1, -2)
    angles, offset, overlap = take_apart(
        capsules, presence.all(1), kind != Kind.INTERLACED, angles, shape, root, offset, escape
    )
    wrist = torch.stack([torch.zeros_like(offset), offset], 1)
    return Scene(kind, presence, plausible, both_rotations(angles, root), shape, wrist, overlap)


def _draw_styles(draws: Draws, kind: Tensor, holder: Tensor) -> Tensor:
    """(B, 2) finger-pose styles that suit the kind; ``holder`` (B,) is True where the left hand holds the right."""
    style = draws.choice("style", EVERYDAY, 2)
    flat = draws.choice("style/flat", [0.55, 0.25, 0.0, 0.05, 0.0, 0.0, 0.0, 0.15], 2)
    style = torch.where((kind == Kind.PALM_TO_PALM)[:, None], flat, style)
    style = torch.where((kind == Kind.INTERLACED)[:, None], int(Style.INTERLACED), style)
    holds = torch.stack([~holder, holder], 1) & (kind == Kind.HOLDING)[:, None]
    return torch.where(holds, int(Style.GRASP), style)


def _share_pose(draws: Draws, kind: Tensor, angles: Tensor) -> Tensor:
    """Give both hands nearly the same pose in half of the scenes where people do so."""
    alike = draws.bernoulli("alike", 0.5) & (kind != Kind.HOLDING)
    moving = angles[:, :1] != 0
    copy = clamp_angles(angles[:, 0] + 0.08 * draws.normal("alike/noise", 16, 3) * moving[:, 0])
    left = torch.where(alike[:, None, None], copy, angles[:, 1])
    return torch.stack([angles[:, 0], left], 1)


def _about(axis: tuple[float, float, float], angle: Tensor) -> Tensor:
    """Rotations (B, 3, 3) by ``angle`` (B,) about one axis."""
    return roma.rotvec_to_rotmat(angle[:, None] * torch.tensor(axis, device=angle.device))


def _approach(draws: Draws, kind: Tensor, holder: Tensor, local: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How the hands meet: frames (B, 2, 3, 3), the left wrist's offset (B, 3) and the way out of an overlap (B, 3).

    For coupled kinds these are in the right hand's axes; for FREE and SEPARATE the frames are identities and the offset
    is the person's.
    """
    device, count = draws.device, len(draws)
    degrees = math.pi / 180
    knuckle, fingers = local[:, :, 9], local[:, :, [6, 10, 14, 18]]
    palm = 0.6 * knuckle + 0.4 * local[:, :, 0]
    gap = torch.where(
        draws.bernoulli("gap/touch", 0.65),
        -0.012 * torch.log1p(-draws.uniform("gap/near")),
        draws.uniform("gap/far", high=0.12),
    )
    jitter = roma.rotvec_to_rotmat(draws.normal("jitter", 3, std=12 * degrees))
    opposite = torch.diag(torch.tensor([1.0, -1.0, -1.0], device=device))  # the left palm against the right one

    def placed(frame: Tensor, of_right: Tensor, of_left: Tensor, way: Tensor, distance: Tensor) -> tuple[Tensor, ...]:
        """The left hand's point ``distance`` from the right hand's along ``way``, all in the right hand's axes."""
        frame = jitter @ frame
        offset = of_right + way * distance[:, None] - (frame @ of_left[..., None])[..., 0]
        return frame, offset, way

    out_of_palm = torch.tensor([0.0, 0.0, 1.0], device=device).expand(count, 3)
    slide = draws.normal("slide", 3, std=0.012) * torch.tensor([1.5, 1.0, 0.0], device=device)

    yaw = draws.choice("yaw/mode", [0.55, 0.1, 0.1, 0.25])
    quarter = torch.tensor([0.0, 90.0, -90.0, 0.0], device=device)[yaw]
    width = torch.tensor([18.0, 15.0, 15.0, 50.0], device=device)[yaw]
    facing = _about((0, 0, 1), (quarter + width * draws.normal("yaw")) * degrees) @ opposite
    palms = placed(facing, palm[:, 0] + slide, palm[:, 1], out_of_palm, 0.026 + gap)

    along = draws.uniform("crossed/along", 2, 1, low=-0.2, high=1.4)
    points = local[:, :, 0] + along * (knuckle - local[:, :, 0])
    above = torch.where(draws.bernoulli("crossed/above", 0.5), 1.0, -1.0)[:, None]
    swing = draws.uniform("crossed/swing", low=45, high=135) * degrees
    swing = torch.where(draws.bernoulli("crossed/sense", 0.5), swing, -swing)
    same = draws.bernoulli("crossed/same", 0.6)[:, None, None]
    stacked = torch.where(same, torch.eye(3, device=device), opposite)
    crossed = placed(
        _about((0, 0, 1), swing) @ stacked, points[:, 0] + slide, points[:, 1], above * out_of_palm, 0.028 + gap
    )

    meet = 0.65 * fingers.mean(2) + 0.35 * local[:, :, [7, 11, 15, 19]].mean(2)
    pitch = (local[:, 0, 18] - local[:, 0, 6]).norm(dim=-1) / 3  # from finger to finger
    shift = torch.where(draws.bernoulli("interlaced/shift", 0.5), 0.5, -0.5) * pitch
    weave = _about((0, 1, 0), draws.uniform("interlaced/angle", low=35, high=100) * degrees) @ opposite
    calm = draws.normal("interlaced/slide", 3, std=0.004)
    calm = calm + shift[:, None] * torch.tensor([0.0, 1.0, 0.0], device=device)
    interlaced = placed(weave, meet[:, 0] + calm, meet[:, 1], out_of_palm, torch.zeros_like(gap))

    # HOLDING: palm of the holder against a place of the other hand, its fingers around the other's long axis.
    place = draws.choice("holding/place", [0.3, 0.25, 0.25, 0.2])
    targets = torch.stack([fingers.mean(2), knuckle, local[:, :, 0] - 0.2 * knuckle, local[:, :, 6]], 2)
    target = targets[torch.arange(count, device=device), :, place]
    around = _about((1, 0, 0), draws.uniform("holding/around", high=2 * math.pi))
    outward = around[:, :, 2]  # in the held hand's axes: from its long axis to the holder's palm
    sense = torch.where(draws.bernoulli("holding/sense", 0.5), 1.0, -1.0)[:, None]
    across = sense * torch.tensor([1.0, 0.0, 0.0], device=device)
    holding_frame = torch.stack([torch.linalg.cross(across, -outward), across.expand(count, 3), -outward], -1)
    grasp = knuckle + torch.tensor([0.01, 0.0, 0.0], device=device)
    distance = (0.024 + 0.4 * gap)[:, None]
    left_holds = placed(holding_frame, target[:, 0], grasp[:, 1], outward, distance[:, 0])
    # Where the right hand holds, the same placement seen from the holder.
    inverse = (jitter @ holding_frame).transpose(-1, -2)
    held_from = target[:, 1] + outward * distance - (jitter @ holding_frame @ grasp[:, 0, :, None])[..., 0]
    right_holds = (inverse, -(inverse @ held_from[..., None])[..., 0], -(inverse @ outward[..., None])[..., 0])
    holding = [torch.where(_column(holder, a), a, b) for a, b in zip(left_holds, right_holds, strict=True)]

    # FREE and SEPARATE: beside each other, mostly as the person's sides have it.
    aside = draws.normal("aside", 3) * torch.tensor([1.0, 0.7, 0.7], device=device)
    aside[:, 0] = torch.where(draws.bernoulli("aside/crossed", 0.15), aside[:, 0].abs(), -aside[:, 0].abs())
    near = 0.05 + draws.uniform("aside/near", high=0.25)
    far = draws.uniform("aside/far", low=0.2, high=0.6)
    direction = normalize(aside, dim=-1)
    separate = (kind == Kind.SEPARATE)[:, None]
    wide = normalize(aside * torch.tensor([2.0, 1.0, 0.6], device=device), dim=-1)
    way = torch.where(separate, wide, direction)
    middles = way * torch.where(kind == Kind.SEPARATE, far, near)[:, None]
    identity = torch.eye(3, device=device).expand(count, 3, 3)
    apart = (identity, middles, way)

    options = [palms, crossed, interlaced, holding, *([apart] * 5)]
    frame, offset, escape = (
        torch.stack([option[k] for option in options], 1)[torch.arange(count, device=device), kind] for k in range(3)
    )
    return torch.stack([identity, frame], 1), offset, escape


def _column(flag: Tensor, like: Tensor) -> Tensor:
    return flag.view(-1, *([1] * (like.dim() - 1)))


def _choose_turn(
    draws: Draws, capsules: CapsuleHands, kind: Tensor, plausible: Tensor, frame: Tensor, offset: Tensor
) -> Tensor:
    """(B, 2, 3, 3): of 64 random turns, the one with which the forearms reach back to the person's elbows.

    Coupled hands turn together. The elbow of a reaching arm lies behind, below and outside of the hand; the thumb
    points up or to the other hand more often than not.
    """
    device = draws.device
    turns = draws.rotation("turn", _CANDIDATES, 2)  # (B, K, 2, 3, 3)
    coupled = (kind < Kind.FREE)[:, None, None]
    turns = torch.where(coupled[..., None, None], turns[:, :, :1], turns)
    outwards = torch.tensor([1.0, -1.0], device=device)[:, None]  # right, left
    elbow = torch.tensor([0.35, -0.55, 0.75], device=device) * torch.cat([outwards, torch.ones(2, 2, device=device)], 1)
    elbow = normalize(elbow + draws.normal("elbow", 2, 3, std=0.45), dim=-1)
    up = torch.tensor([-0.4, 0.8, 0.2], device=device) * torch.cat([outwards, torch.ones(2, 2, device=device)], 1)
    up = normalize(up + draws.normal("thumb up", 2, 3, std=0.7), dim=-1)

    arm = (capsules.frames.transpose(-1, -2) @ capsules.forearm[..., None])[..., 0]  # (2, 3) in the hand's axes
    arm = (frame @ arm[..., None])[..., 0]
    thumb = frame[..., 1] * torch.tensor([-1.0, 1.0], device=device)[:, None]  # (B, 2, 3)
    to_arm = torch.einsum("bksij,bsj->bksi", turns, arm)
    to_thumb = torch.einsum("bksij,bsj->bksi", turns, thumb)
    score = (to_arm * elbow[:, None]).sum(-1) + 0.35 * (to_thumb * up[:, None]).sum(-1)  # (B, K, 2)
    score = score - 2.0 * (to_arm[..., 2] < -0.3)  # nobody's elbow is in front of the hand
    sides = (turns[:, :, 0] @ offset[:, None, :, None])[..., 0, 0]  # of the left wrist, to the person's right
    score = torch.where(coupled, (score.sum(-1) - 4.0 * sides.clamp(-0.1, 0.1))[..., None], score)
    score = torch.where(plausible[:, None, None], score, 0.0)  # any: the first candidate wins a tie
    best = score.argmax(1)  # (B, 2)
    return turns.gather(1, best[:, None, :, None, None].expand(-1, 1, 2, 3, 3))[:, 0]


def forearm_directions(capsules: CapsuleHands, rotations: Tensor) -> Tensor:
    """(B, 2, 3) unit vectors from the wrist along the forearm, in the frame of the root rotations."""
    return (rotations[:, :, 0] @ capsules.forearm[None, :, :, None])[..., 0]
