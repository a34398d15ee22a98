"""Joints of UmeTrack hands: a skeleton per person, posed by twenty joint angles.

Each of five fingers is a chain of four hinges about axes of the rest pose; landmarks are skinned to the frames of the
wrist and of the last three hinges of each chain. The right hand is the mirror image of the stored left one.

Source: facebookresearch/hand_tracking_toolkit, hand_models/umetrack_hand_model.py, umetrack_skinning.py, and
mano_hand_model.py (correspondence of the landmarks with MANO's joints).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lgnet_core.data.annotated_set import invalid_file, number_array
from lgnet_core.data.poses import pose_matrix, transform
from lgnet_core.types import FINGERS, JOINT_NAMES, FloatArray, Side

_LANDMARK_ORDER = (
    *(f"{finger}_4" for finger in FINGERS),
    *("wrist", "thumb_2", "thumb_3"),
    *(f"{finger}_{k}" for finger in FINGERS[1:] for k in (1, 2, 3)),
)
LANDMARKS = {name: k for k, name in enumerate(_LANDMARK_ORDER)}
"""UmeTrack's landmark of each joint; the first joint of the thumb has none."""

KNOWN_JOINTS = np.array([name in LANDMARKS for name in JOINT_NAMES])
"""(21,) bool: joints that UmeTrack defines."""

_NUM_FINGERS, _NUM_HINGES = 5, 4
_MILLIMETRE = 0.001


class UmeTrackHand(NamedTuple):
    """Skeleton of one person. Shapes: axes, positions (20, 3) of the hinges, metres; landmarks (L, 3) metres at rest;
    bones (L, K) index of 17 frames, weights (L, K)."""

    axes: FloatArray
    positions: FloatArray
    landmarks: FloatArray
    bones: FloatArray
    weights: FloatArray

    @classmethod
    def from_json(cls, content: dict[str, Any], path: Path, data: str) -> UmeTrackHand:
        """From a user profile.

        Raises:
            InputError: if it is not one; ``path`` and ``data`` name it in the message.
        """

        def numbers(name: str, columns: int) -> FloatArray:
            return number_array(content[name], (-1, columns), path, data, name)

        count = _NUM_FINGERS * _NUM_HINGES
        try:
            columns = len(content["landmark_rest_bone_indices"][0])
            bones = numbers("landmark_rest_bone_indices", columns).astype(int)
            hand = cls(
                numbers("joint_rotation_axes", 3)[:count],
                numbers("joint_rest_positions", 3)[:count] * _MILLIMETRE,
                numbers("landmark_rest_positions", 3) * _MILLIMETRE,
                bones,
                numbers("landmark_rest_bone_weights", columns),
            )
        except (KeyError, TypeError, IndexError) as error:
            raise invalid_file(path, data, f"UmeTrack profile: {type(error).__name__}: {error}") from error
        lengths = {len(hand.landmarks), len(hand.bones), len(hand.weights)}
        enough = len(hand.axes) == len(hand.positions) == count and len(hand.landmarks) > max(LANDMARKS.values())
        if not enough or len(lengths) > 1 or bones.min() < 0 or bones.max() >= 2 + 3 * _NUM_FINGERS:
            raise invalid_file(path, data, "UmeTrack profile with another number of hinges, landmarks or bones")
        return hand

    def joints(self, angles: FloatArray, world_from_wrist: FloatArray, side: Side) -> FloatArray:
        """Joints in the world; those that UmeTrack does not define are NaN.

        Shapes:
            angles: (20 or more,) radians; world_from_wrist: (4, 4); returns (21, 3) metres.
        """
        wrist = world_from_wrist.copy()
        if side is Side.RIGHT:
            wrist[:, 0] *= -1
        frames = [wrist, wrist]
        turns = self._turns(angles[: len(self.axes)])
        for finger in range(_NUM_FINGERS):
            chain = [wrist]
            for hinge in range(_NUM_HINGES):
                chain.append(chain[-1] @ turns[_NUM_HINGES * finger + hinge])
            frames += chain[2:]
        posed = transform(np.stack(frames)[self.bones], self.landmarks[:, None, None])[:, :, 0]  # (L, K, 3)
        landmarks = (posed * self.weights[..., None]).sum(1)
        joints = np.full((len(JOINT_NAMES), 3), np.nan)
        joints[KNOWN_JOINTS] = landmarks[[LANDMARKS[name] for name in JOINT_NAMES if name in LANDMARKS]]
        return joints

    def _turns(self, angles: FloatArray) -> FloatArray:
        """(20, 4, 4) rotations about the hinges at rest."""
        vectors = self.axes * angles[:, None]
        angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
        quaternions = np.concatenate([np.cos(angle / 2), vectors * np.sinc(angle / (2 * np.pi)) / 2], -1)
        turns = pose_matrix(np.zeros((len(vectors), 3)), quaternions)
        turns[:, :3, 3] = self.positions - transform(turns, self.positions[:, None])[:, 0]
        return turns
