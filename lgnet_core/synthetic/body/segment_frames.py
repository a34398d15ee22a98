"""Fingers and wrists as tubes: where rings and bands sit, on the rest hand and before the camera.

A tube has a middle and three directions: along it (towards the fingertip, at the wrist towards the elbow), above (out
of the back of the hand), and across. A point's coordinates in them are read off the rest hand, so that what is painted
there moves with the hand; the directions in the camera's frame are read off the posed mesh. Right and left tubes are
mirror images, so that the same coordinates mean the same place on both hands.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.anatomy import INDEX, MIDDLE, PINKY, RING, THUMB, anatomical_frames
from lgnet_core.synthetic.body.forearm import ARM_STATIONS, LOOP_SIZE, ForearmGeometry
from lgnet_core.synthetic.body.surface import Surface
from lgnet_core.types import Side

FINGERS = (THUMB + 1, INDEX, MIDDLE, RING, PINKY)
"""First joint, among MANO's 16, of the segment that a ring is worn on; tubes 0 to 4."""
WRIST_TUBE = 5
TUBES = 6

_MIDDLE, _REACH = 0.72, 0.28  # of the segment: the tube's middle, and how far around it vertices count
_RINGS = (1, 2, 3)  # of the arm: those that a band sits on


class Place(NamedTuple):
    """M fragments near tubes: fragment (M,) among the surface's; hand (M,) image * 2 + side;
    along, above, across (M,) metres from the tube's middle."""

    fragment: Tensor
    hand: Tensor
    along: Tensor
    above: Tensor
    across: Tensor

    def where(self, keep: Tensor) -> Place:
        """Those of the fragments that ``keep`` (M,) bool says."""
        rows = keep.nonzero()[:, 0]
        return Place(*(values.index_select(0, rows) for values in self))


class Tubes(torch.nn.Module):
    """The tubes of both hands.

    Buffers:
        middle (2, 6, 3) metres and frame (2, 6, 3, 3), rows along, above, across: on the rest hands;
        weights (2, 18, V): of the armed mesh's vertices, whose sums point along the three directions.
    """

    middle: Tensor
    frame: Tensor
    weights: Tensor

    def __init__(self, hand_model: HandModel, arms: ForearmGeometry) -> None:
        super().__init__()
        middles, frames, weights = zip(*(_side_tubes(hand_model, arms, side) for side in Side))
        self.register_buffer("middle", torch.stack(middles), persistent=False)
        self.register_buffer("frame", torch.stack(frames), persistent=False)
        self.register_buffer("weights", torch.stack(weights).flatten(1, 2), persistent=False)

    def directions(self, vertices: Tensor) -> Tensor:
        """Unit vectors (B * 2 * 6, 3, 3), rows along, above, across; vertices: (B, 2 V, 3) of the armed mesh."""
        sums = self.weights @ vertices.unflatten(1, (2, -1))  # (B, 2, 18, 3)
        along, above, across = F.normalize(sums, dim=-1).view(-1, 3, 3).unbind(1)
        above = F.normalize(above - (above * along).sum(-1, keepdim=True) * along, dim=-1)
        across = across - (across * along).sum(-1, keepdim=True) * along
        across = F.normalize(across - (across * above).sum(-1, keepdim=True) * above, dim=-1)
        return torch.stack([along, above, across], 1)

    def place(self, surface: Surface, index: Tensor, hand: Tensor, tube: Tensor) -> Place:
        """Coordinates of the fragments ``index`` (M,) of hands (M,) in their tube (M,)."""
        row = hand % 2 * TUBES + tube
        numbers = torch.cat([self.middle, self.frame.flatten(2)], 2).flatten(0, 1).t().contiguous()
        numbers = numbers.index_select(1, row)  # (12, M)
        offset = surface.rest.index_select(1, index) - numbers[:3]
        return Place(index, hand, *(numbers[3:].unflatten(0, (3, 3)) * offset).sum(1))


def fragments_of(hands: Tensor, hand: Tensor, among: Tensor) -> Tensor:
    """(M,) which of the fragments ``among`` (N,) bool belong to chosen ``hands`` (B * 2,) bool; hand: (N,)."""
    return hands.index_select(0, hand).logical_and_(among).nonzero()[:, 0]


def of_hands(looks: tuple[Tensor, ...], hand: Tensor) -> list[Tensor]:
    """Numbers (B, 2, C) of hands to those (C, M) of fragments on hands (M,), image * 2 + side."""
    table = torch.cat([values.float() for values in looks], -1).flatten(0, 1).t().contiguous()
    return list(table.index_select(1, hand).split([values.shape[-1] for values in looks]))


def _side_tubes(hand_model: HandModel, arms: ForearmGeometry, side: Side) -> tuple[Tensor, Tensor, Tensor]:
    """Middles (6, 3), frames (6, 3, 3) and weights (6, 3, V) of one hand."""
    template = hand_model.v_template[side].detach().cpu()
    joints, skinning = hand_model.rest_joints[side].cpu(), hand_model.weights[side].detach().cpu()
    mirror = torch.tensor([1.0 if side is Side.RIGHT else -1.0, 1.0, 1.0])
    middles, frames = torch.zeros(TUBES, 3), torch.zeros(TUBES, 3, 3)
    weights = torch.zeros(TUBES, 3, arms.vertex_count)
    for tube, joint in enumerate(FINGERS):
        bone, flexion, back = anatomical_frames()[joint] * mirror
        frames[tube] = torch.stack([bone, back, flexion])
        local = (template - joints[joint]) @ frames[tube].T
        length = (joints[joint + 1] - joints[joint]).norm()
        own = skinning[:, joint : joint + 2].sum(1) > 0.5
        around = (own & ((local[:, 0] / length - _MIDDLE).abs() < _REACH)).nonzero()[:, 0]
        # The bone runs along the back of the finger: the tube's middle is the middle of the flesh.
        low, high = local[around].aminmax(dim=0)
        middle = (low + high) / 2
        middle[0] = _MIDDLE * length
        middles[tube] = joints[joint] + middle @ frames[tube]
        weights[tube][:, around] = _pointing(template[around], frames[tube])
    axis, back, across = arms.rest_axes[side].T
    middles[WRIST_TUBE] = arms.rest_centre[side]
    frames[WRIST_TUBE] = torch.stack([axis, back, across * mirror[0]])
    first = template.shape[0]
    rings = torch.cat([first + k * LOOP_SIZE + torch.arange(LOOP_SIZE) for k in _RINGS])
    section = arms.rest_loop[side][:, 1:] @ torch.stack([back, across])
    stations = torch.tensor(ARM_STATIONS)[list(_RINGS)]
    points = (stations[:, None, None] * axis + section).flatten(0, 1) + arms.rest_centre[side]
    weights[WRIST_TUBE][:, rings] = _pointing(points, frames[WRIST_TUBE])
    return middles, frames, weights


def _pointing(points: Tensor, frame: Tensor) -> Tensor:
    """Weights (3, N) with which the points (N, 3), moved rigidly, sum to the moved directions of the frame.

    The least-squares map from points to a frame: it undoes how unevenly the points are spread.
    """
    return frame @ torch.linalg.pinv(points - points.mean(0))
