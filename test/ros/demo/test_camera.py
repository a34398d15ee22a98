"""Tests of the demo camera: sequence of frames, images and calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lgnet_ros.msg import HandJoints, HandMeshArray
from std_msgs.msg import Header
from support.ros_domain import HandsProcess, RosDomain
from support.waiting import wait_for

from lgnet_core.data.clip import read_clip
from lgnet_core.messages.camera_info import camera_from_info
from lgnet_ros import topics
from lgnet_ros.demo.camera import ping_pong, to_camera_info
from lgnet_ros.input.decode import decode_image
from lgnet_ros.output.messages import to_image


@given(count=st.integers(1, 50), start=st.integers(0, 1000))
def test_frame_sequence_has_no_jumps(count, start):
    indices = [ping_pong(k, count) for k in range(start, start + 3 * count)]
    assert set(indices) == set(range(count))
    assert max(np.abs(np.diff(indices)), default=0) <= 1


@pytest.mark.parametrize("distortion", [[], [-0.1, 0.02, 0.001, -0.002], [0.1, 0, 0, 0, 0.3, 0.1, 0.2, 0.05]])
def test_images_and_calibration_are_unchanged(distortion):
    clip = read_clip()
    camera = replace(clip.camera, distortion=np.array(distortion))
    np.testing.assert_array_equal(decode_image(to_image(clip.frames[3], Header())), clip.frames[3])
    decoded = camera_from_info(to_camera_info(camera, "optical"), camera.width, camera.height, "raw", "/image")
    np.testing.assert_array_equal(decoded.matrix, camera.matrix)
    np.testing.assert_array_equal(decoded.distortion, camera.distortion)


def test_depth_images_give_the_hands_their_size(ros_domain: RosDomain, tmp_path: Path) -> None:
    """Camera and node as ``lgnet-hands --demo OUT --depth depth`` starts them."""
    meshes = ros_domain.subscribe(HandMeshArray, topics.MESH)
    HandsProcess(ros_domain, tmp_path / "log", "bundled", "-p", "use_depth:=true").bring_up()
    ros_domain.start("-m", "lgnet_ros.demo.camera", "--ros-args", "-p", "depth:=true", "-p", "rate:=5.0")

    def follows_depth() -> bool:
        return any(hand.size_source == HandJoints.SIZE_DEPTH for message in meshes for hand in message.hands)

    wait_for(follows_depth, "hands whose size follows the depth")
