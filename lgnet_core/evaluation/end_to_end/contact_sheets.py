"""Contact sheets of reported hands: thin skeletons, right hands orange and left hands blue, annotated boxes white."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lgnet_core.evaluation.reported import ReportedHand
from lgnet_core.geometry.camera import letterbox, square_crop, transform_points, warp
from lgnet_core.types import JOINT_PARENTS, FloatArray
from lgnet_core.visualization.drawing import SIDE_COLOURS, contact_sheet, write_png

TILE = 288
COLUMNS, ROWS = 8, 8
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_FRACTION = 4  # bits of OpenCV's sub-pixel coordinates


def draw_tile(
    image: FloatArray,
    hands: Sequence[ReportedHand],
    boxes: Sequence[FloatArray] = (),
    points: FloatArray | None = None,
    title: str = "",
    region: FloatArray | None = None,
) -> FloatArray:
    """An image in a square tile, with what was reported and what is annotated.

    Args:
        image: RGB. boxes, points: annotated, pixels of the image; points are drawn green.
        region: the box of the image that is shown, with a quarter of its size around it; None: all of the image.

    Shapes:
        image: (H, W, 3) uint8; boxes, region: (4,); points: (N, 2); returns (TILE, TILE, 3) uint8.
    """
    height, width = image.shape[:2]
    affine = letterbox(width, height, TILE) if region is None else square_crop(region, TILE, margin=1.5)
    tile = np.ascontiguousarray(warp(image, affine, TILE))

    def at(point: FloatArray) -> tuple[int, int]:
        u, v = transform_points(affine, point).clip(-1e4, 1e4) * 2**_FRACTION
        return round(float(u)), round(float(v))

    for box in boxes:
        cv2.rectangle(tile, at(box[:2]), at(box[2:]), _WHITE, 1, cv2.LINE_AA, _FRACTION)
    for hand in hands:
        colour = SIDE_COLOURS[hand.side]
        for joint, parent in enumerate(JOINT_PARENTS):
            if parent >= 0:
                ends = at(hand.joints_2d[parent]), at(hand.joints_2d[joint])
                cv2.line(tile, *ends, colour, 1, cv2.LINE_AA, _FRACTION)
        for point in hand.joints_2d:
            cv2.circle(tile, at(point), 2**_FRACTION, colour, -1, cv2.LINE_AA, _FRACTION)
    for point in () if points is None else points:
        cv2.circle(tile, at(point), 2**_FRACTION, (0, 220, 60), -1, cv2.LINE_AA, _FRACTION)
    for colour, thickness in ((_BLACK, 3), (_WHITE, 1)):
        cv2.putText(tile, title, (3, TILE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.35, colour, thickness, cv2.LINE_AA)
    return tile


def write_sheet(path: Path, tiles: Sequence[FloatArray]) -> None:
    """As many tiles as one sheet holds; nothing where there is none."""
    if tiles:
        write_png(path, contact_sheet(tiles[: COLUMNS * ROWS], COLUMNS, TILE))
