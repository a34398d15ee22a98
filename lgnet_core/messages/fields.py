"""Fields of the messages that are read here, as rclpy's classes and those of rosbags have them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class RawImage(Protocol):
    """sensor_msgs/Image; ``data`` is a buffer of bytes."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class CompressedImage(Protocol):
    """sensor_msgs/CompressedImage; ``data`` is a buffer of bytes."""

    format: str
    data: Any


class CameraInfo(Protocol):
    """sensor_msgs/CameraInfo; ``d`` may be an array of the standard library or of NumPy."""

    header: Any
    height: int
    width: int
    distortion_model: str
    d: Any
    k: np.ndarray
    p: np.ndarray
    binning_x: int
    binning_y: int
    roi: Any
