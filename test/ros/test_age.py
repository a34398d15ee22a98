"""The age of images in the outputs of the node, on simulated time."""

from __future__ import annotations

from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform
from rosgraph_msgs.msg import Clock
from support.depth_camera import DepthCamera
from support.ros_domain import HandsProcess, RosDomain
from support.waiting import poll, wait_for


def test_age_is_that_of_simulated_time(ros_domain: RosDomain, tmp_path: Path) -> None:
    """Simulated time stands still a quarter of a second after the stamps, which lie years ago."""
    node = HandsProcess(ros_domain, tmp_path / "log", "fixed", "-p", "use_sim_time:=true").bring_up()
    types = (HandJointsArray, HandMeshArray, InterHandTransform)
    received = [ros_domain.subscribe(t, f"hands/{name}") for t, name in zip(types, ("joints", "mesh", "inter_hand"))]
    camera, clock = DepthCamera(ros_domain), ros_domain.node.create_publisher(Clock, "/clock", 1)

    def ages() -> list[list[float]]:
        return [[message.age for message in messages] for messages in received]

    def publish_and_wait() -> bool:
        """The node may see an image before the clock that belongs to it."""
        stamp = camera.publish(None).stamp
        seconds, nanoseconds = divmod(stamp.sec * 10**9 + stamp.nanosec + 250_000_000, 10**9)
        clock.publish(Clock(clock=Time(sec=seconds, nanosec=nanoseconds)))
        return poll(lambda: all(any(age == pytest.approx(0.25) for age in each) for each in ages()), 0.2)

    wait_for(publish_and_wait, "ages of 0.25 s")
    ros_domain.node.destroy_publisher(clock)
    camera.close()
    assert node.stop() == 0
