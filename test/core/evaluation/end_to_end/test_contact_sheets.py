"""Contact sheets: what is drawn lies where it was reported."""

from __future__ import annotations

import cv2
import numpy as np
from support.reported_hands import hand_in

from lgnet_core.evaluation.end_to_end.hand_sheets import COLUMNS, ROWS, TILE, draw_tile, write_sheet
from lgnet_core.types import Side
from lgnet_core.visualization.drawing import SIDE_COLOURS

GREY = np.full((100, 200, 3), 60, np.uint8)


def places(tile: np.ndarray, colour) -> np.ndarray:
    """(N, 2) pixels (u, v) of about that colour."""
    return np.argwhere(np.abs(tile.astype(int) - colour).max(-1) < 30)[:, ::-1]


def test_a_hand_in_the_whole_image():
    """Twice as wide as high: scaled by TILE / 200 and centred, a quarter of the tile above it empty."""
    tile = draw_tile(GREY, [hand_in((20, 20, 80, 80), Side.LEFT)])
    assert tile.shape == (TILE, TILE, 3)
    scale = TILE / 200
    drawn = places(tile, SIDE_COLOURS[Side.LEFT])
    np.testing.assert_allclose(drawn.min(0), np.array([20, 20 + 50]) * scale, atol=3)
    np.testing.assert_allclose(drawn.max(0), np.array([80, 80 + 50]) * scale, atol=3)
    assert not len(places(tile, SIDE_COLOURS[Side.RIGHT]))


def test_boxes_and_points():
    tile = draw_tile(GREY, [], [np.array([50.0, 25, 150, 75])], np.array([[100.0, 50]]))
    assert np.abs(places(tile, (0, 220, 60)).mean(0) - TILE / 2).max() < 2
    white = places(tile, (255, 255, 255))
    np.testing.assert_allclose(white.min(0), [TILE / 4, TILE / 4 + TILE / 8], atol=2)


def test_a_region():
    """The middle of the region is the middle of the tile."""
    tile = draw_tile(GREY, [hand_in((98, 48, 102, 52))], region=np.array([80.0, 30, 120, 70]))
    drawn = places(tile, SIDE_COLOURS[Side.RIGHT])
    assert np.abs((drawn.min(0) + drawn.max(0)) / 2 - TILE / 2).max() < 4


def test_a_hand_far_outside_is_no_trouble():
    draw_tile(GREY, [hand_in((-1e9, -1e9, 1e9, 1e9))], title="far")


def test_sheets(tmp_path):
    tile = draw_tile(GREY, [])
    write_sheet(tmp_path / "none.png", [])
    assert not (tmp_path / "none.png").exists()
    write_sheet(tmp_path / "many.png", [tile] * (COLUMNS * ROWS + 3))
    assert cv2.imread(str(tmp_path / "many.png")).shape == (ROWS * (TILE + 2), COLUMNS * (TILE + 2), 3)
