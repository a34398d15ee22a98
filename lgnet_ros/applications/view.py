"""Node ``hands_view``: the page of ``lgnet live`` for the hands node, on this or another machine, or for a bag.

    ros2 run lgnet_ros hands_view --ros-args -r image:=/camera/color/image_raw

It runs in a process of its own, so that the network never waits for the page.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.validate_topic_name import validate_topic_name
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lgnet_core.io.output import explain
from lgnet_core.live.access import DEFAULT_PORT, LOOPBACK
from lgnet_ros import topics
from lgnet_ros.applications.view_settings import RemoteSettings
from lgnet_ros.applications.view_sync import ViewSync
from lgnet_ros.input.subscription import QoSMatchingSubscription
from lgnet_ros.msg import HandJointsArray, HandMeshArray
from lgnet_ros.parameters.parameter import Parameter, declare
from lgnet_ros.parameters.settings import PARAMETERS as NODE_PARAMETERS
from lgnet_ros.process.arguments import StartupError
from lgnet_ros.process.runner import NodeRunner
from lgnet_ros.qos import output_profile

FRAMES_PER_SECOND = 30.0  # of recordings
MONITOR_PERIOD = 1.0  # seconds
SILENCE = 3.0  # seconds without hands after which the page names the cause

PARAMETERS = (
    Parameter("host", LOOPBACK, "Address of the page; by default only this machine reaches it.", read_only=True),
    Parameter(
        "port",
        DEFAULT_PORT,
        "Port of the page; the next free one if it is taken, 0: any.",
        limits=(0, 65535),
        read_only=True,
    ),
    Parameter("out", "out/live", "Folder for recordings.", read_only=True),
    Parameter("hands_node", "hands", "Name of the hands node, whose parameters the sliders set.", read_only=True),
    *(
        replace(parameter, load_time=False, read_only=True)
        for parameter in NODE_PARAMETERS
        if parameter.name in ("image_transport", "camera_model")
    ),
)
"""The last two are those of the hands node, and have to agree with them."""


class HandsView(Node):
    """Shows ``hands/mesh`` and ``hands/joints`` with ``image`` and its ``camera_info`` in the browser.

    Without the image only the 3D scene is shown. The distance between the hands is computed here, as the node computes
    ``hands/inter_hand``, which would cost the node time. The sliders set the parameters of the hands node.

    Its parameters are :data:`PARAMETERS`.

    Raises:
        StartupError: invalid parameters, or viser is not installed.
    """

    def __init__(self, **options: Any) -> None:
        self._closing = ExitStack()  # of what is open when the node is destroyed, also by a failed construction
        super().__init__("hands_view", **options)
        try:
            from lgnet_core.live.page import HandsPage
            from lgnet_core.live.server import LocalServer
        except ModuleNotFoundError as error:
            raise StartupError(
                f"hands_view needs {error.name}, which is not installed: pip install 'lgnet_ros[live]'"
            ) from error
        try:
            values = declare(self, PARAMETERS)
            hands_node = _checked_name(values["hands_node"])
            server = LocalServer(values["host"], values["port"])
        except ValueError as error:
            raise StartupError(f"Parameter {explain(error)}") from error
        self._closing.callback(server.stop)
        compressed = values["image_transport"] == "compressed"
        logger = self.get_logger()
        self._settings = RemoteSettings(self, self.resolve_service_name(hands_node), self._on_settings, logger.warning)
        image_topic = self.resolve_topic_name(topics.IMAGE) + ("/compressed" if compressed else "")
        title = f"{self.resolve_topic_name(topics.MESH)}, {image_topic}"
        out = Path(values["out"])
        self._page = HandsPage(server, title, out, FRAMES_PER_SECOND, logger.info, self._settings.change)
        self._closing.callback(self._page.stop)
        self._page.controls.enable(False)
        self._sync = ViewSync(self.get_clock(), image_topic, values["camera_model"], self._page.put, self._set_problem)
        self._problem = ""
        for kind, topic, callback in (
            (HandMeshArray, topics.MESH, self._sync.add_mesh),
            (HandJointsArray, topics.JOINTS, self._sync.add_joints),
        ):
            self.create_subscription(kind, topic, callback, output_profile())
        info_topic = topics.camera_info_topic(self)
        self._inputs = [
            QoSMatchingSubscription(self, CameraInfo, info_topic, "auto", self._sync.add_camera_info),
            QoSMatchingSubscription(
                self, CompressedImage if compressed else Image, image_topic, "auto", self._sync.add_image
            ),
        ]
        self.create_timer(MONITOR_PERIOD, self._monitor, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._monitor()
        logger.info(f"Open {server.url} in a browser")
        if server.warning:
            logger.warning(server.warning)

    def destroy_node(self) -> None:
        """Finish a recording and close the page, then destroy the node."""
        self._closing.close()
        super().destroy_node()

    def _monitor(self) -> None:
        for subscription in self._inputs:
            subscription.update()
        self._settings.update()
        if self._sync.silence > SILENCE:
            self._set_problem(self._explain_silence())

    def _explain_silence(self) -> str:
        topic = self.resolve_topic_name(topics.MESH)
        if not self.count_publishers(topic):
            return f"nobody publishes {topic}: start lgnet-hands or hands.launch.py, or play a bag"
        return f"nothing arrives on {topic}: the node gets no calibrated images, or is not active; see its log"

    def _on_settings(self, settings: Any) -> None:
        """The node's parameters, or None while it cannot be reached."""
        self._page.controls.enable(settings is not None)
        if settings is not None:
            self._page.controls.show(settings)

    def _set_problem(self, text: str) -> None:
        """Show a problem on the page and, once, in the log; empty: there is none any more."""
        if text == self._problem:
            return
        self._problem = text
        self._page.set_problem(text)
        if text:
            self.get_logger().warning(text)


def _checked_name(hands_node: str) -> str:
    try:
        validate_topic_name(hands_node)
    except InvalidTopicNameException as error:
        raise ValueError(f"hands_node: {error}") from error
    return hands_node


def main(args: Sequence[str] | None = None) -> int:
    with NodeRunner(args) as runner:
        return runner.spin([HandsView()])


if __name__ == "__main__":
    sys.exit(main())
