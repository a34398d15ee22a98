"""Palm detection in a whole image, with keypoint-based non-maximum suppression."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lgnet_core.engines.base import Engine
from lgnet_core.geometry.affine import invert_affine, transform_points
from lgnet_core.geometry.crops import square_crop
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.crops import extract_crops
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.network.prediction import PALM_IMAGE_SIZE, PalmCandidates, sigmoid
from lgnet_core.types import FloatArray


class Palms(NamedTuple):
    """Palms in an image, best first.

    Shapes:
        scores: (N,) probabilities; boxes: (N, 4) left, top, right, bottom; keypoints: (N, 7, 2)
        :data:`lgnet_core.geometry.hand_crops.PALM_KEYPOINTS`; pixels of the image.
    """

    scores: FloatArray
    boxes: FloatArray
    keypoints: FloatArray

    def __len__(self) -> int:
        return len(self.scores)


class PalmDetection:
    """Runs the palm detector on letterboxed images.

    Args:
        engine: of :class:`lgnet_core.network.detector.palm_detector.PalmDetector`.
    """

    def __init__(self, engine: Engine[PalmCandidates]) -> None:
        self.engine = engine

    def detect(self, context: ImageContext, margin: float = 1.0) -> Palms:
        """Detect the palms in an image; candidates with a low score or non-finite values are dropped.

        Args:
            margin: side of the letterboxed square over the longer side of the image.
        """
        height, width = context.image.shape[:2]
        affine = square_crop(np.array([-0.5, -0.5, width - 0.5, height - 0.5]), PALM_IMAGE_SIZE, margin)
        candidates = self.engine(extract_crops(context.image, affine[None], PALM_IMAGE_SIZE))
        logits, boxes, keypoints = (field[0] for field in candidates)
        scores = sigmoid(logits)
        rows = np.flatnonzero(scores >= context.thresholds.palm_score)
        points = np.concatenate([boxes[rows].reshape(-1, 2, 2), keypoints[rows]], 1).astype(np.float64)
        finite = np.isfinite(points).all((-2, -1))
        scores, points = scores[rows][finite], points[finite]
        order = np.argsort(-scores, kind="stable")
        points = transform_points(invert_affine(affine), points[order])
        return merge_palms(Palms(scores[order], points[:, :2].reshape(-1, 4), points[:, 2:]), context.thresholds)


def merge_palms(palms: Palms, thresholds: Thresholds) -> Palms:
    """Weighted non-maximum suppression: each palm is merged with its duplicates into their score-weighted mean.

    Duplicates are identified by the distance of their keypoints instead of box IoU, so that two overlapping palms that
    point in different directions are both kept. Source of the weighting: MediaPipe's NonMaxSuppressionCalculator
    (Apache-2.0).

    Args:
        palms: best first.

    Returns:
        At most ``thresholds.palm_count`` palms, each with the score of its best candidate.
    """
    sides = (palms.boxes[:, 2:] - palms.boxes[:, :2]).max(-1)
    remaining = np.ones(len(palms), bool)
    merged: list[tuple[float, FloatArray, FloatArray]] = []
    for k in range(len(palms)):
        if not remaining[k] or len(merged) == thresholds.palm_count:
            continue
        distance = np.linalg.norm(palms.keypoints - palms.keypoints[k], axis=-1).mean(-1)
        duplicates = remaining & (distance < thresholds.palm_nms_distance * np.maximum(sides, sides[k]))
        duplicates[k] = True  # a degenerate box has a gate of zero width, which excludes itself
        remaining &= ~duplicates
        weights = palms.scores[duplicates] / palms.scores[duplicates].sum()
        merged.append(
            (
                float(palms.scores[k]),
                np.tensordot(weights, palms.boxes[duplicates], 1),
                np.tensordot(weights, palms.keypoints[duplicates], 1),
            )
        )
    scores, boxes, keypoints = (np.array([palm[field] for palm in merged]) for field in range(3))
    return Palms(scores, boxes.reshape(-1, 4), keypoints.reshape(-1, 7, 2))
