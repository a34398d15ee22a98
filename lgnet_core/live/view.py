"""What the page shows of one image, whether it comes from this process or over ROS."""

from __future__ import annotations

from dataclasses import dataclass

from lgnet_core.geometry.mesh_distance import ClosestPoints
from lgnet_core.io.images import LoadedImage
from lgnet_core.types import Camera, TwoHands


@dataclass(frozen=True, eq=False)
class LiveView:
    """The hands in one image.

    Args:
        hands: in the camera frame.
        image: None: only the hands are known. Its ``frame`` and ``time`` are set.
        camera: of ``image``.
        closest: the points of the right and the left hand that are closest to each other; None: not computed yet.
        latency: seconds from the acquisition of the image to its hands; NaN: unknown.
    """

    hands: TwoHands
    image: LoadedImage | None
    camera: Camera | None
    closest: ClosestPoints | None
    latency: float
