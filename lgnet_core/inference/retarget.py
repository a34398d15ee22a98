r"""Retargeting of hands from the network's hand model to another one: its parameters and its mesh.

The network's output refers to its own hand model: rotations, shape, refined joints. In another model (a user's MANO)
joint positions, rest pose and shape directions differ, so that the same parameters describe another hand. For either
side, three steps:

1. The shape is fitted to the pose-invariant distances between the refined joints, by a regularised least squares that
   is nearly linear in the coefficients. The prior, which fixes what distances do not determine (the thickness of the
   fingers), is an affine map of coefficients that aligns the target's rest surface with the source's, computed once per
   pair of models.
2. A rotation :math:`A_j` per joint aligns the target's rest bones with the source's: at the wrist, where five bones
   meet, in the least-squares sense (Kabsch), at every other joint by the minimal rotation after its parent's. The
   rotation :math:`S_j` from the rough to the refined bones is found likewise.
3. With :math:`G_j` the source's global rotation of joint j, the target's is :math:`H_j = S_j G_j A_j`: its posed bones
   are parallel to the refined ones and twisted as predicted.

The result is the target's parametric surface, not the refined mesh: the vertex offsets of the refine stage have no
counterpart on another model's vertices. Nor do the joints agree exactly, as no shape of one model has exactly the
proportions of another; :meth:`Retargeter.joint_distances` measures the difference.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lgnet_core.geometry.normals import vertex_normals
from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.anatomy import JOINT_LIMITS, angles_to_rotations
from lgnet_core.hand_model.asset import NUM_MANO_JOINTS, NUM_SHAPE_PARAMETERS
from lgnet_core.hand_model.bones import align_bones, global_rotations, local_rotations
from lgnet_core.types import FloatArray, Side, TwoHands

DISTANCE_STD = 5e-4
"""Metres: residual of a joint distance that costs as much as one standard deviation of a shape coefficient."""

SURFACE_STD = 3e-4
"""Metres: the same for the point-to-plane distance between the rest surfaces."""

GAUSS_NEWTON_STEPS = 2
"""Of the shape fit, which starts close to its solution."""

SURFACE_FIT_STEPS = 2
"""Of the alignment of the rest surfaces: the second one has better vertex correspondences."""

SKINNING_DISTANCE = 0.03
"""Metres that a full difference in skinning weights adds to the distance of two vertices, so that correspondences are
preferred on the same bone."""

_BONES = tuple((joint - 1 if joint % 4 != 1 else 0, joint) for joint in range(1, 21))
_STARTS, _ENDS = (list(joints) for joints in zip(*_BONES, (1, 5), (5, 9), (9, 13), (13, 17)))
"""Joints, in OpenPose's order, whose distance is pose-invariant: the ends of a bone, and neighbouring knuckles."""


class RetargetedHands(NamedTuple):
    """Hands of the target model, metres, camera axes, relative to their own wrists.

    Shapes:
        rotations: (B, 2, 16, 3, 3) MANO's order; shape: (B, 2, 10); vertices: (B, 2, 778, 3); joints: (B, 2, 21, 3);
        wrist: (B, 2, 3) from the refined hand's wrist to this one's, which makes the means of their joints coincide:
        models differ in the position of the wrist. For a single side the axis of length 2 is absent.
    """

    rotations: FloatArray
    shape: FloatArray
    vertices: FloatArray
    joints: FloatArray
    wrist: FloatArray


