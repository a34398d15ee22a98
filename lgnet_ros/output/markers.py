"""Hands to the bytes of a MarkerArray, for RViz.

Each triangle of a TRIANGLE_LIST has three points of its own, 4614 per hand: as a message of Python objects they would
take many milliseconds, as :mod:`lgnet_ros.output.template` has them a tenth of one.
"""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from lgnet_core.types import Side, TwoHands
from lgnet_core.visualization.drawing import SIDE_COLOURS
from lgnet_ros.output.messages import require_metric
from lgnet_ros.output.template import Numbers, Templates, mark, marked_header, stamp_numbers

NAMESPACE = "hands"


class MarkerWriter:
    """Writes one MarkerArray for each image.

    It always holds a marker for each side, right first, with ids 0 and 1 in the namespace ``hands``: a mesh, or its
    deletion where the hand is not seen. So a subscriber that missed a message never keeps a hand that is gone.

    Args:
        lifetime: seconds after which RViz drops a marker; 0: never. May be set at any time.
    """

    def __init__(self, lifetime: float) -> None:
        self.lifetime = lifetime
        self._templates = Templates()

    def write(self, hands: TwoHands, header: Header) -> bytes:
        """A serialised visualization_msgs/MarkerArray, for ``publisher.publish``.

        Raises:
            ValueError: see :func:`lgnet_ros.output.messages.require_metric`.
        """
        require_metric(hands)
        numbers: list[Numbers] = []
        for hand in (hands.right, hands.left):
            numbers += stamp_numbers(header)
            if hand is not None:
                numbers.append((np.float64, hand.vertices[hand.faces]))
        corners = tuple(0 if hand is None else hand.faces.size for hand in (hands.right, hands.left))
        key = (header.frame_id, corners, self.lifetime)
        return self._templates.write(key, numbers, lambda: self._marked(header, corners))

    def _marked(self, header: Header, corners: tuple[int, ...]) -> MarkerArray:
        marked = marked_header(header)
        return MarkerArray(markers=[_marker(side, marked, count, self.lifetime) for side, count in zip(Side, corners)])


def _marker(side: Side, header: Header, corners: int, lifetime: float) -> Marker:
    """``corners``: of all triangles; 0 deletes the marker."""
    red, green, blue = (channel / 255 for channel in SIDE_COLOURS[side])
    seconds, place = int(lifetime), mark(np.float64)
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
        points=[Point(x=place, y=place, z=place)] * corners,
    )
