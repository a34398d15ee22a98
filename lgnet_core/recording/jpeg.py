"""Compression of the images of recordings."""

from __future__ import annotations

import cv2

from lgnet_core.types import ImageArray

QUALITY = 90


def encode_jpeg(image: ImageArray) -> bytes:
    """JPEG file of an RGB image (H, W, 3) uint8."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
