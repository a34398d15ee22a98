"""Supported encodings of sensor_msgs/Image and their conversion to 8-bit RGB."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from lgnet_core.inference.context import MAX_SIDE
from lgnet_core.io.images import MIN_SIDE
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.types import ImageArray

MAX_PIXELS = 64_000_000
"""Larger images are rejected, so that a single message cannot exhaust the memory."""


class Encoding(NamedTuple):
    """Memory layout of an encoding.

    Args:
        samples: per pixel of a data row.
        to_rgb: OpenCV colour conversion code of 8-bit samples; None: they are RGB.
        bits: per sample. 16-bit samples are first reduced to 8, see :func:`lgnet_core.io.images.reduce_to_8_bit`:
            since sensors of 10, 12 or 14 bits use 16-bit samples, the scale follows from the highest bit set in the
            image, rounded up to an even number of bits.
        rows_per_two: data rows per two image rows; 3 where chroma planes follow the luma plane.
        divisor: width and height must be multiples of these numbers.
    """

    samples: int
    to_rgb: int | None
    bits: int = 8
    rows_per_two: int = 2
    divisor: tuple[int, int] = (1, 1)


# OpenCV names Bayer patterns by the second row, starting at the second pixel; ROS by the first four pixels.
BAYER = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}

_COLOURS = {
    "rgb": Encoding(3, None),
    "bgr": Encoding(3, cv2.COLOR_BGR2RGB),
    "rgba": Encoding(4, cv2.COLOR_RGBA2RGB),
    "bgra": Encoding(4, cv2.COLOR_BGRA2RGB),
    "mono": Encoding(1, cv2.COLOR_GRAY2RGB),
    **{f"bayer_{pattern}": Encoding(1, code) for pattern, code in BAYER.items()},
}

_UYVY = Encoding(2, cv2.COLOR_YUV2RGB_UYVY, divisor=(2, 1))
_YUYV = Encoding(2, cv2.COLOR_YUV2RGB_YUY2, divisor=(2, 1))

ENCODINGS: dict[str, Encoding] = {
    **{f"{name}8": encoding for name, encoding in _COLOURS.items()},
    **{f"{name}16": encoding._replace(bits=16) for name, encoding in _COLOURS.items()},
    # OpenCV's type names do not state the channel order; their publishers use OpenCV, which is BGR.
    "8UC1": _COLOURS["mono"],
    "8UC3": _COLOURS["bgr"],
    "8UC4": _COLOURS["bgra"],
    "16UC1": _COLOURS["mono"]._replace(bits=16),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": Encoding(1, cv2.COLOR_YUV2RGB_NV12, rows_per_two=3, divisor=(2, 2)),
    "nv21": Encoding(1, cv2.COLOR_YUV2RGB_NV21, rows_per_two=3, divisor=(2, 2)),
}
"""By name, as defined in sensor_msgs/image_encodings.hpp."""

DEPTH_ENCODINGS: dict[str, Encoding] = {
    "16UC1": Encoding(1, None, bits=16),
    "32FC1": Encoding(1, None, bits=32),
}
"""Encodings of depth images: millimetres as integers, metres as floating-point numbers (REP-118)."""


def to_rgb(samples: ImageArray, code: int | None) -> ImageArray:
    """Convert 8-bit samples, (H, W) or (H, W, C), to RGB (H, W, 3) uint8; without a code, return them unchanged."""
    return samples if code is None else np.asarray(cv2.cvtColor(samples, code), np.uint8)


def check_size(width: int, height: int) -> None:
    """Validate an image's size before allocating memory for it.

    Raises:
        InvalidMessageError: ``image_size``.
    """
    if min(width, height) < MIN_SIDE or max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise InvalidMessageError(
            "image_size",
            f"image of {width}x{height} pixels; each side must have {MIN_SIDE} to {MAX_SIDE} pixels and the image "
            f"at most {MAX_PIXELS // 10**6} million; set the camera driver to another resolution",
        )
