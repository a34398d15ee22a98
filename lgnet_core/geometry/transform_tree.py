"""A tree of coordinate frames, as TF keeps it, with the latest pose of each."""

from __future__ import annotations

import numpy as np

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.types import FloatArray

_SQUARED_NORM_TOLERANCE = 1e-2  # of quaternions, as in tf2


class TransformTree:
    """The latest pose of each frame in its parent. A frame that gets another parent moves to it."""

    def __init__(self) -> None:
        self._poses: dict[str, tuple[str, FloatArray]] = {}

    def set(self, parent: str, child: str, pose: Pose) -> None:
        """Store ``T_parent_child``.

        Raises:
            ValueError: the pose has a value that is not finite, or its quaternion is not a unit quaternion.
        """
        if not (np.isfinite(pose.position).all() and np.isfinite(pose.quaternion).all()):
            raise ValueError("it has values that are not finite")
        norm = float(np.linalg.norm(pose.quaternion))
        if abs(norm**2 - 1) > _SQUARED_NORM_TOLERANCE:
            raise ValueError(f"its quaternion has the norm {norm:.3g}, expected 1")
        self._poses[child] = parent, _matrix(Pose(pose.position, pose.quaternion / norm))

    def lookup(self, target: str, source: str) -> Pose | None:
        """``T_target_source``, which takes points of ``source`` into ``target``; None if they are not connected."""
        from_target, from_source = self._to_ancestors(target), self._to_ancestors(source)
        for frame, matrix in from_source.items():  # the source's own frame first: the first common one is the nearest
            if frame in from_target:
                product = np.linalg.inv(from_target[frame]) @ matrix
                return Pose.from_matrix(product[:3, 3], product[:3, :3])
        return None

    def _to_ancestors(self, frame: str) -> dict[str, FloatArray]:
        """``T_ancestor_frame`` of a frame itself and of each of its ancestors."""
        matrix = np.eye(4)
        matrices = {frame: matrix}
        while frame in self._poses:
            frame, step = self._poses[frame]
            if frame in matrices:  # a loop, which a wrong publisher can make
                break
            matrix = step @ matrix
            matrices[frame] = matrix
        return matrices


def _matrix(pose: Pose) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = pose.rotation, pose.position
    return matrix
