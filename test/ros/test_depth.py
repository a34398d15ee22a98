"""The node with depth images: the hands' size follows the depth, and without it the node continues and says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lgnet_ros.msg import HandJoints, HandJointsArray, HandMeshArray
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from support.depth_camera import DepthCamera
from support.fixed_hands import WRISTS
from support.ros_domain import HandsProcess, RosDomain
from support.waiting import poll, wait_for


def test_hands_follow_the_depth_while_there_is_one(ros_domain: RosDomain, tmp_path: Path) -> None:
    node = HandsProcess(ros_domain, tmp_path / "log", "fixed", "-p", "use_depth:=true").bring_up()
    meshes = ros_domain.subscribe(HandMeshArray, "hands/mesh")
    joints = ros_domain.subscribe(HandJointsArray, "hands/joints")
    diagnostics = ros_domain.subscribe(DiagnosticArray, "/diagnostics", QoSProfile(depth=10))
    camera = DepthCamera(ros_domain)
    sent: list[Header] = []

    def hands(received: list, source: int, since: int) -> list:
        """Right hands with a source of their size, in the images sent since then."""
        stamps = {(header.stamp.sec, header.stamp.nanosec) for header in sent[since:]}
        arrays = [message for message in received if (message.header.stamp.sec, message.header.stamp.nanosec) in stamps]
        found = [hand for message in arrays for hand in message.hands]
        return [hand for hand in found if hand.side == hand.RIGHT and hand.size_source == source]

    def wrist_depth_of_published(metres: float | None, source: int) -> float:
        """Publish until a hand has its size from the source; the distance of its wrist."""
        start = len(sent)

        def publish_and_wait() -> bool:
            sent.append(camera.publish(metres))
            return poll(lambda: bool(hands(meshes, source, start) and hands(joints, source, start)), 0.5)

        wait_for(publish_and_wait, f"hands with the size source {source}")
        return hands(joints, source, start)[-1].joints[0].z

    assert wrist_depth_of_published(0.4, HandJoints.SIZE_DEPTH) == pytest.approx(0.4, abs=1e-4)
    assert wrist_depth_of_published(None, HandJoints.SIZE_PREDICTED) == pytest.approx(WRISTS[0, 2], abs=1e-4)

    def reported() -> bool:
        sent.append(camera.publish(None))
        statuses = (status for message in diagnostics for status in message.status)
        return poll(lambda: any("Depth is not used" in status.message for status in statuses), 0.5)

    wait_for(lambda: node.logged("Depth is not used: the depth image nearest to the image is"), "the warning")
    wait_for(reported, "the diagnostics")
    depth = wrist_depth_of_published(0.6, HandJoints.SIZE_DEPTH)
    assert depth == pytest.approx(0.6, abs=1e-4)  # as soon as it is there again
    assert node.stop() == 0
