"""Profiles by name: what is matched to the publishers there are, and what is said where two do not meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from support.ros_node import lone_node
from support.ros_world import wait_for

from lgnet_ros import qos

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
VOLATILE, LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL
IMAGE = "sensor_msgs/msg/Image"


def profile(reliability: ReliabilityPolicy = RELIABLE, durability: DurabilityPolicy = VOLATILE) -> QoSProfile:
    return QoSProfile(depth=1, reliability=reliability, durability=durability)


@pytest.fixture
def node() -> Iterator[Node]:
    with lone_node("camera") as node:
        yield node


@pytest.mark.parametrize(
    ("offered", "policy", "reliability", "durability"),
    [
        ([], "auto", BEST_EFFORT, VOLATILE),
        ([profile(RELIABLE)], "auto", RELIABLE, VOLATILE),
        ([profile(BEST_EFFORT)], "auto", BEST_EFFORT, VOLATILE),
        ([profile(RELIABLE), profile(BEST_EFFORT)], "auto", BEST_EFFORT, VOLATILE),
        ([profile(RELIABLE)], "best_effort", BEST_EFFORT, VOLATILE),
        ([profile(BEST_EFFORT)], "reliable", RELIABLE, VOLATILE),
        ([profile(RELIABLE, LATCHED)], "auto", RELIABLE, LATCHED),
        ([profile(RELIABLE, LATCHED), profile(RELIABLE)], "auto", RELIABLE, VOLATILE),
    ],
)
def test_the_intake_meets_the_publishers(
    node: Node,
    offered: list[QoSProfile],
    policy: str,
    reliability: ReliabilityPolicy,
    durability: DurabilityPolicy,
) -> None:
    publishers = [node.create_publisher(Image, "image", p) for p in offered]
    wait_for(lambda: node.count_publishers("/left/image") == len(publishers))
    chosen = qos.intake_profile(node, "/left/image", policy)
    assert (chosen.reliability, chosen.durability) == (reliability, durability)
    assert (chosen.history, chosen.depth) == (HistoryPolicy.KEEP_LAST, 5)


def test_a_publisher_that_cannot_be_heard_is_told_with_both_profiles(node: Node) -> None:
    publishers = [node.create_publisher(Image, "image", profile(p)) for p in (BEST_EFFORT, RELIABLE)]
    wait_for(lambda: node.count_publishers("/left/image") == len(publishers))
    infos = node.get_publishers_info_by_topic("/left/image")
    (text,) = qos.problems("/left/image", profile(RELIABLE), infos)
    assert "/left/image" in text
    assert "/left/camera" in text
    assert "best_effort, volatile" in text
    assert "reliable, volatile" in text
    assert "image_qos" in text
    assert qos.problems("/left/image", profile(BEST_EFFORT), infos) == []


def test_a_subscriber_that_cannot_hear_us_is_told_with_both_profiles(node: Node) -> None:
    node.create_subscription(String, "hands", lambda _: None, profile(RELIABLE, LATCHED))
    wait_for(lambda: node.count_subscribers("/left/hands"))
    infos = node.get_subscriptions_info_by_topic("/left/hands")
    (text,) = qos.incompatible_subscribers("/left/hands", qos.output_profile(), infos)
    assert "/left/camera" in text
    assert "transient_local" in text
    assert "reliable, volatile" in text
    assert text.endswith("; let it ask for reliable, volatile")
    assert qos.incompatible_subscribers("/left/hands", profile(RELIABLE, LATCHED), infos) == []
    (text,) = qos.incompatible_subscribers("/left/hands", profile(BEST_EFFORT, LATCHED), infos)
    assert text.endswith("or take back qos_overrides./left/hands.publisher.reliability")


def test_a_silent_topic_is_described(node: Node) -> None:
    assert "nobody publishes" in qos.describe_publishers("/image", IMAGE, [])
    node.create_publisher(CompressedImage, "image", profile(BEST_EFFORT))
    wait_for(lambda: node.count_publishers("/left/image"))
    infos = node.get_publishers_info_by_topic("/left/image")
    text = qos.describe_publishers("/left/image", IMAGE, infos)
    assert "/left/camera publishes sensor_msgs/msg/CompressedImage (best_effort, volatile)" in text
    assert "image_transport" in text
    text = qos.describe_publishers("/left/image", "sensor_msgs/msg/CompressedImage", infos)
    assert text.endswith("nothing arrives")


@pytest.mark.parametrize("make", [qos.output_profile, qos.tf_profile, qos.diagnostics_profile])
def test_an_overridden_profile_is_nobody_elses(make: Callable[[], QoSProfile]) -> None:
    changed = make()
    depth, changed.depth = changed.depth, 77
    assert make().depth == depth
    assert make().reliability == RELIABLE


def test_publishers_take_overrides() -> None:
    wanted = Parameter("qos_overrides./left/hands.publisher.depth", value=9)
    with lone_node(parameter_overrides=[wanted]) as node:
        made = qos.output_profile()
        node.create_publisher(String, "hands", made, qos_overriding_options=qos.output_overrides())
        assert made.depth == 9


def test_a_second_subscription_may_have_another_reliability(node: Node) -> None:
    """rclpy keeps overrides as read-only parameters: with reliability among them, the first one would stay."""
    for reliability in (BEST_EFFORT, RELIABLE):
        made = profile(reliability)
        subscription = node.create_subscription(
            String, "image", lambda _: None, made, qos_overriding_options=qos.intake_overrides()
        )
        assert made.reliability == reliability
        node.destroy_subscription(subscription)
    assert not node.has_parameter("qos_overrides./left/image.subscription.reliability")
    assert node.has_parameter("qos_overrides./left/image.subscription.depth")


def test_a_deadline_is_described() -> None:
    assert qos.describe(QoSProfile(depth=1, deadline=Duration(seconds=0.5))).endswith("deadline 0.5 s")
    assert qos.describe(profile()) == "reliable, volatile"
