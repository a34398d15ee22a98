"""Node ``hands_view``: the page of ``lgnet live`` for the hands node, on this or another machine, or for a bag.

    ros2 run lgnet_ros hands_view --ros-args -r image:=/camera/color/image_raw

It runs in a process of its own, so that the network never waits for the page.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lgnet_core.io.output import explain
from lgnet_ros import topics
from lgnet_ros.applications.view_settings import RemoteSettings
from lgnet_ros.applications.view_sync import ViewSync
from lgnet_ros.input.subscription import QoSMatchingSubscription
from lgnet_ros.msg import HandJointsArray, HandMeshArray
from lgnet_ros.process.arguments import StartupError
from lgnet_ros.process.runner import NodeRunner
from lgnet_ros.qos import output_profile

FRAMES_PER_SECOND = 30.0  # of recordings
MONITOR_PERIOD = 1.0  # seconds
SILENCE = 3.0  # seconds without hands after which the page names the cause


class HandsView(Node):
    """Shows ``hands/mesh`` and ``hands/joints`` with ``image`` and its ``camera_info`` in the browser.

    Without the image only the 3D scene is shown. The distance between the hands is computed here, as the node computes
    ``hands/inter_hand``, which would cost the node time. The sliders set the parameters of the hands node.

    Parameters:
        host, port: of the page, see :class:`lgnet_core.live.server.LocalServer`.
        out: folder for recordings.
        image_transport, camera_model: as those of the hands node.
        hands_node: its name, whose parameters the sliders set.

    Raises:
        StartupError: invalid parameters, or viser is not installed.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("hands_view", **options)
        try:
            from lgnet_core.live.page import HandsPage
            from lgnet_core.live.server import DEFAULT_PORT, LOOPBACK, LocalServer
        except ModuleNotFoundError as error:
            raise StartupError(
                f"hands_view needs {error.name}, which is not installed: pip install 'lgnet_ros[live]'"
            ) from error
        try:
            host, port = str(self._declare("host", LOOPBACK)), int(self._declare("port", DEFAULT_PORT))
            out = Path(str(self._declare("out", "out/live")))
            compressed = self._declare("image_transport", "raw") == "compressed"
            camera_model = str(self._declare("camera_model", "auto"))
            hands_node = self.resolve_service_name(str(self._declare("hands_node", "hands")))
            server = LocalServer(host, port)
        except (ParameterException, ValueError, OverflowError) as error:
            raise StartupError(f"Parameter {explain(error)}") from error
        logger = self.get_logger()
        self._settings = RemoteSettings(self, hands_node, self._on_settings, logger.warning)
        image_topic = self.resolve_topic_name(topics.IMAGE) + ("/compressed" if compressed else "")
        title = f"{self.resolve_topic_name(topics.MESH)}, {image_topic}"
        self._page = HandsPage(server, title, out, FRAMES_PER_SECOND, logger.info, self._settings.change)
        self._page.controls.enable(False)
        self._sync = ViewSync(self.get_clock(), image_topic, camera_model, self._page.put, self._set_problem)
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
        self._page.stop()
        super().destroy_node()

    def _declare(self, name: str, default: str | int) -> Any:
        return self.declare_parameter(name, default).value

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


def main(args: Sequence[str] | None = None) -> int:
    with NodeRunner(args) as runner:
        return runner.spin([HandsView()])


if __name__ == "__main__":
    sys.exit(main())
