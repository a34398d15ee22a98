"""Which camera_info belongs to which picture."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo

KEPT = 16  # messages; a camera's pictures overtake their calibration by one or two
WAIT = 0.25  # seconds; on a busy machine a calibration may come that much later than its picture


class Calibrations:
    """The latest messages of a camera_info topic, by stamp.

    A driver publishes a picture and its calibration with the same stamp, in either order, so a picture's own
    calibration is taken where there is one: with zoom or a moving region of interest the last one would be wrong. A
    calibration that is published now and then (latched, or by hand) holds for every picture until the next.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._by_stamp: OrderedDict[tuple[int, int], CameraInfo] = OrderedDict()
        self._missed: deque[tuple[int, int]] = deque(maxlen=KEPT)  # stamps of pictures that did not find their own
        self._paired = True  # until shown otherwise; costs the first picture of another kind of camera WAIT seconds

    def put(self, message: CameraInfo) -> None:
        """Remember a calibration; never waits."""
        key = _key(message.header.stamp)
        with self._changed:
            self._by_stamp.pop(key, None)  # the last put is the last, whatever its stamp
            self._by_stamp[key] = message
            self._paired |= key in self._missed  # it came too late, but it came: the next one is worth waiting for
            while len(self._by_stamp) > KEPT:
                self._by_stamp.popitem(last=False)
            self._changed.notify_all()

    def find(self, stamp: Time) -> CameraInfo | None:
        """The calibration of the picture with this stamp, else the last one; None if none came yet.

        Waits a moment for it where pictures have had calibrations of their own, so not to be called by the executor.
        """
        key = _key(stamp)
        with self._changed:
            if self._paired:
                self._changed.wait_for(lambda: key in self._by_stamp, WAIT)
            self._paired = key in self._by_stamp
            if self._paired:
                return self._by_stamp[key]
            self._missed.append(key)
            return next(reversed(self._by_stamp.values()), None)


def _key(stamp: Time) -> tuple[int, int]:
    return stamp.sec, stamp.nanosec
