"""Hand frames: the same meaning on both hands, in every pose, and joints' frames that follow their bones."""

import numpy as np
import pytest
import roma
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.posed_hands import POSES, SEEDS, SIDES, posed, turn

from lgnet_core.geometry.hand_frame import HandFrames, Pose, quaternion
from lgnet_core.hand_model import MANO_TO_OPENPOSE
from lgnet_core.synthetic.scene.capsules import CapsuleHands
from lgnet_core.types import JOINT_PARENTS, MIDDLE_MCP, Side

MIRROR = np.diag([-1.0, 1.0, 1.0])
TIPS = (4, 8, 12, 16, 20)
KNUCKLES = (5, 9, 13, 17)


@given(side=SIDES, pose=POSES, seed=SEEDS)
def test_axes_mean_what_they_say(hand_model, side, pose, seed):
    """x towards the fingers, z out of the palm (where fingers bend to), y = z x x, measured on the posed hand."""
    hand = posed(hand_model, side, pose, turn(seed))
    frame = HandFrames(hand_model).pose(hand)
    x, y, z = frame.rotation.T
    np.testing.assert_allclose(frame.rotation.T @ frame.rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame.rotation) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(np.cross(z, x), y, atol=1e-12)
    np.testing.assert_array_equal(frame.position, hand.joints[0])
    assert np.linalg.norm(frame.quaternion) == pytest.approx(1, abs=1e-12)

    towards = hand.joints[list(KNUCKLES)].mean(0) - hand.joints[0]
    assert x @ towards > 0.95 * np.linalg.norm(towards)
    # Curling the fingers, in the same place, moves their tips out of the palm's side.
    curled = posed(hand_model, side, "flex90", turn(seed))
    straight = posed(hand_model, side, "flat", turn(seed))
    assert ((curled.joints - straight.joints)[list(TIPS[1:])] @ z > 0.03).all()
    # The thumb's side is -y on the right hand and +y on the left: what a proper frame on both hands implies.
    thumb_side = (hand.joints[KNUCKLES[0]] - hand.joints[KNUCKLES[-1]]) @ y
    assert thumb_side * (-1 if side is Side.RIGHT else 1) > 0.02


@given(pose=POSES, seed=SEEDS)
def test_mirrored_hands_have_mirrored_frames(hand_model, pose, seed):
    """M R diag(1, -1, 1): the mirror image of x and z are x and z, and y = z x x turns round."""
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
    """In its joint's frame every bone lies where it lies in the rest pose, whatever the pose; by scipy."""
    frames = HandFrames(hand_model)
    hand, rest = posed(hand_model, side, pose, turn(seed)), posed(hand_model, side, "flat", np.eye(3))
    poses, at_rest = frames.joint_poses(hand), frames.joint_poses(rest)
    assert len(poses) == 21
    np.testing.assert_allclose(poses[0].quaternion, frames.pose(hand).quaternion, atol=1e-12)
    for k, parent in enumerate(JOINT_PARENTS):
        np.testing.assert_array_equal(poses[k].position, hand.joints[k])
        np.testing.assert_allclose(at_rest[k].rotation, frames.axes[side], atol=1e-6)
        assert poses[k].quaternion[3] >= 0
        if parent < 0:
            continue
        inside = Rotation.from_quat(poses[parent].quaternion).inv().apply(hand.joints[k] - hand.joints[parent])
        before = Rotation.from_quat(at_rest[parent].quaternion).inv().apply(rest.joints[k] - rest.joints[parent])
        # Pose-dependent displacements move the tip vertices, joints not at all.
        np.testing.assert_allclose(inside, before, atol=1e-6 if k not in TIPS else 5e-3)
        if k in TIPS:
            np.testing.assert_array_equal(poses[k].quaternion, poses[parent].quaternion)
        else:
            local = Rotation.from_quat(poses[parent].quaternion).inv() * Rotation.from_quat(poses[k].quaternion)
            own = frames.axes[side].T @ hand.rotations[MANO_TO_OPENPOSE[k]] @ frames.axes[side]
            np.testing.assert_allclose(local.as_matrix(), own, atol=1e-6)


@given(side=SIDES, pose=POSES, seed=SEEDS, other=SEEDS)
def test_frames_turn_with_the_hand(hand_model, side, pose, seed, other):
    frames = HandFrames(hand_model)
    first = frames.pose(posed(hand_model, side, pose, turn(seed)))
    moved = frames.pose(posed(hand_model, side, pose, turn(other) @ turn(seed)))
    np.testing.assert_allclose(moved.rotation, turn(other) @ first.rotation, atol=1e-6)


def test_the_training_images_use_the_same_axes(hand_model):
    np.testing.assert_allclose(HandFrames(hand_model).axes, CapsuleHands(hand_model).frames, atol=1e-6)


def test_a_rounded_rotation_still_gives_a_unit_quaternion():
    rough = turn(3).astype(np.float16).astype(np.float64)
    pose = Pose.from_matrix(np.zeros(3), rough)
    assert np.linalg.norm(pose.quaternion) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(pose.rotation, rough, atol=2e-3)


@given(axis=st.tuples(*[st.floats(-1, 1)] * 3), angle=st.floats(-4, 4), single=st.booleans())
@example(axis=(1.0, 0.0, 0.0), angle=np.pi, single=False)
@example(axis=(0.0, 1.0, 0.0), angle=np.pi, single=True)
@example(axis=(0.0, 0.0, 1.0), angle=-np.pi, single=False)
@example(axis=(1.0, -1.0, 1e-9), angle=np.pi, single=True)
@example(axis=(0.0, 0.0, 0.0), angle=0.0, single=False)
def test_quaternions_and_matrices_are_romas(axis, angle, single):
    """Half turns, whose w is 0, and turns about an axis of the frame among them; float32 too."""
    vector = angle * np.array(axis) / max(np.linalg.norm(axis), 1e-9)
    matrix = roma.rotvec_to_rotmat(torch.tensor(vector)).numpy()
    if single:
        matrix = matrix.astype(np.float32)
    found = quaternion(matrix)
    truth = roma.rotmat_to_unitquat(torch.from_numpy(matrix).double()).numpy()
    assert found[3] >= 0
    np.testing.assert_allclose(found * np.sign(found @ truth), truth, atol=1e-12)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-15)
    back = roma.unitquat_to_rotmat(torch.from_numpy(found)).numpy()
    np.testing.assert_allclose(Pose(np.zeros(3), found).rotation, back, atol=1e-15)


def test_the_middle_knuckle_lies_on_x(hand_model):
    for side in Side:
        hand = posed(hand_model, side, "flat", np.eye(3))
        along = hand.joints[MIDDLE_MCP] - hand.joints[0]
        x = HandFrames(hand_model).pose(hand).rotation[:, 0]
        np.testing.assert_allclose(along / np.linalg.norm(along), x, atol=1e-6)
