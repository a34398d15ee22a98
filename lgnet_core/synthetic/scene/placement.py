r"""How the left hand stands to the right one, one function for each way in which two hands meet.

All directions are in the right hand's own axes (x towards the fingers, z out of the palm, y = z x x; the thumb of a
right hand lies towards -y, that of a left hand towards +y), except those of :func:`beside`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import roma
import torch
from torch import Tensor
from torch.nn.functional import normalize

from lgnet_core.synthetic.random import Draws

_DEGREES = math.pi / 180
_OPPOSITE = (1.0, -1.0, -1.0)  # diagonal of the turn that lays the left palm against the right one, fingers alike
_START = 0.045  # metres between the points that are to meet, before the hands are brought together
_FINGERS, _LAST = [6, 10, 14, 18], [7, 11, 15, 19]  # middle and last joints, index to pinky


class Approach(NamedTuple):
    """Where the left hand starts and which way it comes.

    Shapes:
        frame: (B, 3, 3) the left hand's axes. offset: (B, 3) of the left wrist from the right one, metres.
        escape: (B, 3) unit vector away from the right hand. gap: (B,) metres to be left between the hands; NaN where
        the left hand stays where it is put.
    """

    frame: Tensor
    offset: Tensor
    escape: Tensor
    gap: Tensor

    def select(self, others: list[Approach], choice: Tensor) -> Approach:
        """Row by row this one (choice 0) or one of the others (1, 2, ...)."""
        rows = torch.arange(len(choice), device=choice.device)
        return Approach(*(torch.stack(parts, 1)[rows, choice] for parts in zip(self, *others, strict=True)))


def palm_to_palm(draws: Draws, points: Tensor) -> Approach:
    """Palms face each other, fingers alike (as in prayer or applause), at right angles, or anyhow.

    Args:
        points: (B, 2, 22, 3) of :class:`~lgnet_core.synthetic.scene.capsules.Capsules`, each hand in its own axes.
    """
    mode = draws.choice("palms/mode", [0.55, 0.1, 0.1, 0.25])
    mean = torch.tensor([0.0, 90.0, -90.0, 0.0], device=draws.device)[mode]
    std = torch.tensor([18.0, 15.0, 15.0, 50.0], device=draws.device)[mode]
    yaw = (mean + std * draws.normal("palms/yaw")) * _DEGREES
    frame = _jitter(draws) @ _about(2, yaw) @ _diagonal(draws)
    palm = 0.6 * points[:, :, 9]
    outwards = _axis(draws, 2)
    return _placed(frame, palm[:, 0] + _slide(draws, 0.018), palm[:, 1], outwards, _START, _gap(draws))


def crossed(draws: Draws, points: Tensor) -> Approach:
    """Hands, wrists or forearms across each other: one above the palm or the back of the other."""
    along = draws.uniform("crossed/along", 2, 1, low=-0.4, high=1.4)
    meet = along * points[:, :, 9]
    swing = draws.uniform("crossed/swing", low=45, high=135) * _DEGREES
    swing = torch.where(draws.bernoulli("crossed/sense", 0.5), swing, -swing)
    alike = draws.bernoulli("crossed/alike", 0.6)[:, None, None]
    stacked = torch.where(alike, torch.eye(3, device=draws.device), _diagonal(draws))
    above = torch.where(draws.bernoulli("crossed/above", 0.5), 1.0, -1.0)[:, None] * _axis(draws, 2)
    frame = _jitter(draws) @ _about(2, swing) @ stacked
    return _placed(frame, meet[:, 0] + _slide(draws, 0.012), meet[:, 1], above, _START, _gap(draws))


def interlaced(draws: Draws, points: Tensor) -> Approach:
    """Fingers between the other hand's fingers: the rows of fingers cross, half a finger apart."""
    meet = 0.65 * points[:, :, _FINGERS].mean(2) + 0.35 * points[:, :, _LAST].mean(2)
    pitch = (points[:, 0, 18] - points[:, 0, 6]).norm(dim=-1) / 3  # from finger to finger
    shift = torch.where(draws.bernoulli("interlaced/shift", 0.5), 0.5, -0.5) * pitch
    aside = shift[:, None] * _axis(draws, 1) + draws.normal("interlaced/slide", 3, std=0.004)
    angle = draws.uniform("interlaced/angle", low=35, high=100) * _DEGREES
    frame = roma.rotvec_to_rotmat(draws.normal("interlaced/jitter", 3, std=6 * _DEGREES))
    frame = frame @ _about(1, angle) @ _diagonal(draws)
    stays = torch.full((len(draws),), torch.nan, device=draws.device)
    return _placed(frame, meet[:, 0] + aside, meet[:, 1], _axis(draws, 2), 0.0, stays)


