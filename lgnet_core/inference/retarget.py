r"""From the hand model that a network was trained with to another one: its parameters and its mesh.

A network speaks of its own hand model: rotations, shape, refined joints. In another model (a user's MANO) joints lie at
other places, the rest pose and the shape directions differ, so that the same numbers mean another hand. Both sides
alike, in three steps:

1. The shape comes from the distances between the refined joints that no pose changes, by a regularised least squares
   that is nearly linear in the coefficients. What distances do not tell (how thick the fingers are) is found once for
   the two models: the affine map of coefficients that lays the target's rest surface on the source's.
2. A rotation :math:`A_j` for each joint lays the target's rest bones along the source's: at the wrist, which has five,
   the best in the least squares (Kabsch), at every other joint the shortest turn after its parent's. The turn
   :math:`S_j` from the rough to the refined bones is found likewise.
3. With :math:`G_j` the source's rotation of joint j to the camera, the target's is :math:`H_j = S_j G_j A_j`: its
   posed bones are parallel to the refined ones, and turned about themselves as the network said.

The result is the target's parametric surface, not the refined mesh: what the refine stage adds between the joints has
no counterpart on another model's vertices. Nor do the joints agree fully, as no shape of one model has exactly the
proportions of another: :meth:`Retarget.joint_distances` measures by how much.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import roma
import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.anatomy import JOINT_LIMITS, angles_to_rotations
from lgnet_core.hand_model.asset import NUM_MANO_JOINTS, NUM_SHAPE_PARAMETERS
from lgnet_core.hand_model.bones import swings, to_camera, to_parents
from lgnet_core.types import FloatArray, Side, TwoHands

LENGTH_STD = 5e-4  # metres of a distance between joints that weigh as much as one standard deviation of the shape
SURFACE_STD = 3e-4  # metres between the rest surfaces, likewise
STEPS = 2  # of Gauss and Newton, from a shape that fits already

_BONES = tuple((joint - 1 if joint % 4 != 1 else 0, joint) for joint in range(1, 21))
_STARTS, _ENDS = (list(joints) for joints in zip(*_BONES, (1, 5), (5, 9), (9, 13), (13, 17)))
"""OpenPose's joints whose distance no pose changes: the ends of a bone, and neighbours among the knuckles."""

_WEIGHT_METRES = 0.03  # by which skin that moves with another bone counts as further away


class Retargeted(NamedTuple):
    """Hands of the target model, metres, axes of the camera, relative to their own wrists.

    Shapes:
        rotations: (B, 2, 16, 3, 3) MANO's order; shape: (B, 2, 10); vertices: (B, 2, 778, 3); joints: (B, 2, 21, 3).
        wrist: (B, 2, 3) from the refined hand's wrist to this one's, by which their joints lie on each other in the
        mean: models put the wrist at different places. With a side the axis of length 2 is absent.
    """

    rotations: FloatArray
    shape: FloatArray
    vertices: FloatArray
    joints: FloatArray
    wrist: FloatArray


