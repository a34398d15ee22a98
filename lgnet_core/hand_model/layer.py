r"""Differentiable parametric hand layer: rotations, shape and translation of both hands to vertices and 21 joints.

Linear blend skinning as in MANO (Romero et al. 2017): with shape beta and pose feature f = vec(R_j - 1), j = 1..15,

.. math:: v = \sum_j w_{vj} (G_j (\bar v + S \beta + P f - J_j) + p_j) + t

where J are the rest joints of the shaped hand and (G_j, p_j) the posed joints. MANO's kinematic tree is a wrist with
five chains of three joints, so forward kinematics takes three batched products.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import roma
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.hand_model.asset import (
    NUM_MANO_JOINTS,
    NUM_POSE_FEATURES,
    NUM_SHAPE_PARAMETERS,
    NUM_VERTICES,
    PARENTS,
    HandAsset,
    read_hand_assets,
)
from lgnet_core.hand_model.graph import MeshGraph
from lgnet_core.hand_model.mano import assets_from_smplx
from lgnet_core.types import Side

MANO_MIDDLE_MCP = 4
"""MANO's index of the first joint of the middle finger."""

MANO_TO_OPENPOSE = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
"""OpenPose's 21 joints as indices into MANO's 16 joints followed by the tips of thumb, index, middle, ring, pinky."""


class HandMesh(NamedTuple):
    """Vertices (..., 778, 3) and joints (..., 21, 3) in OpenPose's order, metres."""

    vertices: Tensor
    joints: Tensor

    def wrist_relative(self) -> HandMesh:
        """Translate the wrist (joint 0) of every hand to the origin."""
        wrist = self.joints[..., :1, :]
        return HandMesh(self.vertices - wrist, self.joints - wrist)


