"""sensor_msgs/CompressedImage to RGB: JPEG and PNG, as image_transport and others publish them."""

from __future__ import annotations

import struct

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from lgnet_core.io.images import is_cut_jpeg, reduce_to_8_bit
from lgnet_core.types import FloatArray
from lgnet_ros.input.encodings import ENCODINGS, check_size, to_rgb
from lgnet_ros.input.invalid_message import InvalidMessageError

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of a frame, of every kind of JPEG
_BARE_MARKERS = frozenset([0x01, *range(0xD0, 0xD9)])  # no length follows
_SCAN_MARKERS = frozenset([0xD9, 0xDA])  # no header follows


def decode_compressed(message: CompressedImage) -> FloatArray:
    """RGB of a compressed image, turned by no EXIF orientation: pixels stay those of the calibration.

    What the data are is read from them. ``format`` tells what image_transport's own subscriber takes from it: a Bayer
    mosaic that was compressed as grey (``"bayer_rggb8; jpeg compressed "``), and red and blue that were exchanged
    before compression (``"rgb8; jpeg compressed rgb8"``).

    Shapes:
        returns (H, W, 3) uint8.

    Raises:
        InvalidMessageError: ``image_encoding``, ``image_size``, ``image_compressed``.
    """
    data = bytes(message.data)
    size = _png_size(data) if data.startswith(_PNG) else _jpeg_size(data) if data.startswith(_JPEG) else None
    if size is None:
        raise _not_a_image(message.format, len(data))
    check_size(*size)  # before decoding: a few bytes can unfold to gigabytes
    pixels = None if is_cut_jpeg(data) else _decode(data)
    if pixels is None:
        raise InvalidMessageError(
            "image_compressed",
            f"compressed image ({message.format!r}, {len(data)} bytes) is damaged or cut short; check the camera's "
            "link, and that the publisher is reliable",
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
    """What OpenCV makes of a file's bytes: (H, W) or (H, W, 3 or 4, BGR order), uint8 or uint16; None if damaged."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _png_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from the header; None if it is damaged."""
    if len(data) < 24 or data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from the header of the frame, found by walking over what stands before it; None if damaged."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker in _SCAN_MARKERS:
            return None
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _BARE_MARKERS:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _not_a_image(description: str, size: int) -> InvalidMessageError:
    if "compressedDepth" in description:
        return InvalidMessageError(
            "image_encoding", f"format {description!r} is a depth image; remap image to the colour camera's topic"
        )
    return InvalidMessageError(
        "image_encoding",
        f"format {description!r}, {size} bytes: neither JPEG nor PNG; publish one of them "
        "(image_transport's `compressed`), or set image_transport to raw",
    )
