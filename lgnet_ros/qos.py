"""QoS profiles of the node's endpoints, and explanations of incompatible QoS.

Each function creates a new profile: rclpy writes a user's ``qos_overrides`` into the profile it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import TYPE_CHECKING

from rclpy.duration import Infinite
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.topic_endpoint_info import TopicEndpointInfo


def output_profile() -> QoSProfile:
    """Profile of all topics under ``hands/``: reliable, which is compatible with every subscriber; keep last 5."""
    return QoSProfile(
        depth=5,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
    )


def tf_profile() -> QoSProfile:
    """Profile of ``/tf``, as used by tf2_ros."""
    return QoSProfile(depth=100)


def static_tf_profile() -> QoSProfile:
    """Profile of ``/tf_static``, as used by tf2_ros's listener."""
    return QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def diagnostics_profile() -> QoSProfile:
    """Profile of ``/diagnostics``, as used by diagnostic_updater."""
    return QoSProfile(depth=1)


def output_overrides() -> QoSOverridingOptions:
    """Let parameters ``qos_overrides.TOPIC...`` override a publisher's history, depth and reliability."""
    return QoSOverridingOptions.with_default_policies()


def subscription_overrides() -> QoSOverridingOptions:
    """Let parameters override a subscription's history and depth; its reliability is the parameter ``image_qos``.

    rclpy declares a read-only parameter for each policy when the first subscription is created. If reliability were one
    of them, its first value would override the one matched to a publisher that appears later.
    """
    return QoSOverridingOptions((QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH))


def subscription_profile(node: Node, topic: str, policy: str, depth: int = 5) -> QoSProfile:
    """Profile of a subscription to images or camera_info, matched to the topic's current publishers.

    A best-effort subscription is compatible with any publisher, but loses large images (Fast DDS drops most of them if
    its shared memory segment is smaller than one image), so reliable publishers get a reliable subscription. If all
    publishers are transient local, so is the subscription: a calibration that is published once must reach a node that
    starts later.

    Args:
        topic: resolved name.
        policy: value of the parameter ``image_qos``; ``auto`` matches the publishers, and is best effort without any.
        depth: messages kept until they are taken.
    """
    offered = [publisher.qos_profile for publisher in node.get_publishers_info_by_topic(topic)]
    all_reliable = bool(offered) and all(o.reliability == ReliabilityPolicy.RELIABLE for o in offered)
    all_latched = bool(offered) and all(o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offered)
    reliable = policy == "reliable" or (policy == "auto" and all_reliable)
    return QoSProfile(
        depth=depth,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if all_latched else DurabilityPolicy.VOLATILE,
    )


def describe(profile: QoSProfile) -> str:
    """Format the policies that determine compatibility: ``"reliable, volatile"``, and the deadline if there is one."""
    policies = [profile.reliability.name.lower(), profile.durability.name.lower()]
    if 0 < profile.deadline.nanoseconds < Infinite.nanoseconds:  # 0 also means no deadline
        policies.append(f"deadline {profile.deadline.nanoseconds / 1e9:g} s")
    return ", ".join(policies)


def incompatible_publishers(topic: str, subscription: QoSProfile, publishers: Iterable[TopicEndpointInfo]) -> list[str]:
    """Describe each publisher whose QoS is incompatible with our subscription: both profiles and the remedy."""
    problems = []
    for publisher in publishers:
        compatibility, reason = _check_compatible(publisher.qos_profile, subscription)
        if compatibility == QoSCompatibility.ERROR:
            problems.append(
                f"{topic}: incompatible QoS with publisher {node_name(publisher)}: it offers "
                f"{describe(publisher.qos_profile)}, but the subscription requests {describe(subscription)} "
                f"({reason.strip().rstrip(';')}); set image_qos to auto, or publish with reliable QoS"
            )
    return problems


def incompatible_subscribers(topic: str, publisher: QoSProfile, subscribers: Iterable[TopicEndpointInfo]) -> list[str]:
    """Describe each subscriber whose QoS is incompatible with our publisher: both profiles and the remedy."""
    problems = []
    for subscriber in subscribers:
        compatibility, reason = _check_compatible(publisher, subscriber.qos_profile)
        if compatibility == QoSCompatibility.ERROR:
            remedy = f"change the subscription to {describe(publisher)}"
            if publisher.reliability == ReliabilityPolicy.BEST_EFFORT:  # only through a user's override
                remedy += f", or remove qos_overrides.{topic}.publisher.reliability"
            problems.append(
                f"{topic}: incompatible QoS with subscriber {node_name(subscriber)}: it requests "
                f"{describe(subscriber.qos_profile)}, but the publisher offers {describe(publisher)} "
                f"({reason.strip().rstrip(';')}); {remedy}"
            )
    return problems


def explain_no_messages(message_type: str, publishers: Sequence[TopicEndpointInfo]) -> str:
    """Explain why no messages arrive on a topic, from its publishers, their types and their QoS.

    Args:
        message_type: type of the subscription, such as ``sensor_msgs/msg/Image``.
    """
    if not publishers:
        return "no publishers; start the camera driver, or remap the topic (`ros2 topic list` lists the existing ones)"
    found = "; ".join(f"{node_name(p)} publishes {p.topic_type} ({describe(p.qos_profile)})" for p in publishers)
    if message_type not in {p.topic_type for p in publishers}:
        return f"{found}, but {message_type} is expected; set image_transport (raw or compressed), or remap the topic"
    return f"{found}, but no messages arrive"


def _check_compatible(offered: QoSProfile, requested: QoSProfile) -> tuple[QoSCompatibility, str]:
    """rclpy's check with unset durations normalised: 0 in our profiles, infinite in discovered ones."""
    normalised = [copy(offered), copy(requested)]
    for profile in normalised:
        profile.deadline = profile.deadline if profile.deadline.nanoseconds else Infinite
        lease = profile.liveliness_lease_duration
        profile.liveliness_lease_duration = lease if lease.nanoseconds else Infinite
    return qos_check_compatible(*normalised)


def node_name(endpoint: TopicEndpointInfo) -> str:
    """Fully qualified name of an endpoint's node; nodes send it in a message, which may be late or lost."""
    if endpoint.node_name == "_NODE_NAME_UNKNOWN_":
        return "a node of unknown name"
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"
