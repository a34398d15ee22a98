"""The whole chain with the bundled network, in processes of its own: what arrives is what the estimator says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image
from support.paths import SHARED
from support.ros_matrices import to_matrix
from support.ros_world import HandsProcess, World, wait_for
from tf2_msgs.msg import TFMessage

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.geometry.inter_hand import inter_hand
from lgnet_core.inference import HandEstimator
from lgnet_core.types import Camera, TwoHands
from lgnet_ros.input.camera_info import camera_from_info
from lgnet_ros.input.intake import decode_image

BAG = SHARED / "testdata" / "replay_interhand" / "replay_interhand.mcap"
EXACT = ["-p", "smoothing:=false", "-p", "detection_interval:=1", "-p", "device:=cpu", "-p", "threads:=1"]
IMAGES = 5  # to compare


@pytest.fixture(scope="module")
def estimator() -> HandEstimator:
    return HandEstimator.load(device="cpu", threads=1)


class Heard:
    """What the node published, by stamp."""

    def __init__(self, world: World) -> None:
        self.joints = world.hear(HandJointsArray, "hands/joints")
        self.mesh = world.hear(HandMeshArray, "hands/mesh")
        self.inter_hand = world.hear(InterHandTransform, "hands/inter_hand")
        self.tf = world.hear(TFMessage, "/tf", QoSProfile(depth=100))

    def stamps(self) -> list[tuple[int, int]]:
        """Of images of which everything has come."""
        stamps = [key(m) for m in self.mesh if any(key(j) == key(m) for j in self.joints)]
        return [stamp for stamp in stamps if self._whole(stamp)]

    def _whole(self, stamp: tuple[int, int]) -> bool:
        seen = len(find(self.mesh, stamp).hands)
        return len(self.transforms(stamp)) == seen and (seen < 2 or find(self.inter_hand, stamp) is not None)

    def transforms(self, stamp: tuple[int, int]) -> dict[str, np.ndarray]:
        """Frames of an image, (4, 4) each."""
        return {
            t.child_frame_id: to_matrix(t.transform) for m in self.tf for t in m.transforms if key(t) == stamp
        }  # fmt: skip

    def agrees_with(self, hands: TwoHands, stamp: tuple[int, int], frames: HandFrames) -> int:
        """Hold everything of an image against the estimator's own answer; how many hands there are."""
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
def node(world: World, tmp_path: Path) -> Iterator[HandsProcess]:
    """Not yet configured; ended by the test, or after it."""
    node = HandsProcess(world, tmp_path / "log", "bundled", *EXACT)
    yield node
    node.process.kill()


def test_demo_camera_at_30_hz(world, node, estimator, tmp_path):
    """Outputs arrive with their images' stamps, and equal the estimator called directly."""
    camera = world.start("-m", "lgnet_ros.demo.camera", log=tmp_path / "camera")
    frames, infos, heard = world.hear(Image, "image"), world.hear(CameraInfo, "camera_info"), Heard(world)
    node.bring_up()

    def compared() -> list[tuple[int, int]]:
        return [stamp for stamp in heard.stamps() if find(frames, stamp) and find(infos, stamp)]

    wait_for(lambda: len(compared()) > IMAGES, "images with their hands", patience=120)
    camera.terminate()
    frames, hands_seen = HandFrames(estimator.hand_model), 0
    for stamp in compared()[-IMAGES:]:
        message = find(frames, stamp)
        assert find(heard.mesh, stamp).header == message.header == find(heard.joints, stamp).header
        info = find(infos, stamp)
        hands = estimator.estimate(decode_image(message), camera_from_info(info, 640, 480, "auto", "/image"))
        hands_seen += heard.agrees_with(hands, stamp, frames)
    assert hands_seen, "the clip shows hands"
    periods = np.diff(sorted(10**9 * s + n for s, n in map(key, frames)))
    assert np.median(periods) == pytest.approx(1e9 / 30, rel=0.1)
    assert node.end() == 0


@pytest.mark.skipif(not BAG.is_file(), reason="the recorded images are not here (../shared/testdata/replay_interhand)")
def test_recorded_images_with_their_own_intrinsics(world, node, estimator):
    """Four real images, of two sizes and four calibrations: each must meet its own."""
    recorded = read_bag(BAG)
    images = world.node.create_publisher(Image, "image", 5)
    infos = world.node.create_publisher(CameraInfo, "camera_info", 5)
    heard = Heard(world)
    node.bring_up()
    wait_for(lambda: images.get_subscription_count() and infos.get_subscription_count())
    wait_for(
        lambda: all(map(world.node.count_publishers, ("/hands/joints", "/hands/mesh", "/hands/inter_hand", "/tf")))
    )
    frames = HandFrames(estimator.hand_model)
    for image, info in recorded:
        images.publish(image)  # before its calibration, as some drivers do
        infos.publish(info)
        wait_for(lambda image=image: key(image) in heard.stamps(), "the hands of a recorded image", patience=120)
        camera = camera_from_info(info, image.width, image.height, "auto", "/image")
        assert isinstance(camera, Camera)
        assert camera.matrix[0, 0] == info.k[0]
        heard.agrees_with(estimator.estimate(decode_image(image), camera), key(image), frames)
    assert node.end() == 0


def read_bag(path: Path) -> list[tuple[Image, CameraInfo]]:
    """Images and their calibrations, by stamp."""
    reader = pytest.importorskip("mcap.reader", reason="pip install mcap to replay recorded images")
    images, infos = {}, {}
    with path.open("rb") as file:
        for schema, _, record in reader.make_reader(file).iter_messages():
            if schema.name == "sensor_msgs/msg/Image":
                message = deserialize_message(record.data, Image)
                images[key(message)] = message
            else:
                message = deserialize_message(record.data, CameraInfo)
                infos[key(message)] = message
    assert len(images) == 4
    return [(images[stamp], infos[stamp]) for stamp in sorted(images)]