class HandModel(nn.Module):
    """Both hands of a parametric model; right and left share one code path.

    Every array has a leading side axis of length 2, indexed by :class:`~lgnet_core.types.Side`. All buffers are
    non-persistent: the hand model is chosen by the user and not part of a checkpoint (MANO's licence forbids
    redistribution).

    Buffers:
        v_template (2, 778, 3), J_regressor (2, 16, 778), weights (2, 778, 16), hands_mean (2, 45); faces (2, 1538, 3)
        long, outward winding; tip_vertices (5,) long: thumb, index, middle, ring, pinky.
        basis (2, 145, 3 * 778): the 10 shape and 135 pose displacements, coordinate by coordinate.

    Attributes:
        graph: :class:`MeshGraph` of the right rest hand, used for both sides, which have the same topology.
        name: name of the right asset. digest: SHA-256 (hex) of the arrays of both hands.
        mirrored: whether the left hand is the mirror image of the right one, up to rounding.

    Args:
        right, left: the two hands; ``left`` defaults to the mirror image of ``right``.

    Raises:
        ValueError: if the fingertips of the two hands are different vertices.
    """

    v_template: Tensor
    J_regressor: Tensor
    weights: Tensor
    hands_mean: Tensor
    faces: Tensor
    tip_vertices: Tensor
    basis: Tensor
    rest_joints: Tensor
    joint_basis: Tensor
    mano_to_openpose: Tensor

    def __init__(self, right: HandAsset, left: HandAsset | None = None) -> None:
        super().__init__()
        mirror_image = right.mirrored()
        left = mirror_image if left is None else left
        if not np.array_equal(right.tip_vertices, left.tip_vertices):
            raise ValueError(
                f"hand model: right and left have different tip vertices, {right.tip_vertices.tolist()} and "
                f"{left.tip_vertices.tolist()}; pass both hands of the same model"
            )
        self.name = right.name
        self.digest = hashlib.sha256(f"{right.digest} {left.digest}".encode()).hexdigest()
        self.mirrored = left.is_close(mirror_image)
        self.graph = MeshGraph(right.faces, right.v_template)

        def both(key: str) -> Tensor:
            return torch.from_numpy(np.stack([getattr(right, key), getattr(left, key)]))

        shapedirs, posedirs = both("shapedirs"), both("posedirs")
        regressor, template = both("J_regressor"), both("v_template")
        for name, buffer in {
            "v_template": template,
            "J_regressor": regressor,
            "weights": both("weights"),
            "hands_mean": both("hands_mean"),
            "faces": both("faces"),
            "tip_vertices": torch.from_numpy(right.tip_vertices.copy()),
            "basis": torch.cat([shapedirs, posedirs], -1).permute(0, 3, 2, 1).flatten(2).contiguous(),
            "rest_joints": (regressor.double() @ template.double()).float(),
            "joint_basis": torch.einsum("sjv,svck->skjc", regressor.double(), shapedirs.double()).float().flatten(2),
            "mano_to_openpose": torch.tensor(MANO_TO_OPENPOSE),
        }.items():
            self.register_buffer(name, buffer, persistent=False)

    @classmethod
    def from_smplx(cls, models: Any) -> HandModel:
        """Create a model from ``smplx.MANO`` or ``smplx.MANOLayer`` objects: a right hand, or a pair (right, left).

        Without a left hand, the mirror image of the right one is used. ``hands_mean`` is taken from the object (zero if
        it was created with ``flat_hand_mean=True``). The shape directions of a faulty MANO left hand are corrected in
        the copy, with a warning.

        Raises:
            ValueError: if it is a left hand alone, or the pair is not (right, left).
            TypeError: if the objects are not smplx hands.
        """
        return cls(*assets_from_smplx(models))

    @property
    def shapedirs(self) -> Tensor:
        """(2, 778, 3, 10) displacement in metres per unit of each shape coefficient."""
        return self.basis[:, :NUM_SHAPE_PARAMETERS].unflatten(2, (3, NUM_VERTICES)).permute(0, 3, 2, 1)

    @property
    def posedirs(self) -> Tensor:
        """(2, 778, 3, 135) displacement in metres per entry of the pose feature."""
        return self.basis[:, NUM_SHAPE_PARAMETERS:].unflatten(2, (3, NUM_VERTICES)).permute(0, 3, 2, 1)

    def forward(
        self, rotations: Tensor, shape: Tensor, translation: Tensor | None = None, side: Side | None = None
    ) -> HandMesh:
        """Pose the hands. Differentiable in every input; computed in the precision of the buffers even under autocast.

        The joints are the posed joints of the skeleton and the tip vertices, as in ``smplx``; for the joints of any
        other mesh see :meth:`joints_from_vertices`.

        Args:
            rotations: rotation matrices of the 16 joints in MANO's order, the first one in the output frame.
            shape: shape coefficients.
            translation: of the model origin (not of the wrist), metres; None: zero.
            side: side of all items; None for both hands.

        Shapes:
            side None: rotations (B, 2, 16, 3, 3), shape (B, 2, 10), translation (B, 2, 3) -> vertices (B, 2, 778, 3),
            joints (B, 2, 21, 3). One side: the same without the axis of length 2.

        Raises:
            ValueError: if an input has a wrong shape.
        """
        sides = (2,) if side is None else ()
        _check_shape("rotations", rotations, (*sides, NUM_MANO_JOINTS, 3, 3))
        _check_shape("shape", shape, (*sides, NUM_SHAPE_PARAMETERS))
        if translation is not None:
            _check_shape("translation", translation, (*sides, 3))
        dtype = self.v_template.dtype
        device_type = rotations.device.type
        if torch.is_autocast_enabled(device_type):  # half precision would move vertices by millimetres
            with torch.autocast(device_type, enabled=False):
                return self.forward(
                    rotations.to(dtype),
                    shape.to(dtype),
                    None if translation is None else translation.to(dtype),
                    side,
                )
        if side is None:
            hands = [self._skin(rotations[:, side], shape[:, side], side) for side in Side]
            vertices, joints = (torch.stack(both, 1) for both in zip(*hands))
        else:
            vertices, joints = self._skin(rotations, shape, side)
        joints = torch.cat([joints, vertices[..., self.tip_vertices, :]], -2)[..., self.mano_to_openpose, :]
        if translation is None:
            return HandMesh(vertices, joints)
        return HandMesh(vertices + translation[..., None, :], joints + translation[..., None, :])

    def _skin(self, rotations: Tensor, shape: Tensor, side: Side) -> tuple[Tensor, Tensor]:
        """Skin hands of one side, with the vertices on the last axis, so that every product is a dense matrix product.

        Shapes:
            rotations (B, 16, 3, 3), shape (B, 10) -> vertices (B, 778, 3), MANO's joints (B, 16, 3).
        """
        identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        feature = (rotations[:, 1:] - identity).reshape(-1, NUM_POSE_FEATURES)
        offsets = torch.cat([shape, feature], -1) @ self.basis[side]  # (B, 3 V)
        rest = self.v_template[side].T + offsets.reshape(-1, 3, NUM_VERTICES)
        joint_offsets = (shape @ self.joint_basis[side]).reshape(-1, NUM_MANO_JOINTS, 3)
        rest_joints = self.rest_joints[side] + joint_offsets

        orientations, joints = _forward_kinematics(rotations, rest_joints)
        translations = joints - (orientations * rest_joints[..., None, :]).sum(-1)  # maps rest points of each bone
        bones = torch.cat([orientations, translations[..., None]], -1).reshape(-1, NUM_MANO_JOINTS, 12)
        blended = bones.transpose(1, 2).reshape(-1, NUM_MANO_JOINTS) @ self.weights[side].T
        blended = blended.reshape(-1, 3, 4, NUM_VERTICES)
        vertices = (blended[:, :, :3] * rest[:, None]).sum(2) + blended[:, :, 3]  # (B, 3, V)
        return vertices.transpose(1, 2), joints

    def rest_wrist(self, shape: Tensor) -> Tensor:
        """Wrist position of an untranslated hand, the centre of the root rotation; independent of the rotations.

        Shapes:
            shape: (..., 2, 10); returns (..., 2, 3) metres.
        """
        return self.rest_joints[:, 0] + torch.einsum("...sk,skc->...sc", shape, self.joint_basis[..., :3])

    def bone_lengths(self, shape: Tensor) -> Tensor:
        """Lengths of the bones that end at MANO's joints 1 to 15, in its order; independent of the pose.

        Shapes:
            shape: (..., 2, 10); returns (..., 2, 15) metres.
        """
        joint_offsets = torch.matmul(shape[..., None, :], self.joint_basis)[..., 0, :]
        joints = self.rest_joints + joint_offsets.unflatten(-1, (NUM_MANO_JOINTS, 3))  # (..., 2, 16, 3)
        fingers = joints[..., 1:, :].unflatten(-2, (5, 3))
        wrist = joints[..., None, :1, :].expand_as(fingers[..., :1, :])
        return (fingers - torch.cat([wrist, fingers[..., :-1, :]], -2)).norm(dim=-1).flatten(-2)

    def palm_length(self, shape: Tensor) -> Tensor:
        """Distance from the wrist to the middle MCP joint. Shapes: (..., 2, 10) -> (..., 2) metres."""
        return self.bone_lengths(shape)[..., MANO_MIDDLE_MCP - 1]

    def joints_from_vertices(self, vertices: Tensor, side: Side | None = None) -> Tensor:
        """Regress the joints of a mesh: weighted means of vertices and the five tips, OpenPose's order (G M in the
        paper).

        Shapes:
            vertices: (..., 2, 778, 3), or (..., 778, 3) with ``side``; returns (..., 2, 21, 3) or (..., 21, 3).
        """
        regressor = self.J_regressor if side is None else self.J_regressor[side]
        _check_shape("vertices", vertices, (*regressor.shape[:-2], NUM_VERTICES, 3))
        joints = torch.cat([torch.matmul(regressor, vertices), vertices[..., self.tip_vertices, :]], -2)
        return joints[..., self.mano_to_openpose, :]

    def pose_to_rotations(self, pose: Tensor, side: Side | None = None, flat_hand_mean: bool = False) -> Tensor:
        """Convert a MANO pose (root and 15 joints as axis-angle, radians) to rotation matrices.

        Args:
            flat_hand_mean: whether the pose already includes the mean pose, which is otherwise added to joints 1-15.

        Shapes:
            pose: (..., 2, 48), or (..., 48) with ``side``; returns (..., 2, 16, 3, 3) or (..., 16, 3, 3).
        """
        mean = self._pose_mean(side, flat_hand_mean)
        _check_shape("pose", pose, mean.shape)
        return roma.rotvec_to_rotmat((pose + mean).unflatten(-1, (NUM_MANO_JOINTS, 3)))

    def _pose_mean(self, side: Side | None, flat_hand_mean: bool) -> Tensor:
        """(2, 48), or (48,) with ``side``: the mean pose to add to a pose, zero for the root."""
        mean = self.hands_mean if side is None else self.hands_mean[side]
        return nn.functional.pad(torch.zeros_like(mean) if flat_hand_mean else mean, (3, 0))

    def extra_repr(self) -> str:
        return f"name={self.name!r}, digest={self.digest[:12]}"


