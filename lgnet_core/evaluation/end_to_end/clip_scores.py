"""Errors of reported hands on a clip with ground truth; depends on numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lgnet_core.data.clip import Clip
from lgnet_core.evaluation.end_to_end.hand_errors import hand_errors
from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand
from lgnet_core.evaluation.metrics.acceleration import accelerations
from lgnet_core.evaluation.metrics.alignment import MILLIMETRES
from lgnet_core.types import NUM_KEYPOINTS, WRIST, FloatArray, Side


@dataclass(frozen=True)
class ClipScores:
    """Counts and errors of estimates; errors are means over present hands that were found.

    Args:
        found: present hands that were found. missed: present hands that were not found.
        extra: reported hands that are not present, or a second report of the same side.
        error_pixels: of the joints in the image, pixels.
        error_relative: of the wrist-relative joints, millimetres.
        error_wrist: of the wrist in the camera frame, millimetres.
        error_between: of the vector from the right to the left wrist, millimetres, over the frames in which both hands
            are present and found (MRRPE of placed hands).
        error_acceleration: of the placed joints, error_acceleration_relative: of the wrist-relative joints but the
            wrist; millimetres per second squared, over hands that are found in three consecutive frames.
    """

    found: int
    missed: int
    extra: int
    error_pixels: float
    error_relative: float
    error_wrist: float
    error_between: float
    error_acceleration: float
    error_acceleration_relative: float


def score_clip(reported: Sequence[Sequence[ReportedHand]], clip: Clip) -> ClipScores:
    """Counts and mean errors over the frames of a clip; NaN if nothing was found."""
    pixels, relative, wrist, between = [], [], [], []
    num_found = missed = extra = 0
    found_joints = np.full((len(clip.joints), len(Side), NUM_KEYPOINTS, 3), np.nan)
    found_placed = found_joints.copy()
    for frame, (hands, joints, presence) in enumerate(zip(reported, clip.joints, clip.presence, strict=True)):
        by_side = {hand.side: hand for hand in reversed(hands)}
        correct = {side: hand for side, hand in by_side.items() if presence[side]}
        num_found += len(correct)
        missed += int(presence.sum()) - len(correct)
        extra += len(hands) - len(correct)
        for side, hand in correct.items():
            errors = hand_errors(hand, joints[side], clip.camera)
            pixels.append(errors.pixels.mean())
            relative.append(errors.relative.mean())
            wrist.append(errors.wrist)
            found_joints[frame, side] = hand.joints
            if hand.placed:
                found_placed[frame, side] = hand.joints
        if len(correct) == len(Side) and all(hand.placed for hand in correct.values()):
            wrists = correct[Side.LEFT].joints[WRIST] - correct[Side.RIGHT].joints[WRIST]
            true_wrists = joints[Side.LEFT, WRIST] - joints[Side.RIGHT, WRIST]
            between.append(float(np.linalg.norm(wrists - true_wrists)) * MILLIMETRES)
    rest = slice(WRIST + 1, None)
    relative_joints = (x[:, :, rest] - x[:, :, [WRIST]] for x in (found_joints, clip.joints))
    return ClipScores(
        found=num_found,
        missed=missed,
        extra=extra,
        error_pixels=_mean(pixels),
        error_relative=_mean(relative),
        error_wrist=_mean(wrist),
        error_between=_mean(between),
        error_acceleration=_acceleration_error(found_placed, clip.joints) * clip.frames_per_second**2,
        error_acceleration_relative=_acceleration_error(*relative_joints) * clip.frames_per_second**2,
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _acceleration_error(joints: FloatArray, true_joints: FloatArray) -> float:
    """Millimetres per frame squared; NaN without three consecutive frames. Shapes: (T, 2, J, 3), NaN: not found."""
    predicted, true = (accelerations(np.asarray(x, np.float64)) for x in (joints, true_joints))
    errors = np.linalg.norm(predicted - true, axis=-1)
    errors = errors[np.isfinite(errors)]
    return float(errors.mean()) if len(errors) else float("nan")
