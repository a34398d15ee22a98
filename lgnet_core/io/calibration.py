"""Camera calibrations: their one interpretation, and files in the YAML format of ROS's camera_calibration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from lgnet_core.io.files import InputError, read_bytes
from lgnet_core.io.images import read_size_and_orientation
from lgnet_core.io.orientation import camera_of_upright_image
from lgnet_core.types import DISTORTION_COUNTS, Camera, FloatArray

PINHOLE_MODELS = frozenset({"", "none", "plumb_bob", "rational_polynomial", "thin_prism"})
"""Distortion models in lower case; they differ in the number of coefficients only."""


Part = Literal["size", "model", "values"]


class CalibrationError(ValueError):
    """A calibration that describes no usable camera.

    Args:
        part: what is wrong: the image size, the distortion model or the values of a matrix or of the distortion.
    """

    def __init__(self, part: Part, text: str) -> None:
        super().__init__(text)
        self.part = part


@dataclass(frozen=True, eq=False)
class Calibration:
    """A calibration as sensor_msgs/CameraInfo and the files of camera_calibration hold it.

    Args:
        width, height: of the calibrated images, pixels.
        k: (3, 3) intrinsics of the raw images, pixels; zero: not calibrated.
        model: distortion model, see :data:`PINHOLE_MODELS`.
        d: distortion coefficients of the raw images.
        p: (3, 4) projection of the rectified images; zero: unknown.
    """

    width: int
    height: int
    k: FloatArray
    model: str = ""
    d: FloatArray = field(default_factory=lambda: np.zeros(0))
    p: FloatArray = field(default_factory=lambda: np.zeros((3, 4)))

    def camera(self, rectified: bool | None = None) -> Camera | None:
        """The camera of raw or rectified images.

        Args:
            rectified: None: raw images, unless K is zero and P is not, as drivers of rectified images publish it.

        Returns:
            The camera, or None if it is not calibrated (``k[0, 0]`` is zero, and the images are not rectified).

        Raises:
            CalibrationError: if the calibration cannot be used.
        """
        if rectified is None:
            rectified = not self.k.any() and bool(self.p[:, :3].any())
        if self.k[0, 0] == 0 and not (rectified and self.p[:, :3].any()):
            return None
        name, matrix = ("P", self.p[:, :3]) if rectified else ("K", self.k)
        if not rectified and self.model.strip().lower() not in PINHOLE_MODELS:
            raise CalibrationError(
                "model",
                f"distortion model {self.model!r} is not supported; rectify the images (image_proc) and use the "
                "rectified images (image_rect) with P, or calibrate with one of "
                + ", ".join(sorted(PINHOLE_MODELS - {"", "none"})),
            )
        if not np.isfinite(matrix).all() or (matrix[2] != (0, 0, 1)).any():
            values = ", ".join(f"{value:g}" for value in matrix.flat)
            hint = "" if np.isfinite(matrix).all() else " (NaN or infinity)"
            raise CalibrationError(
                "values", f"{name} = [{values}] is not a valid camera matrix{hint}; calibrate the camera"
            )
        try:
            return Camera(matrix, self.width, self.height, np.zeros(0) if rectified else _shorten(self.d))
        except ValueError as error:
            wrong_count = not rectified and len(self.d) not in DISTORTION_COUNTS
            part: Part = "size" if min(self.width, self.height) <= 0 else "model" if wrong_count else "values"
            raise CalibrationError(part, str(error)) from error


def read_camera(path: str | Path, image: str | Path | None = None) -> Camera:
    """Read a camera from the YAML file that ROS's camera_calibration writes (``image_width``, ``camera_matrix``, ...).

    Args:
        image: an image file of this camera. If its EXIF orientation turns the image, the camera is turned with it.

    Raises:
        InputError: if the file is missing, is not such a YAML file, or does not describe a calibrated pinhole camera;
            if the image cannot be read, or has another size.
    """
    path = Path(path)
    try:
        camera = _read_calibration(path).camera()
    except CalibrationError as error:
        raise InputError(f"{path}: {error}") from error
    if camera is None:
        raise InputError(f"{path}: K is zero, so the camera is not calibrated; calibrate it, or pass no camera")
    if image is None:
        return camera
    size, orientation = read_size_and_orientation(Path(image))
    try:
        return camera_of_upright_image(camera, size, orientation)
    except ValueError as error:
        raise InputError(f"{image}: {error}") from error


def _read_calibration(path: Path) -> Calibration:
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
    optional: dict[str, Any] = {}
    if "distortion_coefficients" in content:
        optional["d"] = _read_numbers(content, "distortion_coefficients", path)
    if "projection_matrix" in content:
        optional["p"] = _read_matrix(content, "projection_matrix", (3, 4), path)
    width, height = (_read_integer(content, key, path) for key in ("image_width", "image_height"))
    matrix = _read_matrix(content, "camera_matrix", (3, 3), path)
    return Calibration(width, height, matrix, str(content.get("distortion_model") or ""), **optional)


def _read_matrix(content: dict[str, Any], key: str, shape: tuple[int, int], path: Path) -> FloatArray:
    numbers, expected = _read_numbers(content, key, path), shape[0] * shape[1]
    if numbers.size != expected:
        name = "K" if key == "camera_matrix" else "P"
        raise InputError(
            f"{path}: {key}: data holds {numbers.size} numbers; expected the {expected} of {name}, row by row"
        )
    return numbers.reshape(shape)


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


def _shorten(coefficients: FloatArray) -> FloatArray:
    """Without trailing zeros as far as OpenCV allows, as fewer coefficients are a simpler model; others unchanged."""
    if len(coefficients) not in DISTORTION_COUNTS:
        return coefficients
    used = int(np.flatnonzero(coefficients).max(initial=-1)) + 1
    return coefficients[: min(n for n in DISTORTION_COUNTS if n >= used)]
