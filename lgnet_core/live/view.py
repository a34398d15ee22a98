"""What the page shows of one image, whether it comes from this process or over ROS."""

from __future__ import annotations

from dataclasses import dataclass

from lgnet_core.io.images import LoadedImage
from lgnet_core.types import Camera, ImageHands


@dataclass(frozen=True, eq=False)
class LiveView:
    """The hands in one image.

    Args:
        hands: in the camera frame.
        image: None: only the hands are known. Its ``frame`` and ``time`` are set.
        camera: of ``image``.
        latency: seconds from the acquisition of the image to its hands; NaN: unknown.
    """

    hands: ImageHands
    image: LoadedImage | None
    camera: Camera | None
    latency: float
