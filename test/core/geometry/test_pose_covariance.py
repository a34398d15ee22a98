"""Covariances of poses: laws of geometry, and the spread of simulated errors as an independent reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.posed_hands import POSES, SEEDS, SIDES, posed, turn

from lgnet_core.geometry.hand_frame import HandFrames, Pose
from lgnet_core.geometry.inter_hand import relative_pose
from lgnet_core.geometry.pose_covariance import (
    KNUCKLES,
    MAX_SCALE_STD,
    CovarianceModel,
    HandUncertainty,
    distance_std,
    hand_uncertainty,
    pose_covariance,
    relative_pose_covariance,
    scale_correlation,
)
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.inference.depth_alignment import scale_hand
from lgnet_core.types import Hand, Side, SizeSource, TwoHands

HAND_MODEL = load_hand_layer()
SAMPLES = 40_000
SOURCES = st.sampled_from(SizeSource)


def some_hand(side: Side, pose: str, seed: int, at=(0.05, -0.02, 0.5), source=SizeSource.PREDICTED) -> Hand:
    std = np.random.default_rng(seed).uniform(0.005, 0.03, 21)
    return replace(posed(HAND_MODEL, side, pose, turn(seed), at), joint_std=std, size_source=source)


def uncertainties(seed: int) -> dict[Side, HandUncertainty]:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(2, 3, 3)) * 0.03
    return {
        side: HandUncertainty(rng.uniform(0.005, 0.03), rng.uniform(0.001, 0.01), factors[side] @ factors[side].T)
        for side in Side
    }


@given(SIDES, POSES, SEEDS, SOURCES)
def test_covariance_is_positive_definite_and_symmetric(side: Side, pose: str, seed: int, source: SizeSource) -> None:
    covariance = pose_covariance(some_hand(side, pose, seed, source=source))
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0


@given(SIDES, POSES, SEEDS, SEEDS)
def test_turned_hands_have_turned_covariances(side: Side, pose: str, seed: int, other: int) -> None:
    """A rotation of the scene about the camera's centre: C' = Q C Q^T."""
    hand, rotation = some_hand(side, pose, seed), turn(other)
    turned = replace(hand, joints=hand.joints @ rotation.T)
    block = np.kron(np.eye(2), rotation)
    expected = block @ pose_covariance(hand) @ block.T
    np.testing.assert_allclose(pose_covariance(turned), expected, atol=1e-9 * np.abs(expected).max())


@given(SIDES, POSES, SEEDS, st.floats(0.5, 2))
def test_larger_hands_farther_away_are_as_uncertain(side: Side, pose: str, seed: int, factor: float) -> None:
    """Scaled about the camera's centre, a hand looks the same: errors in metres grow, angles do not change."""
    hand = some_hand(side, pose, seed)
    scaled = scale_hand(hand, factor, hand.size_source)
    unit = np.repeat([factor, 1.0], 3)
    np.testing.assert_allclose(pose_covariance(scaled), np.outer(unit, unit) * pose_covariance(hand), rtol=1e-6)


@given(SIDES, POSES, SEEDS)
def test_depth_maps_make_the_distance_certain(side: Side, pose: str, seed: int) -> None:
    stds = {source: hand_uncertainty(some_hand(side, pose, seed, source=source)).scale for source in SizeSource}
    assert stds[SizeSource.DEPTH] < stds[SizeSource.EARLIER_DEPTH] < stds[SizeSource.PREDICTED] <= MAX_SCALE_STD


def test_distance_dominates() -> None:
    """Of a hand half a metre away whose size is predicted: centimetres along the ray, millimetres across."""
    hand = some_hand(Side.RIGHT, "open", 3, at=(0.0, 0.0, 0.5))
    std = np.sqrt(np.diag(pose_covariance(hand)))
    assert std[2] > 3 * std[:2].max()


def test_position_has_the_spread_of_its_errors() -> None:
    hand = some_hand(Side.LEFT, "relaxed", 4, at=(0.2, -0.1, 0.6))
    uncertainty = hand_uncertainty(hand)
    rng, wrist = np.random.default_rng(0), hand.joints[0]
    ray = wrist / np.linalg.norm(wrist)
    noise = rng.normal(0, uncertainty.lateral, (SAMPLES, 3))
    positions = wrist * (1 + rng.normal(0, uncertainty.scale, (SAMPLES, 1))) + noise - np.outer(noise @ ray, ray)
    assert_spread(positions - wrist, pose_covariance(hand)[:3, :3])


@given(SIDES, SEEDS)
def test_rotation_has_the_spread_of_fits_to_noisy_knuckles(side: Side, seed: int) -> None:
    """Weighted fits by scipy, with small errors of known size."""
    hand = some_hand(side, "open", seed)
    std = hand.joint_std[KNUCKLES] / 10
    hand = replace(hand, joint_std=hand.joint_std / 10)
    arms = hand.joints[KNUCKLES] - hand.joints[0]
    rng = np.random.default_rng(seed)
    fitted = [
        Rotation.align_vectors(arms + rng.normal(size=(4, 3)) * std[:, None], arms, 1 / std**2)[0].as_rotvec()
        for _ in range(600)
    ]
    covariance = pose_covariance(hand)[3:, 3:] / CovarianceModel().rotation ** 2
    assert_spread(np.array(fitted), covariance, 0.35)


