r"""A hand as 22 capsules: what keeps two hands, and the fingers of one, out of each other.

A capsule is a segment with a radius: one along the forearm, six through the palm, one in each of the 15 bones of the
fingers. Distances between capsules are those of their segments less both radii, so that whole hands meet in a few
hundred closed-form distances instead of mesh against mesh. The capsules follow the joint rotations without skinning.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lgnet_core.geometry.hand_frame import hand_axes
from lgnet_core.hand_model import HandModel

_FOREARM = 21  # the point after the 21 joints
FOREARM_LENGTH = 0.2
"""Metres of forearm that keep clear of the other hand."""

SEGMENTS: tuple[tuple[int, int], ...] = (
    (0, _FOREARM), (0, 1), (0, 5), (0, 9), (0, 13), (0, 17), (1, 5),
    *((1 + 4 * finger + k, 2 + 4 * finger + k) for finger in range(5) for k in range(3)),
)  # fmt: skip
"""The joints (OpenPose's order) that each capsule joins: forearm, palm, then the fingers' bones, thumb to pinky."""

_PALM = 7  # capsules that move with the wrist
_CHAINS = ((13, 14, 15), (1, 2, 3), (4, 5, 6), (10, 11, 12), (7, 8, 9))  # MANO's joints, thumb to pinky
_BONE_OF_CAPSULE = (*([0] * _PALM), *(joint for chain in _CHAINS for joint in chain))  # MANO's joint each moves with
# Of the vertices' distances to their segment: skin gives way, and a flat palm is not round.
_PALM_QUANTILE, _FINGER_QUANTILE = 0.65, 0.45
_TIP_RECESS = 0.3  # of the last bone: its capsule ends about a radius before the fingertip


class Capsules(NamedTuple):
    """Capsules of posed hands, metres.

    Shapes:
        points: (B, 2, 22, 3) the 21 joints and a point along the forearm, relative to each wrist until moved;
        start, end: (B, 2, C, 3); radii: (B, 2, C).
    """

    points: Tensor
    start: Tensor
    end: Tensor
    radii: Tensor

    def moved(self, offset: Tensor) -> Capsules:
        """The left hand moved by ``offset`` (B, 3)."""
        return self.at(torch.stack([torch.zeros_like(offset), offset], 1))

    def at(self, wrists: Tensor) -> Capsules:
        """Both hands moved, by ``wrists`` (B, 2, 3)."""
        both = wrists[:, :, None]
        return Capsules(self.points + both, self.start + both, self.end + both, self.radii)


def segment_parameters(start_a: Tensor, end_a: Tensor, start_b: Tensor, end_b: Tensor) -> tuple[Tensor, Tensor]:
    """Where two segments come closest, as fractions (s, t) of their lengths.

    Source: Ericson, "Real-Time Collision Detection", 2005, section 5.1.9.

    Shapes:
        four broadcastable (..., 3); returns two (...), in [0, 1].
    """
    along_a, along_b, between = end_a - start_a, end_b - start_b, start_a - start_b
    a, e, b = (along_a**2).sum(-1), (along_b**2).sum(-1), (along_a * along_b).sum(-1)
    c, f = (along_a * between).sum(-1), (along_b * between).sum(-1)
    tiny = 1e-12
    a, e = a.clamp_min(tiny), e.clamp_min(tiny)
    s = ((b * f - c * e) / (a * e - b * b).clamp_min(tiny)).clamp(0, 1)
    t = ((b * s + f) / e).clamp(0, 1)
    return ((b * t - c) / a).clamp(0, 1), t


class CapsuleHands:
    """Both hands' capsules, for any pose and shape; right and left through one code path.

    Args:
        hand_model: whose skeleton the capsules follow and whose rest mesh gives their place and radius.
        device: where the tables live.

    Attributes:
        forearm: (2, 3) unit vector from the wrist along the forearm, rest frame.
        frames: (2, 3, 3) the axes of the hand frames, :func:`lgnet_core.geometry.hand_frame.hand_axes`.
        self_pairs: (2, P) pairs of capsules of one hand that stand clear of each other at rest.
    """

    def __init__(self, hand_model: HandModel, device: torch.device | str = "cpu") -> None:
        self._rest_joints = rest = hand_model.rest_joints.to(device)  # (2, 16, 3)
        self._joint_basis = hand_model.joint_basis.to(device)  # (2, 10, 48)
        self._rest_tips = hand_model.v_template[:, hand_model.tip_vertices].to(device)  # (2, 5, 3)
        tip_basis = hand_model.shapedirs[:, hand_model.tip_vertices]
        self._tip_basis = tip_basis.permute(0, 3, 1, 2).flatten(2).to(device)  # (2, 10, 15)
        self._chains = torch.tensor(_CHAINS, device=device)

        self.frames = hand_axes(rest)
        self.forearm = normalize(rest[:, 0] - rest[:, [1, 4, 7, 10]].mean(1), dim=-1)

        self._start, self._end = torch.tensor(SEGMENTS, device=device).unbind(1)
        self._recess = torch.zeros(len(SEGMENTS), 1, device=device)
        self._recess[_PALM + 2 :: 3] = _TIP_RECESS
        self._bones = torch.tensor(_BONE_OF_CAPSULE, device=device)
        self._offsets = torch.zeros(2, len(SEGMENTS), 3, device=device)
        self._radii = torch.zeros(2, len(SEGMENTS), device=device)
        flat = torch.eye(3, device=device).expand(1, 2, 16, 3, 3), torch.zeros(1, 2, 10, device=device)
        self._rest_length = self._length(self.pose(*flat).points[0])
        vertices = (hand_model.v_template.to(device) - rest[:, :1], hand_model.weights.to(device).argmax(-1))
        self._offsets, _ = self._fit(self.pose(*flat), *vertices)
        _, self._radii = self._fit(self.pose(*flat), *vertices)
        self.self_pairs = torch.combinations(torch.arange(len(SEGMENTS), device=device)).T
        clear = (self.self_clearance(self.pose(*flat))[0] > 2e-3).all(0)
        self.self_pairs = self.self_pairs[:, clear]

    def pose(self, rotations: Tensor, shape: Tensor) -> Capsules:
        """Capsules of hands whose wrists lie at the origin.

        Shapes:
            rotations: (B, 2, 16, 3, 3), shape: (B, 2, 10).
        """
        rest = self._rest_joints + torch.einsum("bsk,skc->bsc", shape, self._joint_basis).unflatten(-1, (16, 3))
        tips = self._rest_tips + torch.einsum("bsk,skc->bsc", shape, self._tip_basis).unflatten(-1, (5, 3))
        chain = torch.cat([rest[:, :, self._chains], tips[:, :, :, None]], -2)  # (B, 2, 5, 4, 3)
        parent = rest[:, :, :1]
        turn = root = rotations[:, :, :1]  # (B, 2, 1, 3, 3)
        point = wrist = torch.zeros_like(parent)
        points, turns = [], []
        for level in range(4):
            point = point + (turn @ (chain[..., level, :] - parent)[..., None])[..., 0]
            parent = chain[..., level, :]
            points.append(point)
            if level < 3:
                turn = turn @ rotations[:, :, self._chains[:, level]]
                turns.append(turn)
        arm = (root @ (self.forearm * FOREARM_LENGTH)[None, :, None, :, None])[..., 0]
        all_points = torch.cat([wrist, torch.stack(points, -2).flatten(2, 3), arm], 2)
        fingers = torch.stack(turns, 3).flatten(2, 3)  # (B, 2, 15, 3, 3)
        bones = torch.cat([root.expand(-1, -1, _PALM, -1, -1), fingers], 2)  # (B, 2, C, 3, 3)

        size = (self._length(all_points) / self._rest_length)[..., None] if hasattr(self, "_rest_length") else 1.0
        shift = (bones @ self._offsets[None, ..., None])[..., 0]
        start, end = all_points[:, :, self._start] + shift, all_points[:, :, self._end] + shift
        return Capsules(all_points, start, end + self._recess * (start - end), self._radii * size)

    def self_clearance(self, capsules: Capsules) -> Tensor:
        """Signed distances (B, 2, P), metres, between the capsules of ``self_pairs``; negative where they overlap."""
        parts = [x[:, :, index] for index in self.self_pairs for x in capsules[1:]]
        return _clearance(*parts)

    def pair_clearance(self, capsules: Capsules) -> Tensor:
        """Signed distances (B, C, C), metres, of every capsule of the right hand to every one of the left."""
        right, left = ([x[:, 0, :, None] for x in capsules[1:]], [x[:, 1, None] for x in capsules[1:]])
        return _clearance(*right, *left)

    @staticmethod
    def _length(points: Tensor) -> Tensor:
        """Bones from the wrist to the middle fingertip, (...,) metres: the hand's size whatever its pose."""
        chain = points[..., [0, 9, 10, 11, 12], :]
        return (chain[..., 1:, :] - chain[..., :-1, :]).norm(dim=-1).sum(-1)

    def _fit(self, capsules: Capsules, vertices: Tensor, bones: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets (2, C, 3) that centre the segments in the flesh around them, and radii (2, C).

        A vertex belongs to the nearest segment among those that move with the joint that moves it most.

        Shapes:
            vertices: (2, V, 3) of the rest mesh, relative to the wrist; bones: (2, V) MANO's joint of each.
        """
        start, along = capsules.start[0], capsules.end[0] - capsules.start[0]  # (2, C, 3)
        out = vertices[:, :, None] - start[:, None]  # (2, V, C, 3)
        fraction = (out * along[:, None]).sum(-1) / (along**2).sum(-1)[:, None]
        out = out - fraction.clamp(0, 1)[..., None] * along[:, None]
        distance = out.norm(dim=-1)
        owner = distance.masked_fill(bones[..., None] != self._bones, torch.inf).argmin(-1)  # (2, V)
        offsets, radii = torch.zeros_like(start), torch.zeros_like(start[..., 0])
        for side in range(2):
            for c in range(len(SEGMENTS)):
                mine = owner[side] == c
                if not mine.any():
                    continue  # a capsule without flesh of its own: a bare line
                beside = mine & (fraction[side, :, c] > 0) & (fraction[side, :, c] < 1)
                if beside.any():
                    shell = out[side, beside, c]  # perpendicular to the segment
                    offsets[side, c] = (shell.amin(0) + shell.amax(0)) / 2
                quantile = _PALM_QUANTILE if c < _PALM else _FINGER_QUANTILE
                radii[side, c] = distance[side, mine, c].quantile(quantile)
        return offsets, radii


def _clearance(
    start_a: Tensor, end_a: Tensor, radius_a: Tensor, start_b: Tensor, end_b: Tensor, radius_b: Tensor
) -> Tensor:
    # The fractions are at an optimum, so the distance's gradient does not see them: no need to differentiate them.
    with torch.no_grad():
        s, t = segment_parameters(start_a, end_a, start_b, end_b)
    nearest_a = start_a + s[..., None] * (end_a - start_a)
    nearest_b = start_b + t[..., None] * (end_b - start_b)
    return ((nearest_a - nearest_b) ** 2).sum(-1).clamp_min(1e-10).sqrt() - radius_a - radius_b
