"""What comes from a camera: every message becomes an image, or is refused with a reason."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from lgnet_core.io.images import reduce_to_8_bit
from lgnet_core.types import FloatArray
from lgnet_ros import interop
from lgnet_ros.input.compressed import decode_compressed
from lgnet_ros.input.encodings import ENCODINGS, Encoding, check_size, to_rgb
from lgnet_ros.input.invalid_message import InvalidMessageError


def decode_image(message: Image | CompressedImage) -> FloatArray:
    """RGB of a message, of any encoding that holds an image.

    An rgb8 image is a view of the message's own data, so neither may be written to; every other is made new.

    Shapes:
        returns (H, W, 3) uint8; rows may be further apart than their pixels.

    Raises:
        InvalidMessageError: see :data:`lgnet_ros.input.invalid_message.REASONS`.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed(message)
    encoding = _check(message)
    bridged = interop.image_bridge().to_rgb(message)
    return _decode(message, encoding) if bridged is None else bridged


def _decode(message: Image, encoding: Encoding) -> FloatArray:
    rows, row = message.height * encoding.halves // 2, message.width * encoding.samples * encoding.bits // 8
    samples = np.frombuffer(message.data, np.uint8).reshape(rows, message.step)[:, :row]  # without the padding
    if encoding.bits == 16:
        samples = reduce_to_8_bit(samples.view(">u2" if message.is_bigendian else "<u2"))
    if encoding.samples > 1:
        samples = samples.reshape(rows, message.width, encoding.samples)
    return to_rgb(samples, encoding.to_rgb)


def _check(message: Image) -> Encoding:
    """The encoding of a message whose size, step and data fit each other and it."""
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        raise InvalidMessageError(
            "image_encoding",
            f"encoding {message.encoding!r} holds no image that is known; publish one of {', '.join(ENCODINGS)}",
        )
    width, height, step = message.width, message.height, message.step
    check_size(width, height)
    if width % encoding.divisor[0] or height % encoding.divisor[1]:
        raise InvalidMessageError(
            "image_size",
            f"image of {width}x{height} pixels in {message.encoding}, whose pixels share colours; "
            f"width and height must be multiples of {encoding.divisor[0]} and {encoding.divisor[1]}",
        )
    row = width * encoding.samples * encoding.bits // 8
    if step < row:
        raise InvalidMessageError(
            "image_step",
            f"step is {step} bytes, but a row of {width} pixels in {message.encoding} has {row}; mend the driver",
        )
    expected = step * height * encoding.halves // 2
    if len(message.data) != expected:
        raise InvalidMessageError(
            "image_data",
            f"{len(message.data)} bytes of data, but {height} rows in steps of {step} bytes ({message.encoding}) make "
            f"{expected}; mend the driver",
        )
    return encoding
