"""Forward kinematics of a URDF, as a reference: parsed from the text, with nothing of lgnet_core."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation


def link_poses(urdf: str, angles: Mapping[str, float]) -> dict[str, np.ndarray]:
    """(4, 4) pose of each link in the frame of the root link.

    Raises:
        AssertionError: the links are no tree with one root, or an angle is missing or superfluous.
    """
    robot = ElementTree.fromstring(urdf)
    joints = robot.findall("joint")
    children = {joint.find("child").attrib["link"] for joint in joints}
    links = {link.attrib["name"] for link in robot.findall("link")}
    (root,) = links - children
    assert len(links) == len(joints) + 1
    assert {joint.attrib["name"] for joint in joints if joint.attrib["type"] == "revolute"} == set(angles)
    poses = {root: np.eye(4)}
    waiting = list(joints)
    while waiting:
        joint = waiting.pop(0)
        parent = joint.find("parent").attrib["link"]
        if parent not in poses:
            waiting.append(joint)
            continue
        origin = joint.find("origin").attrib
        pose = np.eye(4)
        pose[:3, 3] = [float(x) for x in origin["xyz"].split()]
        pose[:3, :3] = Rotation.from_euler("xyz", [float(x) for x in origin["rpy"].split()]).as_matrix()
        if joint.attrib["type"] == "revolute":
            axis = np.array([float(x) for x in joint.find("axis").attrib["xyz"].split()])
            pose[:3, :3] = pose[:3, :3] @ Rotation.from_rotvec(angles[joint.attrib["name"]] * axis).as_matrix()
        poses[joint.find("child").attrib["link"]] = poses[parent] @ pose
    return poses
