"""Serialised MarkerArray of the hand meshes for RViz.

Each triangle of a TRIANGLE_LIST has its own three points, 4614 per hand. Building them as Python objects takes several
milliseconds, :mod:`lgnet_ros.output.serialization_template` about 0.1 ms.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from lgnet_core.types import Hands, Side
from lgnet_core.visualization.drawing import SIDE_COLOURS
from lgnet_ros.output.messages import require_metric
from lgnet_ros.output.serialization_template import (
    Field,
    TemplateCache,
    placeholder,
    placeholder_header,
    stamp_fields,
)

NAMESPACE = "hands"


class MarkerSerializer:
    """Serialises one MarkerArray per image.

    It always contains one marker per side of each person, right first, with ids 0 and 1 of the first person, 2 and 3 of
    the second and so on in the namespace ``hands``: a mesh, or its deletion if the hand is absent. So a subscriber that
    missed a message never keeps showing a hand that is gone.

    Args:
        lifetime: seconds after which RViz removes a marker; 0: never.
        max_people: number of people.

    Both can be changed at any time.
    """

    def __init__(self, lifetime: float, max_people: int = 1) -> None:
        self.lifetime, self.max_people = lifetime, max_people
        self._templates = TemplateCache()

    def serialize(self, hands: Hands, header: Header) -> bytes:
        """Return a serialised visualization_msgs/MarkerArray for ``publisher.publish``.

        Raises:
            ValueError: see :func:`lgnet_ros.output.messages.require_metric`.
        """
        require_metric(hands)
        fields: list[Field] = []
        present = {hand.key: hand for hand in hands.hands}
        slots = [present.get(key) for key in product(range(self.max_people), Side)]
        for hand in slots:
            fields += stamp_fields(header)
            if hand is not None:
                fields.append((np.float64, hand.vertices[hand.faces]))
        num_points = tuple(0 if hand is None else hand.faces.size for hand in slots)
        key = (header.frame_id, num_points, self.lifetime)
        return self._templates.serialize(key, fields, lambda: self._placeholder_message(header, num_points))

    def _placeholder_message(self, header: Header, num_points: tuple[int, ...]) -> MarkerArray:
        header = placeholder_header(header)
        return MarkerArray(markers=[_marker(k, header, num, self.lifetime) for k, num in enumerate(num_points)])


def _marker(marker_id: int, header: Header, num_points: int, lifetime: float) -> Marker:
    """Marker with placeholder points, three per triangle; without any points it deletes the marker."""
    red, green, blue = (channel / 255 for channel in SIDE_COLOURS[marker_id % len(Side)])
    seconds, number = int(lifetime), placeholder(np.float64)
    return Marker(
        header=header,
        ns=NAMESPACE,
        id=marker_id,
        type=Marker.TRIANGLE_LIST,
        action=Marker.ADD if num_points else Marker.DELETE,
        pose=Pose(orientation=Quaternion(w=1.0)),
        scale=Vector3(x=1.0, y=1.0, z=1.0),
        color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
        lifetime=Duration(sec=seconds, nanosec=round((lifetime - seconds) * 1e9)),
        frame_locked=False,
        points=[Point(x=number, y=number, z=number)] * num_points,
    )