class Retarget:
    """Turns hands of one model into hands of another, as the module says.

    Args:
        source: the model that the network was trained with.
        target: the model that hands are wanted of. Both are copied.
    """

    def __init__(self, source: HandModel, target: HandModel) -> None:
        self.source, self.target = (copy.deepcopy(model).cpu().float() for model in (source, target))
        self._source, self._target = _Skeleton(self.source), _Skeleton(self.target)
        self._shape, self._shape_slope = self._match_surfaces()
        self._faces = self.target.faces.numpy()

    def __call__(
        self, rotations: FloatArray, shape: FloatArray, joints: FloatArray, side: Side | None = None
    ) -> Retargeted:
        """Hands of the target model.

        Args:
            rotations, shape: of the rough mesh, in the source model.
            joints: of the refined mesh, metres, OpenPose's order.
            side: None for both hands, else the hand that all items are of.

        Shapes:
            rotations: (B, 2, 16, 3, 3), shape: (B, 2, 10), joints: (B, 2, 21, 3); with a side without the axis of
            length 2.
        """
        which = slice(None) if side is None else side
        rough = _pose(self.source, rotations, shape, side)[1]
        rest = self._source.joints(shape, which)
        # The pose moves the tips, which are vertices, a little against their bones; the ratio takes that out.
        distances = _distances(joints) * (_distances(rest) / _distances(rough))
        expected = self._shape[which] + _apply(self._shape_slope[which], shape)
        fitted = self._target.fit_shape(distances, expected, which)

        aligned = to_camera(rotations) @ swings(self._target.joints(fitted, which), rest)
        posed = to_parents(swings(rough, joints) @ aligned)
        vertices, found = _pose(self.target, posed, fitted, side)
        wrist = (joints - joints[..., :1, :] - found).mean(-2)
        return Retargeted(posed, fitted, vertices, found, wrist)

    def hands(self, found: TwoHands) -> TwoHands:
        """The hands of an image as the target's; in the camera's frame, their joints lie as near as can be."""
        seen = found.hands
        if not seen:
            return found
        rotations, shapes, joints = (np.stack([getattr(h, k) for h in seen]) for k in ("rotations", "shape", "joints"))
        if len(seen) == 2:  # right before left: the axis of the sides
            made = Retargeted(*(array[0] for array in self(rotations[None], shapes[None], joints[None])))
        else:
            made = self(rotations, shapes, joints, seen[0].side)
        hands = {}
        for k, hand in enumerate(seen):
            place = hand.joints[0] + made.wrist[k] if found.metric else np.zeros(3)
            hands[hand.side] = replace(
                hand,
                vertices=made.vertices[k] + place,
                faces=self._faces[hand.side],
                joints=made.joints[k] + place,
                rotations=made.rotations[k],
                shape=made.shape[k],
            )
        relative = found.relative_translation
        if relative is not None:
            relative = relative + made.wrist[Side.LEFT] - made.wrist[Side.RIGHT]
        return TwoHands(hands.get(Side.RIGHT), hands.get(Side.LEFT), relative, found.metric)

    def joint_distances(self, count: int = 256, seed: int = 0) -> FloatArray:
        """How far the target's joints lie from the source's, for random poses of random hands.

        Uniform angles within the joints' limits, any orientation, normally distributed shapes, nothing refined.

        Shapes:
            returns (count, 2, 21) metres.
        """
        random = torch.Generator().manual_seed(seed)
        least, greatest = JOINT_LIMITS.unbind(-1)
        angles = torch.lerp(least, greatest, torch.rand(count, 2, NUM_MANO_JOINTS, 3, generator=random))
        turns = angles_to_rotations(angles)
        turns[:, :, 0] = roma.unitquat_to_rotmat(F.normalize(torch.randn(count, 2, 4, generator=random), dim=-1))
        rotations, shape = (
            turns.double().numpy(),
            torch.randn(count, 2, NUM_SHAPE_PARAMETERS, generator=random).double().numpy(),
        )
        joints = _pose(self.source, rotations, shape)[1]
        found = self(rotations, shape, joints)
        return np.linalg.norm(found.joints + found.wrist[..., None, :] - joints, axis=-1)

    def _match_surfaces(self) -> tuple[FloatArray, FloatArray]:
        """The target's shape (2, 10) for the source's mean hand, and its slope (2, 10, 10) in the source's shape.

        Both surfaces in the source's rest pose; distances from each vertex of the target to the tangent plane of the
        source at the vertex nearest to it. Meshes need have nothing in common.
        """
        mean = np.zeros((2, NUM_SHAPE_PARAMETERS))
        each = np.eye(NUM_SHAPE_PARAMETERS + 1)[:, None, 1:].repeat(
            2, 1
        )  # the mean hand, then one coefficient at a time
        straight = np.broadcast_to(np.eye(3), (NUM_SHAPE_PARAMETERS + 1, 2, NUM_MANO_JOINTS, 3, 3))
        surfaces, rest = _pose(self.source, straight, each)
        normals = _normals(surfaces[0], self.source.faces.numpy())
        shape = self._target.fit_shape(_distances(rest[0]), mean, slice(None))
        for _ in range(2):  # the second time with vertices that lie nearer to their like
            turns = to_parents(swings(self._target.joints(shape, slice(None)), rest[0]))
            ours, joints = _pose(self.target, np.broadcast_to(turns, straight.shape), shape + each)
            ours = ours + (rest[0] - joints[0]).mean(-2)[:, None]
            near = _nearest(ours[0], self.target.weights, surfaces[0], self.source.weights)[..., None]  # (2, 778, 1)
            picked = np.take_along_axis(surfaces, near[None], 2)  # (11, 2, 778, 3)
            normal = np.take_along_axis(normals, near, 1) / SURFACE_STD
            slope = ((ours[1:] - ours[0]) * normal).sum(-1).transpose(1, 2, 0)  # (2, 778, 10)
            wanted = ((picked[1:] - picked[0]) * normal).sum(-1).transpose(1, 2, 0)
            missing = ((picked[0] - ours[0]) * normal).sum(-1) + _apply(slope, shape)
            both = np.concatenate([missing[..., None], wanted], -1)
            solved = np.linalg.solve(_square(slope) + np.eye(NUM_SHAPE_PARAMETERS), slope.swapaxes(-1, -2) @ both)
            shape = solved[..., 0]
        return shape, solved[..., 1:]


