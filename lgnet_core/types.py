"""Input and output types of two-hand perception: cameras, hands, joint names and sides, as plain numpy arrays.

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

Array = Any
"""An array of functions that are written over the array API: a numpy array at inference, a tensor of torch in
training."""

ImageArray = NDArray[np.uint8]
"""An image: (H, W, 3) RGB unless stated otherwise."""


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


class SizeSource(IntEnum):
    """What determines a hand's size, and with it its distance."""

    PREDICTED = 0
    """The network alone, which cannot tell a small near hand from a large far one."""
    HAND_LENGTH = 1
    """A given length of the user's hand."""
    DEPTH = 2
    """A depth map of this image."""
    EARLIER_DEPTH = 3
    """Depth maps of earlier images of the track."""


FINGERS = ("thumb", "index", "middle", "ring", "pinky")

JOINT_NAMES: tuple[str, ...] = ("wrist", *(f"{finger}_{k}" for finger in FINGERS for k in (1, 2, 3, 4)))
"""The 21 joints in OpenPose's order; of a finger, 1 is nearest to the palm and 4 is the tip."""
NUM_KEYPOINTS = len(JOINT_NAMES)

JOINT_PARENTS: tuple[int, ...] = tuple(-1 if j == 0 else (0 if (j - 1) % 4 == 0 else j - 1) for j in range(21))
"""Index of the parent of each joint in the skeleton; the wrist has none (-1)."""

WRIST, MIDDLE_MCP = 0, 9
MIDDLE_FINGER_CHAIN = (0, 9, 10, 11, 12)
"""Joints from the wrist to the tip of the middle finger: the length along them does not depend on the pose."""

DISTORTION_COUNTS = (0, 4, 5, 8, 12, 14)
"""Numbers of distortion coefficients for which OpenCV has a lens model."""

_MAX_RAY = 10.0
"""Tangent (84 degrees): no pinhole lens shows what is farther from its axis, not even in a crop of its image."""


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated pinhole camera.

    Args:
        matrix: (3, 3) intrinsics K, pixels.
        width, height: image size, pixels.
        distortion: OpenCV's distortion coefficients (k1, k2, p1, p2[, k3[, k4, k5, k6[, s1, s2, s3, s4[, tx, ty]]]]);
            empty for a rectified image.

    Raises:
        ValueError: if K is not finite, a focal length or the image size is not positive, the principal point is so far
            outside the image that no lens could show it, or the number of coefficients is not of
            :data:`DISTORTION_COUNTS`.
    """

    matrix: FloatArray
    width: int
    height: int
    distortion: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float64)
        distortion = np.asarray(self.distortion, dtype=np.float64).reshape(-1)
        if matrix.shape != (3, 3):
            raise ValueError(f"camera matrix: expected shape (3, 3), got {matrix.shape}; pass K row by row")
        if not (np.isfinite(matrix).all() and np.isfinite(distortion).all()):
            raise ValueError(
                "camera: K or the distortion contains NaN or infinity; calibrate the camera, or pass no camera"
            )
        if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
            raise ValueError(
                f"camera matrix: focal lengths must be positive, got fx={matrix[0, 0]:g}, fy={matrix[1, 1]:g}; "
                "an all-zero K means an uncalibrated camera: calibrate it, or pass no camera"
            )
        if self.width <= 0 or self.height <= 0:
            raise ValueError(
                f"camera: width and height are {self.width} and {self.height}; set them to the size of the calibrated "
                "images in pixels"
            )
        if distortion.size not in DISTORTION_COUNTS:
            raise ValueError(
                f"camera: {distortion.size} distortion coefficients; expected {_join(DISTORTION_COUNTS)} "
                "(k1, k2, p1, p2, k3, ...): append zeros for missing ones, or calibrate again"
            )
        self._check_principal_point(matrix)
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "distortion", distortion)

    def _check_principal_point(self, matrix: FloatArray) -> None:
        centre, size = matrix[:2, 2], np.array([self.width, self.height])
        outside = np.maximum(np.maximum(-0.5 - centre, centre - (size - 0.5)), 0)  # pixels, to the nearest border
        if (outside > _MAX_RAY * matrix.diagonal()[:2]).any():
            raise ValueError(
                f"camera matrix: the principal point ({centre[0]:g}, {centre[1]:g}) is far outside the image of "
                f"{self.width}x{self.height} pixels; calibrate the camera again, or pass no camera"
            )


@dataclass(frozen=True, eq=False, repr=False)
class DepthMap:
    """Measured depth, registered to an image: each pixel is the depth at the same pixel of the image.

    Args:
        metres: (H, W) z of the surface in the image's camera frame; 0, NaN or infinite where nothing was measured.
        stamp_ns: acquisition time, nanoseconds on the clock of the images.
    """

    metres: FloatArray
    stamp_ns: int = 0


HandKey = tuple[int, Side]
"""Person and side."""


@dataclass(frozen=True, eq=False, repr=False)
class Hand:
    """One estimated hand.

    Args:
        side: anatomical side.
        presence: probability in [0, 1] that this hand is in the image.
        joints: (21, 3) metres; camera frame if ``TwoHands.metric``, else relative to the wrist, camera axes.
        vertices: (778, 3) metres, same frame as ``joints``: the refined mesh (M_f), or the surface of another hand
            model if the hands are retargeted to it (:class:`~lgnet_core.inference.retarget.Retargeter`).
        faces: (1538, 3) vertex indices, counter-clockwise seen from outside on both sides.
        joints_2d: (21, 2) pixels in the input image (distorted, if the image is): the predicted 2D joints.
        joint_std: (21,) metres: predicted standard deviation per axis of the wrist-relative joints.
        rotations: (16, 3, 3) joint rotations of the hand model (root in camera axes), MANO's joint order.
        shape: (10,) shape coefficients of the hand model. Rotations and shape describe the rough mesh (M_r), not M_f;
            for a retargeted hand they describe its surface.
        size_source: what determines the size and the distance.
        track_id: constant while a :class:`~lgnet_core.inference.tracking.tracker.HandTracker` follows this hand from
            image to image, counted from 1; 0: not tracked.
        person: index of the person, from 0; constant while one of the person's hands is tracked.
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
    size_source: SizeSource = SizeSource.PREDICTED
    track_id: int = 0
    person: int = 0

    @property
    def key(self) -> HandKey:
        """Unique among the hands of an image."""
        return self.person, self.side

    def __repr__(self) -> str:
        wrist = ", ".join(f"{round(float(x), 2) + 0.0:.2f}" for x in self.joints[WRIST])  # + 0.0: no -0.00
        track = f", track {self.track_id}" if self.track_id else ""
        return f"Hand({self.side.label}, presence {self.presence:.2f}, wrist ({wrist}) m{track})"


