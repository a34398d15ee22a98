"""Placement in the camera's frame from 3D joints, 2D joints and their uncertainty."""

import numpy as np
import pytest

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.inference.placement import place_by_size, place_in_camera
from lgnet_core.types import Camera

CAMERA = Camera(np.array([[610.0, 0, 331.0], [0, 560.0, 228.0], [0, 0, 1]]), 640, 480)
STD = np.full((1, 21), 0.005)


@pytest.fixture
def joints() -> np.ndarray:
    points = np.random.default_rng(0).uniform(-0.08, 0.08, (1, 21, 3))
    return points - points[:, :1]


def see(joints: np.ndarray, wrist: np.ndarray) -> np.ndarray:
    return project_distorted(joints[0] + wrist, CAMERA)[None]


def test_an_uncertain_joint_counts_less(joints):
    wrist = np.array([0.05, 0.02, 0.6])
    pixels = see(joints, wrist)
    pixels[0, 8] += 30
    sure = place_in_camera(joints, pixels, STD, CAMERA)
    std = STD.copy()
    std[0, 8] = 0.2
    unsure = place_in_camera(joints, pixels, std, CAMERA)
    assert np.linalg.norm(unsure - wrist) < 0.1 * np.linalg.norm(sure - wrist)


def test_joints_outside_the_image_are_not_asked(joints):
    wrist = np.array([-0.33, 0.02, 0.6])
    pixels = see(joints, wrist)
    outside = pixels[0, :, 0] < -0.5
    assert 4 <= outside.sum() <= 17
    pixels[0, outside] -= 15
    np.testing.assert_allclose(place_in_camera(joints, pixels, STD, CAMERA)[0], wrist, atol=1e-6)


def test_a_hand_with_all_joints_outside_is_still_placed(joints):
    wrist = np.array([-0.8, 0.02, 0.6])
    np.testing.assert_allclose(place_in_camera(joints, see(joints, wrist), STD, CAMERA)[0], wrist, atol=1e-6)


def test_relative_translation_steadies_two_hands(joints):
    wrists = np.array([[0.05, 0.02, 0.6], [-0.08, 0.03, 0.65]])
    both = np.concatenate([joints, joints * [-1, 1, 1]])
    pixels = np.concatenate([see(both[k : k + 1], wrists[k]) for k in range(2)])
    pixels[1] = pixels[1].mean(0) + 1.05 * (pixels[1] - pixels[1].mean(0))  # seen 5 % too large: too near
    std = np.full((2, 21), 0.02)
    alone = place_in_camera(both, pixels, std, CAMERA)
    together = place_in_camera(both, pixels, std, CAMERA, wrists[1] - wrists[0])
    assert np.linalg.norm(together[1] - wrists[1]) < np.linalg.norm(alone[1] - wrists[1])


@pytest.mark.parametrize("seed", range(20))
def test_no_hand_is_put_behind_the_camera(seed):
    """Whatever a badly trained network says."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(0, 0.07, (2, 21, 3))
    joints -= joints[:, :1]
    pixels = rng.uniform(0, 480, (2, 21, 2))
    wrists = place_in_camera(joints, pixels, rng.uniform(0, 0.1, (2, 21)), CAMERA, rng.normal(0, 0.1, 3))
    assert np.isfinite(wrists).all()
    assert ((joints + wrists[:, None])[..., 2] > 0.049).all()


def test_size_alone_gives_the_depth_of_a_far_hand(joints):
    wrist = np.array([0.3, -0.2, 2.5])
    found = place_by_size(joints[0], see(joints, wrist)[0], CAMERA.matrix)
    np.testing.assert_allclose(found, wrist, rtol=0.06, atol=0.02)
