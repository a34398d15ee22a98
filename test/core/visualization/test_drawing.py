"""Drawings: position, colour and occlusion of meshes, labels, views and contact sheets."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.types import Camera, Hand, Side, TwoHands
from lgnet_core.visualization.drawing import (
    HOLLOW_STD,
    SIDE_COLOURS,
    contact_sheet,
    draw_3d,
    draw_overlay,
    draw_view,
    hand_offsets,
    write_png,
)

CAMERA = Camera(np.array([[500.0, 0, 159.5], [0, 500, 119.5], [0, 0, 1]]), 320, 240)
TILE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.04
TOWARDS_CAMERA = np.array([[0, 2, 1], [0, 3, 2]])


def tile_hand(side: Side, centre: tuple[float, float, float], metric: bool = True, camera: Camera = CAMERA) -> Hand:
    """A "hand" that is a square of 8 cm facing the camera, with joints along a small curve around ``centre``."""
    joints = np.zeros((21, 3))
    joints[1:, 0], joints[1:, 1] = np.linspace(-0.03, 0.03, 20), np.linspace(-0.02, 0.02, 20) ** 2 * 50
    pixels = project_distorted(joints + centre, camera)
    offset = np.array(centre) if metric else np.zeros(3)
    return Hand(
        side, 0.9, joints + offset, TILE + offset, TOWARDS_CAMERA, pixels, np.zeros(21), np.eye(3), np.zeros(10)
    )


def both(right, left, metric: bool = True) -> TwoHands:
    return TwoHands(
        tile_hand(Side.RIGHT, right, metric), tile_hand(Side.LEFT, left, metric), np.subtract(left, right), metric
    )


def hue_at(image: np.ndarray, pixel) -> Side | None:
    """The side whose colour dominates at a pixel of an image drawn over grey."""
    u, v = np.rint(pixel).astype(int)
    red, _, blue = image[v, u].astype(int)
    return None if abs(red - blue) < 20 else Side.RIGHT if red > blue else Side.LEFT


@pytest.fixture
def grey() -> np.ndarray:
    return np.full((240, 320, 3), 120, np.uint8)


@pytest.mark.parametrize("metric", [True, False])
@pytest.mark.parametrize("nearer", list(Side))
def test_the_nearer_hand_occludes_the_other(grey, nearer, metric):
    """Two overlapping squares have the nearer one's colour in the overlap, with and without a camera."""
    depth = [0.6, 0.6]
    depth[nearer] = 0.5
    hands = both((-0.02, 0.06, depth[0]), (0.02, 0.06, depth[1]), metric)
    image = draw_overlay(grey, hands, CAMERA if metric else None)
    overlap = project_distorted(np.array([[0.0, 0.035, 0.55]]), CAMERA)[0]  # above the skeletons
    assert hue_at(image, overlap) == nearer
    assert (grey == 120).all()  # the input is not modified


def test_unsure_joints_are_hollow(grey):
    hand = tile_hand(Side.RIGHT, (0.0, 0.0, 0.5))
    std = np.zeros(21)
    std[20] = HOLLOW_STD * 1.01
    image = draw_overlay(grey, TwoHands(replace(hand, joint_std=std), None, None, True), CAMERA)
    sure, unsure = (np.rint(hand.joints_2d[k]).astype(int) for k in (1, 20))
    assert hue_at(image, sure) == Side.RIGHT
    assert (image[unsure[1], unsure[0]] > 240).all()


@pytest.mark.parametrize("distortion", [[], [-0.3, 0.1, 0, 0]])
def test_the_mesh_is_projected_with_distortion(grey, distortion):
    camera = Camera(CAMERA.matrix, 320, 240, np.array(distortion))
    hand = tile_hand(Side.LEFT, (0.09, -0.05, 0.5), camera=camera)
    image = draw_overlay(grey, TwoHands(None, hand, None, True), camera)
    corners = project_distorted(hand.vertices, camera)
    changed = (image != 120).any(2)
    centre = corners.mean(0)
    for corner in corners:
        inwards = (centre - corner) / np.linalg.norm(centre - corner)
        inside, outside = np.rint(corner + 3 * inwards).astype(int), np.rint(corner - 3 * inwards).astype(int)
        assert changed[inside[1], inside[0]]
        assert not changed[outside[1], outside[0]]


def test_without_a_camera_the_mesh_is_aligned_with_its_2d_joints(grey):
    hand = tile_hand(Side.RIGHT, (-0.03, 0.02, 0.5), metric=False)
    image = draw_overlay(grey, TwoHands(hand, None, None, False))
    expected = project_distorted(TILE + np.array([-0.03, 0.02, 0.5]), CAMERA)
    changed = (image != 120).any(2)
    for corner, inwards in zip(expected, -np.sign(TILE[:, :2])):
        u, v = np.rint(corner + 3 * inwards).astype(int)
        assert changed[v, u]
        u, v = np.rint(corner - 3 * inwards).astype(int)
        assert not changed[v, u]