@given(SEEDS)
def test_relative_pose_has_the_spread_of_its_errors(seed: int) -> None:
    """Errors of both poses, with correlated scales, propagated by 4x4 matrices."""
    rng, both = np.random.default_rng(seed), uncertainties(seed)
    positions = {side: rng.normal(0, 0.1, 3) + np.array([0, 0, 0.6]) for side in Side}
    rotations = {side: Rotation.random(random_state=seed + side) for side in Side}
    poses = {side: Pose.from_matrix(positions[side], rotations[side].as_matrix()) for side in Side}
    correlation = 0.5
    scales = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], SAMPLES)
    moved, turned = {}, {}
    for side in Side:
        ray = positions[side] / np.linalg.norm(positions[side])
        noise = rng.normal(0, both[side].lateral, (SAMPLES, 3))
        along = both[side].scale * scales[:, side, None] * positions[side]
        moved[side] = positions[side] + along + noise - np.outer(noise @ ray, ray)
        error = rng.multivariate_normal(np.zeros(3), both[side].rotation, SAMPLES)
        turned[side] = Rotation.from_rotvec(error) * rotations[side]
    relative = relative_pose(poses[Side.RIGHT], poses[Side.LEFT])
    translations = turned[Side.RIGHT].inv().apply(moved[Side.LEFT] - moved[Side.RIGHT]) - relative.position
    rotation = Rotation.from_quat(relative.quaternion)
    errors = (turned[Side.RIGHT].inv() * turned[Side.LEFT] * rotation.inv()).as_rotvec()
    assert_spread(
        np.hstack([translations, errors]),
        relative_pose_covariance(poses[Side.RIGHT], poses[Side.LEFT], both, correlation),
        0.1,
    )


@given(SEEDS, st.floats(0, 1))
def test_relative_covariance_is_positive_semidefinite(seed: int, correlation: float) -> None:
    poses = {side: Pose.from_matrix(np.array([0.1 * side, 0, 0.5]), turn(seed + side)) for side in Side}
    covariance = relative_pose_covariance(poses[Side.RIGHT], poses[Side.LEFT], uncertainties(seed), correlation)
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-12


@given(SEEDS, st.floats(0, 1))
def test_distance_has_the_spread_of_its_errors(seed: int, correlation: float) -> None:
    """Points that move with scale, position, rotation and their joint, along the line between them."""
    rng = np.random.default_rng(seed)
    hands = TwoHands(
        *(some_hand(s, "open", seed + s, at=(0.3 * s - 0.15, 0, 0.6)) for s in Side), np.zeros(3), metric=True
    )
    both = uncertainties(seed)
    points = {hand.side: hand.joints[12] + [0, 0.005, 0] for hand in hands.hands}
    gap = points[Side.LEFT] - points[Side.RIGHT]
    direction = gap / np.linalg.norm(gap)
    scales = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], SAMPLES)
    moved = {}
    for hand in hands.hands:
        point, uncertainty = points[hand.side], both[hand.side]
        ray = point / np.linalg.norm(point)
        noise = rng.normal(0, uncertainty.lateral, (SAMPLES, 3))
        turning = rng.multivariate_normal(np.zeros(3), uncertainty.rotation, SAMPLES)
        moved[hand.side] = (
            point
            + uncertainty.scale * scales[:, hand.side, None] * point
            + noise - np.outer(noise @ ray, ray)
            + np.cross(turning, point - hand.joints[0])
            + rng.normal(0, hand.joint_std[12], (SAMPLES, 3))
        )  # fmt: skip
    spread = ((moved[Side.LEFT] - moved[Side.RIGHT]) @ direction).std()
    assert distance_std(hands, points, both, correlation) == pytest.approx(spread, rel=0.02)


def test_touching_hands_have_an_uncertain_distance_too() -> None:
    hands = TwoHands(*(some_hand(s, "open", s, at=(0.1 * s, 0, 0.6)) for s in Side), np.zeros(3), metric=True)
    std = distance_std(hands, dict.fromkeys(Side, hands.right.joints[8]), uncertainties(0), 0.5)
    assert 0.001 < std < 0.2


def test_only_hands_without_depth_share_their_error_of_scale() -> None:
    right, left = (some_hand(side, "open", 0) for side in Side)
    predicted = TwoHands(right, left, np.zeros(3), metric=True)
    assert scale_correlation(predicted) == CovarianceModel().scale_correlation
    assert scale_correlation(replace(predicted, left=replace(left, size_source=SizeSource.DEPTH))) == 0


def test_hand_that_points_at_the_camera_has_a_limited_uncertainty() -> None:
    hand = some_hand(Side.RIGHT, "flat", 0, at=(0.0, 0.0, 0.5))
    along = np.outer(np.linspace(0, 1, 21), [0, 0, 0.1]) + hand.joints[0]
    degenerate = replace(hand, joints=along, joint_std=np.full(21, 0.02))
    assert hand_uncertainty(degenerate).scale == MAX_SCALE_STD
    assert np.isfinite(pose_covariance(degenerate)).all()


def test_poses_of_the_hand_frame_are_the_ones_described() -> None:
    """The covariance is about the wrist, the origin of the hand frame."""
    hand = some_hand(Side.RIGHT, "open", 1)
    np.testing.assert_array_equal(HandFrames(HAND_MODEL).pose(hand).position, hand.joints[0])


def assert_spread(errors: np.ndarray, covariance: np.ndarray, tolerance: float = 0.05) -> None:
    """The covariance of samples, relative to the expected standard deviations."""
    std = np.sqrt(np.diag(covariance))
    measured = errors.T @ errors / len(errors)
    np.testing.assert_allclose(measured / np.outer(std, std), covariance / np.outer(std, std), atol=tolerance)
