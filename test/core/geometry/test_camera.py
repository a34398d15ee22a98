"""Conventions of the image plane: round trips, laws of crops and cameras, placement of hands."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lgnet_core.geometry import camera
from lgnet_core.types import Camera

SIZE = 256
coordinates = st.floats(-500, 2500, allow_nan=False)
sizes = st.sampled_from([32, 64, 256, 512])


@st.composite
def boxes(draw):
    left, top = draw(st.floats(-200, 1500)), draw(st.floats(-200, 1000))
    return np.array([left, top, left + draw(st.floats(5, 800)), top + draw(st.floats(5, 800))])


@st.composite
def matrices(draw):
    f, ratio = draw(st.floats(200, 2000)), draw(st.floats(0.9, 1.1))
    return np.array([[f, 0, draw(st.floats(100, 1200))], [0, f * ratio, draw(st.floats(100, 800))], [0, 0, 1]])


turns = st.floats(-3.1, 3.1)


def points_in_view(seed, count=21):
    rng = np.random.default_rng(seed)
    return rng.uniform([-0.3, -0.3, 0.3], [0.3, 0.3, 1.5], (count, 3))


@given(u=coordinates, size=sizes, cells=st.sampled_from([1, 8, 16, 64]))
def test_grid_round_trip(u, size, cells):
    pixels = torch.tensor([u], dtype=torch.float64)
    grid = camera.pixels_to_grid(pixels, size, cells)
    assert_close(camera.grid_to_pixels(grid, size, cells), pixels, atol=1e-9, rtol=0)
    single = camera.grid_to_pixels(camera.pixels_to_grid(pixels.float(), size, cells), size, cells)
    assert_close(single.double(), pixels, atol=1e-3, rtol=0)


def test_grid_cells_lie_on_the_pixels_they_cover():
    """8 cells of 32 pixels each: cell 0 covers pixels 0 to 31, its centre is 15.5; the edges map to the edges."""
    pixels = torch.tensor([15.5, 47.5, 239.5, -0.5, 255.5])
    assert_close(camera.pixels_to_grid(pixels, 256, 8), torch.tensor([0.0, 1.0, 7.0, -0.5, 7.5]))
    assert_close(camera.pixels_to_normalised(pixels, 256)[3:], torch.tensor([-1.0, 1.0]))


@given(u=coordinates, size=sizes)
def test_normalised_round_trip(u, size):
    pixels = torch.tensor([u], dtype=torch.float64)
    assert_close(
        camera.normalised_to_pixels(camera.pixels_to_normalised(pixels, size), size), pixels, atol=1e-9, rtol=0
    )


@given(u=st.floats(0, 255), size=st.just(256))
def test_a_mirror_is_a_mirror_in_every_frame(u, size):
    pixels = torch.tensor([u], dtype=torch.float64)
    mirrored = size - 1 - pixels
    assert_close(camera.pixels_to_normalised(mirrored, size), -camera.pixels_to_normalised(pixels, size))
    assert_close(camera.pixels_to_grid(mirrored, size, 8), 7 - camera.pixels_to_grid(pixels, size, 8))


@given(depth=st.floats(-1, 1), box=st.sampled_from([0.3, 0.5]))
def test_depth_round_trip_and_centre(depth, box):
    z = torch.tensor([depth], dtype=torch.float64)
    assert_close(camera.grid_to_depth(camera.depth_to_grid(z, box, 8), box, 8), z, atol=1e-12, rtol=0)
    assert_close(camera.depth_to_grid(torch.tensor([-box / 2, 0.0, box / 2]), box, 8), torch.tensor([-0.5, 3.5, 7.5]))


@given(matrix=matrices(), seed=st.integers(0, 1000))
def test_projection_is_opencvs_and_backprojection_its_inverse(matrix, seed):
    points = points_in_view(seed)
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, None)[0][:, 0]
    tensor, k = torch.from_numpy(points), torch.from_numpy(matrix)
    pixels = camera.project(tensor, k)
    assert_close(pixels, torch.from_numpy(expected), atol=1e-6, rtol=0)
    assert_close(camera.backproject(pixels, tensor[:, 2], k), tensor, atol=1e-9, rtol=0)


@given(box=boxes(), turn=turns, u=coordinates, v=coordinates)
def test_crop_round_trip(box, turn, u, v):
    affine = camera.square_crop(box, SIZE, rotation=turn)
    point = np.array([[u, v]])
    there = camera.transform_points(affine, point)
    assert np.abs(camera.transform_points(camera.invert_affine(affine), there) - point).max() < 1e-4


@given(box=boxes(), turn=turns, margin=st.floats(1, 2))
def test_crop_centres_and_contains_its_box(box, turn, margin):
    affine = camera.square_crop(box, SIZE, margin, turn)
    centre = camera.transform_points(affine, (box[:2] + box[2:])[None] / 2)
    assert np.abs(centre - (SIZE - 1) / 2).max() < 1e-6
    corners = camera.transform_points(affine, box[[[0, 1], [2, 1], [2, 3], [0, 3]]])
    longest = max(np.ptp(box[::2]), np.ptp(box[1::2])) * margin
    sides = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    assert_close(sides[:2], np.array([np.ptp(box[::2]), np.ptp(box[1::2])]) * SIZE / longest, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("box", [[10, 10, 10, 10], [0, 0, np.nan, 5], [5, 5, 1, 1]])
def test_crop_of_nothing_is_refused(box):
    with pytest.raises(ValueError, match="no extent"):
        camera.square_crop(np.array(box, float), SIZE)


@given(width=st.integers(10, 4000), height=st.integers(10, 4000))
def test_letterbox_shows_the_whole_image(width, height):
    affine = camera.letterbox(width, height, SIZE)
    corners = camera.transform_points(affine, np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]]))
    assert corners.min() > -0.5 - 1e-6
    assert corners.max() < SIZE - 0.5 + 1e-6
    assert np.ptp(corners, axis=0).max() == pytest.approx(SIZE)


@given(box=boxes(), turn=turns, matrix=matrices(), seed=st.integers(0, 1000))
def test_crops_camera_sees_the_turned_world_where_the_crop_shows_it(box, turn, matrix, seed):
    """A K = K' R_z: projecting and cropping is turning and projecting with the crop's own intrinsics."""
    affine = camera.square_crop(box, SIZE, rotation=turn)
    cropped, rotation = camera.crop_intrinsics(affine, matrix)
    points = points_in_view(seed)
    expected = camera.transform_points(
        affine, camera.project(torch.from_numpy(points), torch.from_numpy(matrix)).numpy()
    )
    seen = camera.project(torch.from_numpy(points @ rotation.T), torch.from_numpy(cropped)).numpy()
    assert np.abs(seen - expected).max() < 1e-4
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize("side", [200.0, 1500.0])
def test_warp_puts_pixels_where_the_affine_says(side):
    """A smooth spot's centre of mass moves with the affine, magnified or averaged down, to 0.05 px."""
    centre = np.array([801.3, 602.7])
    v, u = np.mgrid[:1200, :1600]
    spread = side / 25
    spot = np.exp(-((u - centre[0]) ** 2 + (v - centre[1]) ** 2) / (2 * spread**2)).astype(np.float32)
    box = np.array([centre[0] - side / 2 + 20, centre[1] - side / 2, centre[0] + side / 2 + 20, centre[1] + side / 2])
    affine = camera.square_crop(box, SIZE, margin=1.0, rotation=0.3)
    crop = camera.warp(spot, affine, SIZE)
    v, u = np.mgrid[:SIZE, :SIZE]
    mass = np.array([(crop * u).sum(), (crop * v).sum()]) / crop.sum()
    assert np.abs(mass - camera.transform_points(affine, centre[None])[0]).max() < 0.05