class Retargeter:
    """Converts hands of one hand model to another, see the module's docstring.

    Args:
        source: hand model of the network.
        target: hand model of the output.
    """

    def __init__(self, source: HandModel, target: HandModel) -> None:
        self.source, self.target = (HandModel(*model.assets) for model in (source, target))
        self._source, self._target = _RestSkeleton(self.source), _RestSkeleton(self.target)
        self._mean_shape, self._shape_jacobian = self._match_surfaces()
        self._faces = self.target.faces

    def __call__(
        self, rotations: FloatArray, shape: FloatArray, joints: FloatArray, side: Side | None = None
    ) -> RetargetedHands:
        """Retarget a batch of hands.

        Args:
            rotations, shape: of the rough mesh, in the source model.
            joints: of the refined mesh, metres, OpenPose's order.
            side: None for both hands, else the side of all items.

        Shapes:
            rotations: (B, 2, 16, 3, 3), shape: (B, 2, 10), joints: (B, 2, 21, 3); for a single side without the axis of
            length 2.
        """
        sides = slice(None) if side is None else side
        rough = _pose(self.source, rotations, shape, side)[1]
        rest = self._source.joints(shape, sides)
        # Fingertips are vertices, which the pose moves a little relative to their bone; the ratio compensates for it.
        distances = _joint_distances(joints) * (_joint_distances(rest) / _joint_distances(rough))
        prior = self._mean_shape[sides] + _matvec(self._shape_jacobian[sides], shape)
        fitted = self._target.fit_shape(distances, prior, sides)

        aligned = global_rotations(rotations) @ align_bones(self._target.joints(fitted, sides), rest)
        posed = local_rotations(align_bones(rough, joints) @ aligned)
        vertices, target_joints = _pose(self.target, posed, fitted, side)
        wrist = (joints - joints[..., :1, :] - target_joints).mean(-2)
        return RetargetedHands(posed, fitted, vertices, target_joints, wrist)

    def retarget(self, output: TwoHands) -> TwoHands:
        """Retarget the hands of an image; in the camera frame, the mean of their joints is preserved."""
        hands = output.hands
        if not hands:
            return output
        rotations, shapes, joints = (
            np.stack([getattr(hand, name) for hand in hands]) for name in ("rotations", "shape", "joints")
        )
        if len(hands) == 2:  # right before left: the axis of sides
            batch = self(rotations[None], shapes[None], joints[None])
            retargeted = RetargetedHands(*(array[0] for array in batch))
        else:
            retargeted = self(rotations, shapes, joints, hands[0].side)
        converted = {}
        for k, hand in enumerate(hands):
            wrist = hand.joints[0] + retargeted.wrist[k] if output.metric else np.zeros(3)
            converted[hand.side] = replace(
                hand,
                vertices=retargeted.vertices[k] + wrist,
                faces=self._faces[hand.side],
                joints=retargeted.joints[k] + wrist,
                rotations=retargeted.rotations[k],
                shape=retargeted.shape[k],
            )
        relative = output.relative_translation
        if relative is not None:
            relative = relative + retargeted.wrist[Side.LEFT] - retargeted.wrist[Side.RIGHT]
        right, left = converted.get(Side.RIGHT), converted.get(Side.LEFT)
        return replace(output, right=right, left=left, relative_translation=relative)

    def joint_distances(self, count: int = 256, seed: int = 0) -> FloatArray:
        """Distances between corresponding joints of source and target, for randomly posed random hands.

        Joint angles are uniform within their limits, orientations uniform, shapes normally distributed; nothing is
        refined.

        Shapes:
            returns (count, 2, 21) metres.
        """
        random = np.random.default_rng(seed)
        angles = random.uniform(JOINT_LIMITS[..., 0], JOINT_LIMITS[..., 1], (count, 2, NUM_MANO_JOINTS, 3))
        rotations = angles_to_rotations(angles)
        rotations[:, :, 0] = _random_rotations(random, (count, 2))
        shape = random.standard_normal((count, 2, NUM_SHAPE_PARAMETERS))
        joints = _pose(self.source, rotations, shape)[1]
        retargeted = self(rotations, shape, joints)
        return np.linalg.norm(retargeted.joints + retargeted.wrist[..., None, :] - joints, axis=-1)

    def _match_surfaces(self) -> tuple[FloatArray, FloatArray]:
        """The target's shape (2, 10) for the source's mean hand, and its Jacobian (2, 10, 10) in the source's shape.

        Both surfaces are in the source's rest pose; residuals are the distances of the target's vertices to the
        source's tangent plane at the nearest vertex. The meshes need not share a topology.
        """
        mean = np.zeros((2, NUM_SHAPE_PARAMETERS))
        # (11, 2, 10): the mean hand, then each coefficient set to one.
        basis = np.eye(NUM_SHAPE_PARAMETERS + 1)[:, None, 1:].repeat(2, 1)
        identity = np.broadcast_to(np.eye(3), (NUM_SHAPE_PARAMETERS + 1, 2, NUM_MANO_JOINTS, 3, 3))
        source_surfaces, rest = _pose(self.source, identity, basis)
        source_normals = np.stack([vertex_normals(*mesh) for mesh in zip(source_surfaces[0], self.source.faces)])
        shape = self._target.fit_shape(_joint_distances(rest[0]), mean, slice(None))
        for _ in range(SURFACE_FIT_STEPS):
            rotations = local_rotations(align_bones(self._target.joints(shape, slice(None)), rest[0]))
            surfaces, joints = _pose(self.target, np.broadcast_to(rotations, identity.shape), shape + basis)
            surfaces = surfaces + (rest[0] - joints[0]).mean(-2)[:, None]
            nearest = _nearest_vertices(surfaces[0], self.target.weights, source_surfaces[0], self.source.weights)
            nearest = nearest[..., None]  # (2, 778, 1)
            matched = np.take_along_axis(source_surfaces, nearest[None], 2)  # (11, 2, 778, 3)
            normals = np.take_along_axis(source_normals, nearest, 1) / SURFACE_STD
            jacobian = ((surfaces[1:] - surfaces[0]) * normals).sum(-1).transpose(1, 2, 0)  # (2, 778, 10)
            source_jacobian = ((matched[1:] - matched[0]) * normals).sum(-1).transpose(1, 2, 0)
            residual = ((matched[0] - surfaces[0]) * normals).sum(-1) + _matvec(jacobian, shape)
            right_hand_sides = np.concatenate([residual[..., None], source_jacobian], -1)
            solution = np.linalg.solve(
                _gram(jacobian) + np.eye(NUM_SHAPE_PARAMETERS), jacobian.swapaxes(-1, -2) @ right_hand_sides
            )
            shape = solution[..., 0]
        return shape, solution[..., 1:]


