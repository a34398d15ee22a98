"""Handover: openness of known poses, palm and approach pose, hysteresis, and which hand is watched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from support.posed_hands import SEEDS, SIDES, posed, turn

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.robotics.handover import (
    HandoverDetector,
    HandoverSettings,
    OfferedHand,
    approach_pose,
    openness,
    palm_pose,
)
from lgnet_core.types import Side

HAND_MODEL = load_hand_layer()
FRAMES = HandFrames(HAND_MODEL)
SETTINGS = HandoverSettings(hold_time=0.5)


def offered(
    pose: str = "open", side: Side = Side.RIGHT, root: np.ndarray | None = None, at=(0.0, 0.0, 0.5), track_id: int = 1
) -> OfferedHand:
    hand = posed(HAND_MODEL, side, pose, np.eye(3) if root is None else root, at)
    return OfferedHand(track_id, hand.presence, hand.vertices, hand.joints, FRAMES.pose(hand))


@given(SIDES, SEEDS)
def test_openness_tells_open_from_closed_hands(side: Side, seed: int) -> None:
    """Whatever the orientation, and the same on both hands."""
    amount = {name: openness(offered(name, side, turn(seed)).joints) for name in ("flat", "open", "relaxed", "fist")}
    assert amount["flat"] > SETTINGS.open_at < amount["open"]
    assert amount["open"] > amount["relaxed"] > amount["fist"]
    assert amount["fist"] < 0.1
    assert amount["open"] == pytest.approx(openness(offered("open", side.other).joints), abs=1e-5)


@given(SIDES, SEEDS)
def test_palm_is_the_skin_of_the_palm(side: Side, seed: int) -> None:
    """On the mesh, on its palm side, between wrist and knuckles."""
    hand = offered("flat", side, turn(seed))
    palm = palm_pose(hand)
    normal, fingers = palm.rotation[:, 2], palm.rotation[:, 0]
    np.testing.assert_allclose(palm.quaternion, hand.pose.quaternion)
    assert np.linalg.norm(hand.vertices - palm.position, axis=1).min() < 0.012
    height = (palm.position - hand.joints[0]) @ normal
    assert 0.005 < height < 0.04
    along = (palm.position - hand.joints[0]) @ fingers
    assert 0.02 < along < (hand.joints[9] - hand.joints[0]) @ fingers


@given(SIDES, SEEDS)
def test_approach_keeps_its_distance_and_faces_the_palm(side: Side, seed: int) -> None:
    for pose in ("flat", "relaxed"):
        hand = offered(pose, side, turn(seed))
        approach = approach_pose(hand, 0.15)
        axes = approach.rotation
        np.testing.assert_allclose(axes[:, 2], -hand.pose.rotation[:, 2], atol=1e-9)
        np.testing.assert_allclose(axes[:, 0], hand.pose.rotation[:, 0], atol=1e-9)
        assert np.linalg.det(axes) == pytest.approx(1)
        distances = (hand.vertices - approach.position) @ axes[:, 2]
        assert distances.min() == pytest.approx(0.15, abs=1e-9)
        beside = palm_pose(hand).position - approach.position
        assert beside[None] @ axes[:, :2] == pytest.approx(np.zeros((1, 2)), abs=1e-9)


def run(detector: HandoverDetector, poses: list[str], start: float = 0.0, step: float = 0.1) -> list[tuple[bool, bool]]:
    """(is_open, ready) of a hand that takes one pose after the other."""
    states = [detector.update(start + k * step, {(0, Side.RIGHT): offered(pose)}) for k, pose in enumerate(poses)]
    return [(state.is_open, state.ready) for state in states]


def test_ready_after_the_hold_time_until_closed() -> None:
    detector = HandoverDetector(SETTINGS)
    states = run(detector, ["fist"] * 3 + ["open"] * 8 + ["relaxed"] * 2 + ["fist"])
    assert [is_open for is_open, _ in states] == [False] * 3 + [True] * 10 + [False], "relaxed is within the hysteresis"
    ready = [ready for _, ready in states]
    assert ready.index(True) == 3 + 5
    assert ready[8:13] == [True] * 5
    assert not ready[13]
    assert run(HandoverDetector(SETTINGS), ["relaxed"] * 10) == [(False, False)] * 10


def test_a_moving_palm_is_not_ready() -> None:
    detector = HandoverDetector(SETTINGS)
    time, position = 0.0, 0.0

    def move(speed: float, count: int) -> list[bool]:
        """Readiness while the hand moves at a speed, m/s, for a number of images at 20 Hz."""
        nonlocal time, position
        ready = []
        for _ in range(count):
            time, position = time + 0.05, position + 0.05 * speed
            ready.append(detector.update(time, {(0, Side.RIGHT): offered(at=(position, 0, 0.5))}).ready)
        return ready

    move(0.4, 5)  # the speed of the first image is unknown
    assert not any(move(0.4, 40))
    assert move(0.0, 40)[-1], "it came to rest"
    assert all(move(0.15, 20)), "slower than fast_above: still ready"
    assert not move(0.5, 20)[-1]


def test_the_watched_hand_stays_until_it_goes() -> None:
    detector = HandoverDetector(SETTINGS)
    right, left = offered("relaxed", Side.RIGHT, track_id=7), offered("open", Side.LEFT, at=(0.2, 0, 0.5), track_id=8)
    assert detector.update(0.0, {(0, Side.RIGHT): right}).side is Side.RIGHT
    assert detector.update(0.1, {(0, Side.RIGHT): right, (0, Side.LEFT): left}).side is Side.RIGHT
    assert detector.update(0.2, {(0, Side.LEFT): left}).side is Side.LEFT
    assert detector.update(0.3, {(0, Side.RIGHT): right, (0, Side.LEFT): left}).side is Side.LEFT
    assert detector.update(0.4, {}) is None
    both = {(0, Side.RIGHT): right, (0, Side.LEFT): left}
    assert detector.update(0.5, both).side is Side.LEFT, "the more open one"


def test_the_same_hand_of_another_person_is_another_one() -> None:
    detector = HandoverDetector(SETTINGS)
    near, far = offered("open", track_id=1), offered("open", at=(0.4, 0, 0.6), track_id=2)
    assert detector.update(0.0, {(1, Side.RIGHT): near}).person == 1
    state = detector.update(0.1, {(0, Side.RIGHT): far, (1, Side.RIGHT): near})
    assert (state.person, state.side, state.track_id) == (1, Side.RIGHT, 1)


@pytest.mark.parametrize("change", ["other track", "gone", "time goes back"])
def test_readiness_ends_with_the_hand(change: str) -> None:
    detector = HandoverDetector(SETTINGS)
    assert run(detector, ["open"] * 10)[-1] == (True, True)
    if change == "gone":
        assert detector.update(1.0, {}) is None
    hand = offered(track_id=2 if change == "other track" else 1)
    state = detector.update(0.5 if change == "time goes back" else 1.1, {(0, Side.RIGHT): hand})
    assert (state.is_open, state.ready) == (True, False)


def test_wrong_order_of_thresholds_is_named() -> None:
    with pytest.raises(ValueError, match=r"close_below: 0\.9 is above open_at, 0\.75"):
        replace(SETTINGS, close_below=0.9)
    with pytest.raises(ValueError, match="slow_at"):
        replace(SETTINGS, slow_at=1.0)
