"""Tests of the QoS profiles: matching to publishers, explanations of incompatible QoS."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from support.ros_node import isolated_node
from support.waiting import wait_for

from lgnet_ros import qos

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
VOLATILE, LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL
IMAGE = "sensor_msgs/msg/Image"


def profile(reliability: ReliabilityPolicy = RELIABLE, durability: DurabilityPolicy = VOLATILE) -> QoSProfile:
    return QoSProfile(depth=1, reliability=reliability, durability=durability)


@pytest.fixture
def node() -> Iterator[Node]:
    with isolated_node("camera") as node:
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
def test_subscription_profile_matches_the_publishers(
    node: Node,
    offered: list[QoSProfile],
    policy: str,
    reliability: ReliabilityPolicy,
    durability: DurabilityPolicy,
) -> None:
    publishers = [node.create_publisher(Image, "image", p) for p in offered]
    wait_for(lambda: node.count_publishers("/left/image") == len(publishers))
    chosen = qos.subscription_profile(node, "/left/image", policy)
    assert (chosen.reliability, chosen.durability) == (reliability, durability)
    assert (chosen.history, chosen.depth) == (HistoryPolicy.KEEP_LAST, 5)


def test_incompatible_publisher_is_described_with_both_profiles(node: Node) -> None:
    publishers = [node.create_publisher(Image, "image", profile(p)) for p in (BEST_EFFORT, RELIABLE)]
    wait_for(lambda: node.count_publishers("/left/image") == len(publishers))
    infos = node.get_publishers_info_by_topic("/left/image")
    (text,) = qos.incompatible_publishers("/left/image", profile(RELIABLE), infos)
    assert "/left/image" in text
    assert "/left/camera" in text
    assert "best_effort, volatile" in text
    assert "reliable, volatile" in text
    assert "image_qos" in text
    assert qos.incompatible_publishers("/left/image", profile(BEST_EFFORT), infos) == []


def test_incompatible_subscriber_is_described_with_both_profiles(node: Node) -> None:
    node.create_subscription(String, "hands", lambda _: None, profile(RELIABLE, LATCHED))
    wait_for(lambda: node.count_subscribers("/left/hands"))
    infos = node.get_subscriptions_info_by_topic("/left/hands")
    (text,) = qos.incompatible_subscribers("/left/hands", qos.output_profile(), infos)
    assert "/left/camera" in text
    assert "transient_local" in text
    assert "reliable, volatile" in text
    assert text.endswith("; change the subscription to reliable, volatile")
    assert qos.incompatible_subscribers("/left/hands", profile(RELIABLE, LATCHED), infos) == []
    (text,) = qos.incompatible_subscribers("/left/hands", profile(BEST_EFFORT, LATCHED), infos)
    assert text.endswith("or remove qos_overrides./left/hands.publisher.reliability")


def test_missing_messages_are_explained(node: Node) -> None:
    assert qos.explain_no_messages(IMAGE, []).startswith("no publishers")
    node.create_publisher(CompressedImage, "image", profile(BEST_EFFORT))
    wait_for(lambda: node.count_publishers("/left/image"))
    infos = node.get_publishers_info_by_topic("/left/image")
    text = qos.explain_no_messages(IMAGE, infos)
    assert "/left/camera publishes sensor_msgs/msg/CompressedImage (best_effort, volatile)" in text
    assert "image_transport" in text
    text = qos.explain_no_messages("sensor_msgs/msg/CompressedImage", infos)
    assert text.endswith("no messages arrive")


@pytest.mark.parametrize("make", [qos.output_profile, qos.tf_profile, qos.diagnostics_profile])
def test_profiles_are_not_shared(make: Callable[[], QoSProfile]) -> None:
    changed = make()
    depth, changed.depth = changed.depth, 77
    assert make().depth == depth
    assert make().reliability == RELIABLE


def test_publisher_qos_can_be_overridden() -> None:
    override = Parameter("qos_overrides./left/hands.publisher.depth", value=9)
    with isolated_node(parameter_overrides=[override]) as node:
        overridden = qos.output_profile()
        node.create_publisher(String, "hands", overridden, qos_overriding_options=qos.output_overrides())
        assert overridden.depth == 9


def test_second_subscription_can_have_different_reliability(node: Node) -> None:
    """rclpy keeps overrides as read-only parameters; if reliability were one, its first value would persist."""
    for reliability in (BEST_EFFORT, RELIABLE):
        matched = profile(reliability)
        subscription = node.create_subscription(
            String, "image", lambda _: None, matched, qos_overriding_options=qos.subscription_overrides()
        )
        assert matched.reliability == reliability
        node.destroy_subscription(subscription)
    assert not node.has_parameter("qos_overrides./left/image.subscription.reliability")
    assert node.has_parameter("qos_overrides./left/image.subscription.depth")


def test_description_includes_the_deadline() -> None:
    assert qos.describe(QoSProfile(depth=1, deadline=Duration(seconds=0.5))).endswith("deadline 0.5 s")
    assert qos.describe(profile()) == "reliable, volatile"
