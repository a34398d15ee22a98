"""Size of a tracked hand as measured with depth maps, which may be older than the image."""

from __future__ import annotations

from collections import deque

from lgnet_core.inference.assembly import chain_length
from lgnet_core.inference.depth_alignment import interpolate_hand
from lgnet_core.types import WRIST, Hand

HISTORY = 16
"""Images whose hands are kept: half a second at 30 Hz."""

MAX_WEIGHT_COUNT = 15
"""Measurements after which the average of the size forgets older ones."""


MAX_INTERVAL = 0.1
"""Seconds between two depth maps, and from a depth map to an image, over which the depth is continued."""

MAX_SPEED = 3.0
"""Metres per second of a wrist along the optical axis."""


class TrackSize:
    """The size of one track's hand, and its hands in the last images.

    A depth map that is older than the image is compared with the hand as it was then: a hand that moves at 1 m/s is
    5 cm away after 50 ms. From there the measured depth of the wrist is continued at its last speed: it is an order of
    magnitude less noisy than the predicted one.
    """

    def __init__(self) -> None:
        self._hands: deque[tuple[int, Hand]] = deque(maxlen=HISTORY)
        self._length: float | None = None
        self._count = 0
        self._depths: deque[tuple[int, float]] = deque(maxlen=2)

    def add(self, stamp_ns: int, hand: Hand) -> None:
        """Add the placed hand of the next image, before it is scaled."""
        self._hands.append((stamp_ns, hand))

    def hand_at(self, stamp_ns: int) -> Hand:
        """The hand at a time, linearly interpolated between the images; the nearest one if it is beyond them."""
        later_stamp, later = self._hands[-1]
        for stamp, hand in reversed(self._hands):
            if stamp <= stamp_ns:
                interval = later_stamp - stamp
                fraction = min((stamp_ns - stamp) / interval, 1.0) if interval else 1.0
                return interpolate_hand(hand, later, fraction)
            later_stamp, later = stamp, hand
        return later

    def update(self, hand: Hand, factor: float) -> None:
        """Add a measurement: the factor of the placed hand to the depth."""
        length = factor * chain_length(hand.joints)
        self._count = min(self._count + 1, MAX_WEIGHT_COUNT)
        last = length if self._length is None else self._length
        self._length = last + (length - last) / self._count

    def continued(self, depth_stamp_ns: int, depth: float) -> float:
        """Factor of the last added hand to a depth measured at another time, continued at the last speed.

        Without an earlier measurement, or if the time or the speed is implausible, the factor is that of the hand as
        it was then.

        Args:
            depth: of the wrist at ``depth_stamp_ns``, metres.
        """
        stamp_ns, hand = self._hands[-1]
        if self._depths and self._depths[-1][0] == depth_stamp_ns:  # one depth map for several images
            self._depths.pop()
        self._depths.append((depth_stamp_ns, depth))
        (first_stamp, first), age = self._depths[0], (stamp_ns - depth_stamp_ns) / 1e9
        interval = (depth_stamp_ns - first_stamp) / 1e9
        if 0 < interval <= MAX_INTERVAL and 0 < age <= MAX_INTERVAL and abs(depth - first) <= MAX_SPEED * interval:
            return (depth + (depth - first) / interval * age) / float(hand.joints[WRIST, 2])
        return depth / float(self.hand_at(depth_stamp_ns).joints[WRIST, 2])

    def factor(self, hand: Hand) -> float | None:
        """Factor of a placed hand to the size measured so far; None if there is none."""
        return None if self._length is None else self._length / chain_length(hand.joints)
