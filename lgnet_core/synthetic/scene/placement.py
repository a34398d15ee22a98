"""Placement of the left hand relative to the right one, one function per kind of interaction.

Directions are in the axes of the right hand (x towards the fingers, z out of the palm, y = z x x; the thumb of a right
hand points to -y, that of a left hand to +y), except in :func:`beside`, which uses the person frame.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import roma
import torch
from torch import Tensor
from torch.nn.functional import normalize

from lgnet_core.synthetic.rng import CounterRng

_DEGREES = math.pi / 180
_PALMS_FACING = (1.0, -1.0, -1.0)  # diagonal of the rotation to facing palms with parallel fingers
_INITIAL_DISTANCE = 0.045  # metres between the contact points before the hands are moved into contact
_PIP_JOINTS, _DIP_JOINTS = [6, 10, 14, 18], [7, 11, 15, 19]  # OpenPose order, index to pinky


class RelativePlacement(NamedTuple):
    """Initial placement of the left hand relative to the right one.

    Shapes:
        frame: (B, 3, 3) axes of the left hand. offset: (B, 3) from the right to the left wrist, metres.
        separation_direction: (B, 3) unit vector away from the right hand.
        gap: (B,) desired gap between the hands, metres; NaN keeps the initial placement.
    """

    frame: Tensor
    offset: Tensor
    separation_direction: Tensor
    gap: Tensor

    def select(self, others: list[RelativePlacement], choice: Tensor) -> RelativePlacement:
        """Select for each row this placement (choice 0) or one of the others (1, 2, ...)."""
        rows = torch.arange(len(choice), device=choice.device)
        return RelativePlacement(*(torch.stack(parts, 1)[rows, choice] for parts in zip(self, *others, strict=True)))


def palm_to_palm(rng: CounterRng, points: Tensor) -> RelativePlacement:
    """Facing palms with fingers parallel (prayer, clapping), perpendicular, or in any direction.

    Args:
        points: (B, 2, 22, 3) of :class:`~lgnet_core.synthetic.scene.capsules.Capsules`, in the axes of each hand.
    """
    mode = rng.choice("palms/mode", [0.55, 0.1, 0.1, 0.25])
    mean = torch.tensor([0.0, 90.0, -90.0, 0.0], device=rng.device)[mode]
    std = torch.tensor([18.0, 15.0, 15.0, 50.0], device=rng.device)[mode]
    yaw = (mean + std * rng.normal("palms/yaw")) * _DEGREES
    frame = _jitter(rng) @ _about(2, yaw) @ _facing_rotation(rng)
    palm = 0.6 * points[:, :, 9]
    outwards = _axis(rng, 2)
    return _align_points(frame, palm[:, 0] + _slide(rng, 0.018), palm[:, 1], outwards, _INITIAL_DISTANCE, _gap(rng))


def crossed(rng: CounterRng, points: Tensor) -> RelativePlacement:
    """Crossed hands, wrists or forearms, one above the palm or the back of the other."""
    along = rng.uniform("crossed/along", 2, 1, low=-0.4, high=1.4)
    contact = along * points[:, :, 9]
    yaw = rng.uniform("crossed/swing", low=45, high=135) * _DEGREES
    yaw = torch.where(rng.bernoulli("crossed/sense", 0.5), yaw, -yaw)
    same_facing = rng.bernoulli("crossed/alike", 0.6)[:, None, None]
    facing = torch.where(same_facing, torch.eye(3, device=rng.device), _facing_rotation(rng))
    above = torch.where(rng.bernoulli("crossed/above", 0.5), 1.0, -1.0)[:, None] * _axis(rng, 2)
    frame = _jitter(rng) @ _about(2, yaw) @ facing
    return _align_points(frame, contact[:, 0] + _slide(rng, 0.012), contact[:, 1], above, _INITIAL_DISTANCE, _gap(rng))


def interlaced(rng: CounterRng, points: Tensor) -> RelativePlacement:
    """Interlaced fingers: crossed rows of fingers, shifted by half of the finger spacing."""
    contact = 0.65 * points[:, :, _PIP_JOINTS].mean(2) + 0.35 * points[:, :, _DIP_JOINTS].mean(2)
    spacing = (points[:, 0, 18] - points[:, 0, 6]).norm(dim=-1) / 3  # between neighbouring fingers
    shift = torch.where(rng.bernoulli("interlaced/shift", 0.5), 0.5, -0.5) * spacing
    aside = shift[:, None] * _axis(rng, 1) + rng.normal("interlaced/slide", 3, std=0.004)
    angle = rng.uniform("interlaced/angle", low=35, high=100) * _DEGREES
    frame = roma.rotvec_to_rotmat(rng.normal("interlaced/jitter", 3, std=6 * _DEGREES))
    frame = frame @ _about(1, angle) @ _facing_rotation(rng)
    no_gap = torch.full((len(rng),), torch.nan, device=rng.device)
    return _align_points(frame, contact[:, 0] + aside, contact[:, 1], _axis(rng, 2), 0.0, no_gap)


def holding(rng: CounterRng, points: Tensor, left_holds: Tensor) -> RelativePlacement:
    """One hand grasps the fingers, knuckles, wrist or a single finger of the other, its palm on them.

    Args:
        left_holds: (B,) bool: the left hand is the grasping one.
    """
    location = rng.choice("holding/place", [0.3, 0.25, 0.25, 0.2])
    knuckle = points[:, :, 9]
    targets = torch.stack([points[:, :, _PIP_JOINTS].mean(2), knuckle, -0.2 * knuckle, points[:, :, 6]], 2)
    target = targets[torch.arange(len(rng), device=rng.device), :, location]
    grasp = knuckle + 0.01 * _axis(rng, 0)[:, None]
    # In the axes of the held hand: outwards from its long axis to the grasping hand, whose breadth is along that axis.
    outwards = _about(0, rng.uniform("holding/around", high=2 * math.pi))[:, :, 2]
    sense = torch.where(rng.bernoulli("holding/sense", 0.5), 1.0, -1.0)[:, None]
    breadth = sense * _axis(rng, 0)
    frame = torch.stack([torch.linalg.cross(breadth, -outwards), breadth, -outwards], -1)
    frame = _jitter(rng) @ frame
    gap = 0.1 * _gap(rng)
    by_left = _align_points(frame, target[:, 0], grasp[:, 1], outwards, _INITIAL_DISTANCE, gap)
    of_left = _align_points(frame, target[:, 1], grasp[:, 0], outwards, _INITIAL_DISTANCE, gap)
    # The right hand grasps: the same placement in the axes of the grasping hand.
    inverse = frame.transpose(-1, -2)
    by_right = RelativePlacement(
        inverse, -_apply(inverse, of_left.offset), -_apply(inverse, of_left.separation_direction), gap
    )
    return by_right.select([by_left], left_holds.long())


def beside(rng: CounterRng, separate: Tensor) -> RelativePlacement:
    """Independent hands next to each other, in the person frame.

    Args:
        separate: (B,) bool: knuckles 15 to 60 cm apart; otherwise the gap between the hands is 0 to 30 cm.

    Returns:
        A placement whose offset is that of the middle knuckles, not of the wrists.
    """
    aside = rng.normal("beside", 3) * torch.tensor([1.0, 0.7, 0.7], device=rng.device)
    side = torch.where(rng.bernoulli("beside/crossed", 0.15), 1.0, -1.0)  # the left hand is usually on the left
    aside = torch.cat([side[:, None] * aside[:, :1].abs(), aside[:, 1:]], 1)
    wide = aside * torch.tensor([2.0, 1.0, 0.6], device=rng.device)
    direction = normalize(torch.where(separate[:, None], wide, aside), dim=-1)
    far = rng.uniform("beside/far", low=0.15, high=0.6)
    near = 0.3 * rng.uniform("beside/near") ** 2
    frame = torch.eye(3, device=rng.device).expand(len(rng), 3, 3)
    distance = torch.where(separate, far, near + 0.1)[:, None]
    return RelativePlacement(frame, direction * distance, direction, torch.where(separate, torch.nan, near))


def _align_points(
    frame: Tensor, of_right: Tensor, of_left: Tensor, direction: Tensor, distance: float, gap: Tensor
) -> RelativePlacement:
    """Place point ``of_left`` of the left hand at ``distance`` along ``direction`` from ``of_right`` of the right hand.

    Both points are in the axes of their hand.
    """
    return RelativePlacement(frame, of_right + distance * direction - _apply(frame, of_left), direction, gap)


def _gap(rng: CounterRng) -> Tensor:
    """Desired gaps (B,), metres: half of the hands touch, the others are up to 12 cm apart."""
    mode = rng.choice("gap/mode", [0.5, 0.3, 0.2])
    near = -0.012 * torch.log1p(-rng.uniform("gap/near"))
    far = rng.uniform("gap/far", high=0.12)
    return torch.stack([torch.zeros_like(near), near, far], 1).gather(1, mode[:, None])[:, 0]


def _jitter(rng: CounterRng) -> Tensor:
    """Small random rotations (B, 3, 3)."""
    return roma.rotvec_to_rotmat(rng.normal("jitter", 3, std=12 * _DEGREES))


def _slide(rng: CounterRng, std: float) -> Tensor:
    """Random translations (B, 3) in the plane of the palm, metres."""
    return rng.normal("slide", 3, std=std) * torch.tensor([1.0, 0.7, 0.0], device=rng.device)


def _axis(rng: CounterRng, axis: int) -> Tensor:
    return torch.eye(3, device=rng.device)[axis].expand(len(rng), 3)


def _facing_rotation(rng: CounterRng) -> Tensor:
    return torch.diag(torch.tensor(_PALMS_FACING, device=rng.device))


def _about(axis: int, angle: Tensor) -> Tensor:
    """Rotations (B, 3, 3) by ``angle`` (B,) about a coordinate axis."""
    return roma.rotvec_to_rotmat(angle[:, None] * torch.eye(3, device=angle.device)[axis])


def _apply(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation @ vector[..., None])[..., 0]