@given(matrix=matrices(), s=st.floats(1, 20), tx=st.floats(-0.8, 0.8), ty=st.floats(-0.8, 0.8))
def test_weak_perspective_root_projects_to_its_translation_at_its_scale(matrix, s, tx, ty):
    k = torch.from_numpy(matrix)
    weak = torch.tensor([s, tx, ty], dtype=torch.float64)
    root = camera.weak_perspective_root(weak, k, SIZE)
    there = camera.pixels_to_normalised(camera.project(root[None], k), SIZE)[0]
    assert_close(there, weak[1:], atol=1e-9, rtol=0)
    metre = torch.eye(3, dtype=torch.float64)[:2]  # two small steps across the ray span s half crops per metre each
    steps = camera.pixels_to_normalised(camera.project(root + 1e-6 * metre, k), SIZE) - there
    area = torch.linalg.det(steps).abs().sqrt() / 1e-6
    assert_close(area, torch.tensor(s, dtype=torch.float64), rtol=1e-4, atol=0)


def test_weak_perspective_root_stays_finite():
    weak = torch.zeros(1, 3, requires_grad=True)
    root = camera.weak_perspective_root(weak, torch.from_numpy(camera.virtual_intrinsics(SIZE)).float()[None], SIZE)
    root.sum().backward()
    assert root.isfinite().all()
    assert weak.grad.isfinite().all()


