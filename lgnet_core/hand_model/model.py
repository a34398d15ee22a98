r"""Parametric model of both hands: rotations, shape and translation to vertices and 21 joints.

Linear blend skinning as in MANO (Romero et al. 2017): with shape beta and pose feature f = vec(R_j - 1), j = 1..15,

.. math:: v = \sum_j w_{vj} (G_j (\bar v + S \beta + P f - J_j) + p_j) + t

where J are the rest joints of the shaped hand and (G_j, p_j) the posed joints. MANO's kinematic tree is a wrist with
five chains of three joints, so forward kinematics takes three batched products.

The formulas are written over the array API: :class:`HandModel` has numpy arrays, for inference without torch, and its
subclass :class:`~lgnet_core.hand_model.layer.HandLayer` tensors.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device

from lgnet_core.hand_model.asset import (
    NUM_MANO_JOINTS,
    NUM_POSE_FEATURES,
    NUM_SHAPE_PARAMETERS,
    NUM_VERTICES,
    PARENTS,
    HandAsset,
    read_hand_assets,
)
from lgnet_core.hand_model.mano import assets_from_smplx
from lgnet_core.types import Array, FloatArray, Side

MANO_TO_OPENPOSE = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
"""OpenPose's 21 joints as indices into MANO's 16 joints followed by the tips of thumb, index, middle, ring, pinky."""

_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


class HandMesh(NamedTuple):
    """Vertices (..., 778, 3) and joints (..., 21, 3) in OpenPose's order, metres."""

    vertices: Array
    joints: Array

    def wrist_relative(self) -> HandMesh:
        """Translate the wrist (joint 0) of every hand to the origin."""
        wrist = self.joints[..., :1, :]
        return HandMesh(self.vertices - wrist, self.joints - wrist)


