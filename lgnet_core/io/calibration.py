"""Camera calibration files in the YAML format of ROS's camera_calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lgnet_core.io.files import InputError, read_bytes
from lgnet_core.types import Camera, FloatArray

_PINHOLE_MODELS = frozenset({"plumb_bob", "rational_polynomial"})


def read_camera(path: str | Path) -> Camera:
    """Read a camera from the YAML file that ROS's camera_calibration writes (``image_width``, ``camera_matrix``, ...).

    Raises:
        InputError: if the file is missing, is not such a YAML file, or does not describe a calibrated pinhole camera.
    """
    path = Path(path)
    data = read_bytes(path)
    try:
        content = yaml.safe_load(data.decode("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{path}: is not YAML ({first}); pass the file written by ROS's camera_calibration") from error
    if not isinstance(content, dict) or "camera_matrix" not in content:
        raise InputError(
            f"{path}: is not a camera calibration file; ROS's camera_calibration writes files with image_width: 640, "
            "image_height: 480, camera_matrix: {data: [fx, 0, cx, 0, fy, cy, 0, 0, 1]}"
        )
    model = content.get("distortion_model", "plumb_bob")
    if model not in _PINHOLE_MODELS:
        raise InputError(
            f"{path}: distortion_model {model!r} is not supported; rectify the images and pass the rectified camera, "
            f"or calibrate with one of {', '.join(sorted(_PINHOLE_MODELS))}"
        )
    matrix = _read_numbers(content, "camera_matrix", path)
    if matrix.size != 9:
        raise InputError(f"{path}: camera_matrix: data holds {matrix.size} numbers; expected the 9 of K, row by row")
    has_distortion = "distortion_coefficients" in content
    distortion = _read_numbers(content, "distortion_coefficients", path) if has_distortion else np.zeros(0)
    width, height = (_read_integer(content, key, path) for key in ("image_width", "image_height"))
    try:
        return Camera(matrix.reshape(3, 3), width, height, distortion)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def _read_numbers(content: dict[str, Any], key: str, path: Path) -> FloatArray:
    block = content.get(key)
    data = block.get("data") if isinstance(block, dict) else block
    try:
        numbers = np.asarray(data, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        numbers = np.full(1, np.nan)
    if data is None or (numbers.size == 1 and not np.isfinite(numbers[0])):
        raise InputError(f"{path}: {key}: data: [...] is missing or holds no numbers; calibrate the camera again")
    return numbers


def _read_integer(content: dict[str, Any], key: str, path: Path) -> int:
    value = content.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{path}: {key} is {value!r}; expected the image size in whole pixels")
    return value
