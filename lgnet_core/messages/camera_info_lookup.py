"""The camera_info of a recording, looked up by the header of an image."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from lgnet_core.messages.camera_info import calibration_key
from lgnet_core.messages.fields import CameraInfo
from lgnet_core.messages.invalid_message import InvalidMessageError


def stamp_ns(header: Any) -> int:
    """Stamp of a std_msgs/Header, nanoseconds."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


class _OfCamera:
    """The messages that may belong to images of one frame_id."""

    def __init__(self, messages: Sequence[CameraInfo]) -> None:
        self.messages = messages
        self.stamps = [stamp_ns(message.header) for message in messages]
        self.by_stamp = dict(zip(self.stamps, messages))
        self.is_constant = len({calibration_key(message) for message in messages}) == 1


class CameraInfoLookup:
    """The messages of a camera_info topic.

    An image gets the message with its own stamp, or any if all are equal. Otherwise, a calibration that is published
    rarely applies until the next one; where every image has its own, another image's is not used, as in the node.

    Args:
        messages: in the order of the recording.
        num_images: number of images that they belong to.
    """

    def __init__(self, messages: Sequence[CameraInfo], num_images: int) -> None:
        self._messages = list(messages)
        self._by_frame: dict[str, _OfCamera] = {}
        self._one_per_image = 2 * len(self._messages) > num_images

    def lookup(self, header: Any) -> CameraInfo | None:
        """The calibration of the image with this header; None if there is none of its camera.

        Raises:
            InvalidMessageError: ``camera_late``.
        """
        frame_id = header.frame_id
        if frame_id not in self._by_frame:
            of_camera = [m for m in self._messages if not frame_id or m.header.frame_id in (frame_id, "")]
            self._by_frame[frame_id] = _OfCamera(of_camera)
        camera, stamp = self._by_frame[frame_id], stamp_ns(header)
        if not camera.messages:
            return None
        if stamp in camera.by_stamp:
            return camera.by_stamp[stamp]
        if camera.is_constant:
            return camera.messages[0]
        if self._one_per_image:
            raise InvalidMessageError(
                "camera_late",
                "the image's own camera_info is missing, and the calibration varies between images; record both topics "
                "without losses",
            )
        return camera.messages[max(0, bisect_right(camera.stamps, stamp) - 1)]
