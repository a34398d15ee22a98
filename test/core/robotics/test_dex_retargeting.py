"""Input of dex-retargeting: the frame that it assumes, and its released package where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from support.posed_hands import POSES, SEEDS, SIDES, posed, turn
from support.urdf import link_poses

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.robotics.dex_retargeting import operator_joints
from lgnet_core.robotics.urdf import hand_urdf
from lgnet_core.types import Side

HAND_MODEL = load_hand_layer()
OPERATOR_TO_MANO = {
    Side.RIGHT: np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]]),
    Side.LEFT: np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]]),
}
"""The package's constants OPERATOR2MANO."""


def reference(joints: np.ndarray, side: Side) -> np.ndarray:
    """The frame by a plane fit through three joints, then the package's constant."""
    relative = joints - joints[0]
    points = relative[[0, 5, 9]]
    normal = np.linalg.svd(points - points.mean(0))[2][2]
    x = points[0] - points[2]
    x = x - x @ normal * normal
    x /= np.linalg.norm(x)
    z = np.cross(x, normal)
    if z @ (points[1] - points[2]) < 0:
        normal, z = -normal, -z
    return relative @ np.stack([x, normal, z], 1) @ OPERATOR_TO_MANO[side]


@given(POSES, SIDES, SEEDS)
def test_joints_are_in_the_operator_frame(pose: str, side: Side, seed: int) -> None:
    hand = posed(HAND_MODEL, side, pose, turn(seed))
    np.testing.assert_allclose(operator_joints(hand.joints, side), reference(hand.joints, side), atol=1e-9)


@given(POSES, SIDES, SEEDS)
def test_the_frame_is_nearly_the_hand_frame(pose: str, side: Side, seed: int) -> None:
    """x out of the palm and z towards the fingers, however the hand is turned."""
    hand = posed(HAND_MODEL, side, pose, turn(seed))
    frame = HandFrames(HAND_MODEL).pose(hand).rotation
    expected = (hand.joints - hand.joints[0]) @ frame[:, [2, 1, 0]] * [1, -1, 1]
    angle = np.deg2rad(12)  # between the plane of wrist, index and middle knuckle and that of the palm
    np.testing.assert_allclose(operator_joints(hand.joints, side), expected, atol=0.2 * angle)


@pytest.mark.parametrize("side", list(Side))
def test_the_released_package_retargets_the_joints(side: Side, tmp_path: Path) -> None:
    """It moves a robot hand, for which our own skeleton stands, into the pose of the operator's."""
    config = pytest.importorskip(
        "dex_retargeting.retargeting_config", reason="dex-retargeting is not installed: pip install dex-retargeting six"
    )
    constants = pytest.importorskip("dex_retargeting.constants")
    package_matrix = constants.OPERATOR2MANO[constants.HandType[side.label]]
    np.testing.assert_array_equal(package_matrix, OPERATOR_TO_MANO[side])

    urdf = hand_urdf(HAND_MODEL, side)
    path = tmp_path / "hand.urdf"
    path.write_text(in_operator_axes(urdf, side))
    tips = [f"{side.label}_{finger}_tip" for finger in ("thumb", "index", "middle", "ring", "pinky")]
    settings = {
        "type": "vector",
        "urdf_path": str(path),
        "wrist_link_name": "operator",
        "target_origin_link_names": ["operator"] * 5,
        "target_task_link_names": tips,
        "scaling_factor": 1.0,
        "target_link_human_indices": np.array([[0] * 5, [4, 8, 12, 16, 20]]),
        "low_pass_alpha": 1.0,
    }
    retargeting = config.RetargetingConfig.from_dict(settings).build()
    hand = posed(HAND_MODEL, side, "relaxed", turn(5))
    joints = operator_joints(hand.joints, side)
    for _ in range(20):  # each call starts from the last solution
        positions = retargeting.retarget(joints[[4, 8, 12, 16, 20]] - joints[0])
    angles = dict(zip(retargeting.joint_names, positions.tolist()))
    poses = link_poses(path.read_text(), angles)
    found = np.stack([poses[tip][:3, 3] for tip in tips])
    assert np.linalg.norm(found - joints[[4, 8, 12, 16, 20]], axis=1).max() < 0.012


def in_operator_axes(urdf: str, side: Side) -> str:
    """The URDF under a root link whose axes are those of the operator frame."""
    root = (
        '<link name="operator"/><joint name="root" type="fixed"><parent link="operator"/>'
        f'<child link="hand_{side.label}"/><origin xyz="0 0 0" rpy="0 -1.5707963267948966 3.141592653589793"/></joint>'
    )
    return urdf.replace("</robot>", f"{root}</robot>")
