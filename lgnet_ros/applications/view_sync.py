"""Brings the meshes, joints and image of one stamp together for the page."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.clock import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lgnet_core.io.images import LoadedImage
from lgnet_core.live.view import LiveView
from lgnet_core.messages.camera_info import CameraConverter
from lgnet_core.types import Camera
from lgnet_ros.input.decode import decode_image
from lgnet_ros.input.hands import to_image_hands
from lgnet_ros.msg import HandJointsArray, HandMeshArray
from lgnet_ros.rate_limit import stamp_to_ns

HISTORY = 30  # messages of each topic: a second, since hands come later than their image
MAX_LATENCY = 10.0  # seconds; more is the age of a bag


class ViewSync:
    """Makes a view of the messages of each stamp. Not thread-safe: for the callbacks of one executor.

    Hands whose image has not come are shown without it when the next ones come.

    Args:
        clock: of the node.
        image_topic: resolved name.
        camera_model: as the parameter of the hands node.
        show: gets each view.
        set_problem: gets what is wrong with an image, and an empty text with the next view.
    """

    def __init__(
        self,
        clock: Clock,
        image_topic: str,
        camera_model: str,
        show: Callable[[LiveView], None],
        set_problem: Callable[[str], None],
    ) -> None:
        self._clock, self._camera_model, self._show, self._set_problem = clock, camera_model, show, set_problem
        self._image_topic = image_topic
        self._cameras = CameraConverter(image_topic)
        self._camera_info: CameraInfo | None = None
        self._meshes: OrderedDict[int, HandMeshArray] = OrderedDict()
        self._joints: OrderedDict[int, HandJointsArray] = OrderedDict()
        self._images: OrderedDict[int, Image | CompressedImage] = OrderedDict()
        self._waiting: int | None = None  # stamp of hands without an image
        self._first: int | None = None
        self._count = 0
        self._last_time = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the last hands."""
        return time.monotonic() - self._last_time

    def add_mesh(self, message: HandMeshArray) -> None:
        self._add(self._meshes, message)

    def add_joints(self, message: HandJointsArray) -> None:
        self._add(self._joints, message)

    def add_image(self, message: Image | CompressedImage) -> None:
        self._add(self._images, message)

    def add_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _add(self, messages: OrderedDict[int, Any], message: Any) -> None:
        stamp = stamp_to_ns(message.header.stamp)
        messages[stamp] = message
        if len(messages) > HISTORY:
            messages.popitem(last=False)
        if stamp not in self._meshes or stamp not in self._joints:
            return
        if stamp in self._images:
            self._make_view(stamp)
            return
        if self._waiting is not None and self._waiting != stamp:
            self._make_view(self._waiting)
        self._waiting = stamp

    def _make_view(self, stamp: int) -> None:
        """Show the hands of a stamp, once."""
        self._waiting = None
        meshes, joints = self._meshes.pop(stamp, None), self._joints.pop(stamp, None)
        if meshes is None or joints is None:
            return
        self._last_time = time.monotonic()
        latency = (self._clock.now().nanoseconds - stamp) / 1e9
        problem = ""
        image, camera = None, None
        try:
            image, camera = self._image(stamp)
        except ValueError as error:
            problem = str(error)
        try:
            hands = to_image_hands(joints, meshes)
        except ValueError as error:
            self._set_problem(f"{error}; only one node may publish them, and each image needs a stamp of its own")
            return
        self._show(LiveView(hands, image, camera, latency if 0 <= latency <= MAX_LATENCY else float("nan")))
        self._set_problem(problem)

    def _image(self, stamp: int) -> tuple[LoadedImage | None, Camera | None]:
        """The image of a stamp and its camera; None unless both are known.

        Raises:
            ValueError: if one of them cannot be used, or they are of different cameras.
        """
        message, info = self._images.pop(stamp, None), self._camera_info
        if message is None or info is None:
            return None, None
        frames = {info.header.frame_id, message.header.frame_id} - {""}
        if len(frames) > 1:
            raise ValueError(
                f"camera_info belongs to another camera: its frame_id is {info.header.frame_id!r}, that of the image "
                f"{message.header.frame_id!r}; remap camera_info"
            )
        pixels = decode_image(message)
        height, width = pixels.shape[:2]
        camera = self._cameras.convert(info, width, height, self._camera_model)
        if camera is None:
            return None, None
        if self._first is None or stamp < self._first:  # also of a bag that starts again
            self._first = stamp
        self._count += 1
        seconds = (stamp - self._first) / 1e9
        path = Path(self._image_topic)
        return LoadedImage(pixels, path, "live", width, height, frame=self._count - 1, time=seconds), camera