@given(matrix=matrices(), seed=st.integers(0, 1000))
def test_distorted_points_round_trip(matrix, seed):
    lens = Camera(matrix, 1600, 1200, np.array([-0.05, 0.01, 1e-3, -5e-4, 0.0]))
    points = points_in_view(seed) * [0.5, 0.5, 1]
    ideal = camera.project(torch.from_numpy(points), torch.from_numpy(matrix)).numpy()
    back = camera.undistort_points(camera.project_distorted(points, lens), lens)
    assert np.abs(back - ideal).max() < 1e-6
    assert np.abs(camera.project_distorted(points, lens) - ideal).max() > 0.05


def hands(seed, count):
    """Wrist-relative joints of hands and their wrists, in view."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(0, 0.05, (count, 21, 3))
    joints[:, 0] = 0
    return joints, rng.uniform([-0.2, -0.2, 0.4], [0.2, 0.2, 1.5], (count, 3))


@given(matrix=matrices(), seed=st.integers(0, 1000), count=st.sampled_from([1, 2]))
def test_placement_is_exact_without_noise(matrix, seed, count):
    joints, wrists = hands(seed, count)
    pixels = camera.project(torch.from_numpy(joints + wrists[:, None]), torch.from_numpy(matrix)).numpy()
    weights = np.random.default_rng(seed).uniform(0.1, 3, (count, 21))
    placed = camera.place_hands(joints, pixels, matrix, weights)
    assert np.abs(placed - wrists).max() < 1e-6
    if count == 2:
        relative = wrists[1] - wrists[0]
        placed = camera.place_hands(joints, pixels, matrix, weights, relative, 100.0)
        assert np.abs(placed - wrists).max() < 1e-6


def test_relative_translation_pulls_as_hard_as_it_weighs():
    joints, wrists = hands(3, 2)
    matrix = camera.virtual_intrinsics(SIZE)
    pixels = camera.project(torch.from_numpy(joints + wrists[:, None]), torch.from_numpy(matrix)).numpy()
    wrong = wrists[1] - wrists[0] + [0.0, 0.0, 0.05]
    off = []
    for weight in (0.0, 1.0, 1e4):
        placed = camera.place_hands(joints, pixels, matrix, np.ones((2, 21)), wrong, weight)
        off.append(np.abs(placed[1] - placed[0] - wrong).max())
    assert off[0] == pytest.approx(0.05, abs=1e-6)
    assert off[0] > off[1] > off[2]
    assert off[2] < 1e-5


def test_joints_without_weight_are_ignored():
    joints, wrists = hands(4, 1)
    matrix = camera.virtual_intrinsics(SIZE)
    pixels = camera.project(torch.from_numpy(joints + wrists[:, None]), torch.from_numpy(matrix)).numpy()
    pixels[0, 5:] += 100
    weights = (np.arange(21) < 5).astype(float)[None]
    assert np.abs(camera.place_hands(joints, pixels, matrix, weights) - wrists).max() < 1e-6


def test_a_hand_of_one_joint_cannot_be_placed():
    weights = np.eye(1, 21)
    with pytest.raises(ValueError, match="two joints"):
        camera.place_hands(np.zeros((1, 21, 3)), np.zeros((1, 21, 2)), np.eye(3), weights)
