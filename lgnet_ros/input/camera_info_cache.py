"""Cache of recent CameraInfo messages, looked up by the stamp of an image."""

from __future__ import annotations

import threading
from collections import OrderedDict

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo

CACHE_SIZE = 16  # messages; images arrive at most one or two messages ahead of their camera_info
LOOKUP_HISTORY = 2  # consecutive images that must have had their own camera_info for the next one to wait
LOOKUP_TIMEOUT = 0.25  # seconds; on a busy machine camera_info may arrive this much later than its image


class CameraInfoCache:
    """The latest messages of a camera_info topic, by stamp.

    Drivers publish an image and its camera_info with the same stamp, in either order. An image therefore gets the
    message with its own stamp if there is one: with zoom or a moving region of interest the latest could be wrong. A
    calibration published rarely (latched, manually, or at a lower rate) applies to all images until the next one, and
    so does the latest for an image whose own message was lost.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._by_stamp: OrderedDict[tuple[int, int], CameraInfo] = OrderedDict()
        # The latest lookups, and whether the matching message arrived, if only later. Lookups wait while this is empty,
        # which costs the first image LOOKUP_TIMEOUT if the camera does not stamp its camera_info like its images.
        self._lookups: OrderedDict[tuple[int, int], bool] = OrderedDict()

    def put(self, message: CameraInfo) -> None:
        """Store a message without blocking."""
        key = _key(message.header.stamp)
        with self._changed:
            self._by_stamp.pop(key, None)  # ordered by arrival, not by stamp
            self._by_stamp[key] = message
            if key in self._lookups:
                self._lookups[key] = True
            while len(self._by_stamp) > CACHE_SIZE:
                self._by_stamp.popitem(last=False)
            self._changed.notify_all()

    def lookup(self, stamp: Time) -> CameraInfo | None:
        """Return the message with this stamp, otherwise the latest one; None if none was received.

        Waits up to :data:`LOOKUP_TIMEOUT` for the matching message if recent images had one, so it must not be called
        from the executor.
        """
        key = _key(stamp)
        with self._changed:
            if all(self._lookups.values()):
                self._changed.wait_for(lambda: self._is_settled(key), LOOKUP_TIMEOUT)
            self._lookups[key] = key in self._by_stamp
            while len(self._lookups) > LOOKUP_HISTORY:
                self._lookups.popitem(last=False)
            matching = self._by_stamp.get(key)
            return next(reversed(self._by_stamp.values()), None) if matching is None else matching

    def _is_settled(self, key: tuple[int, int]) -> bool:
        """Whether waiting is over: the matching message arrived, or that of a later image, so it was lost."""
        return key in self._by_stamp or (bool(self._by_stamp) and next(reversed(self._by_stamp)) > key)


def _key(stamp: Time) -> tuple[int, int]:
    return stamp.sec, stamp.nanosec
