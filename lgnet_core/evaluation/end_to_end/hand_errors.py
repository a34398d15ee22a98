"""Errors of one reported hand in its image: for demonstrations and tools, which judge single images.

Nothing but numpy and torch is needed; sets of hands are judged by :mod:`lgnet_core.evaluation.metrics`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from lgnet_core.evaluation.protocol import MILLIMETRES, WRIST_RAW
from lgnet_core.evaluation.reported import ReportedHand
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.types import WRIST, Camera, FloatArray


class HandErrors(NamedTuple):
    """How far a hand is from the truth; NaN where the truth is not known.

    Shapes:
        pixels: (21,) of the joints in the image.
        relative: (21,) millimetres, of the joints under the protocol ``wrist-raw``.
        wrist: () millimetres, of the wrist's place in the camera's frame; NaN too of a hand that is not placed.
    """

    pixels: FloatArray
    relative: FloatArray
    wrist: float


def hand_errors(hand: ReportedHand, true_joints: FloatArray, camera: Camera) -> HandErrors:
    """Errors of a hand.

    Args:
        true_joints: metres, camera frame; NaN for joints that are not known.
        camera: of the image.

    Shapes:
        true_joints: (21, 3).
    """
    known = np.isfinite(true_joints).all(-1)
    pixels = np.full(len(true_joints), np.nan)
    seen = project_distorted(true_joints[known], camera)
    pixels[known] = np.linalg.norm(hand.joints_2d[known] - seen, axis=-1)
    said, true = torch.from_numpy(hand.joints), torch.from_numpy(true_joints)
    relative = WRIST_RAW.errors(said, said, true, true).numpy()
    wrist = float(np.linalg.norm(hand.joints[WRIST] - true_joints[WRIST])) * MILLIMETRES if hand.placed else np.nan
    return HandErrors(pixels, relative, wrist)
