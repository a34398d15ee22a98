"""Taking overlapping hands apart: a fixed number of steps on the capsules, the same for every scene."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.data.synthetic.capsules import CapsuleHands
from lgnet_core.data.synthetic.poses import both_rotations, clamp_angles

_STEPS = 20
_ANGLE_STEP, _SHIFT_STEP = 0.03, 1.5e-3  # radians, metres per descent step
_OVERLAP_SCALE = 2e-3  # metres at which an overlap costs 1
_SELF_SLACK = 2e-3  # metres that capsules of one hand may overlap: skin gives way
_ANGLE_COST = 0.3  # per radian^2: keeps the drawn pose where nothing presses


def take_apart(
    capsules: CapsuleHands,
    together: Tensor,
    slip: Tensor,
    angles: Tensor,
    shape: Tensor,
    root: Tensor,
    offset: Tensor,
    escape: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Move the left hand and bend the fingers of both until no capsules overlap.

    First the left hand leaves along ``escape`` as far as it lies deep (fingers between fingers stay there), then
    Adam descends on the squared overlaps, hand against hand and finger against finger. Every scene moves by itself,
    whatever else is in the batch.

    Args:
        together: (B,) bool: both hands are there.
        slip: (B,) bool: the left hand may leave along ``escape``.
        angles: (B, 2, 16, 3) radians. shape: (B, 2, 10). root: (B, 2, 3, 3) of each hand, in any common frame.
        offset: (B, 3) of the left wrist from the right one. escape: (B, 3) unit vector, same frame.

    Returns:
        angles, offset, and the deepest overlap (B,) that is left between the hands, metres.
    """
    with torch.no_grad():
        points = capsules.points(both_rotations(angles, root), shape)
        slip = slip & together
        for _ in range(4):
            clearance = capsules.pair_clearance(_moved(points, offset)).flatten(1).amin(1)
            depth = torch.where(slip, (-clearance - 0.004).clamp_min(0), 0.0)
            offset = offset + 0.6 * depth[:, None] * escape
        tangled = (capsules.pair_clearance(_moved(points, offset)).flatten(1).amin(1) < 0) & together
        tangled = tangled | (capsules.self_clearance(points).flatten(1).amin(1) < -_SELF_SLACK)
    rows = tangled.nonzero()[:, 0]
    if len(rows):
        solved = _descend(capsules, together[rows], angles[rows], shape[rows], root[rows], offset[rows])
        angles, offset = angles.index_copy(0, rows, solved[0]), offset.index_copy(0, rows, solved[1])
    points = capsules.points(both_rotations(angles, root), shape)
    overlap = -capsules.pair_clearance(_moved(points, offset)).flatten(1).amin(1)
    return angles, offset, torch.where(together, overlap.clamp_min(0), 0.0)


def _moved(points: Tensor, offset: Tensor) -> Tensor:
    """Points (B, 2, N, 3) with the left hand's moved by ``offset`` (B, 3)."""
    return torch.stack([points[:, 0], points[:, 1] + offset[:, None]], 1)


def _descend(
    capsules: CapsuleHands, together: Tensor, angles: Tensor, shape: Tensor, root: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor]:
    start = angles
    # Angles in units of their step, the shift in units of its step: one optimiser serves both.
    bend = torch.zeros_like(angles, requires_grad=True)
    shift = torch.zeros_like(offset, requires_grad=True)
    optimiser = torch.optim.Adam([bend, shift], lr=1.0, betas=(0.7, 0.9))
    movable = torch.tensor([1.0, 1.0, 0.0], device=angles.device)  # no twist
    for _ in range(_STEPS):
        with torch.enable_grad():
            now = start + _ANGLE_STEP * bend * movable
            points = capsules.points(both_rotations(now, root), shape)
            between = (0.5e-3 - capsules.pair_clearance(_moved(points, offset + _SHIFT_STEP * shift))).clamp_min(0)
            within = (-_SELF_SLACK - capsules.self_clearance(points)).clamp_min(0)
            cost = ((between / _OVERLAP_SCALE) ** 2).sum((1, 2)) * together
            cost = cost + ((within / _OVERLAP_SCALE) ** 2).sum((1, 2))
            cost = cost + _ANGLE_COST * ((now - start) ** 2).sum((1, 2, 3))
            bend.grad, shift.grad = torch.autograd.grad(cost.sum(), [bend, shift])
        optimiser.step()
        with torch.no_grad():
            bend.copy_((clamp_angles(start + _ANGLE_STEP * bend * movable) - start) / _ANGLE_STEP)
    with torch.no_grad():
        return clamp_angles(start + _ANGLE_STEP * bend * movable), offset + _SHIFT_STEP * shift
