"""Errors of reported hands on a clip with ground truth; depends on numpy and torch only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lgnet_core.data.clip import Clip
from lgnet_core.evaluation.end_to_end.hand_errors import hand_errors
from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand
from lgnet_core.evaluation.metrics.alignment import MILLIMETRES
from lgnet_core.types import WRIST, Side


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
    """

    found: int
    missed: int
    extra: int
    error_pixels: float
    error_relative: float
    error_wrist: float
    error_between: float


def score_clip(reported: Sequence[Sequence[ReportedHand]], clip: Clip) -> ClipScores:
    """Counts and mean errors over the frames of a clip; NaN if nothing was found."""
    pixels, relative, wrist, between = [], [], [], []
    num_found = missed = extra = 0
    for hands, joints, presence in zip(reported, clip.joints, clip.presence, strict=True):
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
        if len(correct) == len(Side) and all(hand.placed for hand in correct.values()):
            wrists = correct[Side.LEFT].joints[WRIST] - correct[Side.RIGHT].joints[WRIST]
            true_wrists = joints[Side.LEFT, WRIST] - joints[Side.RIGHT, WRIST]
            between.append(float(np.linalg.norm(wrists - true_wrists)) * MILLIMETRES)
    means = (float(np.mean(values)) if values else float("nan") for values in (pixels, relative, wrist, between))
    return ClipScores(num_found, missed, extra, *means)
