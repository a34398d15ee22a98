"""The page of the node: messages of one stamp together, its problems, its sliders, its address."""

from __future__ import annotations

import re
import signal
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lgnet_ros.msg import HandJointsArray, HandMeshArray
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from support.fixed_hands import two_hands
from support.live import CAMERA
from support.ros_domain import HandsProcess, RosDomain
from support.viser_client import ViserClient
from support.waiting import TIMEOUT, wait_for

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.tracking.settings import TrackerSettings
from lgnet_core.types import TwoHands
from lgnet_ros.applications.view import HandsView
from lgnet_ros.demo.camera import to_camera_info
from lgnet_ros.output.messages import to_image, to_joints_array, to_mesh_array, to_qualities
from lgnet_ros.process.arguments import StartupError
from lgnet_ros.qos import output_profile


class ViewHarness:
    """The node ``hands_view``, the topics that it subscribes to, and a tab of its page."""

    def __init__(self, ros_domain: RosDomain, hand_model: HandModel, out: Path) -> None:
        self.domain = ros_domain
        self.hands = two_hands(hand_model)
        self.frames = HandFrames(hand_model)
        self.view = HandsView(**options(ros_domain, port=0, out=str(out)))
        ros_domain.executor.add_node(self.view)
        node = ros_domain.node
        kinds = {
            "hands/mesh": HandMeshArray,
            "hands/joints": HandJointsArray,
            "image": Image,
            "camera_info": CameraInfo,
        }
        self.publishers = {topic: node.create_publisher(kind, topic, output_profile()) for topic, kind in kinds.items()}
        for topic, publisher in self.publishers.items():
            wait_for(publisher.get_subscription_count, f"the subscription to {topic}")
        self.tab = ViserClient(self.view._page._server.get_port()).__enter__()
        wait_for(self.view._page._server.get_clients, "the tab")

    def close(self) -> None:
        self.tab.__exit__(None, None, None)
        self.domain.executor.remove_node(self.view)
        self.view.destroy_node()
        for publisher in self.publishers.values():
            self.domain.node.destroy_publisher(publisher)

    def publish(
        self,
        hands: TwoHands,
        *topics: str,
        encoding: str = "rgb8",
        camera_frame: str = "camera",
        joints_of: TwoHands | None = None,
    ) -> None:
        """Publish messages about an image of the present time, in the order of their topics.

        Args:
            camera_frame: frame_id of camera_info. joints_of: other hands for ``hands/joints``.
        """
        header = Header(stamp=self.view.get_clock().now().to_msg(), frame_id="camera")
        poses = self.frames.poses(hands.hands)
        joints_of = joints_of or hands
        info = to_camera_info(CAMERA, "camera")
        info.header = Header(stamp=header.stamp, frame_id=camera_frame)
        image = to_image(np.full((480, 640, 3), 90, np.uint8), header)
        image.encoding = encoding
        messages = {
            "hands/mesh": to_mesh_array(hands, header, 0.0, poses),
            "hands/joints": to_joints_array(joints_of, header, 0.0, poses, to_qualities(joints_of, CAMERA)),
            "image": image,
            "camera_info": info,
        }
        for topic in topics:
            self.publishers[topic].publish(messages[topic])

    def shows(self, hands: TwoHands) -> bool:
        """Whether the meshes of the page are those of the hands."""
        for side, hand in (("right", hands.right), ("left", hands.left)):
            mesh = self.tab.scene[f"/meshes/{side}"]
            if mesh["visible"] != (hand is not None):
                return False
            if hand is not None and (
                mesh["vertices"].size != hand.vertices.size
                or not np.allclose(mesh["vertices"].reshape(-1, 3), hand.vertices, atol=1e-5)
            ):
                return False
        return True


def options(ros_domain: RosDomain, **parameters: object) -> dict:
    """Keyword arguments of the node with parameters."""
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return {"context": ros_domain.context, "use_global_arguments": False, "parameter_overrides": overrides}


@pytest.fixture
def harness(ros_domain: RosDomain, hand_model: HandModel, tmp_path: Path) -> Iterator[ViewHarness]:
    harness = ViewHarness(ros_domain, hand_model, tmp_path)
    yield harness
    harness.close()


ALL = ("camera_info", "image", "hands/mesh", "hands/joints")


@pytest.mark.parametrize("order", [ALL, ("camera_info", "hands/mesh", "hands/joints", "image")])
def test_hands_and_image_of_one_stamp_are_shown(harness: ViewHarness, order: tuple[str, ...]) -> None:
    """Whatever comes first; large images may come after the hands in them."""

    def is_shown() -> bool:
        harness.publish(harness.hands, *order)
        return harness.shows(harness.hands) and harness.tab.scene["/camera/frustum"]["visible"]

    wait_for(is_shown, "hands and image")
    wait_for(lambda: "mm" in harness.tab.scene["/distance/label"]["text"], "the distance")


