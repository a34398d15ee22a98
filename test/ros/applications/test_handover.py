"""The handover node: its messages for hands that open, close, go, and stop coming."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from lgnet_ros.msg import HandMeshArray, Handover
from rclpy.parameter import Parameter
from std_msgs.msg import Bool, Header
from support.posed_hands import posed
from support.ros_domain import RosDomain
from support.ros_matrices import to_matrix
from support.waiting import wait_for

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Side, TwoHands
from lgnet_ros.applications.handover import APPROACH, HANDOVER, READY, HandsHandover
from lgnet_ros.output.messages import to_mesh_array
from lgnet_ros.process.arguments import StartupError
from lgnet_ros.qos import output_profile


class HandoverHarness:
    """The node with a clock of its own, and the topics around it."""

    def __init__(self, ros_domain: RosDomain, hand_model: HandModel) -> None:
        self.domain, self.hand_model, self.frames = ros_domain, hand_model, HandFrames(hand_model)
        self.now = 0.0
        self.node = HandsHandover(lambda: self.now, context=ros_domain.context, use_global_arguments=False)
        ros_domain.executor.add_node(self.node)
        self.states: list[Handover] = []
        self.approaches: list[PoseStamped] = []
        self.ready: list[Bool] = []
        node = ros_domain.node
        self._subscriptions = [
            node.create_subscription(kind, topic, received.append, output_profile())
            for kind, topic, received in (
                (Handover, HANDOVER, self.states),
                (PoseStamped, APPROACH, self.approaches),
                (Bool, READY, self.ready),
            )
        ]
        self._meshes = node.create_publisher(HandMeshArray, "hands/mesh", output_profile())
        wait_for(self._meshes.get_subscription_count, "the subscription to hands/mesh")
        wait_for(lambda: all(map(self.node.count_subscribers, (HANDOVER, APPROACH, READY))), "our subscriptions")

    def close(self) -> None:
        self.domain.executor.remove_node(self.node)
        self.node.destroy_node()
        self.domain.node.destroy_publisher(self._meshes)
        for subscription in self._subscriptions:
            self.domain.node.destroy_subscription(subscription)

    def publish(self, seconds: float, pose: str | None = None, side: Side = Side.RIGHT) -> Handover:
        """Publish a hand, or none, and return the state that follows from it."""
        hand = None if pose is None else replace(posed(self.hand_model, side, pose, np.eye(3)), track_id=3)
        hands = TwoHands(*(hand if s is side else None for s in Side), None, metric=True)
        header = Header(frame_id="camera")
        header.stamp.sec, header.stamp.nanosec = int(seconds), round(seconds % 1 * 1e9)
        count = len(self.states)
        self._meshes.publish(to_mesh_array(hands, header, 0.0, self.frames.poses(hands.hands)))
        wait_for(lambda: len(self.states) > count and len(self.ready) == len(self.states))
        assert self.states[-1].header == header
        return self.states[-1]


@pytest.fixture
def harness(ros_domain: RosDomain, hand_model: HandModel) -> Iterator[HandoverHarness]:
    harness = HandoverHarness(ros_domain, hand_model)
    yield harness
    harness.close()


@pytest.mark.parametrize("side", list(Side))
def test_an_open_palm_becomes_ready_and_has_an_approach_pose(harness: HandoverHarness, side: Side) -> None:
    states = [harness.publish(100 + 0.1 * k, "open", side) for k in range(8)]
    assert [state.ready for state in states] == [False] * 5 + [True] * 3
    wait_for(lambda: len(harness.approaches) == 8)
    assert [message.data for message in harness.ready] == [state.ready for state in states]
    last, approach = states[-1], harness.approaches[-1]
    assert (last.side, last.track_id, last.is_open) == (int(side), 3, True)
    assert last.openness > 0.85
    assert (approach.header, approach.pose) == (last.header, last.approach)
    hand = posed(harness.hand_model, side, "open", np.eye(3))
    gripper, palm = to_matrix(last.approach), to_matrix(last.palm)
    np.testing.assert_allclose(palm[:3, :3], harness.frames.pose(hand).rotation, atol=1e-9)
    assert ((hand.vertices - gripper[:3, 3]) @ gripper[:3, 2]).min() == pytest.approx(0.15, abs=1e-6)

    assert not harness.publish(101.0, "fist", side).is_open
    gone = harness.publish(101.1)
    assert (gone.side, gone.ready, gone.is_open) == (Handover.NONE, False, False)
    assert [message.data for message in harness.ready[-2:]] == [False, False]
    assert len(harness.approaches) == 9, "no pose without a hand"


def test_a_hand_that_stops_coming_is_withdrawn_once(harness: HandoverHarness) -> None:
    for k in range(8):
        harness.publish(200 + 0.1 * k, "open")
    assert harness.states[-1].ready
    harness.now = 0.4
    harness.node._check_age()
    assert len(harness.states) == 8
    harness.now = 0.6  # later than max_age
    wait_for(lambda: len(harness.states) == 9 and len(harness.ready) == 9, "the withdrawal by the timer")
    assert (harness.states[-1].side, harness.ready[-1].data) == (Handover.NONE, False)
    harness.node._check_age()
    assert not harness.publish(201.0, "open").ready, "it starts again"
    assert len(harness.states) == 10


def test_thresholds_can_be_changed(harness: HandoverHarness) -> None:
    assert not harness.publish(300.0, "relaxed").is_open
    refused = harness.node.set_parameters([Parameter("open_at", value=0.5)])[0]
    assert not refused.successful
    assert "close_below" in refused.reason
    results = harness.node.set_parameters_atomically([
        Parameter("open_at", value=0.6), Parameter("close_below", value=0.4), Parameter("stand_off", value=0.3),
    ])  # fmt: skip
    assert results.successful
    state = harness.publish(300.1, "relaxed")
    assert state.is_open
    hand = posed(harness.hand_model, Side.RIGHT, "relaxed", np.eye(3))
    gripper = to_matrix(state.approach)
    assert ((hand.vertices - gripper[:3, 3]) @ gripper[:3, 2]).min() == pytest.approx(0.3, abs=1e-6)


@pytest.mark.parametrize(("name", "value"), [("close_below", 0.9), ("hold_time", "long"), ("hand_model", "/nowhere")])
def test_invalid_parameters_are_named(ros_domain: RosDomain, name: str, value: Any) -> None:
    with pytest.raises(StartupError, match=name):
        HandsHandover(
            context=ros_domain.context, use_global_arguments=False, parameter_overrides=[Parameter(name, value=value)]
        )
