"""What is drawn lies where the camera sees it, in the right colour, the nearer hand in front."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.types import Camera, Hand, Side, TwoHands
from lgnet_core.visualization.drawing import (
    SIDE_COLOURS,
    contact_sheet,
    draw_3d,
    draw_overlay,
    draw_view,
    in_one_frame,
    write_png,
)

CAMERA = Camera(np.array([[500.0, 0, 159.5], [0, 500, 119.5], [0, 0, 1]]), 320, 240)
TILE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.04
TOWARDS_CAMERA = np.array([[0, 2, 1], [0, 3, 2]])


def tile_hand(side: Side, centre: tuple[float, float, float], metric: bool = True, camera: Camera = CAMERA) -> Hand:
    """A "hand" that is a square of 8 cm facing the camera, its joints a small cross about ``centre``."""
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
    """The side whose colour leads at a pixel of an image drawn over grey."""
    u, v = np.rint(pixel).astype(int)
    red, _, blue = image[v, u].astype(int)
    return None if abs(red - blue) < 20 else Side.RIGHT if red > blue else Side.LEFT


@pytest.fixture
def grey() -> np.ndarray:
    return np.full((240, 320, 3), 120, np.uint8)


@pytest.mark.parametrize("metric", [True, False])
@pytest.mark.parametrize("nearer", list(Side))
def test_the_nearer_hand_hides_the_other(grey, nearer, metric):
    """Two overlapping squares: in the overlap the nearer one's colour shows, with a camera and without."""
    depth = [0.6, 0.6]
    depth[nearer] = 0.5
    hands = both((-0.02, 0.06, depth[0]), (0.02, 0.06, depth[1]), metric)
    image = draw_overlay(grey, hands, CAMERA if metric else None)
    overlap = project_distorted(np.array([[0.0, 0.035, 0.55]]), CAMERA)[0]  # above the skeletons
    assert hue_at(image, overlap) == nearer
    assert (grey == 120).all()  # the image given is not changed


@pytest.mark.parametrize("distortion", [[], [-0.3, 0.1, 0, 0]])
def test_mesh_lies_where_the_camera_sees_it(grey, distortion):
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


def test_mesh_without_a_camera_lies_on_its_2d_joints(grey):
    hand = tile_hand(Side.RIGHT, (-0.03, 0.02, 0.5), metric=False)
    image = draw_overlay(grey, TwoHands(hand, None, None, False))
    expected = project_distorted(TILE + np.array([-0.03, 0.02, 0.5]), CAMERA)
    changed = (image != 120).any(2)
    for corner, inwards in zip(expected, -np.sign(TILE[:, :2])):
        u, v = np.rint(corner + 3 * inwards).astype(int)
        assert changed[v, u]
        u, v = np.rint(corner - 3 * inwards).astype(int)
        assert not changed[v, u]


def test_labels_name_what_is_seen(grey):
    """An empty image says so, and differs; an image with hands has each side's colour somewhere at full strength."""
    nothing = draw_overlay(grey, TwoHands(None, None, None, True), CAMERA)
    assert (nothing != grey).any()
    image = draw_overlay(grey, both((-0.06, 0, 0.5), (0.06, 0, 0.5)), CAMERA)
    for colour in SIDE_COLOURS:
        assert (image == colour).all(2).sum() > 100


def test_metric_hands_need_their_camera(grey):
    with pytest.raises(ValueError, match="give the camera of this image"):
        draw_overlay(grey, both((-0.06, 0, 0.5), (0.06, 0, 0.5)))


@pytest.mark.parametrize("centre", [(5.0, 0, 0.5), (0, 0, 0.01), (0, 0, -0.5), (0, 0, 0.06)])
def test_hands_outside_the_view_do_no_harm(grey, centre):
    """Beside the image, nearer than the near plane, behind the camera, far larger than the image."""
    hand = tile_hand(Side.RIGHT, (0, 0, 0.5))
    hand = Hand(**{**hand.__dict__, "vertices": TILE + centre})
    image = draw_overlay(grey, TwoHands(hand, None, None, True), CAMERA)
    assert image.shape == grey.shape


@pytest.mark.parametrize("size", [(16, 16), (1, 700), (1500, 40)])
def test_odd_image_sizes(size):
    image = draw_overlay(np.zeros((*size, 3), np.uint8), both((-0.06, 0, 0.5), (0.06, 0, 0.5)), CAMERA)
    assert image.shape == (*size, 3)


def test_view_from_the_side_and_above():
    """The left hand 10 cm nearer to the camera: seen from the camera's right it stands left, from above lower."""
    hands = both((0, 0, 0.6), (0, 0, 0.5))
    side = draw_view(hands, 300, 300, yaw=np.pi / 2 - 0.3)
    above = draw_view(hands, 300, 300, pitch=np.pi / 2 - 0.3)
    where = {}
    for name, view in {"side": side, "above": above}.items():
        red, blue = view[..., 0].astype(int), view[..., 2].astype(int)
        where[name] = [np.argwhere(mask).mean(0) for mask in (red - blue > 60, blue - red > 60)]
    right, left = where["side"]
    assert left[1] < right[1] - 20
    right, left = where["above"]
    assert left[0] > right[0] + 20


def test_view_is_to_scale():
    """A square of 8 cm seen from the camera: the 5 cm bar is 5/8 of its width."""
    view = draw_view(TwoHands(tile_hand(Side.LEFT, (0, 0, 0.5)), None, None, True), 400, 400)
    mesh = np.flatnonzero((view[200, :, 2].astype(int) - view[200, :, 0]) > 60)
    bar = np.flatnonzero((view[388] < 80).all(1))
    assert np.ptp(bar) / np.ptp(mesh) == pytest.approx(5 / 8, abs=0.02)


def test_three_views_and_nothing_to_see():
    assert draw_3d(both((-0.06, 0, 0.5), (0.06, 0, 0.5)), 120).shape == (120, 360, 3)
    assert draw_3d(TwoHands(None, None, None, False), 120).shape == (120, 360, 3)


def test_normalised_hands_stand_apart_by_their_translation():
    hands = both((-0.06, 0, 0.5), (0.06, 0.01, 0.45), metric=False)
    (_, right), (_, left) = in_one_frame(hands)
    np.testing.assert_allclose(left - right, [0.12, 0.01, -0.05])


def test_contact_sheet_keeps_order():
    images = [np.full((30, 40, 3), k * 20, np.uint8) for k in range(5)]
    sheet = contact_sheet(images, columns=3, width=20)
    assert sheet.shape == (2 * 17, 3 * 22, 3)
    assert [int(sheet[v, u, 0]) for v, u in ((5, 5), (5, 27), (5, 49), (22, 5), (22, 27))] == [0, 20, 40, 60, 80]


def test_write_png_keeps_the_colours(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (7, 9, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", image)
    assert (cv2.imread(str(tmp_path / "a.png"))[..., ::-1] == image).all()
    with pytest.raises(OSError, match="nowhere"):
        write_png(tmp_path / "nowhere" / "a.png", image)


def test_labels_do_not_hide_each_other(grey):
    """Both hands at the same place, also at the lower edge: each label's colour covers as much as when it is alone."""
    for v in (0.0, 0.11):
        hands = both((0, v, 0.5), (0, v, 0.5))
        together = draw_overlay(grey, hands, CAMERA)
        for side in Side:
            alone = TwoHands(*((h if h.side == side else None) for h in hands.hands), None, True)
            label = (draw_overlay(grey, alone, CAMERA) == SIDE_COLOURS[side]).all(2).sum()
            assert (together == SIDE_COLOURS[side]).all(2).sum() > 0.8 * label
