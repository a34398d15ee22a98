"""Contact resolution: moving hands into contact and resolving penetrations, with a fixed number of iterations."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.synthetic.scene.capsules import CapsuleHandModel, Capsules
from lgnet_core.synthetic.scene.poses import clamp_angles, joint_rotations

_ADVANCEMENT_STEPS = 12
_MAX_ADVANCEMENT = 0.12  # metres that a hand may travel until contact
_DESCENT_STEPS = 20
_ANGLE_STEP, _TRANSLATION_STEP = 0.03, 1.5e-3  # step sizes of the descent, radians and metres
_PENETRATION_SCALE = 2e-3  # metres of penetration with cost 1
_ADAM_EPSILON = 0.1  # large, so that gradients at rounding level do not cause steps
_SELF_PENETRATION_TOLERANCE = 2e-3  # metres of penetration allowed within a hand: skin is soft
_CLOSING_STEPS, _CLOSING_FORCE = 14, 1.0  # descent steps that close grasping fingers; cost per radian
_ANGLE_COST = 0.3  # per radian^2: keeps the sampled pose unless contact changes it


class ContactGoal(NamedTuple):
    """Desired contact between two hands.

    Shapes:
        both_present: (B,) bool: the scene has both hands.
        offset: (B, 3) initial position of the left wrist relative to the right one, metres.
        separation_direction: (B, 3) unit vector along which the left hand moves away from the right one.
        gap: (B,) desired gap, metres; NaN keeps the initial offset.
        closing: (B, 2) bool: the fingers of the hand close on the other hand.
    """

    both_present: Tensor
    offset: Tensor
    separation_direction: Tensor
    gap: Tensor
    closing: Tensor


def resolve_contact(
    hands: CapsuleHandModel, goal: ContactGoal, angles: Tensor, shape: Tensor, root: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Move the left hand to the desired gap, then resolve penetrations by moving it and bending the fingers.

    The gap is reached by conservative advancement: hands cannot collide within a step of the length of their clearance.
    Scenes are independent of the rest of the batch.

    Args:
        angles: (B, 2, 16, 3) joint angles, radians. shape: (B, 2, 10). root: (B, 2, 3, 3) root rotations, common frame.

    Returns:
        joint angles, offset, and the maximum remaining penetration (B,) between the hands, metres.
    """
    with torch.no_grad():
        capsules = hands.pose(joint_rotations(angles, root), shape)
        offset = _advance_to_gap(hands, capsules, goal)
        clearance = hands.pair_clearance(capsules.translate_left(offset)).flatten(1).amin(1)
        colliding = ((clearance < 0) | goal.closing.any(1)) & goal.both_present
        colliding = colliding | (hands.self_clearance(capsules).flatten(1).amin(1) < -_SELF_PENETRATION_TOLERANCE)
        rows = colliding.nonzero()[:, 0]
        if len(rows):
            selected = ContactGoal(*(x[rows] for x in goal))._replace(offset=offset[rows])
            solved = _resolve_penetration(hands, selected, angles[rows], shape[rows], root[rows])
            angles, offset = angles.index_copy(0, rows, solved[0]), offset.index_copy(0, rows, solved[1])
            capsules = hands.pose(joint_rotations(angles, root), shape)
            clearance = hands.pair_clearance(capsules.translate_left(offset)).flatten(1).amin(1)
    return angles, offset, torch.where(goal.both_present, (-clearance).clamp_min(0), 0.0)


def _advance_to_gap(hands: CapsuleHandModel, capsules: Capsules, goal: ContactGoal) -> Tensor:
    """Offset (B, 3) at which the hands are ``goal.gap`` apart, along the separation direction."""
    offset = goal.offset
    movable = goal.both_present & goal.gap.isfinite()
    travelled = torch.zeros_like(goal.gap)
    for _ in range(_ADVANCEMENT_STEPS):
        clearance = hands.pair_clearance(capsules.translate_left(offset)).flatten(1).amin(1)
        step = torch.where(movable, (clearance - goal.gap).clamp(-0.03, 0.03), 0.0)
        step = torch.minimum(step, _MAX_ADVANCEMENT - travelled)
        travelled = travelled + step
        offset = offset - step[:, None] * goal.separation_direction
    return offset


def _resolve_penetration(
    hands: CapsuleHandModel, goal: ContactGoal, angles: Tensor, shape: Tensor, root: Tensor
) -> tuple[Tensor, Tensor]:
    """Minimize squared penetrations between and within hands over angles and offset, with Adam."""
    # Variables are in units of their step sizes, so that one optimizer handles both.
    bend = torch.zeros_like(angles, requires_grad=True)
    shift = torch.zeros_like(goal.offset, requires_grad=True)
    optimizer = torch.optim.Adam([bend, shift], lr=1.0, betas=(0.7, 0.9), eps=_ADAM_EPSILON)
    degrees_of_freedom = torch.tensor([1.0, 1.0, 0.0], device=angles.device)  # no twist
    closing = _CLOSING_FORCE * goal.closing
    for step in range(_DESCENT_STEPS):
        if step == _CLOSING_STEPS:
            closing = torch.zeros_like(closing)
        with torch.enable_grad():
            bent = angles + _ANGLE_STEP * bend * degrees_of_freedom
            offset = goal.offset + _TRANSLATION_STEP * shift
            capsules = hands.pose(joint_rotations(bent, root), shape)
            between = (-hands.pair_clearance(capsules.translate_left(offset))).clamp_min(0)
            within = (-_SELF_PENETRATION_TOLERANCE - hands.self_clearance(capsules)).clamp_min(0)
            cost = ((between / _PENETRATION_SCALE) ** 2).sum((1, 2)) * goal.both_present
            cost = cost + ((within / _PENETRATION_SCALE) ** 2).sum((1, 2))
            cost = cost + _ANGLE_COST * ((bent - angles) ** 2).sum((1, 2, 3))
            cost = cost - (closing * bent[:, :, 1:, 0].sum(2)).sum(1)
            bend.grad, shift.grad = torch.autograd.grad(cost.sum(), [bend, shift])
            shift.grad = shift.grad * (closing == 0).all(1, keepdim=True)  # closing fingers must not push the hand away
        optimizer.step()
        bend.copy_((clamp_angles(angles + _ANGLE_STEP * bend * degrees_of_freedom) - angles) / _ANGLE_STEP)
    return clamp_angles(angles + _ANGLE_STEP * bend * degrees_of_freedom), goal.offset + _TRANSLATION_STEP * shift
