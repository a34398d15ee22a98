"""Which camera_info belongs to which image."""

from __future__ import annotations

import threading
from collections import OrderedDict

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo

KEPT = 16  # messages; a camera's images overtake their calibration by one or two
ASKED = 2  # images in a row that must have had calibrations of their own for the next one to wait
WAIT = 0.25  # seconds; on a busy machine a calibration may come that much later than its image


class CameraInfoCache:
    """The latest messages of a camera_info topic, by stamp.

    A driver publishes an image and its calibration with the same stamp, in either order, so an image's own
    calibration is taken where there is one: with zoom or a moving region of interest the last one would be wrong. A
    calibration that is published now and then (latched, by hand, or at a lower rate) holds for every image until the
    next, and so does the last one for an image whose own is lost.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._by_stamp: OrderedDict[tuple[int, int], CameraInfo] = OrderedDict()
        # The last images that asked, and whether their own came, if too late. While there is none to say that waiting
        # is in vain, one waits: it costs the first image of another kind of camera WAIT seconds.
        self._asked: OrderedDict[tuple[int, int], bool] = OrderedDict()

    def put(self, message: CameraInfo) -> None:
        """Remember a calibration; never waits."""
        key = _key(message.header.stamp)
        with self._changed:
            self._by_stamp.pop(key, None)  # the last put is the last, whatever its stamp
            self._by_stamp[key] = message
            if key in self._asked:
                self._asked[key] = True
            while len(self._by_stamp) > KEPT:
                self._by_stamp.popitem(last=False)
            self._changed.notify_all()

    def find(self, stamp: Time) -> CameraInfo | None:
        """The calibration of the image with this stamp, else the last one; None if none came yet.

        Waits a moment for it where images have had calibrations of their own, so not to be called by the executor.
        """
        key = _key(stamp)
        with self._changed:
            if all(self._asked.values()):
                self._changed.wait_for(lambda: self._comes_no_more(key), WAIT)
            self._asked[key] = key in self._by_stamp
            while len(self._asked) > ASKED:
                self._asked.popitem(last=False)
            own = self._by_stamp.get(key)
            return next(reversed(self._by_stamp.values()), None) if own is None else own

    def _comes_no_more(self, key: tuple[int, int]) -> bool:
        """The calibration with this stamp has come, or that of a later image has, and so this one is lost."""
        return key in self._by_stamp or (bool(self._by_stamp) and next(reversed(self._by_stamp)) > key)


def _key(stamp: Time) -> tuple[int, int]:
    return stamp.sec, stamp.nanosec