def test_labels(grey):
    """Without hands a message is drawn; with hands each side's label has its colour as background."""
    empty = draw_overlay(grey, TwoHands(None, None, None, True), CAMERA)
    assert (empty != grey).any()
    image = draw_overlay(grey, both((-0.06, 0, 0.5), (0.06, 0, 0.5)), CAMERA)
    for colour in SIDE_COLOURS:
        assert (image == colour).all(2).sum() > 100


def test_metric_hands_require_a_camera(grey):
    with pytest.raises(ValueError, match="pass the camera of this image"):
        draw_overlay(grey, both((-0.06, 0, 0.5), (0.06, 0, 0.5)))


@pytest.mark.parametrize("centre", [(5.0, 0, 0.5), (0, 0, 0.01), (0, 0, -0.5), (0, 0, 0.06)])
def test_hands_outside_the_view_are_handled(grey, centre):
    """Beside the image, in front of the near plane, behind the camera, much larger than the image."""
    hand = tile_hand(Side.RIGHT, (0, 0, 0.5))
    hand = Hand(**{**hand.__dict__, "vertices": TILE + centre})
    image = draw_overlay(grey, TwoHands(hand, None, None, True), CAMERA)
    assert image.shape == grey.shape


@pytest.mark.parametrize("size", [(16, 16), (1, 700), (1500, 40)])
def test_extreme_image_sizes(size):
    image = draw_overlay(np.zeros((*size, 3), np.uint8), both((-0.06, 0, 0.5), (0.06, 0, 0.5)), CAMERA)
    assert image.shape == (*size, 3)


def test_views_from_the_side_and_from_above():
    """A left hand 10 cm nearer to the camera appears on the left from the camera's right, and lower from above."""
    hands = both((0, 0, 0.6), (0, 0, 0.5))
    side = draw_view(hands, 300, 300, yaw=np.pi / 2 - 0.3)
    above = draw_view(hands, 300, 300, pitch=np.pi / 2 - 0.3)
    centres = {}
    for name, view in {"side": side, "above": above}.items():
        red, blue = view[..., 0].astype(int), view[..., 2].astype(int)
        centres[name] = [np.argwhere(mask).mean(0) for mask in (red - blue > 60, blue - red > 60)]
    right, left = centres["side"]
    assert left[1] < right[1] - 20
    right, left = centres["above"]
    assert left[0] > right[0] + 20


def test_the_scale_bar_is_correct():
    """For a square of 8 cm seen from the camera, the 5 cm bar is 5/8 of its width."""
    view = draw_view(TwoHands(tile_hand(Side.LEFT, (0, 0, 0.5)), None, None, True), 400, 400)
    mesh = np.flatnonzero((view[200, :, 2].astype(int) - view[200, :, 0]) > 60)
    bar = np.flatnonzero((view[388] < 80).all(1))
    assert np.ptp(bar) / np.ptp(mesh) == pytest.approx(5 / 8, abs=0.02)


def test_three_views_with_and_without_hands():
    assert draw_3d(both((-0.06, 0, 0.5), (0.06, 0, 0.5)), 120).shape == (120, 360, 3)
    assert draw_3d(TwoHands(None, None, None, False), 120).shape == (120, 360, 3)


def test_wrist_relative_hands_are_offset_by_the_relative_translation():
    hands = both((-0.06, 0, 0.5), (0.06, 0.01, 0.45), metric=False)
    (_, right), (_, left) = hand_offsets(hands)
    np.testing.assert_allclose(left - right, [0.12, 0.01, -0.05])


def test_contact_sheets_are_in_row_major_order():
    images = [np.full((30, 40, 3), k * 20, np.uint8) for k in range(5)]
    sheet = contact_sheet(images, columns=3, width=20)
    assert sheet.shape == (2 * 17, 3 * 22, 3)
    assert [int(sheet[v, u, 0]) for v, u in ((5, 5), (5, 27), (5, 49), (22, 5), (22, 27))] == [0, 20, 40, 60, 80]


def test_png_files_are_lossless(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (7, 9, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", image)
    assert (cv2.imread(str(tmp_path / "a.png"))[..., ::-1] == image).all()
    with pytest.raises(OSError, match="nowhere"):
        write_png(tmp_path / "nowhere" / "a.png", image)


def test_labels_do_not_overlap(grey):
    """For hands at the same position, also at the lower edge, each label covers about the area that it covers alone."""
    for v in (0.0, 0.11):
        hands = both((0, v, 0.5), (0, v, 0.5))
        together = draw_overlay(grey, hands, CAMERA)
        for side in Side:
            alone = TwoHands(*((h if h.side == side else None) for h in hands.hands), None, True)
            label = (draw_overlay(grey, alone, CAMERA) == SIDE_COLOURS[side]).all(2).sum()
            assert (together == SIDE_COLOURS[side]).all(2).sum() > 0.8 * label
