"""Decoding of sensor_msgs/CompressedImage (JPEG and PNG, as published by image_transport) to RGB."""

from __future__ import annotations

import cv2
import numpy as np

from lgnet_core.io.image_formats import PNG_SIGNATURE
from lgnet_core.io.image_size import read_image_size
from lgnet_core.io.images import reduce_to_8_bit
from lgnet_core.io.jpeg import SIGNATURE as JPEG_SIGNATURE
from lgnet_core.io.jpeg import complete_jpeg
from lgnet_core.messages.encodings import ENCODINGS, check_size, to_rgb
from lgnet_core.messages.fields import CompressedImage
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.types import FloatArray, ImageArray


def decode_compressed(message: CompressedImage) -> ImageArray:
    """Decode a compressed image to RGB. EXIF orientation is ignored, since the calibration refers to stored pixels.

    The file type is detected from the data. ``format`` is interpreted as by image_transport's subscriber: it marks a
    Bayer mosaic compressed as grayscale (``"bayer_rggb8; jpeg compressed "``) and images whose red and blue channels
    were swapped before compression (``"rgb8; jpeg compressed rgb8"``). Bytes after a JPEG are ignored, and so is a
    missing end marker if the image is complete (:func:`lgnet_core.io.jpeg.complete_jpeg`).

    Shapes:
        returns (H, W, 3) uint8.

    Raises:
        InvalidMessageError: ``image_encoding``, ``image_size``, ``image_compressed``.
    """
    data = bytes(message.data)
    is_jpeg = data.startswith(JPEG_SIGNATURE)
    size = read_image_size(data) if is_jpeg or data.startswith(PNG_SIGNATURE) else None
    if size is None:
        raise _unsupported_format(message.format, len(data))
    check_size(*size)  # before decoding: a few bytes can expand to gigabytes
    complete = complete_jpeg(data) if is_jpeg else data
    pixels = None if complete is None else _decode(complete)
    if pixels is None:
        raise InvalidMessageError(
            "image_compressed",
            f"compressed image ({message.format!r}, {len(data)} bytes) is corrupt or truncated; check the connection "
            "to the camera, and publish with reliable QoS",
        )
    if pixels.dtype == np.uint16:
        pixels = reduce_to_8_bit(pixels)
    encoding, _, compression = message.format.partition(";")
    if pixels.ndim == 2:
        mosaic = encoding.strip() if encoding.startswith("bayer_") else "mono8"
        return to_rgb(pixels, ENCODINGS.get(mosaic, ENCODINGS["mono8"]).to_rgb)
    if pixels.shape[2] == 4:
        return to_rgb(pixels, cv2.COLOR_BGRA2RGB)
    return to_rgb(pixels, None if "compressed rgb" in compression else cv2.COLOR_BGR2RGB)


def _decode(data: bytes) -> FloatArray | None:
    """Decode with OpenCV: (H, W) or (H, W, 3 or 4) in BGR order, uint8 or uint16; None if the data are corrupt."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _unsupported_format(message_format: str, num_bytes: int) -> InvalidMessageError:
    if "compressedDepth" in message_format:
        return InvalidMessageError(
            "image_encoding", f"format {message_format!r} is a depth image; remap image to the colour camera's topic"
        )
    return InvalidMessageError(
        "image_encoding",
        f"format {message_format!r} ({num_bytes} bytes) is neither JPEG nor PNG; publish one of them "
        "(image_transport's `compressed`), or set image_transport to raw",
    )
