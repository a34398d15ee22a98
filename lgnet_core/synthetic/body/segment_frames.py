"""Local coordinate frames of finger segments and wrists, in which rings, wristbands and gloves are defined.

The axes of a frame point along the segment (towards the fingertip, at the wrist towards the elbow), above (out of the
back of the hand) and across. Coordinates of a point are computed on the rest hand, so that accessories move with the
hand; the axes in the camera frame are estimated from the posed mesh. Left frames mirror the right ones, so that equal
coordinates are corresponding points of both hands.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.hand_model import HandLayer
from lgnet_core.hand_model.anatomy import INDEX, MIDDLE, PINKY, RING, THUMB, anatomical_frames
from lgnet_core.synthetic.body.forearm import ARM_STATIONS, LOOP_SIZE, ForearmGeometry
from lgnet_core.synthetic.body.surface import Surface
from lgnet_core.types import Side

RING_JOINTS = (THUMB + 1, INDEX, MIDDLE, RING, PINKY)
"""Proximal joint (MANO order) of the finger segments that rings are worn on; segments 0 to 4."""
WRIST_SEGMENT = 5
SEGMENT_COUNT = 6

_ORIGIN = 0.72  # origin along a finger segment, fraction of its length
_EXTENT = 0.28  # vertices within this fraction of the length from the origin define the axes
_WRIST_STATIONS = (1, 2, 3)  # arm stations that define the axes at the wrist


class SegmentCoordinates(NamedTuple):
    """Coordinates of M fragments in segment frames.

    Shapes:
        fragment: (M,) index into the fragments of the surface; hand: (M,) image * 2 + side; along, above, across: (M,)
        metres from the origin of the frame.
    """

    fragment: Tensor
    hand: Tensor
    along: Tensor
    above: Tensor
    across: Tensor

    def select(self, mask: Tensor) -> SegmentCoordinates:
        """Fragments for which ``mask`` (M,) is true."""
        rows = mask.nonzero()[:, 0]
        return SegmentCoordinates(*(values.index_select(0, rows) for values in self))


class SegmentFrames(torch.nn.Module):
    """Segment frames of both hands.

    Buffers:
        middle (2, 6, 3) metres, frame (2, 6, 3, 3): origins and axes (rows along, above, across) on the rest hands;
        weights (2, 18, V): of the vertices of the hand-arm mesh, whose weighted sums point along the axes.
    """

    middle: Tensor
    frame: Tensor
    weights: Tensor

    def __init__(self, hand_model: HandLayer, arms: ForearmGeometry) -> None:
        super().__init__()
        origins, frames, weights = zip(*(_segment_frames(hand_model, arms, side) for side in Side))
        self.register_buffer("middle", torch.stack(origins), persistent=False)
        self.register_buffer("frame", torch.stack(frames), persistent=False)
        self.register_buffer("weights", torch.stack(weights).flatten(1, 2), persistent=False)

    def axes(self, vertices: Tensor) -> Tensor:
        """Orthonormal axes (B * 2 * 6, 3, 3) of the posed segments as rows: along, above, across.

        Shapes:
            vertices: (B, 2 V, 3) of the hand-arm mesh.
        """
        sums = self.weights @ vertices.unflatten(1, (2, -1))  # (B, 2, 18, 3)
        along, above, across = F.normalize(sums, dim=-1).view(-1, 3, 3).unbind(1)
        above = F.normalize(above - (above * along).sum(-1, keepdim=True) * along, dim=-1)
        across = across - (across * along).sum(-1, keepdim=True) * along
        across = F.normalize(across - (across * above).sum(-1, keepdim=True) * above, dim=-1)
        return torch.stack([along, above, across], 1)

    def coordinates(self, surface: Surface, index: Tensor, hand: Tensor, segment: Tensor) -> SegmentCoordinates:
        """Coordinates of the fragments ``index`` (M,) of ``hand`` (M,) in the frames of ``segment`` (M,)."""
        row = hand % 2 * SEGMENT_COUNT + segment
        table = torch.cat([self.middle, self.frame.flatten(2)], 2).flatten(0, 1).t().contiguous()
        table = table.index_select(1, row)  # (12, M)
        offset = surface.rest.index_select(1, index) - table[:3]
        return SegmentCoordinates(index, hand, *(table[3:].unflatten(0, (3, 3)) * offset).sum(1))


def select_fragments(hands: Tensor, hand: Tensor, mask: Tensor) -> Tensor:
    """Indices (M,) of the fragments in ``mask`` (N,) whose ``hand`` (N,) is selected by ``hands`` (B * 2,) bool."""
    return hands.index_select(0, hand).logical_and_(mask).nonzero()[:, 0]


def gather_per_hand(parameters: tuple[Tensor, ...], hand: Tensor) -> list[Tensor]:
    """Gather parameters (B, 2, C) of the hands at the fragments of ``hand`` (M,), image * 2 + side, as (C, M)."""
    table = torch.cat([values.float() for values in parameters], -1).flatten(0, 1).t().contiguous()
    return list(table.index_select(1, hand).split([values.shape[-1] for values in parameters]))


def _segment_frames(hand_model: HandLayer, arms: ForearmGeometry, side: Side) -> tuple[Tensor, Tensor, Tensor]:
    """Origins (6, 3), frames (6, 3, 3) and vertex weights (6, 3, V) of one hand."""
    template = hand_model.v_template[side].detach().cpu()
    joints, skinning = hand_model.rest_joints[side].cpu(), hand_model.weights[side].detach().cpu()
    mirror = torch.tensor([1.0 if side is Side.RIGHT else -1.0, 1.0, 1.0])
    origins, frames = torch.zeros(SEGMENT_COUNT, 3), torch.zeros(SEGMENT_COUNT, 3, 3)
    weights = torch.zeros(SEGMENT_COUNT, 3, arms.vertex_count)
    for segment, joint in enumerate(RING_JOINTS):
        bone, flexion, back = torch.from_numpy(anatomical_frames()[joint]) * mirror
        frames[segment] = torch.stack([bone, back, flexion])
        local = (template - joints[joint]) @ frames[segment].T
        length = (joints[joint + 1] - joints[joint]).norm()
        on_segment = skinning[:, joint : joint + 2].sum(1) > 0.5
        around = (on_segment & ((local[:, 0] / length - _ORIGIN).abs() < _EXTENT)).nonzero()[:, 0]
        # Bones run along the back of the finger: use the centre of the surrounding vertices as the origin.
        low, high = local[around].aminmax(dim=0)
        origin = (low + high) / 2
        origin[0] = _ORIGIN * length
        origins[segment] = joints[joint] + origin @ frames[segment]
        weights[segment][:, around] = _axis_weights(template[around], frames[segment])
    axis, back, across = arms.rest_axes[side].T
    origins[WRIST_SEGMENT] = arms.rest_centre[side]
    frames[WRIST_SEGMENT] = torch.stack([axis, back, across * mirror[0]])
    first = template.shape[0]
    rings = torch.cat([first + k * LOOP_SIZE + torch.arange(LOOP_SIZE) for k in _WRIST_STATIONS])
    section = arms.rest_loop[side][:, 1:] @ torch.stack([back, across])
    stations = torch.tensor(ARM_STATIONS)[list(_WRIST_STATIONS)]
    points = (stations[:, None, None] * axis + section).flatten(0, 1) + arms.rest_centre[side]
    weights[WRIST_SEGMENT][:, rings] = _axis_weights(points, frames[WRIST_SEGMENT])
    return origins, frames, weights


def _axis_weights(points: Tensor, frame: Tensor) -> Tensor:
    """Weights (3, N) whose sums over rigidly moved points (N, 3) give the moved axes of ``frame``.

    Least-squares map from points to axes, independent of the distribution of the points.
    """
    return frame @ torch.linalg.pinv(points - points.mean(0))