class _Skeleton:
    """Rest joints of a model and how its shape moves them: (2, 21, 3) and (2, 21, 3, 10), OpenPose's order."""

    def __init__(self, model: HandModel) -> None:
        def ordered(skeleton: Tensor, surface: Tensor) -> FloatArray:
            joints = torch.cat([skeleton, surface[:, model.tip_vertices]], 1)
            return joints[:, model.mano_to_openpose].double().numpy()

        basis = model.joint_basis.unflatten(2, (NUM_MANO_JOINTS, 3)).permute(0, 2, 3, 1)
        self.rest = ordered(model.rest_joints, model.v_template)
        self.basis = ordered(basis, model.shapedirs)
        self.spans = self.basis[:, _ENDS] - self.basis[:, _STARTS]  # (2, 24, 3, 10)

    def joints(self, shape: FloatArray, which: slice | Side) -> FloatArray:
        """Rest joints (..., 21, 3) of shapes (..., 10)."""
        return self.rest[which] + _apply(self.basis[which], shape[..., None, :])

    def fit_shape(self, distances: FloatArray, expected: FloatArray, which: slice | Side) -> FloatArray:
        """Coefficients (..., 10) for distances (..., 24), metres, and expected coefficients (..., 10)."""
        shape = expected
        for _ in range(STEPS):
            joints = self.joints(shape, which)
            bones = joints[..., _ENDS, :] - joints[..., _STARTS, :]
            lengths = np.linalg.norm(bones, axis=-1)
            slopes = ((bones / lengths[..., None])[..., None, :] @ self.spans[which])[..., 0, :] / LENGTH_STD
            pull = _apply(slopes.swapaxes(-1, -2), (distances - lengths) / LENGTH_STD) + expected - shape
            shape = shape + np.linalg.solve(_square(slopes) + np.eye(NUM_SHAPE_PARAMETERS), pull[..., None])[..., 0]
        return shape


def _pose(
    model: HandModel, rotations: FloatArray, shape: FloatArray, side: Side | None = None
) -> tuple[FloatArray, FloatArray]:
    """Vertices and joints relative to the wrist."""
    with torch.inference_mode():
        arrays = (torch.from_numpy(np.asarray(array, np.float32)) for array in (rotations, shape))
        mesh = model(*arrays, side=side).wrist_relative()
    return mesh.vertices.double().numpy(), mesh.joints.double().numpy()


def _distances(joints: FloatArray) -> FloatArray:
    """(..., 21, 3) to (..., 24) metres, none of them zero."""
    return np.linalg.norm(joints[..., _ENDS, :] - joints[..., _STARTS, :], axis=-1) + 1e-9


def _apply(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return (matrix @ vector[..., None])[..., 0]


def _square(matrix: FloatArray) -> FloatArray:
    return matrix.swapaxes(-1, -2) @ matrix


def _normals(vertices: FloatArray, faces: FloatArray) -> FloatArray:
    """Unit normals (2, V, 3) of both hands' vertices (2, V, 3), outward."""
    normals = np.zeros_like(vertices)
    for side in Side:
        a, b, c = np.moveaxis(vertices[side][faces[side]], 1, 0)
        for corner in range(3):
            np.add.at(normals[side], faces[side][:, corner], np.cross(b - a, c - a))
    return normals / (np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12)


def _nearest(points: FloatArray, weights: Tensor, others: FloatArray, other_weights: Tensor) -> FloatArray:
    """For each vertex (2, V, 3) of both hands the index of the nearest of the others that moves with the same bones."""
    ours, theirs = (
        torch.cat([torch.from_numpy(place), _WEIGHT_METRES * skin.double()], -1)
        for place, skin in ((points, weights), (others, other_weights))
    )
    return torch.cdist(ours, theirs).argmin(-1).numpy()
