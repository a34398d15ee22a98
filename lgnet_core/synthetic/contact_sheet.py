"""Contact sheets of labelled samples for visual inspection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from lgnet_core.data.sample import HandsBatch
from lgnet_core.hand_model import HandLayer
from lgnet_core.io.output import make_folder
from lgnet_core.types import JOINT_PARENTS, FloatArray
from lgnet_core.visualization.drawing import write_png

_COLOURS = ((255, 40, 200), (40, 220, 255))  # RGB of right, left
_SHIFT = 4  # fractional bits of the fixed-point coordinates that cv2 draws at
_SUBPIXELS = 1 << _SHIFT


def draw_contact_sheet(
    batch: HandsBatch, hand_model: HandLayer, columns: int = 8, skeletons: bool = True, captions: Sequence[str] = ()
) -> FloatArray:
    """Arrange samples in a grid, row by row.

    Right skeletons are magenta, left ones cyan; visible joints are drawn as discs, occluded joints as rings.

    Args:
        columns: tiles per row. skeletons: draw the projected joints of the hands that are present.
        captions: optional short text of each tile.

    Returns:
        (rows * H, columns * W, 3) uint8 RGB; unused tiles are black.
    """
    tiles = batch.image.permute(0, 2, 3, 1).cpu().numpy().copy()
    if skeletons:
        with torch.no_grad():
            joints = batch.labels(hand_model).joints_2d.cpu().numpy()
        presence, visibility = batch.presence.cpu().numpy(), batch.visibility.cpu().numpy()
        for k, tile in enumerate(tiles):
            for side in np.flatnonzero(presence[k]):
                _draw_skeleton(tile, joints[k, side], visibility[k, side], _COLOURS[side])
    for tile, caption in zip(tiles, captions, strict=False):
        cv2.putText(tile, caption, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(tile, caption, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    missing = -len(tiles) % columns
    tiles = np.concatenate([tiles, np.zeros((missing, *tiles.shape[1:]), tiles.dtype)])
    rows = tiles.reshape(-1, columns, *tiles.shape[1:])  # (R, C, H, W, 3)
    return rows.transpose(0, 2, 1, 3, 4).reshape(rows.shape[0] * tiles.shape[1], columns * tiles.shape[2], 3)


def write_contact_sheet(
    path: str | Path, batch: HandsBatch, hand_model: HandLayer, columns: int = 8, skeletons: bool = True
) -> Path:
    """Write a contact sheet as PNG; see :func:`draw_contact_sheet`.

    Raises:
        OutputError: if the file cannot be written.
    """
    path = Path(path)
    sheet = draw_contact_sheet(batch, hand_model, columns, skeletons)
    make_folder(path.parent)
    write_png(path, sheet)
    return path


def _draw_skeleton(tile: FloatArray, joints: FloatArray, visible: FloatArray, colour: tuple[int, int, int]) -> None:
    points = np.rint(np.clip(joints, -1e4, 1e4) * _SUBPIXELS).astype(int)
    for child, parent in enumerate(JOINT_PARENTS):
        if parent >= 0:
            a, b = tuple(map(int, points[parent])), tuple(map(int, points[child]))
            cv2.line(tile, a, b, colour, 1, cv2.LINE_AA, _SHIFT)
    for point, is_visible in zip(points, visible, strict=True):
        centre = tuple(map(int, point))
        cv2.circle(tile, centre, 2 * _SUBPIXELS, colour, -1 if is_visible else 1, cv2.LINE_AA, _SHIFT)
