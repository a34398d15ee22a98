"""OpenXR joints: positions, orientations and radii as the specification describes them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from scipy.spatial.transform import Rotation
from support.posed_hands import POSES, SEEDS, SIDES, posed, turn

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.robotics.openxr import JOINT_NAMES, METACARPALS, OPENPOSE_JOINTS, HandJoints, OpenXRConverter
from lgnet_core.types import Side

HAND_MODEL = load_hand_layer()
CONVERTER = OpenXRConverter(HAND_MODEL)
FRAMES = HandFrames(HAND_MODEL)


def axes(joints: HandJoints) -> np.ndarray:
    """(26, 3, 3); columns are x, y, z."""
    return Rotation.from_quat(joints.orientations).as_matrix()


def at(name: str) -> int:
    return JOINT_NAMES.index(name)


def test_names_are_those_of_the_specification():
    assert len(JOINT_NAMES) == 26
    assert JOINT_NAMES[:7] == (
        "PALM",
        "WRIST",
        "THUMB_METACARPAL",
        "THUMB_PROXIMAL",
        "THUMB_DISTAL",
        "THUMB_TIP",
        "INDEX_METACARPAL",
    )
    assert JOINT_NAMES[-5:] == (
        "LITTLE_METACARPAL",
        "LITTLE_PROXIMAL",
        "LITTLE_INTERMEDIATE",
        "LITTLE_DISTAL",
        "LITTLE_TIP",
    )


@given(POSES, SIDES, SEEDS)
def test_joints_are_where_they_are(pose: str, side: Side, seed: int) -> None:
    hand = posed(HAND_MODEL, side, pose, turn(seed))
    joints = CONVERTER(hand)
    np.testing.assert_array_equal(joints.positions[list(OPENPOSE_JOINTS)], hand.joints)
    middle = joints.positions[[at("MIDDLE_METACARPAL"), at("MIDDLE_PROXIMAL")]]
    np.testing.assert_allclose(joints.positions[at("PALM")], middle.mean(0), atol=1e-12)
    assert joints.valid.all()


@given(POSES, SIDES, SEEDS)
def test_bones_point_forward(pose: str, side: Side, seed: int) -> None:
    """-z of each joint but the tips points at the next joint; a tip is parallel to the joint before it."""
    joints = CONVERTER(posed(HAND_MODEL, side, pose, turn(seed)))
    z = axes(joints)[:, :, 2]
    for k, name in enumerate(JOINT_NAMES):
        if name.endswith("_TIP"):
            np.testing.assert_allclose(z[k], z[k - 1], atol=1e-9)
        elif name not in ("PALM", "WRIST"):
            step = joints.positions[k + 1] - joints.positions[k]
            np.testing.assert_allclose(z[k], -step / np.linalg.norm(step), atol=1e-9)
    wrist = joints.positions[at("MIDDLE_METACARPAL")] - joints.positions[at("WRIST")]
    np.testing.assert_allclose(z[at("WRIST")], -wrist / np.linalg.norm(wrist), atol=1e-9)
    np.testing.assert_allclose(z[at("PALM")], z[at("MIDDLE_METACARPAL")], atol=1e-9)


@given(SIDES, SEEDS)
def test_up_points_out_of_the_back(side: Side, seed: int) -> None:
    """Of an open hand the backs of hand and fingers face the same way; the nail of the thumb faces sideways."""
    hand = posed(HAND_MODEL, side, "open", turn(seed))
    y = axes(CONVERTER(hand))[:, :, 1]
    back = -FRAMES.pose(hand).rotation[:, 2]
    thumb = [k for k, name in enumerate(JOINT_NAMES) if name.startswith("THUMB")]
    others = np.delete(np.arange(26), thumb)
    assert (y[others] @ back).min() > 0.9
    assert abs(y[thumb] @ back).max() < 0.8


@given(SIDES, SEEDS)
def test_back_of_a_bent_finger_is_on_the_outside(side: Side, seed: int) -> None:
    """Bending turns the next bone away from +y, in every finger, the thumb included."""
    joints = CONVERTER(posed(HAND_MODEL, side, "fist", turn(seed)))
    y = axes(joints)[:, :, 1]
    for name in ("INDEX", "MIDDLE", "RING", "LITTLE"):
        for bone, following in (("PROXIMAL", "DISTAL"), ("INTERMEDIATE", "TIP")):
            step = joints.positions[at(f"{name}_{following}")] - joints.positions[at(f"{name}_{bone}")]
            assert step @ y[at(f"{name}_{bone}")] < 0
    step = joints.positions[at("THUMB_TIP")] - joints.positions[at("THUMB_PROXIMAL")]
    assert step @ y[at("THUMB_PROXIMAL")] < 0


@pytest.mark.parametrize("side", list(Side))
def test_metacarpals_and_radii_are_within_the_hand(side: Side) -> None:
    hand = posed(HAND_MODEL, side, "flat", np.eye(3))
    joints = CONVERTER(hand)
    local = (joints.positions - hand.joints[0]) @ FRAMES.pose(hand).rotation
    surface = (hand.vertices - hand.joints[0]) @ FRAMES.pose(hand).rotation
    for k in METACARPALS:
        section = surface[np.abs(surface[:, 0] - local[k, 0]) < 0.01]
        assert section[:, 1].min() + 0.005 < local[k, 1] < section[:, 1].max() - 0.005
        assert section[:, 2].min() + 0.004 < local[k, 2] < section[:, 2].max() - 0.004
        assert 0.015 < local[k, 0] < 0.04  # beyond the carpus
    order = np.sign(local[METACARPALS[-1], 1])  # towards the little finger
    assert (np.diff(local[list(METACARPALS), 1]) * order > 0.005).all()
    assert (joints.radii > 0.002).all()
    assert (joints.radii < 0.03).all()
    assert joints.radii[at("INDEX_INTERMEDIATE")] == pytest.approx(0.009, abs=0.003)


@given(POSES, SEEDS)
def test_left_is_the_mirror_image_of_right(pose: str, seed: int) -> None:
    root = turn(seed)
    mirror = np.diag([-1.0, 1, 1])
    right, left = (
        CONVERTER(posed(HAND_MODEL, side, pose, root if side is Side.RIGHT else mirror @ root @ mirror, (0, 0, 0)))
        for side in Side
    )
    np.testing.assert_allclose(left.positions, right.positions @ mirror, atol=1e-6)
    np.testing.assert_allclose(axes(left), mirror @ axes(right) @ mirror, atol=1e-5)
    np.testing.assert_allclose(left.radii, right.radii, atol=1e-6)


@given(POSES, SIDES, SEEDS)
def test_view_space_has_y_up_and_z_backward(pose: str, side: Side, seed: int) -> None:
    joints = CONVERTER(posed(HAND_MODEL, side, pose, turn(seed)))
    view = joints.in_view_space()
    np.testing.assert_allclose(view.positions, joints.positions * [1, -1, -1])
    np.testing.assert_allclose(axes(view), np.diag([1.0, -1, -1]) @ axes(joints), atol=1e-12)


def test_a_hand_that_is_absent_is_not_valid():
    joints = CONVERTER(None)
    assert not joints.valid.any()
    np.testing.assert_array_equal(axes(joints), np.broadcast_to(np.eye(3), (26, 3, 3)))
    np.testing.assert_array_equal(joints.in_view_space().orientations, joints.orientations)