def test_hands_without_an_image_are_shown(harness: ViewHarness) -> None:
    only_right = replace(harness.hands, left=None, relative_translation=None)

    def is_shown() -> bool:
        harness.publish(only_right, "hands/mesh", "hands/joints")
        return harness.shows(only_right)

    wait_for(is_shown, "the hand")
    assert not harness.tab.scene["/camera/frustum"]["visible"]


def test_an_image_that_cannot_be_decoded_is_a_problem(harness: ViewHarness) -> None:
    def is_named() -> bool:
        harness.publish(harness.hands, *ALL, encoding="secret")
        return any("secret" in text for text in harness.tab.texts()) and harness.shows(harness.hands)

    wait_for(is_named, "the problem beside the hands")
    wait_for(
        lambda: harness.publish(harness.hands, *ALL) or not any("secret" in t for t in harness.tab.texts()), "its end"
    )


@pytest.mark.parametrize("frame", ["camera", "", "other"])
def test_the_calibration_of_another_camera_is_not_used(harness: ViewHarness, frame: str) -> None:
    """Unless one of the two has no frame_id."""

    def is_settled() -> bool:
        harness.publish(harness.hands, *ALL, camera_frame=frame)
        problem = any("belongs to another camera" in text for text in harness.tab.texts())
        frustum = harness.tab.scene.get("/camera/frustum", {}).get("visible", False)
        return harness.shows(harness.hands) and (problem, frustum) == (frame == "other", frame != "other")

    wait_for(is_settled, "the hands, and the image unless its calibration is missing")


def test_different_hands_of_one_stamp_are_a_problem(harness: ViewHarness) -> None:
    """As from two nodes, or from a camera whose stamps stand still; the page goes on."""
    only_right = replace(harness.hands, left=None, relative_translation=None)

    def is_named() -> bool:
        harness.publish(harness.hands, *ALL, joints_of=only_right)
        return any("one stamp have different hands; only one node may" in text for text in harness.tab.texts())

    wait_for(is_named, "the problem")
    wait_for(lambda: harness.publish(only_right, *ALL) or harness.shows(only_right), "the next hands")


def test_silence_is_explained(harness: ViewHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lgnet_ros.applications.view.SILENCE", 0.0)
    wait_for(lambda: any("nothing arrives on /hands/mesh" in text for text in harness.tab.texts()), "the reason")
    harness.domain.node.destroy_publisher(harness.publishers.pop("hands/mesh"))
    wait_for(lambda: any("nobody publishes /hands/mesh" in text for text in harness.tab.texts()), "the reason")


def test_sliders_are_the_parameters_of_the_node(harness: ViewHarness, ros_domain: RosDomain, tmp_path: Path) -> None:
    """They cannot be moved without it."""
    assert harness.tab.element("presence")["disabled"]
    process = HandsProcess(ros_domain, tmp_path / "log", "fixed", "-p", "presence_threshold:=0.3")
    wait_for(lambda: not harness.tab.element("presence")["disabled"], "the node")
    assert harness.tab.element("presence")["value"] == 0.3
    harness.tab.set("detect every", 7)
    wait_for(lambda: harness.view._page.settings.detection_interval == 7, "the slider")
    parameters = process._parameters
    assert parameters.wait_for_services(TIMEOUT)

    def value() -> int:
        future = parameters.get_parameters(["detection_interval"])
        wait_for(future.done, "the parameter")
        return future.result().values[0].integer_value

    wait_for(lambda: value() == 7, "the parameter of the node")
    harness.view._settings.change("presence_threshold", TrackerSettings(presence_threshold=7.0))
    wait_for(lambda: harness.tab.element("presence")["value"] == 0.3, "the value that the node kept")
    assert process.stop() == 0
    wait_for(lambda: harness.tab.element("presence")["disabled"], "the end of the node")


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"host": "192.0.2.1"}, "Parameter host 192.0.2.1: this machine has no such address"),
        ({"port": "many"}, "Parameter "),
    ],
)
def test_wrong_parameters(ros_domain: RosDomain, parameters: dict[str, object], reason: str) -> None:
    with pytest.raises(StartupError, match=reason):
        HandsView(**options(ros_domain, **parameters))


def test_the_program_serves_the_page_until_sigint(ros_domain: RosDomain, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = ros_domain.start("-m", "lgnet_ros.applications.view", "--ros-args", "-p", "port:=0", log=log)
    found = wait_for(
        lambda: re.search(r"Open (http://127\.0\.0\.1:\d+/) in a browser", log.read_text()) or process.poll(),
        "the address",
    )
    assert isinstance(found, re.Match), log.read_text()
    with urllib.request.urlopen(found[1]) as response:
        assert b"<html" in response.read()
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT) == 0, log.read_text()
