"""What goes in and out of the perception of two hands: plain numpy arrays, units and frames in the docstrings.

Camera frame: the optical frame of REP-103 (x right, y down, z forward), metres. Pixels: (u right, v down), the centre
of the top-left pixel is (0, 0), as in OpenCV and in ROS's CameraInfo.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]


class Side(IntEnum):
    """The person's anatomical side; also the index of every side axis of length 2."""

    RIGHT = 0
    LEFT = 1

    @property
    def other(self) -> Side:
        return Side(1 - self)

    @property
    def label(self) -> str:
        """``"right"`` or ``"left"``."""
        return self.name.lower()


FINGERS = ("thumb", "index", "middle", "ring", "pinky")

JOINT_NAMES: tuple[str, ...] = ("wrist", *(f"{finger}_{k}" for finger in FINGERS for k in (1, 2, 3, 4)))
"""21 joints in OpenPose's order: 1 is nearest the palm, 4 is the tip."""
NUM_KEYPOINTS = len(JOINT_NAMES)

JOINT_PARENTS: tuple[int, ...] = tuple(-1 if j == 0 else (0 if (j - 1) % 4 == 0 else j - 1) for j in range(21))
"""Index of each joint's parent in the drawn skeleton; the wrist has none (-1)."""

WRIST, MIDDLE_MCP = 0, 9


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated pinhole camera.

    Args:
        matrix: (3, 3) intrinsics K, pixels.
        width, height: size of the image, pixels.
        distortion: OpenCV's coefficients (k1, k2, p1, p2[, k3[, k4, k5, k6]]); empty for a rectified image.

    Raises:
        ValueError: if K is not finite, its focal lengths are not positive, or the size is not positive.
    """

    matrix: FloatArray
    width: int
    height: int
    distortion: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float64)
        distortion = np.asarray(self.distortion, dtype=np.float64).reshape(-1)
        if matrix.shape != (3, 3):
            raise ValueError(f"camera matrix: expected shape (3, 3), got {matrix.shape}; give K row by row")
        if not (np.isfinite(matrix).all() and np.isfinite(distortion).all()):
            raise ValueError(
                "camera: K or the distortion holds NaN or infinity; calibrate the camera, or pass no camera"
            )
        if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
            raise ValueError(
                f"camera matrix: focal lengths must be positive, got fx={matrix[0, 0]:g}, fy={matrix[1, 1]:g}; "
                "an all-zero K means an uncalibrated camera: calibrate it, or pass no camera"
            )
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"camera: size must be positive, got {self.width}x{self.height}")
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "distortion", distortion)


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand as the network sees it.

    Args:
        side: anatomical side.
        presence: probability in [0, 1] that this hand is in the image.
        joints: (21, 3) metres; camera frame if ``TwoHands.metric``, else relative to the wrist, camera axes.
        vertices: (778, 3) metres, same frame as ``joints``: the refined mesh (M_f), or, where the hands are given as
            another hand model's than the network's, that model's own surface
            (:class:`~lgnet_core.inference.retarget.Retarget`).
        faces: (1538, 3) vertex indices, counter-clockwise seen from outside on both sides.
        joints_2d: (21, 2) pixels in the given image (distorted, if it is): what the network saw in 2D.
        joint_std: (21,) metres: predicted standard deviation per axis of the wrist-relative joints.
        rotations: (16, 3, 3) the hand model's joint rotations (root in camera axes), MANO's joint order.
        shape: (10,) the hand model's shape coefficients. Rotations and shape describe the rough mesh (M_r), not M_f;
            another hand model's describe its surface.
        track_id: the same number as long as a :class:`~lgnet_core.inference.tracking.tracker.HandTracker` follows this
        hand
            from image to image, counted from 1; 0: not tracked.
    """

    side: Side
    presence: float
    joints: FloatArray
    vertices: FloatArray
    faces: NDArray[np.integer]
    joints_2d: FloatArray
    joint_std: FloatArray
    rotations: FloatArray
    shape: FloatArray
    track_id: int = 0


@dataclass(frozen=True, eq=False)
class TwoHands:
    """The hands found in one image.

    Args:
        right, left: the hand, or None where it was not seen.
        relative_translation: (3,) wrist_left - wrist_right, metres, camera axes; None unless both hands were seen.
        metric: True if the hands stand in the camera frame; False if no camera was given, and then joints and
            vertices are relative to each hand's own wrist (normalised mode).
    """

    right: Hand | None
    left: Hand | None
    relative_translation: FloatArray | None
    metric: bool

    @property
    def hands(self) -> list[Hand]:
        """The hands that were seen, right before left."""
        return [hand for hand in (self.right, self.left) if hand is not None]
