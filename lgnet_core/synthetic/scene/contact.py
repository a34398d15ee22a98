"""Bringing two hands together and taking overlaps apart: a fixed number of steps, the same for every scene."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.synthetic.scene.capsules import CapsuleHands, Capsules
from lgnet_core.synthetic.scene.poses import both_rotations, clamp_angles

_ADVANCES = 12
_MAX_ADVANCE = 0.12  # metres a hand may travel until it touches
_STEPS = 20
_ANGLE_STEP, _SHIFT_STEP = 0.03, 1.5e-3  # radians, metres per descent step
_OVERLAP_SCALE = 2e-3  # metres at which an overlap costs 1
_GRADIENT_FLOOR = 0.1  # per step: below it Adam no longer takes rounding errors for directions
_SELF_SLACK = 2e-3  # metres that capsules of one hand may overlap: skin gives way
_CLOSING_STEPS, _CLOSING_FORCE = 14, 1.0  # steps that close a holding hand's fingers; cost per radian
_ANGLE_COST = 0.3  # per radian^2: keeps the drawn pose where nothing presses


class Meeting(NamedTuple):
    """How two hands are to meet.

    Shapes:
        together: (B,) bool: both hands are there. offset: (B, 3) of the left wrist from the right one, metres.
        escape: (B, 3) unit vector along which the left hand moves away from the right one.
        gap: (B,) metres that should lie between them; NaN where the left hand stays where it is put.
        closing: (B, 2) bool: the hand's fingers close on the other hand.
    """

    together: Tensor
    offset: Tensor
    escape: Tensor
    gap: Tensor
    closing: Tensor


def settle(
    hands: CapsuleHands, meeting: Meeting, angles: Tensor, shape: Tensor, root: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Move the left hand to its gap, then move it and bend the fingers of both until no capsules overlap.

    The way to the gap is conservative advancement: as far as the hands are apart they cannot meet, whatever the
    direction. Every scene moves by itself, whatever else is in the batch.

    Args:
        angles: (B, 2, 16, 3) radians. shape: (B, 2, 10). root: (B, 2, 3, 3) rotations of both hands, in one frame.

    Returns:
        angles, offset, and the deepest overlap (B,) that is left between the hands, metres.
    """
    with torch.no_grad():
        capsules = hands.pose(both_rotations(angles, root), shape)
        offset = _advance(hands, capsules, meeting)
        apart = hands.pair_clearance(capsules.moved(offset)).flatten(1).amin(1)
        tangled = ((apart < 0) | meeting.closing.any(1)) & meeting.together
        tangled = tangled | (hands.self_clearance(capsules).flatten(1).amin(1) < -_SELF_SLACK)
        rows = tangled.nonzero()[:, 0]
        if len(rows):
            chosen = Meeting(*(x[rows] for x in meeting))._replace(offset=offset[rows])
            solved = _descend(hands, chosen, angles[rows], shape[rows], root[rows])
            angles, offset = angles.index_copy(0, rows, solved[0]), offset.index_copy(0, rows, solved[1])
            capsules = hands.pose(both_rotations(angles, root), shape)
            apart = hands.pair_clearance(capsules.moved(offset)).flatten(1).amin(1)
    return angles, offset, torch.where(meeting.together, (-apart).clamp_min(0), 0.0)


def _advance(hands: CapsuleHands, capsules: Capsules, meeting: Meeting) -> Tensor:
    """The offset at which the hands are ``meeting.gap`` apart along the way of escape."""
    offset = meeting.offset
    moves = meeting.together & meeting.gap.isfinite()
    travelled = torch.zeros_like(meeting.gap)
    for _ in range(_ADVANCES):
        apart = hands.pair_clearance(capsules.moved(offset)).flatten(1).amin(1)
        step = torch.where(moves, (apart - meeting.gap).clamp(-0.03, 0.03), 0.0)
        step = torch.minimum(step, _MAX_ADVANCE - travelled)
        travelled = travelled + step
        offset = offset - step[:, None] * meeting.escape
    return offset


def _descend(
    hands: CapsuleHands, meeting: Meeting, angles: Tensor, shape: Tensor, root: Tensor
) -> tuple[Tensor, Tensor]:
    """Adam on the squared overlaps, hand against hand and finger against finger, over angles and offset."""
    # In units of their steps, so that one optimiser serves both.
    bend = torch.zeros_like(angles, requires_grad=True)
    shift = torch.zeros_like(meeting.offset, requires_grad=True)
    optimiser = torch.optim.Adam([bend, shift], lr=1.0, betas=(0.7, 0.9), eps=_GRADIENT_FLOOR)
    movable = torch.tensor([1.0, 1.0, 0.0], device=angles.device)  # no twist
    closing = _CLOSING_FORCE * meeting.closing
    for step in range(_STEPS):
        if step == _CLOSING_STEPS:
            closing = torch.zeros_like(closing)
        with torch.enable_grad():
            now = angles + _ANGLE_STEP * bend * movable
            offset = meeting.offset + _SHIFT_STEP * shift
            capsules = hands.pose(both_rotations(now, root), shape)
            between = (-hands.pair_clearance(capsules.moved(offset))).clamp_min(0)
            within = (-_SELF_SLACK - hands.self_clearance(capsules)).clamp_min(0)
            cost = ((between / _OVERLAP_SCALE) ** 2).sum((1, 2)) * meeting.together
            cost = cost + ((within / _OVERLAP_SCALE) ** 2).sum((1, 2))
            cost = cost + _ANGLE_COST * ((now - angles) ** 2).sum((1, 2, 3))
            cost = cost - (closing * now[:, :, 1:, 0].sum(2)).sum(1)
            bend.grad, shift.grad = torch.autograd.grad(cost.sum(), [bend, shift])
            shift.grad = shift.grad * (closing == 0).all(1, keepdim=True)  # a closing fist does not push itself off
        optimiser.step()
        bend.copy_((clamp_angles(angles + _ANGLE_STEP * bend * movable) - angles) / _ANGLE_STEP)
    return clamp_angles(angles + _ANGLE_STEP * bend * movable), meeting.offset + _SHIFT_STEP * shift
