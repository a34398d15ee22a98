"""One-euro filter: comparison with the published scalar recurrence, and its invariants on hands."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.posed_hands import POSES, SEEDS, SIDES, posed, turn

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.inference.tracking.smoothing import HandSmoother, OneEuroFilter, Smoothing
from lgnet_core.types import Camera, Hand, Side

CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600.0, 240], [0, 0, 1]]), 640, 480)
SETTINGS = st.builds(
    Smoothing, min_cutoff=st.floats(0.1, 10), beta=st.floats(0, 50), derivative_cutoff=st.floats(0.1, 5)
)
INTERVALS = st.lists(st.floats(0.005, 0.3), min_size=2, max_size=20)
FIELDS = ("joints", "vertices", "joints_2d", "rotations", "shape")


@given(settings=SETTINGS, intervals=INTERVALS, seed=SEEDS)
def test_scalars_follow_the_papers_recurrence(settings, intervals, seed):
    """Algorithm 1 of the paper with the interval in place of 1 / rate, also for irregular intervals."""
    values = np.random.default_rng(seed).normal(0, 0.1, len(intervals))
    last = speed = None
    one_euro = OneEuroFilter()
    for value, interval in zip(values, intervals):
        if last is None:
            last, speed = value, 0.0
        else:
            derivative = (value - last) / interval
            weight = 1 / (1 + (1 / (2 * pi * settings.derivative_cutoff)) / interval)
            speed = weight * derivative + (1 - weight) * speed
            cutoff = settings.min_cutoff + settings.beta * abs(speed)
            weight = 1 / (1 + (1 / (2 * pi * cutoff)) / interval)
            last = weight * value + (1 - weight) * last
        assert one_euro(np.array([[value]]), interval, settings)[0, 0] == pytest.approx(last, abs=1e-12)


@given(settings=SETTINGS, intervals=INTERVALS, seed=SEEDS)
def test_constant_points_are_unchanged(settings, intervals, seed):
    points = np.random.default_rng(seed).normal(0, 1, (5, 3))
    one_euro = OneEuroFilter()
    for interval in intervals:
        np.testing.assert_array_equal(one_euro(points, interval, settings), points)


@given(settings=SETTINGS, seed=SEEDS)
def test_step_response_converges(settings, seed):
    """Monotonically, and to 1 in 1000 within 10 / (2 pi f_min) seconds."""
    start, end = np.random.default_rng(seed).normal(0, 1, (2, 5, 3))
    one_euro = OneEuroFilter()
    one_euro(start, 1 / 30, settings)
    error = np.linalg.norm(end - start)
    for _ in range(int(30 * 10 / (2 * pi * settings.min_cutoff)) + 2):
        remaining = np.linalg.norm(one_euro(end, 1 / 30, settings) - end)
        assert remaining <= error
        error = remaining
    assert error < 1e-3 * np.linalg.norm(end - start)


@given(settings=SETTINGS, seed=SEEDS, intervals=INTERVALS)
def test_the_filter_is_equivariant_to_rigid_motion(settings, seed, intervals):
    rng = np.random.default_rng(seed)
    trajectory = rng.normal(0, 0.2, (len(intervals), 5, 3))
    rotation, translation = turn(seed), rng.normal(0, 1, 3)
    original, transformed = OneEuroFilter(), OneEuroFilter()
    for points, interval in zip(trajectory, intervals):
        expected = original(points, interval, settings) @ rotation.T + translation
        actual = transformed(points @ rotation.T + translation, interval, settings)
        np.testing.assert_allclose(actual, expected, atol=1e-9)


def test_beta_is_independent_of_the_unit():
    settings = Smoothing(min_cutoff=1, beta=7)
    metres, pixels = OneEuroFilter(), OneEuroFilter()
    for k, x in enumerate(np.random.default_rng(0).normal(0, 0.1, 20)):
        in_metres = metres(np.array([[x, -x]]), 0.03 + 0.01 * (k % 2), settings)
        in_pixels = pixels(np.array([[x, -x]]) * 1200, 0.03 + 0.01 * (k % 2), settings, metres_per_unit=1 / 1200)
        np.testing.assert_allclose(in_pixels, in_metres * 1200, atol=1e-9)


def test_the_smoothing_factor_increases_with_beta():
    alphas = []
    for beta in (0, 5, 50):
        one_euro = OneEuroFilter()
        for x in (0.0, 0.02, 0.04):
            one_euro(np.array([[x]]), 1 / 30, Smoothing(1.0, beta))
        alphas.append(one_euro.alpha)
    assert alphas == sorted(alphas)
    assert alphas[0] < 0.5 * alphas[-1]


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"min_cutoff": 0}, "min_cutoff"), ({"beta": -1}, "beta"), ({"derivative_cutoff": float("nan")}, "derivative")],
)
def test_settings_out_of_range_are_rejected(setting, message):
    with pytest.raises(ValueError, match=message):
        Smoothing(**setting)


def with_projected_joints(hand: Hand) -> Hand:
    return replace(hand, joints_2d=project_distorted(hand.joints, CAMERA))


@given(side=SIDES, pose=POSES, seed=SEEDS, metric=st.booleans())
def test_a_still_hand_is_unchanged(hand_model, side, pose, seed, metric):
    hand = with_projected_joints(posed(hand_model, side, pose, turn(seed)))
    if not metric:
        hand = replace(hand, joints=hand.joints - hand.joints[0], vertices=hand.vertices - hand.joints[0])
    smoother = HandSmoother()
    for _ in range(4):
        out = smoother(hand, 1 / 30, Smoothing(), metric)
        for name in FIELDS:
            tolerance = 1e-6 if name == "rotations" else 1e-12  # the hand model is float32
            np.testing.assert_allclose(getattr(out, name), getattr(hand, name), atol=tolerance)
        assert out.side is hand.side
        assert out.presence == hand.presence


@given(side=SIDES, seed=SEEDS)
def test_the_parts_of_a_hand_remain_consistent(hand_model, side, seed):
    """A joint that is a mean of vertices remains so, and rotations remain orthogonal."""
    rng = np.random.default_rng(seed)
    hand = with_projected_joints(posed(hand_model, side, "relaxed", turn(seed)))
    middle = hand.vertices[:5].mean(0)
    smoother = HandSmoother()
    for _ in range(6):
        noise = Rotation.from_rotvec(rng.normal(0, 0.1, (16, 3))).as_matrix()
        moved = replace(
            hand,
            joints=hand.joints + rng.normal(0, 0.004, 3),
            rotations=noise @ hand.rotations,
        )
        shift = moved.joints[0] - hand.joints[0]
        bend = rng.normal(0, 0.002, 3)
        moved = replace(moved, vertices=hand.vertices + shift + bend)
        moved.joints[1] = middle + shift + bend
        out = smoother(moved, 1 / 30, Smoothing(), True)
        np.testing.assert_allclose(out.joints[1], out.vertices[:5].mean(0), atol=1e-12)
        squares = out.rotations @ out.rotations.transpose(0, 2, 1)
        np.testing.assert_allclose(squares, np.tile(np.eye(3), (16, 1, 1)), atol=1e-6)  # the hand model is float32
        assert np.allclose(np.linalg.det(out.rotations), 1)


@given(seed=SEEDS, angle=st.floats(-3, 3))
def test_rotations_are_interpolated_along_the_geodesic(hand_model, seed, angle):
    """R exp(alpha log(R^T R_new)), by scipy."""
    hand = with_projected_joints(posed(hand_model, Side.RIGHT, "flat", turn(seed)))
    axis = np.random.default_rng(seed).normal(size=3)
    axis /= np.linalg.norm(axis)
    step = Rotation.from_rotvec(axis * angle).as_matrix()
    smoother = HandSmoother()
    smoother(hand, 1 / 30, Smoothing(), True)
    out = smoother(replace(hand, rotations=hand.rotations @ step), 1 / 30, Smoothing(min_cutoff=2.0, beta=0), True)
    alpha = 1 / (1 + 30 / (2 * pi * 2.0))
    expected = hand.rotations @ Rotation.from_rotvec(axis * angle * alpha).as_matrix()
    np.testing.assert_allclose(out.rotations, expected, atol=1e-6)


def test_noise_in_depth_does_not_affect_the_filter_of_the_ray(hand_model):
    """The wrist oscillates by 1 cm in depth, or not: its ray is filtered in the same way."""
    rng = np.random.default_rng(0)
    hand = with_projected_joints(posed(hand_model, Side.RIGHT, "open", turn(0)))
    ray_noise = rng.normal(0, 5e-4, (30, 2))
    rays = []
    for amplitude in (0.0, 0.01):
        smoother, filtered = HandSmoother(), []
        for k in range(30):
            wrist = hand.joints[0] + [0, 0, amplitude * (-1) ** k]
            wrist[:2] = (hand.joints[0, :2] / hand.joints[0, 2] + ray_noise[k]) * wrist[2]
            shift = wrist - hand.joints[0]
            moved = replace(hand, joints=hand.joints + shift, vertices=hand.vertices + shift)
            out = smoother(moved, 1 / 30, Smoothing(), True)
            filtered.append(out.joints[0, :2] / out.joints[0, 2])
        rays.append(np.array(filtered))
    np.testing.assert_allclose(rays[1], rays[0], atol=2e-5)


def test_smoothing_reduces_jitter_without_lagging_behind(hand_model):
    rng = np.random.default_rng(1)
    hand = with_projected_joints(posed(hand_model, Side.RIGHT, "open", turn(1)))
    for speed in (0.0, 0.8):  # m/s
        smoother, raw, out = HandSmoother(), [], []
        for k in range(60):
            shift = np.array([speed * k / 30, 0, 0]) + rng.normal(0, 0.002, 3)
            moved = with_projected_joints(replace(hand, joints=hand.joints + shift, vertices=hand.vertices + shift))
            raw.append(moved.joints)
            out.append(smoother(moved, 1 / 30, Smoothing(), True).joints)
        noise, jitter = (np.sqrt((np.diff(x[20:], 2, axis=0) ** 2).mean()) for x in (np.array(raw), np.array(out)))
        lag = np.abs(out[-1][:, 0] - raw[-1][:, 0]).max()
        assert lag < 0.03 if speed else jitter < 0.4 * noise
