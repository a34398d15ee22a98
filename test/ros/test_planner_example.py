"""The examples of the page on planners run, and give what they say."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Header
from support.fixed_hands import two_hands
from support.paths import ROOT
from support.ros_matrices import to_matrix
from support.waiting import wait_for

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.robotics.capsules import HandCapsules
from lgnet_core.robotics.openxr import OpenXRConverter
from lgnet_ros.output.messages import to_mesh_array
from lgnet_ros.qos import output_profile

PAGE = ROOT / "docs" / "planners.md"


def example(name: str) -> Any:
    """What the Python block of the page that defines ``name`` defines under it."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (code,) = [block for block in blocks if re.search(rf"^(class|def) {name}\b", block, re.MULTILINE)]
    names: dict[str, Any] = {"__name__": "planner"}
    exec(compile(code, str(PAGE), "exec"), names)
    return names[name]


def test_approach_pose_is_in_front_of_the_palm_and_faces_it(ros_domain, hand_model):
    planner = example("PalmApproach")(context=ros_domain.context, use_global_arguments=False)
    ros_domain.executor.add_node(planner)
    received = ros_domain.subscribe(PoseStamped, "approach")
    hands = two_hands(hand_model)
    poses = HandFrames(hand_model).poses(hands.hands)
    message = to_mesh_array(hands, Header(frame_id="camera"), poses)
    message.header.stamp.sec = 42
    publisher = ros_domain.node.create_publisher(type(message), "hands/mesh", output_profile())
    wait_for(lambda: publisher.get_subscription_count() and ros_domain.node.count_publishers("/approach"))
    publisher.publish(message)
    pose = wait_for(lambda: received)[0]
    assert pose.header == message.header

    hand = hands.right  # the hand with the higher presence
    gripper, palm = to_matrix(pose.pose), poses[hand.side].rotation
    np.testing.assert_allclose(gripper[:3, 2], -palm[:, 2], atol=1e-9, err_msg="z must point into the palm")
    np.testing.assert_allclose(gripper[:3, 0], palm[:, 0], atol=1e-9, err_msg="x must point along the fingers")
    assert np.linalg.det(gripper[:3, :3]) == pytest.approx(1)
    heights = (hand.vertices - gripper[:3, 3]) @ palm[:, 2]
    assert heights.max() == pytest.approx(-0.15, abs=1e-6), (
        "the hand must be at least 15 cm away along the approach direction"
    )
    ros_domain.executor.remove_node(planner)
    planner.destroy_node()


def test_shape_mesh_of_a_message_is_the_mesh(hand_model):
    hands = two_hands(hand_model)
    message = to_mesh_array(hands, Header(), HandFrames(hand_model).poses(hands.hands))
    for hand, hand_message in zip(hands.hands, message.hands, strict=True):
        mesh = example("shape_mesh")(hand_message)
        np.testing.assert_allclose([[p.x, p.y, p.z] for p in mesh.vertices], hand.vertices, atol=1e-6)
        np.testing.assert_array_equal([t.vertex_indices for t in mesh.triangles], hand.faces)


def test_inputs_of_isaac_teleop(hand_model):
    hands = two_hands(hand_model)
    left, right = example("isaac_teleop_inputs")(OpenXRConverter(hand_model), replace(hands, left=None))
    assert (left.valid.any(), right.valid.all()) == (False, True)
    np.testing.assert_allclose(right.positions[1], hands.right.joints[0] * [1, -1, -1])


def test_points_without_hands(hand_model):
    hands = two_hands(hand_model).hands
    points = np.concatenate([hands[0].vertices, hands[1].vertices + np.array([0, 0, 1.0])])
    left = example("without_hands")(points, hands, HandCapsules(hand_model))
    np.testing.assert_array_equal(left, points[778:])
