"""Measurement of a user's hand length from the images of about a second, which show one flat hand.

A single image fixes the ratio of a hand's length to its distance. The length follows from the distance: from that of
hands that are scaled to depth maps, or from a given one.

Both use the estimated hand as a ruler, and share its errors of scale: the measured length is the ``hand_length`` with
which the estimator places this hand at its true distance, which may differ from that of a tape measure by a few per
cent.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from lgnet_core.hand_model import HandModel
from lgnet_core.inference.assembly import HAND_LENGTH_RANGE, FlatLength
from lgnet_core.robotics.handover import openness
from lgnet_core.types import WRIST, Camera, FloatArray, Hand, Hands, SizeSource

MIN_OPENNESS = 0.8
"""Of a flat hand: open hands of the demo clip, fingers together or spread, are predicted at 0.87 to 0.95, half closed
ones at 0.6 and less."""

MIN_FACING = 0.8
"""Cosine of the angle between the palm's normal and the ray to it, 37 degrees: of a hand that turns away, the network
sees the length foreshortened, and its error grows."""

MIN_IMAGES = 10
"""Fewer do not show whether the length is steady."""

MIN_GOOD_FRACTION = 0.7
"""Of the images; in the others the hand may be missed, or lack a depth."""

MAX_SPREAD = 0.05
"""Relative robust standard deviation of the lengths in the images; that of a hand held still is 0.01 to 0.03."""

_NO_DEPTH = "the depth image does not show the skin of the hand; check the depth stream"
_KNUCKLES = [5, 9, 13, 17]
_INDEX_KNUCKLE, _PINKY_KNUCKLE = 5, 17
_PALM_RADIUS = 0.02  # metres: the skin of the palm is that within this distance of the ray to its centre


class HandLength(NamedTuple):
    """A measured hand length.

    Args:
        metres: from the wrist to the tip of the middle finger of the flat hand.
        spread: robust standard deviation of the single images, metres. images: their number.
    """

    metres: float
    spread: float
    images: int


class HandLengthError(ValueError):
    """The images do not determine the length; the message states the reason and the remedy."""


class HandLengthMeter:
    """Measures the length of the only hand in a sequence of images.

    Args:
        hand_model: of the hands.
        distance: metres along the optical axis from the camera to the skin of the palm, or of the back of the hand,
            whichever faces the camera. None: the hands are scaled to depth maps.
    """

    def __init__(self, hand_model: HandModel, distance: float | None = None) -> None:
        self._flat_length = FlatLength(hand_model)
        self._distance = distance
        self._lengths: list[float] = []
        self._problems: Counter[str] = Counter()
        self._depth_problem = ""  # the last one; its text may differ from image to image
        self._tracks: set[tuple[int, int]] = set()

    @property
    def images(self) -> int:
        """Number of images so far."""
        return len(self._lengths) + self._problems.total()

    def add(self, hands: Hands, camera: Camera | None, depth_problem: str = "") -> None:
        """Add the hands of an image.

        Args:
            camera: of this image; None: it is not calibrated.
            depth_problem: why this image has no depth map; empty if it has one, or none is needed.
        """
        problem = self._problem(hands, camera)
        if problem:
            self._problems[problem] += 1
            self._depth_problem = depth_problem or self._depth_problem
            return
        (hand,) = hands.hands
        self._tracks.add((hand.side, hand.track_id))
        length = self._flat_length(hand.joints)
        if self._distance is not None:
            length *= self._distance / _skin_depth(hand)
        self._lengths.append(length)

    def result(self) -> HandLength:
        """The length.

        Raises:
            HandLengthError: the images do not determine it.
        """
        if self.images < MIN_IMAGES:
            raise HandLengthError(
                f"too few images ({self.images}, at least {MIN_IMAGES} are needed); check in the diagnostics that the "
                "camera's images arrive and are processed"
            )
        if len(self._lengths) < MIN_GOOD_FRACTION * self.images:
            problem, count = self._problems.most_common(1)[0]
            if problem == _NO_DEPTH and self._depth_problem:
                problem = self._depth_problem
            raise HandLengthError(f"{problem} ({count} of {self.images} images)")
        if len(self._tracks) > 1:
            raise HandLengthError("the hand was lost and found again, or another one came; hold one hand still")
        length = float(np.median(self._lengths))
        spread = 1.4826 * float(np.median(np.abs(np.array(self._lengths) - length)))
        if spread > MAX_SPREAD * length:
            raise HandLengthError(
                f"the length varies too much between the images ({length:.3f} m, standard deviation {spread:.3f} m); "
                "hold the hand still and flat, in good light"
            )
        low, high = HAND_LENGTH_RANGE
        if not low <= length <= high:
            cause = "depth images and their units" if self._distance is None else "distance"
            raise HandLengthError(
                f"the result, {length:.3f} m, is not the length of a hand ({low} to {high} m); check the camera's "
                f"calibration and the {cause}"
            )
        return HandLength(length, spread, len(self._lengths))

    def _problem(self, hands: Hands, camera: Camera | None) -> str:
        """Why an image cannot be used, with the remedy; empty if it can."""
        if camera is None or not hands.metric:
            return "the camera is not calibrated; publish its camera_info"
        if len(hands.hands) != 1:
            return (
                "more than one hand is in the image; show one" if hands.hands else "no hand is in the image; show one"
            )
        (hand,) = hands.hands
        border = np.array([camera.width - 0.5, camera.height - 0.5])
        if not ((hand.joints_2d >= -0.5) & (hand.joints_2d <= border)).all():
            return "the hand is partly outside the image; move it to the centre"
        if openness(hand.joints) < MIN_OPENNESS:
            return "the hand is not flat; stretch all fingers"
        if _facing(hand.joints) < MIN_FACING:
            return "the hand does not face the camera; turn the palm or the back of the hand towards it"
        if self._distance is None and hand.size_source is not SizeSource.DEPTH:
            return _NO_DEPTH
        return ""


def _palm_centre(joints: FloatArray) -> FloatArray:
    """(3,) midway between the wrist and the knuckles."""
    centre: FloatArray = (joints[WRIST] + joints[_KNUCKLES].mean(0)) / 2
    return centre


def _facing(joints: FloatArray) -> float:
    """Cosine of the angle between the palm's normal, whichever way, and the ray to its centre."""
    normal = np.cross(joints[_INDEX_KNUCKLE] - joints[WRIST], joints[_PINKY_KNUCKLE] - joints[WRIST])
    centre = _palm_centre(joints)
    return float(abs(normal @ centre) / (np.linalg.norm(normal) * np.linalg.norm(centre) + 1e-12))


def _skin_depth(hand: Hand) -> float:
    """Mean depth of the visible skin around the centre of the palm, or of the back of the hand, metres."""
    centre = _palm_centre(hand.joints)
    along = hand.vertices @ centre / (centre @ centre)  # 1 at the centre, which is inside the hand
    beside = np.linalg.norm(hand.vertices - along[:, None] * centre, axis=1)
    visible = hand.vertices[along < 1]
    return float(visible[beside[along < 1] <= _PALM_RADIUS, 2].mean())
