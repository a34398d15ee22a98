"""Palm candidates in a whole image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lgnet_core.engines.base import Engine
from lgnet_core.geometry.camera import invert_affine, square_crop, transform_points
from lgnet_core.inference.crops import cut
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.network.detector.palm_detector import PALM_IMAGE_SIZE, PalmCandidates
from lgnet_core.types import FloatArray


class Palms(NamedTuple):
    """Palms of an image, the better first.

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

    def find(self, image: FloatArray, thresholds: Thresholds, margin: float = 1.0) -> Palms:
        """Palms in an image; candidates below the threshold or with values that are not finite are left out.

        Args:
            image: (H, W, 3) RGB, uint8.
            margin: side of the letterboxed square over the image's longer side.
        """
        height, width = image.shape[:2]
        affine = square_crop(np.array([-0.5, -0.5, width - 0.5, height - 0.5]), PALM_IMAGE_SIZE, margin)
        logits, all_boxes, all_keypoints = (
            field[0].numpy() for field in self.engine(cut(image, affine[None], PALM_IMAGE_SIZE))
        )
        scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -50, 50)))
        rows = np.flatnonzero(scores >= thresholds.palm_score)
        points = np.concatenate([all_boxes[rows].reshape(-1, 2, 2), all_keypoints[rows]], 1).astype(np.float64)
        finite = np.isfinite(points).all((-2, -1))
        scores, points = scores[rows][finite], points[finite]
        order = np.argsort(-scores, kind="stable")
        points = transform_points(invert_affine(affine), points[order])
        return merge_palms(Palms(scores[order], points[:, :2].reshape(-1, 4), points[:, 2:]), thresholds)


def merge_palms(palms: Palms, thresholds: Thresholds) -> Palms:
    """Weighted non-maximum suppression: each palm and those that are the same become one, their mean by score.

    Palms are the same by the distance of their keypoints, so that two palms that lie on each other but point elsewhere
    are both kept. Source of the weighting: MediaPipe's NonMaxSuppressionCalculator (Apache-2.0).

    Args:
        palms: the better first.

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
        same = remaining & (distance < thresholds.palm_distance * np.maximum(sides, sides[k]))
        same[k] = True  # a box without extent, too
        remaining &= ~same
        weights = palms.scores[same] / palms.scores[same].sum()
        merged.append(
            (
                float(palms.scores[k]),
                np.tensordot(weights, palms.boxes[same], 1),
                np.tensordot(weights, palms.keypoints[same], 1),
            )
        )
    scores, boxes, keypoints = (np.array([palm[field] for palm in merged]) for field in range(3))
    return Palms(scores, boxes.reshape(-1, 4), keypoints.reshape(-1, 7, 2))
