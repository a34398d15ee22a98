"""Joint angles: their meaning, their round trip, and what they have in common with the poses of anatomy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.posed_hands import POSES, SEEDS, SIDES

from lgnet_core.hand_model.anatomy import JOINT_LIMITS, anatomical_frames, angles_to_rotations
from lgnet_core.hand_model.finger_poses import preset
from lgnet_core.robotics.joint_angles import LIMITS, MANO_JOINTS, MOTIONS, NUM_JOINTS, JointAngles, joint_names
from lgnet_core.types import Side

ANGLES = JointAngles()


@st.composite
def angles(draw: st.DrawFn) -> np.ndarray:
    """Any angles that are unique: abduction short of a quarter turn."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    return random.uniform([-3.1, -1.5, -3.1], [3.1, 1.5, 3.1], (NUM_JOINTS, 3))


@given(angles(), SIDES)
def test_round_trip(angles: np.ndarray, side: Side) -> None:
    rotations = ANGLES.to_rotations(angles, side)
    np.testing.assert_allclose(rotations[0], np.eye(3))
    np.testing.assert_allclose(ANGLES.from_rotations(rotations, side), angles, atol=1e-5)  # the axes are float32


@given(SEEDS, SIDES)
def test_any_rotations_are_reproduced(seed: int, side: Side) -> None:
    rotations = Rotation.random(16, random_state=np.random.RandomState(seed)).as_matrix()
    again = ANGLES.to_rotations(ANGLES.from_rotations(rotations, side), side)
    np.testing.assert_allclose(again[1:], rotations[1:], atol=1e-6)


@given(angles(), SIDES)
def test_rotations_compose_flexion_abduction_and_twist_in_this_order(angles: np.ndarray, side: Side) -> None:
    rotations = ANGLES.to_rotations(angles, side)
    mirror = np.diag([1.0, 1.0, 1.0] if side is Side.RIGHT else [-1.0, 1.0, 1.0])
    frames = anatomical_frames().astype(np.float64)
    for k, joint in enumerate(MANO_JOINTS):
        bone, flexion, abduction = frames[joint]
        turns = [Rotation.from_rotvec(a * axis).as_matrix() for a, axis in zip(angles[k], (flexion, abduction, bone))]
        np.testing.assert_allclose(
            rotations[joint], mirror @ turns[0] @ turns[1] @ turns[2] @ mirror, atol=1e-6, err_msg=str(joint)
        )


@given(POSES, SIDES)
def test_pure_flexion_and_small_angles_agree_with_anatomy(pose: str, side: Side) -> None:
    """Without abduction both orders are the same; small differences of the order are of second order."""
    wanted = preset(pose)
    wanted[:, 1:] = 0
    rotations = angles_to_rotations(wanted, side).double().numpy()
    found = ANGLES.from_rotations(rotations, side)
    np.testing.assert_allclose(found[:, 0], wanted[list(MANO_JOINTS), 0], atol=1e-5)
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-5)


@pytest.mark.parametrize("side", list(Side))
def test_angles_are_continuous_at_ninety_degrees_of_flexion(side: Side) -> None:
    """Where the order of anatomy is singular: a disturbance of a degree changes the angles by about as much."""
    straight = torch.zeros(16, 3)
    straight[1:, 0] = torch.pi / 2
    rotations = angles_to_rotations(straight, side).double().numpy()
    random = np.random.default_rng(0)
    for _ in range(100):
        turned = rotations @ Rotation.from_rotvec(random.normal(size=(16, 3)) * 0.01).as_matrix()
        found = ANGLES.from_rotations(turned, side)
        assert np.abs(found - [np.pi / 2, 0, 0]).max() < 0.06


def test_names_and_limits() -> None:
    names = joint_names(Side.RIGHT)
    assert len(set(names + joint_names(Side.LEFT))) == 2 * NUM_JOINTS * len(MOTIONS)
    assert names[:3] == ("right_thumb_cmc_flexion", "right_thumb_cmc_abduction", "right_thumb_cmc_twist")
    limits = dict(zip(names, LIMITS.reshape(-1, 2)))
    index_mcp, pinky_dip = 1, 9  # MANO's joints
    np.testing.assert_allclose(limits["right_index_mcp_flexion"], JOINT_LIMITS[index_mcp, 0])
    np.testing.assert_allclose(limits["right_pinky_dip_twist"], JOINT_LIMITS[pinky_dip, 2])
