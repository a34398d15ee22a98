"""Cache of recent CameraInfo messages, looked up by the header of an image."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import NamedTuple

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from lgnet_core.messages.camera_info import calibration_key
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_ros.rate_limit import stamp_to_ns

CACHE_SIZE = 64  # messages: two seconds at 30 Hz, since large images can arrive that much later than their camera_info
IMAGE_HISTORY = 64  # images whose camera_info is counted
LOOKUP_TIMEOUT = 0.25  # seconds; on a busy machine camera_info may arrive this much later than its image
MIN_CONSTANT = 3  # equal messages from which on a calibration is regarded as constant
MAX_AGE = 1_000_000_000  # nanoseconds between a camera_info and an image that may be of the same stream


class Calibration(NamedTuple):
    """Result of a lookup.

    Args:
        info: None if there is no calibration of this camera.
        own: whether ``info`` has the stamp of the image.
        borrowed: whether the image should have had its own message, and another image's, which is equal, stands in.
        other_frames: frame_ids of the messages received, if all of them differ from the image's.
    """

    info: CameraInfo | None
    own: bool = False
    borrowed: bool = False
    other_frames: tuple[str, ...] = ()


class _Entry(NamedTuple):
    """A message with its stamp in nanoseconds."""

    stamp: int
    frame_id: str
    message: CameraInfo


class CameraInfoCache:
    """The latest messages of a camera_info topic.

    Drivers publish an image and its camera_info with the same stamp, in either order. An image therefore gets the
    message with its own stamp, and waits for it for a limited time: with zoom or a moving region of interest any other
    could be wrong. If it does not come, another image's stands in only if all recent ones are equal.

    A calibration published rarely (latched, manually, or at a lower rate) applies to all images until the next one.

    Messages whose frame_id differs from the image's belong to another camera and are not used, unless one of the two is
    empty.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._entries: deque[_Entry] = deque(maxlen=CACHE_SIZE)  # by arrival
        self._images: OrderedDict[int, bool] = OrderedDict()  # stamps, and whether a message with that stamp arrived
        self._missed: int | None = None  # stamp of the last image if its own message did not arrive in time

    def put(self, message: CameraInfo) -> None:
        """Store a message without blocking."""
        stamp = stamp_to_ns(message.header.stamp)
        with self._changed:
            self._entries.append(_Entry(stamp, message.header.frame_id, message))
            if stamp in self._images:
                self._images[stamp] = True
            if stamp == self._missed:
                self._missed = None
            self._changed.notify_all()

    def note_image(self, header: Header) -> None:
        """Note that an image arrived, so that the cache learns whether each has its own message. Does not block."""
        stamp = stamp_to_ns(header.stamp)
        with self._changed:
            self._images.setdefault(stamp, any(entry.stamp == stamp for entry in self._entries))
            while len(self._images) > IMAGE_HISTORY:
                self._images.popitem(last=False)

    def forget(self) -> bool:
        """Discard all messages, since their publisher is gone. Return whether there were any."""
        with self._changed:
            had_messages = bool(self._entries)
            self._entries.clear()
            self._images.clear()
            self._missed = None
        return had_messages

    def lookup(self, header: Header) -> Calibration:
        """Return the calibration for the image with this header.

        May wait up to :data:`LOOKUP_TIMEOUT`, so it must not be called from the executor.

        Raises:
            InvalidMessageError: ``camera_late``.
        """
        self.note_image(header)
        stamp = stamp_to_ns(header.stamp)
        with self._changed:
            if self._varies(header) or (self._missed is None and self._one_per_image(header) is not False):
                self._changed.wait_for(lambda: self._is_settled(header, stamp), LOOKUP_TIMEOUT)
            of_camera = self._of_camera(header)
            own = next((entry.message for entry in of_camera if entry.stamp == stamp), None)
            self._missed = stamp if own is None else None
            if own is not None:
                return Calibration(own, own=True)
            if not of_camera:
                frames = tuple(dict.fromkeys(entry.frame_id for entry in self._entries))
                return Calibration(None, other_frames=frames)
            if self._varies(header):
                raise InvalidMessageError(
                    "camera_late",
                    f"the image's own camera_info did not arrive within {LOOKUP_TIMEOUT:g} s, and the calibration of "
                    "other images differs or is not known yet; publish camera_info before its image, with the same "
                    "stamp, and start the camera driver with config/fastdds.xml",
                )
            return Calibration(of_camera[0].message, borrowed=bool(self._one_per_image(header)))

    def _of_camera(self, header: Header) -> list[_Entry]:
        """Messages of the image's camera, the latest first."""
        frame_id = header.frame_id
        return [entry for entry in reversed(self._entries) if not frame_id or entry.frame_id in (frame_id, "")]

    def _is_settled(self, header: Header, stamp: int) -> bool:
        """Whether waiting is over: the image's own message arrived, or that of a later image, so it was lost."""
        of_camera = self._of_camera(header)
        return bool(of_camera) and (of_camera[0].stamp > stamp or any(entry.stamp == stamp for entry in of_camera))

    def _varies(self, header: Header) -> bool:
        """Whether the calibration of one image must not be used for another."""
        if not self._one_per_image(header):
            return False
        of_camera = self._of_camera(header)
        return len(of_camera) < MIN_CONSTANT or len({calibration_key(e.message) for e in of_camera}) > 1

    def _one_per_image(self, header: Header) -> bool | None:
        """Whether the camera publishes a message with the stamp of each image; None if that is not known yet.

        It does if most of the images have one, not counting those whose message may still come.
        """
        of_camera = self._of_camera(header)
        if not of_camera:
            return None
        latest = of_camera[0].stamp
        arrived = [matched for stamp, matched in self._images.items() if matched or stamp < latest]
        if not arrived:  # only their number distinguishes messages of lost images from occasional ones
            return (len(of_camera) > 1 and abs(stamp_to_ns(header.stamp) - latest) < MAX_AGE) or None
        return 2 * sum(arrived) > len(arrived)
