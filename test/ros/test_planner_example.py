"""The examples of the page on planners run, and give what they say."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from lgnet_ros.msg import Handover
from std_msgs.msg import Bool, Header
from support.fixed_hands import two_hands
from support.paths import ROOT
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


def test_planner_sends_one_goal_per_offered_palm_and_retreats(ros_domain):
    planner = example("HandoverPlanner")(context=ros_domain.context, use_global_arguments=False)
    ros_domain.executor.add_node(planner)
    goals = ros_domain.subscribe(PoseStamped, "gripper_goal")
    retreats = ros_domain.subscribe(Bool, "gripper_retreat")
    publisher = ros_domain.node.create_publisher(Handover, "hands/handover", output_profile())
    topics = ("/gripper_goal", "/gripper_retreat")
    wait_for(lambda: publisher.get_subscription_count() and all(map(ros_domain.node.count_publishers, topics)))
    wait_for(lambda: all(map(planner.count_subscribers, topics)))
    for k, ready in enumerate([False, True, True, False, False, True]):
        message = Handover(header=Header(frame_id="camera"), ready=ready)
        message.header.stamp.sec, message.approach.position.x = k, float(k)
        publisher.publish(message)
    wait_for(lambda: len(goals) == 2 and len(retreats) == 1)
    assert [(goal.header.stamp.sec, goal.pose.position.x) for goal in goals] == [(1, 1.0), (5, 5.0)]
    ros_domain.executor.remove_node(planner)
    planner.destroy_node()


def test_shape_mesh_of_a_message_is_the_mesh(hand_model):
    hands = two_hands(hand_model)
    message = to_mesh_array(hands, Header(), 0.0, HandFrames(hand_model).poses(hands.hands))
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
