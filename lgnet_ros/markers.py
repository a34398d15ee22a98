"""Hands to the bytes of a MarkerArray, for RViz.

Each triangle of a TRIANGLE_LIST has three points of its own: 4614 per hand, a Python object each, which take
milliseconds to make and again to serialise. So a message is serialised once, and for each picture the stamp and the
points are written into its bytes, which rclpy publishes as they are.
"""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from rclpy.serialization import serialize_message
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from lgnet_core.drawing import SIDE_COLOURS
from lgnet_core.types import FloatArray, Side, TwoHands
from lgnet_ros.messages import require_metric

NAMESPACE = "hands"

# What stands in a template where stamps and points belong. Bytes of 0xFE and 0xFF are in no UTF-8 text, so no frame_id
# can be taken for them, and no other field of a marker has such values.
_STAMP = Time(sec=-1, nanosec=2**32 - 1)
_STAMP_BYTES = b"\xff" * 8
_PLACE = Point(**dict.fromkeys("xyz", float(np.frombuffer(b"\xfe" * 8, np.float64)[0])))
_PLACE_BYTES = b"\xfe" * 24


class MarkerWriter:
    """Writes one MarkerArray for each picture.

    It always holds a marker for each side, right first, with ids 0 and 1 in the namespace ``hands``: a mesh, or its
    deletion where the hand is not seen. So a subscriber that missed a message never keeps a hand that is gone.

    Args:
        lifetime: seconds after which RViz drops a marker; 0: never. May be set at any time.
    """

    def __init__(self, lifetime: float) -> None:
        self.lifetime = lifetime
        self._key: tuple[object, ...] = ()
        self._template: _Template | None = None

    def write(self, hands: TwoHands, header: Header) -> bytes:
        """A serialised visualization_msgs/MarkerArray, for ``publisher.publish``.

        Raises:
            ValueError: see :func:`lgnet_ros.messages.require_metric`.
        """
        require_metric(hands)
        corners = tuple(0 if hand is None else hand.faces.size for hand in (hands.right, hands.left))
        key = (header.frame_id, corners, self.lifetime)
        if self._template is None or key != self._key:
            self._template, self._key = _Template(header.frame_id, corners, self.lifetime), key
        return self._template.fill(header.stamp, [hand.vertices[hand.faces] for hand in hands.hands])


class _Template:
    """A serialised message, and where in it stamps and points stand.

    Args:
        corners: of the triangles of the right and of the left hand; 0 deletes its marker.
    """

    def __init__(self, frame_id: str, corners: tuple[int, ...], lifetime: float) -> None:
        header = Header(stamp=_STAMP, frame_id=frame_id)
        markers = [_marker(side, header, count, lifetime) for side, count in zip(Side, corners)]
        data: bytes = serialize_message(MarkerArray(markers=markers))
        self._data = np.frombuffer(bytearray(data), np.uint8)
        self._stamps: list[FloatArray] = []
        self._points: list[FloatArray] = []
        at = 0
        for count in corners:
            # Bytes between fields, there to align them, are not set and may have any value, these too.
            at = data.index(_STAMP_BYTES, at)
            at += -at % 4
            self._stamps.append(self._view(at, len(_STAMP_BYTES), np.uint32))
            at += len(_STAMP_BYTES)
            if count:
                run = count * len(_PLACE_BYTES)
                at = data.index(_PLACE_BYTES * count, at)
                while data.startswith(_PLACE_BYTES * count, at + 1):
                    at += 1
                self._points.append(self._view(at, run, np.float64))
                at += run

    def fill(self, stamp: Time, corners: list[FloatArray]) -> bytes:
        """The message of one picture; ``corners``: (F, 3, 3) of each hand that is seen, metres."""
        for place in self._stamps:
            place[:] = (stamp.sec & 0xFFFFFFFF, stamp.nanosec)
        for points, values in zip(self._points, corners):
            points[:] = values.reshape(-1)
        return self._data.tobytes()

    def _view(self, start: int, length: int, dtype: type[np.generic]) -> FloatArray:
        return self._data[start : start + length].view(dtype)


def _marker(side: Side, header: Header, corners: int, lifetime: float) -> Marker:
    red, green, blue = (channel / 255 for channel in SIDE_COLOURS[side])
    seconds = int(lifetime)
    return Marker(
        header=header,
        ns=NAMESPACE,
        id=int(side),
        type=Marker.TRIANGLE_LIST,
        action=Marker.ADD if corners else Marker.DELETE,
        pose=Pose(orientation=Quaternion(w=1.0)),
        scale=Vector3(x=1.0, y=1.0, z=1.0),
        color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
        lifetime=Duration(sec=seconds, nanosec=round((lifetime - seconds) * 1e9)),
        frame_locked=False,
        points=[_PLACE] * corners,
    )
