"""URDF of the skeleton of one hand, generated from the hand model.

The root link ``hand_right`` or ``hand_left`` is the hand frame (:mod:`lgnet_core.geometry.hand_frame`) under the name
that the node gives it on TF; the other links follow from the angles of :mod:`lgnet_core.robotics.joint_angles`. Each of
the 15 finger joints consists of three revolute joints at one point, ``<side>_<finger>_<joint>_flexion``,
``..._abduction`` and ``..._twist``. With all angles at zero, the flat rest pose, all links are parallel to the root.
Visual and collision geometry are capsules, each made of a cylinder and two spheres.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.assembly import check_hand_length
from lgnet_core.robotics.capsules import PALM_SEGMENTS, Capsules, HandCapsules
from lgnet_core.robotics.joint_angles import FINGER_JOINTS, LIMITS, MIRROR, MOTIONS, JointAngles
from lgnet_core.types import FINGERS, JOINT_NAMES, WRIST, FloatArray, Side

MIDDLE_TIP = JOINT_NAMES.index("middle_4")

BONES = {
    finger: ("metacarpal", "proximal", "distal") if finger == "thumb" else ("proximal", "middle", "distal")
    for finger in FINGERS
}
"""Names of the three moving bones of each finger; their links are ``<side>_<finger>_<bone>``."""

_MAX_EFFORT, _MAX_VELOCITY = 0.0, 20.0  # N m and rad/s; URDF requires them, a person's hand is not actuated


def hand_urdf(hand_model: HandModel, side: Side, hand_length: float | None = None) -> str:
    """URDF of a hand of mean shape.

    Args:
        hand_length: metres from the wrist to the tip of the middle finger of the flat hand, to which the hand is
            scaled; None: as in the hand model.

    Raises:
        ValueError: if ``hand_length`` is implausible.
    """
    check_hand_length(hand_length)
    fitted = HandCapsules(hand_model)
    axes = HandFrames(hand_model).axes[side]
    vertices = np.asarray(hand_model.v_template[side], np.float64)
    joints = fitted.joints(vertices, side)
    scale = 1.0
    if hand_length is not None:
        scale = hand_length / float(np.linalg.norm(joints[MIDDLE_TIP] - joints[WRIST]))
    vertices = scale * (vertices - joints[WRIST]) @ axes  # in the hand frame
    capsules = fitted(vertices, side)
    joints = fitted.joints(vertices, side)

    # Mirroring turns a rotation about an axis into the opposite one about the mirrored axis.
    joint_axes = JointAngles().axes * MIRROR[side] * MIRROR[side].prod() @ axes  # (15, 3, 3)

    robot = Element("robot", name=f"hand_{side.label}")
    root = _link(robot, f"hand_{side.label}")
    for k in range(len(PALM_SEGMENTS)):
        _capsule(root, capsules, k, origin=joints[WRIST])
    for f, (finger, names) in enumerate(FINGER_JOINTS.items()):
        parent, at = root.attrib["name"], WRIST
        for link, joint in enumerate(names):
            number = 3 * f + link
            here = 1 + 4 * f + link
            offset = joints[here] - joints[at]
            name = f"{side.label}_{finger}_{joint}"
            for motion, axis, limits in zip(MOTIONS, joint_axes[number], LIMITS[number]):
                last = motion == MOTIONS[-1]
                child = f"{side.label}_{finger}_{BONES[finger][link]}" if last else f"{name}_{motion}_link"
                _revolute(robot, f"{name}_{motion}", parent, child, offset, axis, limits)
                element = _link(robot, child)
                parent, offset = child, np.zeros(3)
            _capsule(element, capsules, len(PALM_SEGMENTS) + number, origin=joints[here])
            at = here
        tip = f"{side.label}_{finger}_tip"
        _link(robot, tip)
        _joint(robot, f"{tip}_joint", "fixed", parent, tip, joints[at + 1] - joints[at])
    ElementTree.indent(robot)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(robot, encoding="unicode") + "\n"


def _link(robot: Element, name: str) -> Element:
    return SubElement(robot, "link", name=name)


def _joint(robot: Element, name: str, kind: str, parent: str, child: str, offset: FloatArray) -> Element:
    joint = SubElement(robot, "joint", name=name, type=kind)
    SubElement(joint, "parent", link=parent)
    SubElement(joint, "child", link=child)
    SubElement(joint, "origin", xyz=_numbers(offset), rpy="0 0 0")
    return joint


def _revolute(
    robot: Element, name: str, parent: str, child: str, offset: FloatArray, axis: FloatArray, limits: FloatArray
) -> None:
    joint = _joint(robot, name, "revolute", parent, child, offset)
    SubElement(joint, "axis", xyz=_numbers(axis))
    lower, upper = (f"{limit:.4f}" for limit in limits)
    SubElement(joint, "limit", lower=lower, upper=upper, effort=f"{_MAX_EFFORT:g}", velocity=f"{_MAX_VELOCITY:g}")


def _capsule(link: Element, capsules: Capsules, index: int, origin: FloatArray) -> None:
    """Add a capsule to a link at ``origin``, as visual and collision geometry."""
    start, end = capsules.start[index] - origin, capsules.end[index] - origin
    radius, along = f"{capsules.radii[index]:.6f}", end - start
    # The axis of a URDF cylinder is z.
    rpy = _numbers(
        np.array([0.0, math.atan2(math.hypot(along[0], along[1]), along[2]), math.atan2(along[1], along[0])])
    )
    cylinder = ("cylinder", {"radius": radius, "length": f"{np.linalg.norm(along):.6f}"}, (start + end) / 2, rpy)
    spheres = [("sphere", {"radius": radius}, centre, "0 0 0") for centre in (start, end)]
    for kind in ("visual", "collision"):
        for shape, size, centre, turn in (cylinder, *spheres):
            element = SubElement(link, kind)
            SubElement(element, "origin", xyz=_numbers(centre), rpy=turn)
            SubElement(SubElement(element, "geometry"), shape, size)


def _numbers(values: FloatArray) -> str:
    return " ".join(f"{value:.8f}" for value in values)
