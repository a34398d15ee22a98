"""Lookup of frames: tf2_ros where it is installed, otherwise /tf and /tf_static."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header
from support.ros_domain import RosDomain
from support.ros_node import isolated_node
from support.waiting import wait_for
from tf2_msgs.msg import TFMessage

from lgnet_ros.applications.frames import FrameLookup
from lgnet_ros.qos import tf_profile


def transform(parent: str, child: str, x: float) -> TransformStamped:
    stamped = TransformStamped(header=Header(frame_id=parent), child_frame_id=child)
    stamped.transform.translation.x = x
    return stamped


def test_latest_transform_of_tf(ros_domain: RosDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    frames = FrameLookup(ros_domain.node)
    assert frames.lookup("base", "camera") is None
    np.testing.assert_array_equal(frames.lookup("camera", "camera").position, 0)
    publisher = ros_domain.node.create_publisher(TFMessage, "/tf", tf_profile())
    wait_for(publisher.get_subscription_count)
    for x in (1.0, 2.0):
        publisher.publish(TFMessage(transforms=[transform("base", "arm", x), transform("arm", "camera", 0.5)]))
        wait_for(lambda x=x: (pose := frames.lookup("base", "camera")) and pose.position[0] == x + 0.5)
    publisher.publish(TFMessage(transforms=[transform("base", "arm", float("nan")), transform("/arm", "/camera", 0.7)]))
    wait_for(lambda: (pose := frames.lookup("/base", "/camera")) and pose.position[0] == 2.7)  # the invalid one ignored
    ros_domain.node.destroy_publisher(publisher)


class Buffer:
    """Knows one transform."""

    def lookup_transform(self, target: str, source: str, time: object) -> TransformStamped:
        if (target, source) != ("base", "camera"):
            raise LookupError("not connected")
        return transform(target, source, 3.0)


def test_tf2_ros_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("tf2_ros")
    module.Buffer, module.TransformListener = Buffer, lambda buffer, node: object()
    monkeypatch.setitem(sys.modules, "tf2_ros", module)
    with isolated_node() as node:
        frames = FrameLookup(node)
        np.testing.assert_array_equal(frames.lookup("base", "camera").position, [3, 0, 0])
        assert frames.lookup("base", "elsewhere") is None
        assert not [s for s in node.subscriptions if s.topic_name == "/tf"]
