"""Decoding of sensor_msgs/Image to RGB."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lgnet_core.io.images import reduce_to_8_bit
from lgnet_core.messages.encodings import DEPTH_ENCODINGS, ENCODINGS, Encoding, check_size, to_rgb
from lgnet_core.messages.fields import RawImage
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.types import FloatArray, ImageArray

Converter = Callable[[RawImage], "ImageArray | None"]


def decode_raw(message: RawImage, convert: Converter | None = None) -> ImageArray:
    """Decode a message of any supported encoding to RGB.

    An rgb8 image is returned as a view of the message's data, so neither may be written to; others are copies.

    Args:
        convert: is tried first on a valid message, and returns None for those that it cannot convert.

    Shapes:
        returns (H, W, 3) uint8; rows need not be contiguous.

    Raises:
        InvalidMessageError: see :data:`lgnet_core.messages.invalid_message.REASONS`.
    """
    encoding = _validate(message, ENCODINGS)
    converted = None if convert is None else convert(message)
    return _decode(message, encoding) if converted is None else converted


def decode_depth(message: RawImage) -> FloatArray:
    """Decode a depth image: 16-bit millimetres or 32-bit metres.

    Shapes:
        returns (H, W) float32 metres; 0, NaN or infinite where nothing was measured.

    Raises:
        InvalidMessageError: see :data:`lgnet_core.messages.invalid_message.REASONS`.
    """
    encoding = _validate(message, DEPTH_ENCODINGS)
    kind = ">" if message.is_bigendian else "<"
    if encoding.bits == 16:
        return _samples(message, encoding).view(f"{kind}u2") * np.float32(1e-3)
    return _samples(message, encoding).view(f"{kind}f4").astype(np.float32)


def _samples(message: RawImage, encoding: Encoding) -> ImageArray:
    """The bytes of each data row, without padding."""
    rows, row_bytes = message.height * encoding.rows_per_two // 2, message.width * encoding.samples * encoding.bits // 8
    return np.frombuffer(message.data, np.uint8).reshape(rows, message.step)[:, :row_bytes]


def _decode(message: RawImage, encoding: Encoding) -> ImageArray:
    samples = _samples(message, encoding)
    if encoding.bits == 16:
        samples = reduce_to_8_bit(samples.view(">u2" if message.is_bigendian else "<u2"))
    if encoding.samples > 1:
        samples = samples.reshape(len(samples), message.width, encoding.samples)
    return to_rgb(samples, encoding.to_rgb)


def _validate(message: RawImage, encodings: Mapping[str, Encoding]) -> Encoding:
    """Return the encoding of a message after checking size, step and data length against it."""
    encoding = encodings.get(message.encoding)
    if encoding is None:
        raise InvalidMessageError(
            "image_encoding",
            f"encoding {message.encoding!r} is not supported; publish one of {', '.join(encodings)}",
        )
    width, height, step = message.width, message.height, message.step
    check_size(width, height)
    if width % encoding.divisor[0] or height % encoding.divisor[1]:
        raise InvalidMessageError(
            "image_size",
            f"image of {width}x{height} pixels in {message.encoding}, whose chroma is subsampled: "
            f"width and height must be multiples of {encoding.divisor[0]} and {encoding.divisor[1]}",
        )
    row_bytes = width * encoding.samples * encoding.bits // 8
    if step < row_bytes:
        raise InvalidMessageError(
            "image_step",
            f"step is {step} bytes, but a row of {width} pixels in {message.encoding} has {row_bytes}; fix the camera "
            "driver",
        )
    expected = step * height * encoding.rows_per_two // 2
    if len(message.data) != expected:
        raise InvalidMessageError(
            "image_data",
            f"{len(message.data)} bytes of data, but {height} rows with a step of {step} bytes ({message.encoding}) "
            f"need {expected}; fix the camera driver",
        )

    return encoding
