"""Hand and joint frames: their axes in every pose, mirrored hands, and quaternions."""

import numpy as np
import pytest
import roma
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.posed_hands import POSES, SEEDS, SIDES, posed, turn

from lgnet_core.geometry.hand_frame import HandFrames, Pose, quaternion_from_matrix
from lgnet_core.hand_model import MANO_TO_OPENPOSE
from lgnet_core.synthetic.scene.capsules import CapsuleHandModel
from lgnet_core.types import JOINT_PARENTS, MIDDLE_MCP, Side

MIRROR = np.diag([-1.0, 1.0, 1.0])
TIPS = (4, 8, 12, 16, 20)
KNUCKLES = (5, 9, 13, 17)


@given(side=SIDES, pose=POSES, seed=SEEDS)
def test_axes_point_to_fingers_and_out_of_the_palm(hand_model, side, pose, seed):
    """x towards the fingers, z out of the palm (where the fingers bend to), y = z x x, measured on the posed hand."""
    hand = posed(hand_model, side, pose, turn(seed))
    frame = HandFrames(hand_model).pose(hand)
    x, y, z = frame.rotation.T
    np.testing.assert_allclose(frame.rotation.T @ frame.rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame.rotation) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(np.cross(z, x), y, atol=1e-12)
    np.testing.assert_array_equal(frame.position, hand.joints[0])
    assert np.linalg.norm(frame.quaternion) == pytest.approx(1, abs=1e-12)

    to_knuckles = hand.joints[list(KNUCKLES)].mean(0) - hand.joints[0]
    assert x @ to_knuckles > 0.95 * np.linalg.norm(to_knuckles)
    # Flexing the fingers moves their tips to the palm side.
    curled = posed(hand_model, side, "flex90", turn(seed))
    straight = posed(hand_model, side, "flat", turn(seed))
    assert ((curled.joints - straight.joints)[list(TIPS[1:])] @ z > 0.03).all()
    # The thumb is at -y on the right hand and at +y on the left one, since both frames are proper rotations.
    thumb_side = (hand.joints[KNUCKLES[0]] - hand.joints[KNUCKLES[-1]]) @ y
    assert thumb_side * (-1 if side is Side.RIGHT else 1) > 0.02


@given(pose=POSES, seed=SEEDS)
def test_mirrored_hand_has_mirrored_frame(hand_model, pose, seed):
    """R' = M R diag(1, -1, 1): x and z are mirrored, and y = z x x changes its sign."""
    frames = HandFrames(hand_model)
    right = posed(hand_model, Side.RIGHT, pose, turn(seed), wrist=(0.1, 0.2, 0.6))
    left = posed(hand_model, Side.LEFT, pose, MIRROR @ turn(seed) @ MIRROR, wrist=(-0.1, 0.2, 0.6))
    np.testing.assert_allclose(left.vertices, right.vertices @ MIRROR, atol=1e-6)
    flip = np.diag([1.0, -1.0, 1.0])
    for mine, theirs in zip([frames.pose(right), *frames.joint_poses(right)],
                            [frames.pose(left), *frames.joint_poses(left)]):  # fmt: skip
        np.testing.assert_allclose(theirs.rotation, MIRROR @ mine.rotation @ flip, atol=1e-6)
        np.testing.assert_allclose(theirs.position, MIRROR @ mine.position, atol=1e-6)


