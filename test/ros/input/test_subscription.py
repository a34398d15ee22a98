"""A subscription that keeps to its publishers, and what it says when nothing comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String
from support.ros_world import World, wait_for

from lgnet_ros.input.subscription import MatchedSubscription

RELIABLE, BEST_EFFORT = (
    QoSProfile(depth=5, reliability=policy) for policy in (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT)
)


@pytest.fixture
def make(world: World) -> Iterator[Callable[[str, str], tuple[MatchedSubscription, list[String]]]]:
    made = []

    def make(topic: str, policy: str) -> tuple[MatchedSubscription, list[String]]:
        heard: list[String] = []
        made.append(MatchedSubscription(world.node, String, topic, policy, heard.append))
        return made[-1], heard

    yield make
    for subscription in made:
        subscription.close()


def test_it_follows_the_publishers_reliability(world, make):
    """Nobody, a reliable one, a best-effort one beside it, then that one alone: every message arrives."""
    subscription, heard = make("/follows", "auto")
    subscription.match()
    assert subscription.state == "best_effort, volatile, 0 publisher(s)"
    publishers = []
    for qos, state in ((RELIABLE, "reliable, volatile, 1"), (BEST_EFFORT, "best_effort, volatile, 2")):
        publishers.append(world.node.create_publisher(String, "/follows", qos))
        wait_for(lambda state=state: subscription.match() or subscription.state.startswith(state))
        wait_for(lambda: publishers[-1].get_subscription_count())
        publishers[-1].publish(String(data=state))
        wait_for(lambda state=state: [m for m in heard if m.data == state])
    world.node.destroy_publisher(publishers[0])
    wait_for(lambda: world.node.count_publishers("/follows") == 1)
    subscription.match()
    assert subscription.state.startswith("best_effort")
    world.node.destroy_publisher(publishers[1])


def test_without_publishers_it_stays_as_it_is(world, make):
    """A camera that is restarted finds the subscription that it left."""
    subscription, _ = make("/stays", "auto")
    publisher = world.node.create_publisher(String, "/stays", RELIABLE)
    wait_for(lambda: world.node.count_publishers("/stays"))
    subscription.match()
    world.node.destroy_publisher(publisher)
    wait_for(lambda: world.node.count_publishers("/stays") == 0)
    subscription.match()
    assert subscription.state.startswith("reliable")


def test_a_policy_that_does_not_fit_is_told_with_both_profiles(world, make, capfd):
    subscription, heard = make("/unfit", "reliable")
    subscription.match()
    publisher = world.node.create_publisher(String, "/unfit", BEST_EFFORT)
    (problem,) = wait_for(subscription.problems)
    assert "offers best_effort, volatile" in problem
    assert "reliable, volatile is asked for" in problem
    assert "set image_qos to auto" in problem
    assert problem in subscription.state
    assert problem in subscription.explain_silence()
    wait_for(lambda: subscription.match() or problem in capfd.readouterr().err, "a warning")
    publisher.publish(String())
    assert not heard
    world.node.destroy_publisher(publisher)


def test_silence_is_explained_by_what_there_is(world, make):
    subscription, _ = make("/silent", "auto")
    subscription.match()
    own = world.node.create_publisher(String, "/own", RELIABLE)
    camera = Node("camera", context=world.context, use_global_arguments=False)
    camera.create_publisher(String, "/loud", RELIABLE)
    camera.create_publisher(CompressedImage, "/silent/compressed", RELIABLE)
    text = wait_for(lambda: all(n in (text := subscription.explain_silence()) for n in ("/loud", "image_t")) and text)
    assert "/silent: nobody publishes there" in text
    assert text.endswith("std_msgs/msg/String is published on /loud"), "its own topics are left out"
    assert "/silent/compressed carries compressed images: set image_transport to compressed" in text
    camera.destroy_node()
    world.node.destroy_publisher(own)


def test_closed_it_hears_nothing(world, make):
    subscription, _ = make("/closed", "auto")
    publisher = world.node.create_publisher(String, "/closed", RELIABLE)
    wait_for(lambda: subscription.match() or publisher.get_subscription_count())
    subscription.close()
    assert subscription.state == "not subscribed"
    wait_for(lambda: publisher.get_subscription_count() == 0)
    world.node.destroy_publisher(publisher)
