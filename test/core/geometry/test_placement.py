"""Placement of hands in the camera frame: exactness, weighting by uncertainty, and degenerate cases."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.cameras import intrinsics

from lgnet_core.geometry.camera import project, project_distorted, virtual_intrinsics
from lgnet_core.geometry.placement import place_by_scaled_orthography, place_hands, place_in_camera
from lgnet_core.types import Camera

CAMERA = Camera(np.array([[610.0, 0, 331.0], [0, 560.0, 228.0], [0, 0, 1]]), 640, 480)
STD = np.full((1, 21), 0.005)


@pytest.fixture
def joints() -> np.ndarray:
    points = np.random.default_rng(0).uniform(-0.08, 0.08, (1, 21, 3))
    return points - points[:, :1]


def observe(joints: np.ndarray, wrist: np.ndarray) -> np.ndarray:
    return project_distorted(joints[0] + wrist, CAMERA)[None]


def test_uncertain_joints_have_less_influence(joints):
    wrist = np.array([0.05, 0.02, 0.6])
    pixels = observe(joints, wrist)
    pixels[0, 8] += 30
    certain = place_in_camera(joints, pixels, STD, CAMERA)
    std = STD.copy()
    std[0, 8] = 0.2
    uncertain = place_in_camera(joints, pixels, std, CAMERA)
    assert np.linalg.norm(uncertain - wrist) < 0.1 * np.linalg.norm(certain - wrist)


def test_wrist_pixel_does_not_decide_alone(joints):
    """The wrist's deviation is relative to itself, 0; its pixel is as uncertain as any."""
    wrist = np.array([0.05, 0.02, 0.6])
    pixels = observe(joints, wrist)
    pixels[0, 0] += 15
    std = STD.copy()
    std[0, 0] = 0
    placed = place_in_camera(joints, pixels, std, CAMERA)
    residual = np.linalg.norm(observe(joints, placed[0]) - observe(joints, wrist), axis=-1)
    assert residual.max() < 6


def test_joints_outside_the_image_are_ignored(joints):
    wrist = np.array([-0.33, 0.02, 0.6])
    pixels = observe(joints, wrist)
    outside = pixels[0, :, 0] < -0.5
    assert 4 <= outside.sum() <= 17
    pixels[0, outside] -= 15
    np.testing.assert_allclose(place_in_camera(joints, pixels, STD, CAMERA)[0], wrist, atol=1e-6)


def test_hand_entirely_outside_the_image_is_placed(joints):
    wrist = np.array([-0.8, 0.02, 0.6])
    np.testing.assert_allclose(place_in_camera(joints, observe(joints, wrist), STD, CAMERA)[0], wrist, atol=1e-6)


def test_relative_translation_improves_the_placement_of_two_hands(joints):
    wrists = np.array([[0.05, 0.02, 0.6], [-0.08, 0.03, 0.65]])
    both = np.concatenate([joints, joints * [-1, 1, 1]])
    pixels = np.concatenate([observe(both[k : k + 1], wrists[k]) for k in range(2)])
    pixels[1] = pixels[1].mean(0) + 1.05 * (pixels[1] - pixels[1].mean(0))  # 5 % too large: appears too near
    std = np.full((2, 21), 0.02)
    alone = place_in_camera(both, pixels, std, CAMERA)
    together = place_in_camera(both, pixels, std, CAMERA, wrists[1] - wrists[0])
    assert np.linalg.norm(together[1] - wrists[1]) < np.linalg.norm(alone[1] - wrists[1])


@pytest.mark.parametrize("seed", range(20))
def test_hands_are_never_placed_behind_the_camera(seed):
    """Even for inconsistent predictions."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(0, 0.07, (2, 21, 3))
    joints -= joints[:, :1]
    pixels = rng.uniform(0, 480, (2, 21, 2))
    wrists = place_in_camera(joints, pixels, rng.uniform(0, 0.1, (2, 21)), CAMERA, rng.normal(0, 0.1, 3))
    assert np.isfinite(wrists).all()
    assert ((joints + wrists[:, None])[..., 2] > 0.049).all()


def test_scaled_orthography_recovers_the_depth_of_a_distant_hand(joints):
    wrist = np.array([0.3, -0.2, 2.5])
    placed = place_by_scaled_orthography(joints[0], observe(joints, wrist)[0], CAMERA.matrix)
    np.testing.assert_allclose(placed, wrist, rtol=0.06, atol=0.02)


def random_hands(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Wrist-relative joints (N, 21, 3) and wrists (N, 3) of hands in view, metres."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(0, 0.05, (count, 21, 3))
    joints[:, 0] = 0
    return joints, rng.uniform([-0.2, -0.2, 0.4], [0.2, 0.2, 1.5], (count, 3))


@given(matrix=intrinsics(), seed=st.integers(0, 1000), count=st.sampled_from([1, 2]))
def test_least_squares_placement_is_exact_without_noise(matrix, seed, count):
    joints, wrists = random_hands(seed, count)
    pixels = project(torch.from_numpy(joints + wrists[:, None]), torch.from_numpy(matrix)).numpy()
    weights = np.random.default_rng(seed).uniform(0.1, 3, (count, 21))
    placed = place_hands(joints, pixels, matrix, weights)
    assert np.abs(placed - wrists).max() < 1e-6
    if count == 2:
        relative = wrists[1] - wrists[0]
        placed = place_hands(joints, pixels, matrix, weights, relative, 100.0)
        assert np.abs(placed - wrists).max() < 1e-6


def test_influence_of_the_relative_translation_grows_with_its_weight():
    joints, wrists = random_hands(3, 2)
    matrix = virtual_intrinsics(256)
    pixels = project(torch.from_numpy(joints + wrists[:, None]), torch.from_numpy(matrix)).numpy()
    wrong = wrists[1] - wrists[0] + [0.0, 0.0, 0.05]
    deviations = []
    for weight in (0.0, 1.0, 1e4):
        placed = place_hands(joints, pixels, matrix, np.ones((2, 21)), wrong, weight)
        deviations.append(np.abs(placed[1] - placed[0] - wrong).max())
    assert deviations[0] == pytest.approx(0.05, abs=1e-6)
    assert deviations[0] > deviations[1] > deviations[2]
    assert deviations[2] < 1e-5


def test_joints_of_zero_weight_are_ignored():
    joints, wrists = random_hands(4, 1)
    matrix = virtual_intrinsics(256)
    pixels = project(torch.from_numpy(joints + wrists[:, None]), torch.from_numpy(matrix)).numpy()
    pixels[0, 5:] += 100
    weights = (np.arange(21) < 5).astype(float)[None]
    assert np.abs(place_hands(joints, pixels, matrix, weights) - wrists).max() < 1e-6


def test_single_joint_is_rejected():
    weights = np.eye(1, 21)
    with pytest.raises(ValueError, match="two joints"):
        place_hands(np.zeros((1, 21, 3)), np.zeros((1, 21, 2)), np.eye(3), weights)