@dataclass(frozen=True, eq=False, repr=False)
class TwoHands:
    """The detected hands of one person in one image.

    Args:
        right, left: the hand, or None if it was not detected.
        relative_translation: (3,) wrist_left - wrist_right, metres, camera axes; None unless both were detected.
        metric: True if the hands are in the camera frame; False if no camera was given, in which case joints and
            vertices are relative to each hand's own wrist (normalised mode).
    """

    right: Hand | None
    left: Hand | None
    relative_translation: FloatArray | None
    metric: bool

    @property
    def hands(self) -> list[Hand]:
        """The detected hands, right before left."""
        return [hand for hand in (self.right, self.left) if hand is not None]

    @property
    def person(self) -> int:
        """Index of the person, see :class:`Hand`; 0 without hands."""
        return self.hands[0].person if self.hands else 0

    def __repr__(self) -> str:
        parts = ["metric" if self.metric else "wrist-relative"]
        parts += [f"{hand.side.label} {hand.presence:.2f}" for hand in self.hands] or ["no hands"]
        if self.relative_translation is not None:
            parts.append(f"wrists {np.linalg.norm(self.relative_translation):.2f} m apart")
        return f"TwoHands({', '.join(parts)})"


@dataclass(frozen=True, eq=False)
class ImageHands:
    """The detected hands in one image, of one or several people.

    Args:
        people: those with at least one hand, by their index.
        metric: see :class:`TwoHands`.
    """

    people: list[TwoHands]
    metric: bool

    @property
    def hands(self) -> list[Hand]:
        """The detected hands, of each person right before left."""
        return [hand for person in self.people for hand in person.hands]

    @property
    def first(self) -> TwoHands:
        """The hands of the first person."""
        return self.people[0] if self.people else TwoHands(None, None, None, self.metric)


Hands = TwoHands | ImageHands
"""The hands of one person or of all people in an image."""


def _join(numbers: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} or {numbers[-1]}"