class HandModel:
    """Both hands of a parametric model; right and left share one code path.

    Every array has a leading side axis of length 2, indexed by :class:`~lgnet_core.types.Side`.

    Attributes:
        v_template, J_regressor, weights, hands_mean: as in MANO, float32.
        faces: outward winding, int64.
        tip_vertices: thumb, index, middle, ring, pinky; int64.
        basis: the 10 shape and 135 pose displacements, coordinate by coordinate.
        rest_joints, joint_basis: joints of the mean hand, and displacements per shape coefficient.
        assets: (right, left).
        name: of the right one.
        digest: SHA-256 (hex) of the arrays of both hands.
        mirrored: whether the left hand is the mirror image of the right one, up to rounding.

    Shapes:
        v_template: (2, 778, 3); J_regressor: (2, 16, 778); weights: (2, 778, 16); hands_mean: (2, 45); faces:
        (2, 1538, 3); tip_vertices: (5,); basis: (2, 145, 3 * 778); rest_joints: (2, 16, 3);
        joint_basis: (2, 10, 16 * 3).

    Args:
        right, left: the two hands; ``left`` defaults to the mirror image of ``right``.

    Raises:
        ValueError: if the fingertips of the two hands are different vertices.
    """

    ARRAYS = (
        "v_template",
        "J_regressor",
        "weights",
        "hands_mean",
        "faces",
        "tip_vertices",
        "basis",
        "rest_joints",
        "joint_basis",
        "mano_to_openpose",
    )
    v_template: Array
    J_regressor: Array
    weights: Array
    hands_mean: Array
    faces: Array
    tip_vertices: Array
    basis: Array
    rest_joints: Array
    joint_basis: Array
    mano_to_openpose: Array

    def __init__(self, right: HandAsset, left: HandAsset | None = None) -> None:
        mirror_image = right.mirrored()
        left = mirror_image if left is None else left
        if not np.array_equal(right.tip_vertices, left.tip_vertices):
            raise ValueError(
                f"hand model: right and left have different tip vertices, {right.tip_vertices.tolist()} and "
                f"{left.tip_vertices.tolist()}; pass both hands of the same model"
            )
        self.assets = right, left
        self.name = right.name
        self.digest = hashlib.sha256(f"{right.digest} {left.digest}".encode()).hexdigest()
        self.mirrored = left.is_close(mirror_image)

        def both(key: str) -> FloatArray:
            return np.stack([getattr(right, key), getattr(left, key)])

        self.v_template, self.J_regressor, self.weights = both("v_template"), both("J_regressor"), both("weights")
        self.hands_mean, self.faces = both("hands_mean"), both("faces")
        self.tip_vertices, self.mano_to_openpose = right.tip_vertices.copy(), np.array(MANO_TO_OPENPOSE)
        basis = np.concatenate([both("shapedirs"), both("posedirs")], -1)  # (2, V, 3, 145)
        self.basis = np.ascontiguousarray(basis.transpose(0, 3, 2, 1)).reshape(2, -1, 3 * NUM_VERTICES)
        regressor = self.J_regressor.astype(np.float64)
        self.rest_joints = (regressor @ self.v_template).astype(np.float32)
        joint_basis = np.einsum("sjv,svck->skjc", regressor, both("shapedirs").astype(np.float64))
        self.joint_basis = joint_basis.astype(np.float32).reshape(2, NUM_SHAPE_PARAMETERS, -1)

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
    def shapedirs(self) -> Array:
        """(2, 778, 3, 10) displacement in metres per unit of each shape coefficient."""
        return self.basis[:, :NUM_SHAPE_PARAMETERS].reshape(2, -1, 3, NUM_VERTICES).swapaxes(1, 3)

    @property
    def posedirs(self) -> Array:
        """(2, 778, 3, 135) displacement in metres per entry of the pose feature."""
        return self.basis[:, NUM_SHAPE_PARAMETERS:].reshape(2, -1, 3, NUM_VERTICES).swapaxes(1, 3)

    def pose(
        self, rotations: Array, shape: Array, translation: Array | None = None, side: Side | None = None
    ) -> HandMesh:
        """Pose the hands.

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
        check_shape("rotations", rotations, (*sides, NUM_MANO_JOINTS, 3, 3))
        check_shape("shape", shape, (*sides, NUM_SHAPE_PARAMETERS))
        if translation is not None:
            check_shape("translation", translation, (*sides, 3))
        xp = array_namespace(rotations, shape)
        if side is None:
            hands = [self._skin(rotations[:, side], shape[:, side], side) for side in Side]
            vertices, joints = (xp.stack(both, axis=1) for both in zip(*hands))
        else:
            vertices, joints = self._skin(rotations, shape, side)
        joints = self._with_tips(joints, vertices)
        if translation is None:
            return HandMesh(vertices, joints)
        return HandMesh(vertices + translation[..., None, :], joints + translation[..., None, :])

    def joints_from_vertices(self, vertices: Array, side: Side | None = None) -> Array:
        """Regress the joints of a mesh: weighted means of vertices and the five tips, OpenPose's order (G M in the
        paper).

        Shapes:
            vertices: (..., 2, 778, 3), or (..., 778, 3) with ``side``; returns (..., 2, 21, 3) or (..., 21, 3).
        """
        regressor = self.J_regressor if side is None else self.J_regressor[side]
        check_shape("vertices", vertices, (*regressor.shape[:-2], NUM_VERTICES, 3))
        return self._with_tips(regressor @ vertices, vertices)

    def _with_tips(self, joints: Array, vertices: Array) -> Array:
        """The 21 joints (..., 21, 3) in OpenPose's order from MANO's 16 (..., 16, 3) and the vertices (..., 778, 3)."""
        xp = array_namespace(joints, vertices)
        return xp.concat([joints, vertices[..., self.tip_vertices, :]], axis=-2)[..., self.mano_to_openpose, :]

    def _skin(self, rotations: Array, shape: Array, side: Side) -> tuple[Array, Array]:
        """Skin hands of one side, with the vertices on the last axis, so that every product is a dense matrix product.

        Shapes:
            rotations (B, 16, 3, 3), shape (B, 10) -> vertices (B, 778, 3), MANO's joints (B, 16, 3).
        """
        xp = array_namespace(rotations, shape)
        # Not xp.eye, which writes into a view of a tensor: torch exports that wrongly, without a warning.
        identity = xp.asarray(_IDENTITY, dtype=rotations.dtype, device=device(rotations))
        feature = (rotations[:, 1:] - identity).reshape(-1, NUM_POSE_FEATURES)
        offsets = xp.concat([shape, feature], axis=-1) @ self.basis[side]  # (B, 3 V)
        rest = self.v_template[side].T + offsets.reshape(-1, 3, NUM_VERTICES)
        joint_offsets = (shape @ self.joint_basis[side]).reshape(-1, NUM_MANO_JOINTS, 3)
        rest_joints = self.rest_joints[side] + joint_offsets

        orientations, joints = _forward_kinematics(rotations, rest_joints)
        translations = joints - (orientations * rest_joints[..., None, :]).sum(-1)  # maps rest points of each bone
        bones = xp.concat([orientations, translations[..., None]], axis=-1).reshape(-1, NUM_MANO_JOINTS, 12)
        blended = bones.swapaxes(1, 2).reshape(-1, NUM_MANO_JOINTS) @ self.weights[side].T
        blended = blended.reshape(-1, 3, 4, NUM_VERTICES)
        vertices = (blended[:, :, :3] * rest[:, None]).sum(2) + blended[:, :, 3]  # (B, 3, V)
        return vertices.swapaxes(1, 2), joints


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


def _forward_kinematics(rotations: Array, rest: Array) -> tuple[Array, Array]:
    """Global orientations (B, 16, 3, 3) and posed joints (B, 16, 3), from local rotations and rest joints."""
    xp = array_namespace(rotations, rest)
    bones = xp.concat([rest[:, :1], rest[:, 1:] - rest[:, list(PARENTS[1:])]], axis=1)
    upper = xp.concat([rotations, bones[..., None]], axis=-1)
    row = xp.asarray([0.0, 0.0, 0.0, 1.0], dtype=upper.dtype, device=device(upper))
    last = 0 * upper[..., :1, :] + row  # shapes of zeros_like or broadcast_to are exported as those of the traced batch
    local = xp.concat([upper, last], axis=-2)  # 4x4, from a joint to its parent
    wrist, fingers = local[:, :1], local[:, 1:].reshape(-1, 5, 3, 4, 4)
    first = wrist @ fingers[:, :, 0]
    second = first @ fingers[:, :, 1]
    third = second @ fingers[:, :, 2]
    posed = xp.stack([first, second, third], axis=2).reshape(-1, NUM_MANO_JOINTS - 1, 4, 4)
    posed = xp.concat([wrist, posed], axis=1)
    return posed[..., :3, :3], posed[..., :3, 3]


def check_shape(name: str, array: Array, trailing: tuple[int, ...]) -> None:
    """Raise a ValueError if the last axes of an argument do not have the expected lengths."""
    if tuple(array.shape[-len(trailing) :]) != tuple(trailing):
        raise ValueError(
            f"hand model: {name} has shape {tuple(array.shape)}, expected (..., {', '.join(map(str, trailing))}); "
            "without `side`, an axis of length 2 holds both hands"
        )
