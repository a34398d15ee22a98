"""The URDF with the angles of a hand reproduces its joints, independent of which hand model it is made of."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given
from support.posed_hands import POSES, SEEDS, SIDES, posed, turn
from support.urdf import link_poses
from typer.testing import CliRunner

from lgnet_core.cli.app import app
from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.hand_model import HandLayer, load_hand_layer
from lgnet_core.robotics.joint_angles import FINGER_JOINTS, JointAngles, joint_names
from lgnet_core.robotics.urdf import BONES, hand_urdf
from lgnet_core.types import Hand, Side

HAND_MODEL = load_hand_layer()
FRAMES = HandFrames(HAND_MODEL)
URDF = {side: hand_urdf(HAND_MODEL, side) for side in Side}


def link_names(side: Side) -> list[str]:
    """Links whose origins are the 21 joints, in OpenPose's order."""
    links = [f"{side.label}_{finger}_{bone}" for finger in FINGER_JOINTS for bone in (*BONES[finger], "tip")]
    return [f"hand_{side.label}", *links]


def by_kinematics(urdf: str, hand: Hand, frames: HandFrames) -> np.ndarray:
    """Joints (21, 3) in the camera frame, from the TF frame of the hand and the angles."""
    angles = JointAngles().from_rotations(hand.rotations, hand.side).reshape(-1)
    poses = link_poses(urdf, dict(zip(joint_names(hand.side), angles)))
    root = frames.pose(hand)
    joints = np.stack([poses[name][:3, 3] for name in link_names(hand.side)])
    return joints @ root.rotation.T + root.position


@given(POSES, SIDES, SEEDS)
def test_kinematics_reproduce_the_joints(pose: str, side: Side, seed: int) -> None:
    hand = posed(HAND_MODEL, side, pose, turn(seed))
    np.testing.assert_allclose(by_kinematics(URDF[side], hand, FRAMES), hand.joints, atol=1e-4)


@given(SIDES, SEEDS)
def test_kinematics_reproduce_the_joints_for_any_rotations(side: Side, seed: int) -> None:
    """Also beyond what a hand can do: estimates may be."""
    hand = posed(HAND_MODEL, side, "flat", turn(seed))
    rotations = np.stack([turn(seed + k) for k in range(16)])
    with torch.no_grad():
        mesh = HAND_MODEL(torch.tensor(rotations[None]).float(), torch.zeros(1, 10), side=side).wrist_relative()
    other = Hand(**{**vars(hand), "rotations": rotations, "joints": mesh.joints[0].double().numpy()})
    # The links of the fingertips are rigid; in the mesh, pose corrections move them by up to millimetres there.
    error = np.linalg.norm(by_kinematics(URDF[side], other, FRAMES) - other.joints, axis=-1)
    assert np.delete(error, [4, 8, 12, 16, 20]).max() < 1e-4


@pytest.mark.parametrize("side", list(Side))
def test_links_at_rest_are_parallel_to_the_hand_frame(side: Side) -> None:
    poses = link_poses(URDF[side], dict.fromkeys(joint_names(side), 0.0))
    for name, pose in poses.items():
        np.testing.assert_allclose(pose[:3, :3], np.eye(3), atol=1e-12, err_msg=name)
    assert poses[f"{side.label}_middle_tip"][0, 3] > 0.15, "x points towards the fingers"


@pytest.mark.parametrize("side", list(Side))
def test_flexion_bends_towards_the_palm_and_abduction_towards_the_thumb(side: Side) -> None:
    rest = link_poses(URDF[side], dict.fromkeys(joint_names(side), 0.0))
    tip = f"{side.label}_index_tip"

    def moved(motion: str) -> np.ndarray:
        angles = dict.fromkeys(joint_names(side), 0.0) | {f"{side.label}_index_mcp_{motion}": 0.3}
        return (link_poses(URDF[side], angles)[tip] - rest[tip])[:3, 3]

    assert moved("flexion")[2] > 0.01  # z points out of the palm
    thumb = rest[f"{side.label}_thumb_tip"][1, 3]
    assert moved("abduction")[1] * np.sign(thumb) > 0.01


def test_the_hand_has_the_given_length() -> None:
    poses = link_poses(hand_urdf(HAND_MODEL, Side.RIGHT, 0.2), dict.fromkeys(joint_names(Side.RIGHT), 0.0))
    assert np.linalg.norm(poses["right_middle_tip"][:3, 3]) == pytest.approx(0.2, abs=1e-6)
    with pytest.raises(ValueError, match="hand_length"):
        hand_urdf(HAND_MODEL, Side.RIGHT, 1.8)


def test_another_hand_model(mano: HandLayer) -> None:
    hand = posed(mano, Side.LEFT, "relaxed", turn(1))
    found = by_kinematics(hand_urdf(mano, Side.LEFT), hand, HandFrames(mano))
    np.testing.assert_allclose(found, hand.joints, atol=1e-3)


@pytest.mark.parametrize("side", list(Side))
def test_geometry_encloses_the_flat_hand(side: Side) -> None:
    """Spheres and cylinders of the collision geometry hold all vertices; they are where the mesh is."""
    from scipy.spatial.transform import Rotation

    hand = posed(HAND_MODEL, side, "flat", np.eye(3), (0, 0, 0))
    points = hand.vertices @ FRAMES.axes[side]
    poses = link_poses(URDF[side], dict.fromkeys(joint_names(side), 0.0))
    inside = np.zeros(len(points), bool)
    for link in ElementTree.fromstring(URDF[side]).findall("link"):
        for element in link.findall("collision"):
            origin = {key: [float(x) for x in text.split()] for key, text in element.find("origin").attrib.items()}
            local = points - poses[link.attrib["name"]][:3, 3] - origin["xyz"]
            local = local @ Rotation.from_euler("xyz", origin["rpy"]).as_matrix()
            (shape,) = element.find("geometry")
            radius = float(shape.attrib["radius"]) + 1e-5
            if shape.tag == "sphere":
                inside |= np.linalg.norm(local, axis=1) < radius
            else:
                half = float(shape.attrib["length"]) / 2
                inside |= (np.hypot(local[:, 0], local[:, 1]) < radius) & (np.abs(local[:, 2]) < half + 1e-5)
    assert inside.all()


def test_command_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "hand.urdf"
    result = CliRunner().invoke(app, ["urdf", "left", "-o", str(path), "--hand-length", "0.18"])
    assert result.exit_code == 0, result.output
    assert path.read_text() == hand_urdf(HAND_MODEL, Side.LEFT, 0.18)
