"""Decoding of image messages to RGB arrays."""

from __future__ import annotations

from sensor_msgs.msg import CompressedImage, Image

from lgnet_core.messages.compressed import decode_compressed
from lgnet_core.messages.image import decode_raw
from lgnet_core.types import ImageArray
from lgnet_ros import interop


def decode_image(message: Image | CompressedImage) -> ImageArray:
    """Decode a message of any supported encoding to RGB, with cv_bridge where it works.

    Shapes and exceptions: see :func:`lgnet_core.messages.image.decode_raw`.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed(message)
    return decode_raw(message, interop.image_bridge().to_rgb)