class _RestSkeleton:
    """A model's rest joints and their shape basis: (2, 21, 3) and (2, 21, 3, 10), OpenPose's order."""

    def __init__(self, model: HandModel) -> None:
        def to_openpose(skeleton: FloatArray, surface: FloatArray) -> FloatArray:
            joints = np.concatenate([skeleton, surface[:, model.tip_vertices]], 1)
            return joints[:, model.mano_to_openpose].astype(np.float64)

        basis = model.joint_basis.reshape(2, -1, NUM_MANO_JOINTS, 3).transpose(0, 2, 3, 1)
        self.rest = to_openpose(model.rest_joints, model.v_template)
        self.basis = to_openpose(basis, model.shapedirs)
        self.bone_basis = self.basis[:, _ENDS] - self.basis[:, _STARTS]  # (2, 24, 3, 10)

    def joints(self, shape: FloatArray, sides: slice | Side) -> FloatArray:
        """Rest joints (..., 21, 3) of shapes (..., 10)."""
        return self.rest[sides] + _matvec(self.basis[sides], shape[..., None, :])

    def fit_shape(self, distances: FloatArray, prior: FloatArray, sides: slice | Side) -> FloatArray:
        """Coefficients (..., 10) for joint distances (..., 24), metres, with the prior's mean (..., 10)."""
        shape = prior
        for _ in range(GAUSS_NEWTON_STEPS):
            joints = self.joints(shape, sides)
            bones = joints[..., _ENDS, :] - joints[..., _STARTS, :]
            lengths = np.linalg.norm(bones, axis=-1)
            jacobian = ((bones / lengths[..., None])[..., None, :] @ self.bone_basis[sides])[..., 0, :] / DISTANCE_STD
            gradient = _matvec(jacobian.swapaxes(-1, -2), (distances - lengths) / DISTANCE_STD) + prior - shape
            step = np.linalg.solve(_gram(jacobian) + np.eye(NUM_SHAPE_PARAMETERS), gradient[..., None])
            shape = shape + step[..., 0]
        return shape


def _pose(
    model: HandModel, rotations: FloatArray, shape: FloatArray, side: Side | None = None
) -> tuple[FloatArray, FloatArray]:
    """Vertices and joints relative to the wrist."""
    mesh = model.pose(rotations.astype(np.float32), shape.astype(np.float32), side=side).wrist_relative()
    return mesh.vertices.astype(np.float64), mesh.joints.astype(np.float64)


def _joint_distances(joints: FloatArray) -> FloatArray:
    """Pose-invariant distances of joints (..., 21, 3), (..., 24) metres, positive."""
    return np.linalg.norm(joints[..., _ENDS, :] - joints[..., _STARTS, :], axis=-1) + 1e-9


def _matvec(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return (matrix @ vector[..., None])[..., 0]


def _gram(matrix: FloatArray) -> FloatArray:
    return matrix.swapaxes(-1, -2) @ matrix


def _nearest_vertices(
    points: FloatArray, weights: FloatArray, others: FloatArray, other_weights: FloatArray
) -> FloatArray:
    """Index of the nearest other vertex with similar skinning weights, for each vertex (2, V, 3) of both hands."""
    features, other_features = (
        np.concatenate([vertices, SKINNING_DISTANCE * skinning.astype(np.float64)], -1)
        for vertices, skinning in ((points, weights), (others, other_weights))
    )
    # |a - b|^2 without |a|^2, which is the same for all b.
    return ((other_features**2).sum(-1)[:, None] - 2 * features @ other_features.swapaxes(-1, -2)).argmin(-1)


def _random_rotations(random: np.random.Generator, count: tuple[int, ...]) -> FloatArray:
    """Uniformly distributed rotations (*count, 3, 3): the orthogonal factor of a normally distributed matrix."""
    orthogonal, triangular = np.linalg.qr(random.standard_normal((*count, 3, 3)))
    orthogonal = orthogonal * np.sign(np.diagonal(triangular, axis1=-2, axis2=-1))[..., None, :]
    return orthogonal * np.sign(np.linalg.det(orthogonal))[..., None, None]
