"""Contact sheets of reported hands: thin skeletons, right hands orange and left hands blue, annotated boxes white."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from lgnet_core.geometry.affine import transform_points
from lgnet_core.geometry.crops import letterbox, square_crop, warp
from lgnet_core.types import JOINT_PARENTS, FloatArray, ImageArray, Side
from lgnet_core.visualization.drawing import SIDE_COLOURS, contact_sheet, write_png

TILE_SIZE = 288
COLUMNS, ROWS = 8, 8
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_SUBPIXEL_BITS = 4  # fractional bits of OpenCV's drawing coordinates


class LocatedHand(Protocol):
    """A hand with joints (21, 2) in pixels of the image."""

    @property
    def side(self) -> Side: ...

    @property
    def joints_2d(self) -> FloatArray: ...


def draw_tile(
    image: ImageArray,
    hands: Sequence[LocatedHand],
    boxes: Sequence[FloatArray] = (),
    points: FloatArray | None = None,
    title: str = "",
    focus: FloatArray | None = None,
) -> ImageArray:
    """Draw an image in a square tile with its reported hands and annotations.

    Args:
        image: RGB. boxes, points: annotations, pixels of the image; points are drawn green.
        focus: box of the image that is shown with a margin of a quarter of its size; None: the whole image.

    Shapes:
        image: (H, W, 3) uint8; boxes, focus: (4,); points: (N, 2); returns (TILE_SIZE, TILE_SIZE, 3) uint8.
    """
    height, width = image.shape[:2]
    affine = letterbox(width, height, TILE_SIZE) if focus is None else square_crop(focus, TILE_SIZE, margin=1.5)
    tile = np.ascontiguousarray(warp(image, affine, TILE_SIZE))

    def to_tile(point: FloatArray) -> tuple[int, int]:
        u, v = transform_points(affine, point).clip(-1e4, 1e4) * 2**_SUBPIXEL_BITS
        return round(float(u)), round(float(v))

    for box in boxes:
        cv2.rectangle(tile, to_tile(box[:2]), to_tile(box[2:]), _WHITE, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
    for hand in hands:
        colour = SIDE_COLOURS[hand.side]
        for joint, parent in enumerate(JOINT_PARENTS):
            if parent >= 0:
                ends = to_tile(hand.joints_2d[parent]), to_tile(hand.joints_2d[joint])
                cv2.line(tile, *ends, colour, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
        for point in hand.joints_2d:
            cv2.circle(tile, to_tile(point), 2**_SUBPIXEL_BITS, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    for point in () if points is None else points:
        cv2.circle(tile, to_tile(point), 2**_SUBPIXEL_BITS, (0, 220, 60), -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    for colour, thickness in ((_BLACK, 3), (_WHITE, 1)):
        cv2.putText(tile, title, (3, TILE_SIZE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.35, colour, thickness, cv2.LINE_AA)
    return tile


def write_sheet(path: Path, tiles: Sequence[ImageArray]) -> None:
    """Write a sheet of at most ``COLUMNS * ROWS`` tiles; nothing if there are none."""
    if tiles:
        write_png(path, contact_sheet(tiles[: COLUMNS * ROWS], COLUMNS, TILE_SIZE))
