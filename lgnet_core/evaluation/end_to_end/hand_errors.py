"""Errors of a single reported hand, for demonstrations and tools that evaluate single images.

Depends on numpy only; sets of hands are evaluated by :mod:`lgnet_core.evaluation.metrics`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand
from lgnet_core.evaluation.metrics.alignment import MILLIMETRES, WRIST_RAW
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.types import WRIST, Camera, FloatArray


class HandErrors(NamedTuple):
    """Errors of a hand; NaN where the ground truth is unknown.

    Shapes:
        pixels: (21,) of the joints in the image.
        relative: (21,) millimetres, of the joints with the alignment ``wrist-raw``.
        wrist: () millimetres, of the wrist position in the camera frame; also NaN for a hand that is not placed.
    """

    pixels: FloatArray
    relative: FloatArray
    wrist: float


def hand_errors(hand: ReportedHand, true_joints: FloatArray, camera: Camera) -> HandErrors:
    """Compute the errors of a hand.

    Args:
        true_joints: metres, camera frame; NaN for unknown joints.
        camera: of the image.

    Shapes:
        true_joints: (21, 3).
    """
    known = np.isfinite(true_joints).all(-1)
    pixels = np.full(len(true_joints), np.nan)
    projected = project_distorted(true_joints[known], camera)
    pixels[known] = np.linalg.norm(hand.joints_2d[known] - projected, axis=-1)
    relative = WRIST_RAW.errors(hand.joints, hand.joints, true_joints, true_joints)
    wrist = float(np.linalg.norm(hand.joints[WRIST] - true_joints[WRIST])) * MILLIMETRES if hand.placed else np.nan
    return HandErrors(pixels, relative, wrist)
