"""Quality of service by name: one profile for each kind of endpoint, and what to say where two do not meet.

A profile is made anew at each call: rclpy writes a user's ``qos_overrides`` into the profile it is given.
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
    """Of everything under ``hands/``: reliable, so that every kind of subscriber is met; the newest five."""
    return QoSProfile(
        depth=5,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
    )


def tf_profile() -> QoSProfile:
    """Of ``/tf``, as tf2_ros has it."""
    return QoSProfile(depth=100)


def diagnostics_profile() -> QoSProfile:
    """Of ``/diagnostics``, as diagnostic_updater has it."""
    return QoSProfile(depth=1)


def output_overrides() -> QoSOverridingOptions:
    """History, depth and reliability of a publisher can be overridden by parameters ``qos_overrides.TOPIC...``."""
    return QoSOverridingOptions.with_default_policies()


def intake_overrides() -> QoSOverridingOptions:
    """History and depth of a subscription can be overridden; its reliability is the parameter ``image_qos``.

    rclpy declares a read-only parameter for each policy at the first subscription. Were reliability among them, that
    first value would win over the one matched to a publisher that appears later.
    """
    return QoSOverridingOptions((QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH))


def intake_profile(node: Node, topic: str, policy: str) -> QoSProfile:
    """Of a subscription to images or to their calibration, matched to whoever publishes there now.

    A best-effort subscription meets any publisher, but large images get lost on it (Fast DDS drops most of them when
    its shared memory is smaller than one), so a reliable publisher is met reliably. Latched messages are asked for
    where every publisher latches: a calibration that is published once must reach a node that starts later.

    Args:
        topic: with namespace and remappings resolved.
        policy: the parameter ``image_qos``; ``auto`` matches the publishers and is best effort while there is none.
    """
    offered = [publisher.qos_profile for publisher in node.get_publishers_info_by_topic(topic)]
    all_reliable = bool(offered) and all(o.reliability == ReliabilityPolicy.RELIABLE for o in offered)
    latched = bool(offered) and all(o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offered)
    reliable = policy == "reliable" or (policy == "auto" and all_reliable)
    return QoSProfile(
        depth=5,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def describe(profile: QoSProfile) -> str:
    """The policies that decide whether two endpoints meet: ``"reliable, volatile"``, and a deadline if there is one."""
    policies = [profile.reliability.name.lower(), profile.durability.name.lower()]
    if 0 < profile.deadline.nanoseconds < Infinite.nanoseconds:  # 0 means none too
        policies.append(f"deadline {profile.deadline.nanoseconds / 1e9:g} s")
    return ", ".join(policies)


def problems(topic: str, subscription: QoSProfile, publishers: Iterable[TopicEndpointInfo]) -> list[str]:
    """Publishers that a subscription of ours cannot hear: a sentence for each, with both profiles and the cure."""
    found = []
    for publisher in publishers:
        verdict, reason = _check(publisher.qos_profile, subscription)
        if verdict == QoSCompatibility.ERROR:
            found.append(
                f"{topic}: nothing can come from {_name(publisher)}, which offers {describe(publisher.qos_profile)}, "
                f"while {describe(subscription)} is asked for ({reason.strip().rstrip(';')}); set image_qos to auto, "
                "or publish reliably"
            )
    return found


def incompatible_subscribers(topic: str, publisher: QoSProfile, subscribers: Iterable[TopicEndpointInfo]) -> list[str]:
    """Subscribers that cannot hear a publisher of ours: a sentence for each, with both profiles and the cure."""
    found = []
    for subscriber in subscribers:
        verdict, reason = _check(publisher, subscriber.qos_profile)
        if verdict == QoSCompatibility.ERROR:
            cure = f"let it ask for {describe(publisher)}"
            if publisher.reliability == ReliabilityPolicy.BEST_EFFORT:  # which we offer only where a user wants it
                cure += f", or take back qos_overrides.{topic}.publisher.reliability"
            found.append(
                f"{topic}: {_name(subscriber)} cannot hear it: it asks for {describe(subscriber.qos_profile)}, while "
                f"{describe(publisher)} is offered ({reason.strip().rstrip(';')}); {cure}"
            )
    return found


def describe_publishers(topic: str, message_type: str, publishers: Sequence[TopicEndpointInfo]) -> str:
    """What is to be seen on a topic that brings nothing: who publishes which type how, and what is amiss.

    Args:
        message_type: the one that we subscribe to, such as ``sensor_msgs/msg/Image``.
    """
    if not publishers:
        return f"{topic}: nobody publishes there; start the camera, or remap the topic (`ros2 topic list` shows them)"
    seen = "; ".join(f"{_name(p)} publishes {p.topic_type} ({describe(p.qos_profile)})" for p in publishers)
    types = {p.topic_type for p in publishers}
    if message_type not in types:
        return (
            f"{topic}: {seen}; but {message_type} is expected: set image_transport "
            "(raw or compressed), or remap the topic"
        )
    return f"{topic}: {seen}; but nothing arrives"


def _check(offered: QoSProfile, requested: QoSProfile) -> tuple[QoSCompatibility, str]:
    """rclpy's check, with "none" written alike: no deadline is 0 in a profile of ours, infinite in a discovered one."""
    explicit = [copy(offered), copy(requested)]
    for profile in explicit:
        profile.deadline = profile.deadline if profile.deadline.nanoseconds else Infinite
        lease = profile.liveliness_lease_duration
        profile.liveliness_lease_duration = lease if lease.nanoseconds else Infinite
    return qos_check_compatible(*explicit)


def _name(endpoint: TopicEndpointInfo) -> str:
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"
