"""``lgnet replay``, which runs without ROS, gives what the node's pipeline makes of the same bag."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image
from support.bags import camera_messages, read_bag, write_bag
from support.paths import ROOT
from support.real_images import half_size_frames
from tf2_msgs.msg import TFMessage

from lgnet_core.bags.definitions import message_types
from lgnet_core.data.clip import read_clip
from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.geometry.inter_hand import inter_hand
from lgnet_core.types import Camera
from lgnet_ros.input.camera_info_cache import CameraInfoCache
from lgnet_ros.output.messages import to_qualities
from lgnet_ros.output.serializers import HandsSerializer, InterHandSerializer
from lgnet_ros.output.transforms import TransformSerializer
from lgnet_ros.parameters.settings import Settings
from lgnet_ros.perception.perception import Perception
from lgnet_ros.perception.tracker import load_tracker
from lgnet_ros.process.resources import resource_file

MESSAGES = {
    "/hands/joints": HandJointsArray,
    "/hands/mesh": HandMeshArray,
    "/hands/inter_hand": InterHandTransform,
    "/tf": TFMessage,
}

RUN_WITHOUT_ROS = """
import sys
sys.modules["rclpy"] = None  # importing it raises
from lgnet_core.cli.app import main
main()
"""


def node_outputs(bag) -> list[tuple[str, bytes]]:
    """What the node makes of each image: topic and serialised message."""
    settings, cache = Settings(), CameraInfoCache()
    tracker = load_tracker(settings)
    perception = Perception(tracker, cache, "/camera/image_raw", "/camera/camera_info")
    frames = HandFrames(tracker.estimator.hand_model)
    hands_serializer, relations = HandsSerializer(), InterHandSerializer("")
    transforms, outputs = TransformSerializer(""), []
    for topic, _, _, data, _ in read_bag(bag):
        if topic == "/camera/camera_info":
            cache.put(deserialize_message(data, CameraInfo))
            continue
        result = perception.process(perception.decode(deserialize_message(data, Image), settings), settings)
        hands, header, poses = result.hands, result.header, frames.poses(result.hands.hands)
        qualities = to_qualities(hands, result.camera)
        outputs.append(("/tf", transforms.serialize(hands, header, poses)))
        outputs.append(("/hands/mesh", hands_serializer.mesh(hands, header, math.nan, poses)))
        outputs.append(("/hands/joints", hands_serializer.joints(hands, header, math.nan, poses, qualities)))
        for relation in filter(None, (inter_hand(person, poses) for person in hands.people)):
            outputs.append(("/hands/inter_hand", relations.serialize(relation, header, math.nan)))
    return [(topic, data) for topic, data in outputs if data is not None]


def assert_equal(found, expected, path="") -> None:
    """Equal messages, numbers within rounding."""
    if isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-5, nan_ok=True), path
    elif hasattr(expected, "get_fields_and_field_types"):
        for name in expected.get_fields_and_field_types():
            assert_equal(getattr(found, name), getattr(expected, name), f"{path}.{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), path
        for k, (a, b) in enumerate(zip(found, expected)):
            assert_equal(a, b, f"{path}[{k}]")
    elif isinstance(expected, (str, int)):
        assert found == expected, path
    else:  # arrays
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-6, err_msg=path)


def test_results_are_those_of_the_node(tmp_path):
    """Two hands, one hand, and two again, tracked and smoothed, from a process in which ROS cannot be imported."""
    matrix = np.diag([0.5, 0.5, 1]) @ read_clip().camera.matrix
    both, one = half_size_frames()
    height, width, _ = both.shape
    frames = [both, both, np.roll(both, 4, 1), one, both]
    bag = write_bag(tmp_path / "drive", camera_messages(frames, Camera(matrix, width, height)))
    command = [sys.executable, "-c", RUN_WITHOUT_ROS, "replay", str(bag), "-o", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    replayed = [(topic, data) for topic, _, _, data, _ in read_bag(tmp_path / "drive_hands") if topic in MESSAGES]
    expected = node_outputs(bag)
    assert [topic for topic, _ in replayed] == [topic for topic, _ in expected]
    assert sum(topic == "/hands/inter_hand" for topic, _ in expected) >= 3, "both hands are seen"
    for (topic, found), (_, node) in zip(replayed, expected):
        kind = MESSAGES[topic]
        assert_equal(deserialize_message(found, kind), deserialize_message(node, kind), topic)


@pytest.mark.parametrize("name", ["HandJoints", "HandJointsArray", "HandMesh", "HandMeshArray", "InterHandTransform"])
def test_types_are_those_that_ros_builds(name):
    """By the hash with which DDS and rosbag2 tell types apart."""
    described = json.loads(resource_file("msg", f"{name}.json").read_text())["type_hashes"]
    (expected,) = (row["hash_string"] for row in described if row["type_name"] == f"lgnet_ros/msg/{name}")
    assert message_types().hash_rihs01(f"lgnet_ros/msg/{name}") == expected