@given(side=SIDES, pose=POSES, seed=SEEDS)
def test_joint_frames_follow_their_bones(hand_model, side, pose, seed):
    """The position of a bone in the frame of its joint is independent of the pose; computed with scipy."""
    frames = HandFrames(hand_model)
    hand, rest = posed(hand_model, side, pose, turn(seed)), posed(hand_model, side, "flat", np.eye(3))
    poses, rest_poses = frames.joint_poses(hand), frames.joint_poses(rest)
    assert len(poses) == 21
    np.testing.assert_allclose(poses[0].quaternion, frames.pose(hand).quaternion, atol=1e-12)
    for k, parent in enumerate(JOINT_PARENTS):
        np.testing.assert_array_equal(poses[k].position, hand.joints[k])
        np.testing.assert_allclose(rest_poses[k].rotation, frames.axes[side], atol=1e-6)
        assert poses[k].quaternion[3] >= 0
        if parent < 0:
            continue
        posed_bone = Rotation.from_quat(poses[parent].quaternion).inv().apply(hand.joints[k] - hand.joints[parent])
        rest_bone = Rotation.from_quat(rest_poses[parent].quaternion).inv().apply(rest.joints[k] - rest.joints[parent])
        # Pose correctives displace the tip vertices, but no joints.
        np.testing.assert_allclose(posed_bone, rest_bone, atol=1e-6 if k not in TIPS else 5e-3)
        if k in TIPS:
            np.testing.assert_array_equal(poses[k].quaternion, poses[parent].quaternion)
        else:
            local = Rotation.from_quat(poses[parent].quaternion).inv() * Rotation.from_quat(poses[k].quaternion)
            own = frames.axes[side].T @ hand.rotations[MANO_TO_OPENPOSE[k]] @ frames.axes[side]
            np.testing.assert_allclose(local.as_matrix(), own, atol=1e-6)


@given(side=SIDES, pose=POSES, seed=SEEDS, other=SEEDS)
def test_frames_rotate_with_the_hand(hand_model, side, pose, seed, other):
    frames = HandFrames(hand_model)
    original = frames.pose(posed(hand_model, side, pose, turn(seed)))
    rotated = frames.pose(posed(hand_model, side, pose, turn(other) @ turn(seed)))
    np.testing.assert_allclose(rotated.rotation, turn(other) @ original.rotation, atol=1e-6)


def test_axes_agree_with_the_synthetic_generator(hand_model):
    np.testing.assert_allclose(HandFrames(hand_model).axes, CapsuleHandModel(hand_model).frames, atol=1e-6)


def test_quaternion_of_an_imprecise_rotation_has_unit_length():
    imprecise = turn(3).astype(np.float16).astype(np.float64)
    pose = Pose.from_matrix(np.zeros(3), imprecise)
    assert np.linalg.norm(pose.quaternion) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(pose.rotation, imprecise, atol=2e-3)


@given(axis=st.tuples(*[st.floats(-1, 1)] * 3), angle=st.floats(-4, 4), single=st.booleans())
@example(axis=(1.0, 0.0, 0.0), angle=np.pi, single=False)
@example(axis=(0.0, 1.0, 0.0), angle=np.pi, single=True)
@example(axis=(0.0, 0.0, 1.0), angle=-np.pi, single=False)
@example(axis=(1.0, -1.0, 1e-9), angle=np.pi, single=True)
@example(axis=(0.0, 0.0, 0.0), angle=0.0, single=False)
def test_quaternions_match_roma(axis, angle, single):
    """Including half turns (w = 0), rotations about coordinate axes, and float32 input."""
    vector = angle * np.array(axis) / max(np.linalg.norm(axis), 1e-9)
    matrix = roma.rotvec_to_rotmat(torch.tensor(vector)).numpy()
    if single:
        matrix = matrix.astype(np.float32)
    computed = quaternion_from_matrix(matrix)
    expected = roma.rotmat_to_unitquat(torch.from_numpy(matrix).double()).numpy()
    assert computed[3] >= 0
    np.testing.assert_allclose(computed * np.sign(computed @ expected), expected, atol=1e-12)
    assert np.linalg.norm(computed) == pytest.approx(1, abs=1e-15)
    matrix_by_roma = roma.unitquat_to_rotmat(torch.from_numpy(computed)).numpy()
    np.testing.assert_allclose(Pose(np.zeros(3), computed).rotation, matrix_by_roma, atol=1e-15)


def test_middle_knuckle_is_on_the_x_axis(hand_model):
    for side in Side:
        hand = posed(hand_model, side, "flat", np.eye(3))
        along = hand.joints[MIDDLE_MCP] - hand.joints[0]
        x = HandFrames(hand_model).pose(hand).rotation[:, 0]
        np.testing.assert_allclose(along / np.linalg.norm(along), x, atol=1e-6)
