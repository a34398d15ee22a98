"""Capsule collision model of the hands: 22 capsules per hand, posed by forward kinematics.

A capsule is a line segment with a radius: one along the forearm, six in the palm, one for each of the 15 finger bones.
The distance of two capsules is that of their segments minus both radii, which reduces collision tests between hands to
a few hundred closed-form distances instead of mesh against mesh. Capsules follow the joint rotations without skinning.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lgnet_core.geometry.hand_frame import hand_axes
from lgnet_core.hand_model import HandLayer
from lgnet_core.robotics.capsules import PALM_SEGMENTS, SEGMENT_BONES, TIP_RECESS
from lgnet_core.robotics.capsules import SEGMENTS as HAND_SEGMENTS

_FOREARM = 21  # index of the forearm point, after the 21 joints
FOREARM_LENGTH = 0.2
"""Length of the forearm capsule, metres."""

SEGMENTS: tuple[tuple[int, int], ...] = ((0, _FOREARM), *HAND_SEGMENTS)
"""End joints (OpenPose order) of each capsule: forearm, palm, then finger bones, thumb to pinky."""

_PALM = 1 + len(PALM_SEGMENTS)  # leading capsules that move with the wrist: forearm and palm
_CHAINS = ((13, 14, 15), (1, 2, 3), (4, 5, 6), (10, 11, 12), (7, 8, 9))  # MANO joints, thumb to pinky
_CAPSULE_BONES = (0, *SEGMENT_BONES)  # MANO joint of each capsule
# Quantile of the vertex distances used as radius: below 1 since skin is soft and the palm is not round.
_PALM_QUANTILE, _FINGER_QUANTILE = 0.65, 0.45


class Capsules(NamedTuple):
    """Capsules of posed hands, metres.

    Shapes:
        points: (B, 2, 22, 3) the 21 joints and a point on the forearm; relative to each wrist unless translated;
        start, end: (B, 2, C, 3); radii: (B, 2, C).
    """

    points: Tensor
    start: Tensor
    end: Tensor
    radii: Tensor

    def translate_left(self, offset: Tensor) -> Capsules:
        """Translate the left hand by ``offset`` (B, 3)."""
        return self.translate(torch.stack([torch.zeros_like(offset), offset], 1))

    def translate(self, offsets: Tensor) -> Capsules:
        """Translate both hands by ``offsets`` (B, 2, 3)."""
        offsets = offsets[:, :, None]
        return Capsules(self.points + offsets, self.start + offsets, self.end + offsets, self.radii)


def segment_parameters(start_a: Tensor, end_a: Tensor, start_b: Tensor, end_b: Tensor) -> tuple[Tensor, Tensor]:
    """Closest points of two segments, as fractions (s, t) of their lengths.

    Source: Ericson, "Real-Time Collision Detection", 2005, section 5.1.9.

    Shapes:
        four broadcastable (..., 3); returns two (...), in [0, 1].
    """
    direction_a, direction_b, offset = end_a - start_a, end_b - start_b, start_a - start_b
    a, e, b = (direction_a**2).sum(-1), (direction_b**2).sum(-1), (direction_a * direction_b).sum(-1)
    c, f = (direction_a * offset).sum(-1), (direction_b * offset).sum(-1)
    tiny = 1e-12
    a, e = a.clamp_min(tiny), e.clamp_min(tiny)
    s = ((b * f - c * e) / (a * e - b * b).clamp_min(tiny)).clamp(0, 1)
    t = ((b * s + f) / e).clamp(0, 1)
    return ((b * t - c) / a).clamp(0, 1), t


class CapsuleHandModel:
    """Capsules of both hands for any pose and shape.

    Args:
        hand_model: provides the skeleton, and the rest mesh that capsule positions and radii are fitted to.
        device: device of the parameters.

    Attributes:
        forearm: (2, 3) unit vectors from the wrists along the forearms, rest frame.
        frames: (2, 3, 3) axes of the hand frames, see :func:`lgnet_core.geometry.hand_frame.hand_axes`.
        self_pairs: (2, P) pairs of capsules of one hand that do not touch in the rest pose.
    """

    def __init__(self, hand_model: HandLayer, device: torch.device | str = "cpu") -> None:
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
        self._recess[_PALM + 2 :: 3] = TIP_RECESS
        self._bones = torch.tensor(_CAPSULE_BONES, device=device)
        self._offsets = torch.zeros(2, len(SEGMENTS), 3, device=device)
        self._radii = torch.zeros(2, len(SEGMENTS), device=device)
        rest_pose = torch.eye(3, device=device).expand(1, 2, 16, 3, 3), torch.zeros(1, 2, 10, device=device)
        self._rest_length = self._length(self.pose(*rest_pose).points[0])
        vertices = (hand_model.v_template.to(device) - rest[:, :1], hand_model.weights.to(device).argmax(-1))
        self._offsets, _ = self._fit(self.pose(*rest_pose), *vertices)
        _, self._radii = self._fit(self.pose(*rest_pose), *vertices)
        self.self_pairs = torch.combinations(torch.arange(len(SEGMENTS), device=device)).T
        clear = (self.self_clearance(self.pose(*rest_pose))[0] > 2e-3).all(0)
        self.self_pairs = self.self_pairs[:, clear]

    def pose(self, rotations: Tensor, shape: Tensor) -> Capsules:
        """Pose the capsules, with the wrists at the origin.

        Shapes:
            rotations: (B, 2, 16, 3, 3), shape: (B, 2, 10).
        """
        rest = self._rest_joints + torch.einsum("bsk,skc->bsc", shape, self._joint_basis).unflatten(-1, (16, 3))
        tips = self._rest_tips + torch.einsum("bsk,skc->bsc", shape, self._tip_basis).unflatten(-1, (5, 3))
        chain = torch.cat([rest[:, :, self._chains], tips[:, :, :, None]], -2)  # (B, 2, 5, 4, 3)
        parent = rest[:, :, :1]
        rotation = root = rotations[:, :, :1]  # (B, 2, 1, 3, 3)
        point = wrist = torch.zeros_like(parent)
        points, bone_rotations = [], []
        for level in range(4):
            point = point + (rotation @ (chain[..., level, :] - parent)[..., None])[..., 0]
            parent = chain[..., level, :]
            points.append(point)
            if level < 3:
                rotation = rotation @ rotations[:, :, self._chains[:, level]]
                bone_rotations.append(rotation)
        arm = (root @ (self.forearm * FOREARM_LENGTH)[None, :, None, :, None])[..., 0]
        all_points = torch.cat([wrist, torch.stack(points, -2).flatten(2, 3), arm], 2)
        fingers = torch.stack(bone_rotations, 3).flatten(2, 3)  # (B, 2, 15, 3, 3)
        bones = torch.cat([root.expand(-1, -1, _PALM, -1, -1), fingers], 2)  # (B, 2, C, 3, 3)

        scale = (self._length(all_points) / self._rest_length)[..., None] if hasattr(self, "_rest_length") else 1.0
        shift = (bones @ self._offsets[None, ..., None])[..., 0]
        start, end = all_points[:, :, self._start] + shift, all_points[:, :, self._end] + shift
        return Capsules(all_points, start, end + self._recess * (start - end), self._radii * scale)

    def self_clearance(self, capsules: Capsules) -> Tensor:
        """Signed distances (B, 2, P) between the capsules of ``self_pairs``, metres; negative where they penetrate."""
        parts = [x[:, :, index] for index in self.self_pairs for x in capsules[1:]]
        return _clearance(*parts)

    def pair_clearance(self, capsules: Capsules) -> Tensor:
        """Signed distances (B, C, C) of all capsules of the right hand to all of the left hand, metres."""
        right, left = ([x[:, 0, :, None] for x in capsules[1:]], [x[:, 1, None] for x in capsules[1:]])
        return _clearance(*right, *left)

    @staticmethod
    def _length(points: Tensor) -> Tensor:
        """Total bone length (...,) from the wrist to the middle fingertip, metres: a pose-independent hand size."""
        chain = points[..., [0, 9, 10, 11, 12], :]
        return (chain[..., 1:, :] - chain[..., :-1, :]).norm(dim=-1).sum(-1)

    def _fit(self, capsules: Capsules, vertices: Tensor, bones: Tensor) -> tuple[Tensor, Tensor]:
        """Fit capsules to the rest mesh: offsets (2, C, 3) that centre them, and radii (2, C).

        A vertex is assigned to the nearest segment among those of the joint with its largest skinning weight.

        Shapes:
            vertices: (2, V, 3) of the rest mesh, relative to the wrist; bones: (2, V) MANO joint of each vertex.
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
                assigned = owner[side] == c
                if not assigned.any():
                    continue  # no vertices: radius 0
                beside = assigned & (fraction[side, :, c] > 0) & (fraction[side, :, c] < 1)
                if beside.any():
                    radial = out[side, beside, c]  # perpendicular to the segment
                    offsets[side, c] = (radial.amin(0) + radial.amax(0)) / 2
                quantile = _PALM_QUANTILE if c < _PALM else _FINGER_QUANTILE
                radii[side, c] = distance[side, assigned, c].quantile(quantile)
        return offsets, radii


def _clearance(
    start_a: Tensor, end_a: Tensor, radius_a: Tensor, start_b: Tensor, end_b: Tensor, radius_b: Tensor
) -> Tensor:
    # Envelope theorem: the derivative of the distance with respect to the optimal fractions vanishes.
    with torch.no_grad():
        s, t = segment_parameters(start_a, end_a, start_b, end_b)
    nearest_a = start_a + s[..., None] * (end_a - start_a)
    nearest_b = start_b + t[..., None] * (end_b - start_b)
    return ((nearest_a - nearest_b) ** 2).sum(-1).clamp_min(1e-10).sqrt() - radius_a - radius_b
