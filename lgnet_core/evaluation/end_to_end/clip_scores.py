"""How far the hands reported in the frames of a clip are from its truth; numpy and torch suffice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lgnet_core.data.clip import Clip
from lgnet_core.evaluation.estimates import hand_errors
from lgnet_core.evaluation.protocol import MILLIMETRES
from lgnet_core.evaluation.reported import ReportedHand
from lgnet_core.types import WRIST, Side


@dataclass(frozen=True)
class Scores:
    """How far the estimates are from the truth. Errors are means over the hands that are there and were found.

    Args:
        found: hands that are there and were found. missed: there, not found. extra: found, not there, or the second
            hand of a side that is there once.
        error_pixels: of the joints' places in the image, pixels.
        error_relative: of the wrist-relative joints, millimetres.
        error_wrist: of the wrist in the camera's frame, millimetres.
        error_between: of the vector from the right to the left wrist, millimetres, in the frames in which both hands
            are there and were found (MRRPE of placed hands).
    """

    found: int
    missed: int
    extra: int
    error_pixels: float
    error_relative: float
    error_wrist: float
    error_between: float


def measure(found: Sequence[Sequence[ReportedHand]], clip: Clip) -> Scores:
    """Counts and mean errors of a clip's estimates, frame by frame; NaN where nothing was found."""
    pixels, relative, wrist, between = [], [], [], []
    hits = missed = extra = 0
    for hands, joints, presence in zip(found, clip.joints, clip.presence, strict=True):
        of_side = {hand.side: hand for hand in reversed(hands)}
        right = {side: hand for side, hand in of_side.items() if presence[side]}
        hits += len(right)
        missed += int(presence.sum()) - len(right)
        extra += len(hands) - len(right)
        for side, hand in right.items():
            errors = hand_errors(hand, joints[side], clip.camera)
            pixels.append(errors.pixels.mean())
            relative.append(errors.relative.mean())
            wrist.append(errors.wrist)
        if len(right) == len(Side) and all(hand.placed for hand in right.values()):
            wrists = right[Side.LEFT].joints[WRIST] - right[Side.RIGHT].joints[WRIST]
            true_wrists = joints[Side.LEFT, WRIST] - joints[Side.RIGHT, WRIST]
            between.append(float(np.linalg.norm(wrists - true_wrists)) * MILLIMETRES)
    means = (float(np.mean(values)) if values else float("nan") for values in (pixels, relative, wrist, between))
    return Scores(hits, missed, extra, *means)
