"""System tests with the bundled network in a separate process: its outputs equal those of the estimator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform
from mcap.reader import make_reader
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image
from support.paths import SHARED, requires
from support.ros_domain import HandsProcess, RosDomain
from support.ros_matrices import to_matrix
from support.waiting import wait_for
from tf2_msgs.msg import TFMessage

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.geometry.inter_hand import inter_hand
from lgnet_core.inference import HandEstimator
from lgnet_core.messages.camera_info import camera_from_info
from lgnet_core.types import Camera, TwoHands
from lgnet_ros.input.decode import decode_image

BAG = SHARED / "testdata" / "replay_interhand" / "replay_interhand.mcap"
DETERMINISTIC = ["-p", "smoothing:=false", "-p", "detection_interval:=1", "-p", "device:=cpu", "-p", "threads:=1"]
NUM_IMAGES = 5  # to compare


@pytest.fixture(scope="module")
def estimator() -> HandEstimator:
    return HandEstimator.load(device="cpu", threads=1)


class ReceivedOutputs:
    """Outputs of the node, by the stamp of their image."""

    def __init__(self, ros_domain: RosDomain) -> None:
        self.joints = ros_domain.subscribe(HandJointsArray, "hands/joints")
        self.mesh = ros_domain.subscribe(HandMeshArray, "hands/mesh")
        self.inter_hand = ros_domain.subscribe(InterHandTransform, "hands/inter_hand")
        self.tf = ros_domain.subscribe(TFMessage, "/tf", QoSProfile(depth=100))

    def stamps(self) -> list[tuple[int, int]]:
        """Stamps of the images whose outputs were all received."""
        stamps = [key(m) for m in self.mesh if any(key(j) == key(m) for j in self.joints)]
        return [stamp for stamp in stamps if self._is_complete(stamp)]

    def _is_complete(self, stamp: tuple[int, int]) -> bool:
        num_hands = len(find(self.mesh, stamp).hands)
        return len(self.transforms(stamp)) == num_hands and (num_hands < 2 or find(self.inter_hand, stamp) is not None)

    def transforms(self, stamp: tuple[int, int]) -> dict[str, np.ndarray]:
        """(4, 4) transforms of an image by frame."""
        return {
            t.child_frame_id: to_matrix(t.transform) for m in self.tf for t in m.transforms if key(t) == stamp
        }  # fmt: skip

    def assert_equal(self, hands: TwoHands, stamp: tuple[int, int], frames: HandFrames) -> int:
        """Compare all outputs of an image with the estimator's result, and return the number of hands."""
        joints, mesh = find(self.joints, stamp), find(self.mesh, stamp)
        for hand, j, m in zip(hands.hands, joints.hands, mesh.hands, strict=True):
            assert j.side == m.side == hand.side
            assert j.presence == m.presence == np.float32(hand.presence)
            np.testing.assert_allclose([(p.x, p.y, p.z) for p in j.joints], hand.joints, atol=1e-6)
            np.testing.assert_allclose(np.reshape(m.vertices, (-1, 3)), hand.vertices, atol=1e-6)
            np.testing.assert_array_equal(np.reshape(m.triangles, (-1, 3)), hand.faces)
            np.testing.assert_allclose(np.reshape(j.joints_2d, (-1, 2)), hand.joints_2d, atol=1e-3)
        transforms = self.transforms(stamp)
        assert set(transforms) == {f"hand_{hand.side.label}" for hand in hands.hands}
        relation = inter_hand(hands, frames.poses(hands.hands))
        if relation is not None:
            message = find(self.inter_hand, stamp)
            assert message.distance == pytest.approx(relation.distance, abs=1e-6)
            lookup = np.linalg.inv(transforms["hand_right"]) @ transforms["hand_left"]
            np.testing.assert_allclose(to_matrix(message.transform), lookup, atol=1e-6)
        return len(hands.hands)


def key(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


def find(messages: list[Any], stamp: tuple[int, int]) -> Any:
    return next((message for message in messages if key(message) == stamp), None)


@pytest.fixture
def node(ros_domain: RosDomain, tmp_path: Path) -> Iterator[HandsProcess]:
    """Unconfigured node."""
    node = HandsProcess(ros_domain, tmp_path / "log", "bundled", *DETERMINISTIC)
    yield node
    node.process.kill()


def test_outputs_for_the_demo_camera(ros_domain, node, estimator, tmp_path):
    """Outputs have the stamps of their images and equal the estimator's results."""
    camera = ros_domain.start("-m", "lgnet_ros.demo.camera", log=tmp_path / "camera")
    images, infos, received = (
        ros_domain.subscribe(Image, "image"),
        ros_domain.subscribe(CameraInfo, "camera_info"),
        ReceivedOutputs(ros_domain),
    )
    node.bring_up()

    def comparable() -> list[tuple[int, int]]:
        return [stamp for stamp in received.stamps() if find(images, stamp) and find(infos, stamp)]

    wait_for(lambda: len(comparable()) > NUM_IMAGES, "images with outputs")
    camera.terminate()
    hand_frames, num_hands = HandFrames(estimator.hand_model), 0
    for stamp in comparable()[-NUM_IMAGES:]:
        message = find(images, stamp)
        assert find(received.mesh, stamp).header == message.header == find(received.joints, stamp).header
        info = find(infos, stamp)
        hands = estimator.estimate(decode_image(message), camera_from_info(info, 640, 480, "auto", "/image"))
        num_hands += received.assert_equal(hands, stamp, hand_frames)
    assert num_hands, "the clip contains hands"
    for messages in (images, infos):  # some of either may be lost on a busy machine
        stamps = [key(message) for message in messages]
        assert stamps == sorted(set(stamps))
    assert node.stop() == 0


@requires(BAG)
def test_recorded_images_use_their_own_calibration(ros_domain, node, estimator):
    """Four real images of two sizes with four calibrations: each must be processed with its own."""
    recorded = read_bag(BAG)
    images = ros_domain.node.create_publisher(Image, "image", 5)
    infos = ros_domain.node.create_publisher(CameraInfo, "camera_info", 5)
    received = ReceivedOutputs(ros_domain)
    node.bring_up()
    wait_for(lambda: images.get_subscription_count() and infos.get_subscription_count())
    wait_for(
        lambda: all(map(ros_domain.node.count_publishers, ("/hands/joints", "/hands/mesh", "/hands/inter_hand", "/tf")))
    )
    frames = HandFrames(estimator.hand_model)
    for image, info in recorded:
        images.publish(image)  # before its camera_info, like some drivers
        infos.publish(info)
        wait_for(lambda image=image: key(image) in received.stamps(), "the outputs of a recorded image")
        camera = camera_from_info(info, image.width, image.height, "auto", "/image")
        assert isinstance(camera, Camera)
        assert camera.matrix[0, 0] == info.k[0]
        received.assert_equal(estimator.estimate(decode_image(image), camera), key(image), frames)
    assert node.stop() == 0


def read_bag(path: Path) -> list[tuple[Image, CameraInfo]]:
    """Read the images and their camera_info, ordered by stamp."""
    images, infos = {}, {}
    with path.open("rb") as file:
        for schema, _, record in make_reader(file).iter_messages():
            if schema.name == "sensor_msgs/msg/Image":
                message = deserialize_message(record.data, Image)
                images[key(message)] = message
            else:
                message = deserialize_message(record.data, CameraInfo)
                infos[key(message)] = message
    assert len(images) == 4
    return [(images[stamp], infos[stamp]) for stamp in sorted(images)]