def holding(draws: Draws, points: Tensor, left_holds: Tensor) -> Approach:
    """One hand's palm on the fingers, knuckles, wrist or a finger of the other, its fingers across them.

    Args:
        left_holds: (B,) bool: which of the two is the one that holds.
    """
    place = draws.choice("holding/place", [0.3, 0.25, 0.25, 0.2])
    knuckle = points[:, :, 9]
    targets = torch.stack([points[:, :, _FINGERS].mean(2), knuckle, -0.2 * knuckle, points[:, :, 6]], 2)
    target = targets[torch.arange(len(draws), device=draws.device), :, place]
    grasp = knuckle + 0.01 * _axis(draws, 0)[:, None]
    # In the held hand's axes: outwards from its long axis to the holder, whose breadth lies along that axis.
    outwards = _about(0, draws.uniform("holding/around", high=2 * math.pi))[:, :, 2]
    sense = torch.where(draws.bernoulli("holding/sense", 0.5), 1.0, -1.0)[:, None]
    breadth = sense * _axis(draws, 0)
    frame = torch.stack([torch.linalg.cross(breadth, -outwards), breadth, -outwards], -1)
    frame = _jitter(draws) @ frame
    gap = 0.1 * _gap(draws)
    by_left = _placed(frame, target[:, 0], grasp[:, 1], outwards, _START, gap)
    of_left = _placed(frame, target[:, 1], grasp[:, 0], outwards, _START, gap)
    # The right hand holds: the same, seen from the holder.
    back = frame.transpose(-1, -2)
    by_right = Approach(back, -_apply(back, of_left.offset), -_apply(back, of_left.escape), gap)
    return by_right.select([by_left], left_holds.long())


def beside(draws: Draws, separate: Tensor) -> Approach:
    """Hands that have nothing to do with each other, next to each other in the person's frame.

    Args:
        separate: (B,) bool: 15 to 60 cm between the knuckles; otherwise the hands come as near as 0 to 30 cm.

    Returns:
        an approach whose offset is that of the middle knuckles, not of the wrists.
    """
    aside = draws.normal("beside", 3) * torch.tensor([1.0, 0.7, 0.7], device=draws.device)
    mine = torch.where(draws.bernoulli("beside/crossed", 0.15), 1.0, -1.0)  # the left hand is on the left, mostly
    aside = torch.cat([mine[:, None] * aside[:, :1].abs(), aside[:, 1:]], 1)
    wide = aside * torch.tensor([2.0, 1.0, 0.6], device=draws.device)
    way = normalize(torch.where(separate[:, None], wide, aside), dim=-1)
    far = draws.uniform("beside/far", low=0.15, high=0.6)
    near = 0.3 * draws.uniform("beside/near") ** 2
    frame = torch.eye(3, device=draws.device).expand(len(draws), 3, 3)
    distance = torch.where(separate, far, near + 0.1)[:, None]
    return Approach(frame, way * distance, way, torch.where(separate, torch.nan, near))


def _placed(frame: Tensor, of_right: Tensor, of_left: Tensor, way: Tensor, distance: float, gap: Tensor) -> Approach:
    """The left hand's point ``of_left`` (in its axes) ``distance`` along ``way`` from the right hand's ``of_right``."""
    return Approach(frame, of_right + distance * way - _apply(frame, of_left), way, gap)


def _gap(draws: Draws) -> Tensor:
    """Metres between the hands: half of the scenes touch, the others are up to 12 cm apart."""
    mode = draws.choice("gap/mode", [0.5, 0.3, 0.2])
    near = -0.012 * torch.log1p(-draws.uniform("gap/near"))
    far = draws.uniform("gap/far", high=0.12)
    return torch.stack([torch.zeros_like(near), near, far], 1).gather(1, mode[:, None])[:, 0]


def _jitter(draws: Draws) -> Tensor:
    return roma.rotvec_to_rotmat(draws.normal("jitter", 3, std=12 * _DEGREES))


def _slide(draws: Draws, std: float) -> Tensor:
    """A shift (B, 3) in the palm's plane, metres."""
    return draws.normal("slide", 3, std=std) * torch.tensor([1.0, 0.7, 0.0], device=draws.device)


def _axis(draws: Draws, axis: int) -> Tensor:
    return torch.eye(3, device=draws.device)[axis].expand(len(draws), 3)


def _diagonal(draws: Draws) -> Tensor:
    return torch.diag(torch.tensor(_OPPOSITE, device=draws.device))


def _about(axis: int, angle: Tensor) -> Tensor:
    """Rotations (B, 3, 3) by ``angle`` (B,) about a coordinate axis."""
    return roma.rotvec_to_rotmat(angle[:, None] * torch.eye(3, device=angle.device)[axis])


def _apply(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation @ vector[..., None])[..., 0]
