"""A tree of coordinate frames with constant transforms between them, as on ROS's ``/tf_static``."""

from __future__ import annotations

import threading

import numpy as np

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.types import FloatArray


class FrameTree:
    """Thread-safe collection of frames with their poses in their parents."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parents: dict[str, tuple[str, FloatArray]] = {}

    def put(self, parent: str, child: str, pose: Pose) -> None:
        """Set the pose of a frame in its parent, replacing an earlier one."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = pose.rotation, pose.position
        with self._lock:
            self._parents[child] = (parent, matrix)

    def lookup(self, target: str, source: str) -> FloatArray | None:
        """(4, 4) transform of points of ``source`` into ``target``; None if the frames are not connected."""
        with self._lock:
            to_target, to_source = self._to_ancestors(target), self._to_ancestors(source)
        common = next((frame for frame in to_source if frame in to_target), None)
        if common is None:
            return None
        transform: FloatArray = np.linalg.inv(to_target[common]) @ to_source[common]
        return transform

    def _to_ancestors(self, frame: str) -> dict[str, FloatArray]:
        """Transforms of points of a frame into itself and each of its ancestors, the nearest first."""
        transforms = {frame: np.eye(4)}
        while frame in self._parents:
            parent, matrix = self._parents[frame]
            if parent in transforms:  # a loop, which is no tree
                break
            transforms[parent] = matrix @ transforms[frame]
            frame = parent
        return transforms
