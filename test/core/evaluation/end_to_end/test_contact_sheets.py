"""Contact sheets: hands and annotations are drawn at their positions."""

from __future__ import annotations

import cv2
import numpy as np
from support.reported_hands import hand_in_box

from lgnet_core.evaluation.end_to_end.contact_sheets import COLUMNS, ROWS, TILE_SIZE, draw_tile, write_sheet
from lgnet_core.types import Side
from lgnet_core.visualization.drawing import SIDE_COLOURS

GREY = np.full((100, 200, 3), 60, np.uint8)


def pixels_of_colour(tile: np.ndarray, colour) -> np.ndarray:
    """(N, 2) pixels (u, v) of approximately that colour."""
    return np.argwhere(np.abs(tile.astype(int) - colour).max(-1) < 30)[:, ::-1]


def test_hand_in_whole_image():
    """An image twice as wide as high is scaled by TILE_SIZE / 200 and centred vertically."""
    tile = draw_tile(GREY, [hand_in_box((20, 20, 80, 80), Side.LEFT)])
    assert tile.shape == (TILE_SIZE, TILE_SIZE, 3)
    scale = TILE_SIZE / 200
    drawn = pixels_of_colour(tile, SIDE_COLOURS[Side.LEFT])
    np.testing.assert_allclose(drawn.min(0), np.array([20, 20 + 50]) * scale, atol=3)
    np.testing.assert_allclose(drawn.max(0), np.array([80, 80 + 50]) * scale, atol=3)
    assert not len(pixels_of_colour(tile, SIDE_COLOURS[Side.RIGHT]))


def test_boxes_and_points():
    tile = draw_tile(GREY, [], [np.array([50.0, 25, 150, 75])], np.array([[100.0, 50]]))
    assert np.abs(pixels_of_colour(tile, (0, 220, 60)).mean(0) - TILE_SIZE / 2).max() < 2
    white = pixels_of_colour(tile, (255, 255, 255))
    np.testing.assert_allclose(white.min(0), [TILE_SIZE / 4, TILE_SIZE / 4 + TILE_SIZE / 8], atol=2)


def test_focus():
    """The centre of the focus is the centre of the tile."""
    tile = draw_tile(GREY, [hand_in_box((98, 48, 102, 52))], focus=np.array([80.0, 30, 120, 70]))
    drawn = pixels_of_colour(tile, SIDE_COLOURS[Side.RIGHT])
    assert np.abs((drawn.min(0) + drawn.max(0)) / 2 - TILE_SIZE / 2).max() < 4


def test_hand_far_outside_the_image():
    tile = draw_tile(GREY, [hand_in_box((-1e9, -1e9, 1e9, 1e9))], title="far")
    assert tile.shape == draw_tile(GREY, []).shape


def test_sheet_has_limited_size(tmp_path):
    tile = draw_tile(GREY, [])
    write_sheet(tmp_path / "none.png", [])
    assert not (tmp_path / "none.png").exists()
    write_sheet(tmp_path / "many.png", [tile] * (COLUMNS * ROWS + 3))
    assert cv2.imread(str(tmp_path / "many.png")).shape == (ROWS * (TILE_SIZE + 2), COLUMNS * (TILE_SIZE + 2), 3)
