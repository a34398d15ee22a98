"""The encodings of sensor_msgs/Image that hold an image, and how each becomes 8-bit RGB."""

from __future__ import annotations

from typing import NamedTuple

import cv2

from lgnet_core.inference.estimator import LARGEST_SIDE
from lgnet_core.io.images import MIN_SIDE
from lgnet_core.types import FloatArray
from lgnet_ros.input.invalid_message import InvalidMessageError

MAX_PIXELS = 64_000_000
"""Larger images are refused: one message must not take all the memory."""


class Encoding(NamedTuple):
    """How pixels lie in a row.

    Args:
        samples: numbers per pixel of a row.
        to_rgb: OpenCV's conversion of 8-bit samples; None: they are RGB.
        bits: per sample. 16 bits are reduced to 8 first, see :func:`lgnet_core.io.images.reduce_to_8_bit`: a sensor's
            10, 12 or 14 bits come in 16, so the fullest bit found in the image counts, rounded up to an even number.
        halves: rows of data per two rows of the image.
        divisor: width and height must be multiples of it (width, height).
    """

    samples: int
    to_rgb: int | None
    bits: int = 8
    halves: int = 2
    divisor: tuple[int, int] = (1, 1)


# OpenCV names a Bayer pattern by its second row, from the second pixel on; ROS by its first four pixels.
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
    # Names of OpenCV's types say no colour; their producers use OpenCV, whose order is BGR.
    "8UC1": _COLOURS["mono"],
    "8UC3": _COLOURS["bgr"],
    "8UC4": _COLOURS["bgra"],
    "16UC1": _COLOURS["mono"]._replace(bits=16),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": Encoding(1, cv2.COLOR_YUV2RGB_NV12, halves=3, divisor=(2, 2)),
    "nv21": Encoding(1, cv2.COLOR_YUV2RGB_NV21, halves=3, divisor=(2, 2)),
}
"""By the name in the message, as sensor_msgs/image_encodings.hpp has them."""


def to_rgb(samples: FloatArray, code: int | None) -> FloatArray:
    """8-bit samples, (H, W) or (H, W, C), to RGB (H, W, 3) uint8; without a conversion the same array."""
    return samples if code is None else cv2.cvtColor(samples, code)


def check_size(width: int, height: int) -> None:
    """Refuse an image by its size, before anything of that size is made.

    Raises:
        InvalidMessageError: ``image_size``.
    """
    if min(width, height) < MIN_SIDE or max(width, height) > LARGEST_SIDE or width * height > MAX_PIXELS:
        raise InvalidMessageError(
            "image_size",
            f"image of {width}x{height} pixels; each side must have {MIN_SIDE} to {LARGEST_SIDE}, and both together "
            f"{MAX_PIXELS // 10**6} million at most: set the camera driver to another resolution",
        )
