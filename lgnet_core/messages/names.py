"""Names of topics that belong together, and of frames."""

from __future__ import annotations

from lgnet_core.types import Side

CAMERA_INFO = "camera_info"


def camera_info_of(image: str) -> str:
    """Name that image_transport gives the camera_info of an image topic: the one beside it."""
    parent, separator, _ = image.rpartition("/")
    return parent + separator + CAMERA_INFO


def hand_frame_name(prefix: str, side: Side, person: int = 0) -> str:
    """Name of a hand's TF frame: ``<prefix>hand_right``, of further people ``<prefix>hand_right_1`` and so on."""
    return f"{prefix}hand_{side.label}" + (f"_{person}" if person else "")
