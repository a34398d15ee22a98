"""Detection of image headers with which images can be processed, but TF, tracking or subscribers cannot work."""

from __future__ import annotations

import time
from collections.abc import Callable

from std_msgs.msg import Header

from lgnet_ros.rate_limit import stamp_to_ns

REPEAT_PERIOD = 5.0
"""Seconds within which an event must recur to be a fault: a bag that loops or a clock that is set once is none."""

MAX_STAMP_OFFSET = 10.0
"""Maximum seconds between stamp and clock: as long as tf2 keeps transforms by default."""


class HeaderChecker:
    """Finds faults of image headers, given all images of a topic in the order of their arrival.

    Args:
        clock: monotonic time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: tuple[str, int] | None = None
        self._last_times: dict[str, float] = {}

    def check(self, header: Header, now_ns: int) -> dict[str, str]:
        """Return the faults of the next image: a stable key, and what is wrong with the remedy.

        Args:
            now_ns: current time of the node's clock, nanoseconds; 0 while simulated time was not received.
        """
        frame_id, stamp_ns = header.frame_id, stamp_to_ns(header.stamp)
        last, self._last = self._last, (frame_id, stamp_ns)
        faults = {}
        if not frame_id:
            faults["frame_id_empty"] = (
                "frame_id of the images is empty: no TF is published, and hands have no frame; set the camera "
                "driver's frame_id to the camera's optical frame"
            )
        if stamp_ns == 0:
            faults["stamp_zero"] = (
                "Stamps of the images are zero: neither TF nor other sensors can be related to the hands; set "
                "header.stamp in the camera driver"
            )
        elif now_ns == 0:
            faults["no_clock"] = (
                "use_sim_time is set, but no time is received on /clock; play the bag with --clock, or set "
                "use_sim_time to false"
            )
        elif abs(offset := (stamp_ns - now_ns) / 1e9) > MAX_STAMP_OFFSET:
            faults["stamp_offset"] = (
                f"Stamps of the images are {_describe_duration(abs(offset))} {'ahead of' if offset > 0 else 'behind'} "
                "the node's clock, so that TF cannot relate the hands to other frames; set use_sim_time for bags (ros2 "
                "bag play --clock), otherwise synchronise the clocks of the machines (chrony), or let the camera "
                "driver stamp with ROS time"
            )
        if last is not None and frame_id != last[0]:
            if self._recurs("frame_id_alternates"):
                faults["frame_id_alternates"] = (
                    f"frame_id of the images alternates between {last[0]!r} and {frame_id!r}, and tracking restarts "
                    "with each change: two cameras publish on one topic; remap one of them and start a node for each"
                )
        elif last is not None and stamp_ns < last[1]:
            if self._recurs("stamp_backwards"):
                faults["stamp_backwards"] = (
                    f"Stamps of the images repeatedly go back, last by {(last[1] - stamp_ns) / 1e9:.3f} s, and "
                    "tracking restarts each time; publish images in the order of their stamps, from one camera only"
                )
        elif last is not None and stamp_ns == last[1] != 0 and self._recurs("stamp_constant"):
            faults["stamp_constant"] = (
                "Stamps of the images do not advance: consecutive images have equal stamps, so that speeds cannot be "
                "measured; set header.stamp to the time of acquisition of each image"
            )
        return faults

    def _recurs(self, event: str) -> bool:
        """Note an event, and return whether it also occurred within the last :data:`REPEAT_PERIOD`."""
        now = self._clock()
        last, self._last_times[event] = self._last_times.get(event), now
        return last is not None and now - last <= REPEAT_PERIOD


def _describe_duration(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
