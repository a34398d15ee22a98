"""Tests of the QoS-matching subscription."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from support.paths import ROOT
from support.ros_domain import RosDomain
from support.waiting import wait_for

from lgnet_ros.input import subscription as subscription_module
from lgnet_ros.input.subscription import QoSMatchingSubscription

RELIABLE, BEST_EFFORT = (
    QoSProfile(depth=5, reliability=policy) for policy in (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT)
)


@pytest.fixture
def make(ros_domain: RosDomain) -> Iterator[Callable[[str, str], tuple[QoSMatchingSubscription, list[String]]]]:
    subscriptions = []

    def make(topic: str, policy: str) -> tuple[QoSMatchingSubscription, list[String]]:
        received: list[String] = []
        subscriptions.append(QoSMatchingSubscription(ros_domain.node, String, topic, policy, received.append))
        return subscriptions[-1], received

    yield make
    for subscription in subscriptions:
        subscription.close()


def test_reliability_follows_the_publishers(ros_domain, make):
    """No publisher, a reliable one, then also a best-effort one, then only the latter: all messages are received."""
    subscription, received = make("/follows", "auto")
    subscription.update()
    assert subscription.status == "best_effort, volatile, 0 publisher(s)"
    publishers = []
    for qos, status in ((RELIABLE, "reliable, volatile, 1"), (BEST_EFFORT, "best_effort, volatile, 2")):
        publishers.append(ros_domain.node.create_publisher(String, "/follows", qos))
        wait_for(lambda status=status: subscription.update() or subscription.status.startswith(status))
        wait_for(lambda: publishers[-1].get_subscription_count())
        publishers[-1].publish(String(data=status))
        wait_for(lambda status=status: [m for m in received if m.data == status])
    ros_domain.node.destroy_publisher(publishers[0])
    wait_for(lambda: ros_domain.node.count_publishers("/follows") == 1)
    subscription.update()
    assert subscription.status.startswith("best_effort")
    ros_domain.node.destroy_publisher(publishers[1])


def test_qos_is_kept_when_all_publishers_disappear(ros_domain, make):
    """A restarted camera finds the same subscription."""
    subscription, _ = make("/stays", "auto")
    publisher = ros_domain.node.create_publisher(String, "/stays", RELIABLE)
    wait_for(lambda: ros_domain.node.count_publishers("/stays"))
    subscription.update()
    ros_domain.node.destroy_publisher(publisher)
    wait_for(lambda: ros_domain.node.count_publishers("/stays") == 0)
    subscription.update()
    assert subscription.status.startswith("reliable")


def test_incompatible_policy_is_reported_with_both_profiles(ros_domain, make, capfd):
    subscription, received = make("/unfit", "reliable")
    subscription.update()
    publisher = ros_domain.node.create_publisher(String, "/unfit", BEST_EFFORT)
    (problem,) = wait_for(subscription.qos_problems)
    assert "offers best_effort, volatile" in problem
    assert "the subscription requests reliable, volatile" in problem
    assert "set image_qos to auto" in problem
    assert problem in subscription.status
    assert problem in subscription.explain_no_messages()
    wait_for(lambda: subscription.update() or problem in capfd.readouterr().err, "a warning")
    publisher.publish(String())
    assert not received
    ros_domain.node.destroy_publisher(publisher)


def test_missing_messages_are_explained(ros_domain, make):
    subscription, _ = make("/silent", "auto")
    subscription.update()
    own = ros_domain.node.create_publisher(String, "/own", RELIABLE)
    camera = Node("camera", context=ros_domain.context, use_global_arguments=False)
    camera.create_publisher(String, "/other", RELIABLE)
    camera.create_publisher(CompressedImage, "/silent/compressed", RELIABLE)
    text = wait_for(
        lambda: all(n in (text := subscription.explain_no_messages()) for n in ("/other", "image_t")) and text
    )
    assert text.startswith("no publishers")
    assert text.endswith("std_msgs/msg/String is published on /other"), "the node's own topics must be excluded"
    assert "Compressed images are published on /silent/compressed: set image_transport to compressed" in text
    camera.destroy_node()
    ros_domain.node.destroy_publisher(own)


def test_lost_messages_are_counted_exactly(ros_domain):
    """Best-effort images in a queue of one: each arrives or is reported as lost."""
    lost, received = [], []
    subscription = QoSMatchingSubscription(
        ros_domain.node, Image, "/lossy", "best_effort", received.append, on_lost=lost.append
    )
    subscription.update()
    program = str(ROOT / "test" / "support" / "image_process.py")
    process = ros_domain.start(program, "/lossy", "90")
    assert process.wait(60) == 0
    assert subscription.counts_losses
    # The last ones may go unnoticed, since a loss shows in the next message that arrives.
    assert sum(lost) > 0
    assert 85 <= sum(lost) + len(received) <= 90
    subscription.close()


def test_middleware_that_does_not_count_losses(ros_domain, monkeypatch):
    """As rclpy behaves where the event is not implemented."""

    class Callbacks(subscription_module.SubscriptionEventCallbacks):
        def create_event_handlers(self, *arguments):
            if self.message_lost:
                raise subscription_module.UnsupportedEventTypeError("not implemented")
            return super().create_event_handlers(*arguments)

    monkeypatch.setattr(subscription_module, "SubscriptionEventCallbacks", Callbacks)
    received: list[String] = []
    subscription = QoSMatchingSubscription(ros_domain.node, String, "/uncounted", "auto", received.append)
    subscription.update()
    assert not subscription.counts_losses
    publisher = ros_domain.node.create_publisher(String, "/uncounted", RELIABLE)
    wait_for(lambda: subscription.update() or publisher.publish(String()) or received)
    subscription.close()
    ros_domain.node.destroy_publisher(publisher)


def test_competing_publishers_are_named(ros_domain, make):
    subscription, _ = make("/shared", "auto")
    subscription.update()
    first = ros_domain.node.create_publisher(String, "/shared", RELIABLE)
    wait_for(lambda: ros_domain.node.count_publishers("/shared") == 1)
    assert subscription.competing_publishers() == ""
    second = ros_domain.node.create_publisher(String, "/shared", RELIABLE)
    text = wait_for(subscription.competing_publishers)
    assert text.startswith("2 publishers on /shared (/test, /test)")
    assert "Stop all but one" in text
    for publisher in (first, second):
        ros_domain.node.destroy_publisher(publisher)


def test_replaced_publishers_are_reported_and_the_new_latched_message_arrives(ros_domain):
    """The old messages can be discarded without losing one that the new publisher sent before."""
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    received: list[str] = []
    subscription = QoSMatchingSubscription(
        ros_domain.node,
        String,
        "/replaced",
        "auto",
        lambda message: received.append(message.data),
        on_replaced=received.clear,
    )
    old = ros_domain.node.create_publisher(String, "/replaced", latched)
    old.publish(String(data="old"))
    wait_for(lambda: subscription.update() or received == ["old"])
    new = ros_domain.node.create_publisher(String, "/replaced", latched)
    new.publish(String(data="new"))
    wait_for(lambda: ros_domain.node.count_publishers("/replaced") == 2 and received == ["old", "new"])
    subscription.update()
    assert received == ["old", "new"], "one of the old publishers is still there"
    ros_domain.node.destroy_publisher(old)
    wait_for(lambda: ros_domain.node.count_publishers("/replaced") == 1)
    subscription.update()
    assert received == ["old", "new"]
    ros_domain.node.destroy_publisher(new)
    wait_for(lambda: ros_domain.node.count_publishers("/replaced") == 0)
    newest = ros_domain.node.create_publisher(String, "/replaced", latched)
    newest.publish(String(data="newest"))
    wait_for(lambda: ros_domain.node.count_publishers("/replaced") == 1)
    wait_for(lambda: subscription.update() or received == ["newest"])
    subscription.close()
    ros_domain.node.destroy_publisher(newest)


def test_no_messages_of_another_user_are_explained(ros_domain, make, monkeypatch):
    subscription, _ = make("/foreign", "auto")
    subscription.update()
    monkeypatch.setattr(subscription_module, "explain_other_users", lambda: "user root uses shared memory")
    assert "user root" not in subscription.explain_no_messages(), "there is no publisher"
    publisher = ros_domain.node.create_publisher(String, "/foreign", RELIABLE)
    wait_for(lambda: ros_domain.node.count_publishers("/foreign"))
    subscription.update()
    assert "user root uses shared memory" in subscription.explain_no_messages()
    ros_domain.node.destroy_publisher(publisher)


def test_close_unsubscribes(ros_domain, make):
    subscription, _ = make("/closed", "auto")
    publisher = ros_domain.node.create_publisher(String, "/closed", RELIABLE)
    wait_for(lambda: subscription.update() or publisher.get_subscription_count())
    subscription.close()
    assert subscription.status == "not subscribed"
    wait_for(lambda: publisher.get_subscription_count() == 0)
    ros_domain.node.destroy_publisher(publisher)
