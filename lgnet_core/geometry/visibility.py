"""Which joints of estimated hands the camera sees: what the hands' own meshes hide, and what is outside the image."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from lgnet_core.types import NUM_KEYPOINTS, WRIST, Camera, FloatArray, Hand, HandKey, Hands

TOLERANCE = 0.012
"""Metres, in addition to the tissue around a joint: all joints of an open hand that faces the camera are visible, from
the palm as from the back."""

_TISSUE_VERTICES = 24  # nearest vertices of a joint, whose mean distance is the thickness of the tissue around it


class JointVisibility(IntEnum):
    """Whether the camera sees a joint."""

    VISIBLE = 0
    HIDDEN_BY_HAND = 1
    """By the surface of its own hand, beyond the tissue around the joint."""
    HIDDEN_BY_OTHER_HAND = 2
    OUTSIDE_IMAGE = 3


def joint_visibility(hands: Hands, camera: Camera) -> dict[HandKey, NDArray[np.uint8]]:
    """Visibility of the joints of metric hands, (21,) of :class:`JointVisibility` per hand.

    Args:
        camera: of the image.
    """
    border = np.array([camera.width - 0.5, camera.height - 0.5])
    present = hands.hands
    joints = np.array([hand.joints for hand in present]).reshape(-1, NUM_KEYPOINTS, 3)
    surfaces = [
        surface_depth(joints.reshape(-1, 3), hand.vertices, hand.faces).reshape(joints.shape[:2]) for hand in present
    ]
    result = {}
    for k, hand in enumerate(present):
        state = np.full(NUM_KEYPOINTS, JointVisibility.VISIBLE, np.uint8)
        depth = hand.joints[:, 2]
        state[depth > surfaces[k][k] + _tissue(hand) + TOLERANCE] = JointVisibility.HIDDEN_BY_HAND
        for other in range(len(present)):
            if other != k:
                state[depth > surfaces[other][k]] = JointVisibility.HIDDEN_BY_OTHER_HAND
        inside = ((hand.joints_2d >= -0.5) & (hand.joints_2d < border)).all(-1)
        state[~inside] = JointVisibility.OUTSIDE_IMAGE
        result[hand.key] = state
    return result


def surface_depth(points: FloatArray, vertices: FloatArray, faces: NDArray[np.integer]) -> FloatArray:
    """Depth at which the rays from the camera to points first meet a mesh; infinite where they do not.

    In ray coordinates (x / z, y / z) a triangle contains a point if its three edges turn the same way about it, and
    1 / z is linear in the triangle. Triangles that reach behind the camera are ignored.

    Shapes:
        points: (N, 3), vertices: (V, 3) metres, camera frame; faces: (F, 3); returns (N,) metres.
    """
    depth = np.full(len(points), np.inf)
    if vertices[:, 2].min() <= 0:
        faces = faces[(vertices[faces, 2] > 0).all(1)]
    in_front = np.flatnonzero(points[:, 2] > 0)
    rays = points[in_front, :2] / points[in_front, 2:]
    with np.errstate(divide="ignore", invalid="ignore"):  # of vertices that no remaining triangle has
        projected = vertices[:, :2] / vertices[:, 2:]
    columns, rows = projected.T[:, faces.T]  # (3, F) each: fast to reduce over the corners
    u, v = rays.T[..., None]  # (N, 1) each
    inside = (u >= columns.min(0)) & (u <= columns.max(0)) & (v >= rows.min(0)) & (v <= rows.max(0))
    point, face = np.nonzero(inside)  # few of (N, F)
    edges = projected[faces[face]] - rays[point, None]  # (K, 3, 2) from the ray to the corners
    following = np.roll(edges, -1, axis=1)
    areas = np.roll(edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0], -1, axis=1)  # opposite
    total = areas.sum(1)
    hit = (areas * np.sign(total)[:, None] >= 0).all(1) & (total != 0)
    inverse = (areas[hit] / vertices[faces[face[hit]], 2]).sum(1) / total[hit]
    np.minimum.at(depth, in_front[point[hit]], 1 / inverse)
    return depth


def _tissue(hand: Hand) -> FloatArray:
    """(21,) metres from the joints to the skin around them."""
    vertices, joints = hand.vertices - hand.joints[WRIST], hand.joints - hand.joints[WRIST]
    squares = (joints**2).sum(1)[:, None] + (vertices**2).sum(1) - 2 * joints @ vertices.T  # (21, V)
    nearest = np.partition(squares, _TISSUE_VERTICES, axis=1)[:, :_TISSUE_VERTICES]
    tissue: FloatArray = np.sqrt(np.maximum(nearest, 0)).mean(1)
    return tissue
