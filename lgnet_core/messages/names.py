"""Names of topics that belong together."""

from __future__ import annotations

CAMERA_INFO = "camera_info"


def camera_info_of(image: str) -> str:
    """Name that image_transport gives the camera_info of an image topic: the one beside it."""
    parent, separator, _ = image.rpartition("/")
    return parent + separator + CAMERA_INFO