def load_hand_model(path: str | Path | None = None) -> HandModel:
    """Load the bundled hand, or the pair ``hand_right.npz`` and ``hand_left.npz`` of a directory.

    Args:
        path: directory written by ``lgnet mano convert``; None for the bundled hand (CC0; the left hand is the mirror
            image of the right one).

    Raises:
        FileNotFoundError: if the directory or one of its files is missing.
        HandModelError: if a file does not hold a hand in MANO's format.
    """
    return HandModel(*read_hand_assets(path))


def _forward_kinematics(rotations: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Global orientations (B, 16, 3, 3) and posed joints (B, 16, 3), from local rotations and rest joints."""
    bones = torch.cat([rest[:, :1], rest[:, 1:] - rest[:, list(PARENTS[1:])]], 1)
    local = F.pad(torch.cat([rotations, bones[..., None]], -1), (0, 0, 0, 1))  # 4x4, from a joint to its parent
    local = local + F.pad(local.new_ones(1, 1), (3, 0, 3, 0))
    wrist, fingers = local[:, :1], local[:, 1:].reshape(-1, 5, 3, 4, 4)
    first = wrist @ fingers[:, :, 0]
    second = first @ fingers[:, :, 1]
    third = second @ fingers[:, :, 2]
    posed = torch.cat([wrist, torch.stack([first, second, third], 2).reshape(-1, NUM_MANO_JOINTS - 1, 4, 4)], 1)
    return posed[..., :3, :3], posed[..., :3, 3]


def _check_shape(name: str, tensor: Tensor, trailing: tuple[int, ...]) -> None:
    if tuple(tensor.shape[-len(trailing) :]) != tuple(trailing):
        raise ValueError(
            f"hand model: {name} has shape {tuple(tensor.shape)}, expected (..., {', '.join(map(str, trailing))}); "
            "without `side`, an axis of length 2 holds both hands"
        )
