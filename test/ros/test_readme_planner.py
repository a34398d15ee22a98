"""README's planner runs as it stands there, and its pose is where a gripper should wait."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Header
from support.fixed_hands import two_hands
from support.paths import ROOT
from support.ros_matrices import to_matrix
from support.ros_world import wait_for

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_ros.output.messages import to_mesh_array
from lgnet_ros.qos import output_profile

README = ROOT / "README.md"


def snippet() -> dict[str, Any]:
    """What the code block under "## Planners" defines."""
    section = README.read_text().partition("\n## Planners\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {"__name__": "planner"}
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_planner_waits_off_the_palm_and_faces_it(world, hand_model):
    planner = snippet()["PalmApproach"](context=world.context, use_global_arguments=False)
    world.executor.add_node(planner)
    heard = world.hear(PoseStamped, "approach")
    hands = two_hands(hand_model)
    poses = HandFrames(hand_model).poses(hands.hands)
    message = to_mesh_array(hands, Header(frame_id="camera"), poses)
    message.header.stamp.sec = 42
    publisher = world.node.create_publisher(type(message), "hands/mesh", output_profile())
    wait_for(lambda: publisher.get_subscription_count() and world.node.count_publishers("/approach"))
    publisher.publish(message)
    pose = wait_for(lambda: heard)[0]
    assert pose.header == message.header

    hand = hands.right  # the more certain one
    gripper, palm = to_matrix(pose.pose), poses[hand.side].rotation
    np.testing.assert_allclose(gripper[:3, 2], -palm[:, 2], atol=1e-9, err_msg="its z points into the palm")
    np.testing.assert_allclose(gripper[:3, 0], palm[:, 0], atol=1e-9, err_msg="its x points along the fingers")
    assert np.linalg.det(gripper[:3, :3]) == pytest.approx(1)
    heights = (hand.vertices - gripper[:3, 3]) @ palm[:, 2]
    assert heights.max() == pytest.approx(-0.15, abs=1e-6), (
        "nothing of the hand is nearer than 15 cm along the approach"
    )
    world.executor.remove_node(planner)
    planner.destroy_node()
