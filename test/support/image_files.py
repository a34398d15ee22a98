"""Small image files with known content."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def quadrants() -> np.ndarray:
    """(48, 64, 3) RGB image with four uniform quadrants: red, green, blue and grey."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:] = (200, 0, 0), (0, 200, 0)
    image[24:, :32], image[24:, 32:] = (0, 0, 200), (90, 90, 90)
    return image


def write_image(path: Path, image: np.ndarray) -> Path:
    """Write a greyscale, RGB or RGBA image in the format of the file name."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(channels)
    assert cv2.imwrite(str(path), image if code is None else cv2.cvtColor(image, code))
    return path
