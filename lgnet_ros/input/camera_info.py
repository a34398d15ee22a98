"""sensor_msgs/CameraInfo to the camera of one image."""

from __future__ import annotations

import re

import numpy as np
from sensor_msgs.msg import CameraInfo

from lgnet_core.types import Camera, FloatArray
from lgnet_ros.input.invalid_message import InvalidMessageError

_PINHOLE_MODELS = frozenset({"", "none", "plumb_bob", "rational_polynomial"})
_COEFFICIENTS = (0, 4, 5, 8)
"""Lengths of distortion coefficients that the estimator takes: k1, k2, p1, p2[, k3[, k4, k5, k6]]."""


def camera_from_info(info: CameraInfo, width: int, height: int, camera_model: str, image_topic: str) -> Camera | None:
    r"""The camera of an image, from the calibration of its sensor.

    Raw images are described by K and D, rectified ones by P's left 3x3 part. Both speak of the whole sensor; a
    image may be a region of it (the region of interest, in unbinned pixels), then binned. With pixel centres at
    integers, the pixel u of the sensor is u' = (u - x_offset + 1/2) / binning_x - 1/2 of the image, since the centre
    of the first binned pixel lies in the middle of those it is made of. (image_geometry leaves the halves out, and is
    up to half a pixel beside that.) ``roi.do_rectify`` changes nothing: image_proc rectifies within the same region.

    P's fourth column, the baseline of a stereo pair, is left out: hands stand in the frame of the image's own header,
    whose origin is this camera's optical centre by CameraInfo's definition, not in the first camera's. R likewise.

    Args:
        width, height: of the image, pixels.
        camera_model: the parameter: ``raw``, ``rectified`` or ``auto``, see :func:`is_rectified`.
        image_topic: the image's topic, resolved.

    Returns:
        None if the camera is not calibrated, which K[0] = 0 says.

    Raises:
        InvalidMessageError: ``camera_size``, ``camera_roi``, ``camera_values``, ``camera_model``.
    """
    if info.k[0] == 0:
        return None
    rectified = camera_model == "rectified" or (camera_model == "auto" and is_rectified(image_topic))
    if rectified:
        name, matrix, distortion = "P", np.array(info.p, np.float64).reshape(3, 4)[:, :3], np.zeros(0)
    else:
        name, matrix, distortion = "K", np.array(info.k, np.float64).reshape(3, 3), _distortion(info)
    if not np.isfinite(matrix).all() or (matrix[2] != (0, 0, 1)).any():
        values = ", ".join(f"{value:g}" for value in matrix.flat)
        raise InvalidMessageError(
            "camera_values",
            f"camera_info: {name} = [{values}] is no camera matrix; calibrate the camera"
            + (", or set camera_model to raw" if rectified else ", or publish zeros if it is not calibrated"),
        )
    matrix = _sensor_to_image(info, width, height) @ matrix
    try:
        return Camera(matrix, width, height, distortion)
    except ValueError as error:
        raise InvalidMessageError("camera_values", f"camera_info: {error}") from error


class CameraReader:
    """:func:`camera_from_info` for one image after another: what says the same as the last one is not read again.

    Args:
        image_topic: the images' topic, resolved.
    """

    def __init__(self, image_topic: str) -> None:
        self._image_topic = image_topic
        self._said: tuple[object, ...] = ()
        self._camera: Camera | None = None

    def read(self, info: CameraInfo, width: int, height: int, camera_model: str) -> Camera | None:
        """Args, result and what is raised: as of :func:`camera_from_info`."""
        roi = info.roi
        said = (
            *(width, height, camera_model, info.width, info.height),
            *(info.distortion_model, info.d.tobytes(), info.k.tobytes(), info.p.tobytes()),
            *(info.binning_x, info.binning_y, roi.x_offset, roi.y_offset, roi.width, roi.height),
        )
        if said != self._said:
            self._camera = camera_from_info(info, width, height, camera_model, self._image_topic)
            self._said = said
        return self._camera


def is_rectified(image_topic: str) -> bool:
    """True if a word of the topic's name is ``rect`` or ``rectified``, as in ``/camera/image_rect_color``."""
    return not {"rect", "rectified"}.isdisjoint(re.split(r"[/_]", image_topic))


def _sensor_to_image(info: CameraInfo, width: int, height: int) -> FloatArray:
    """(3, 3) affine, pixels of the whole sensor -> pixels of the image: region of interest, then binning."""
    roi = info.roi
    offset, window = np.array([roi.x_offset, roi.y_offset]), np.array([roi.width, roi.height])
    sensor = np.array([info.width, info.height])
    if not offset.any() and not window.any():
        window = sensor
    if (window == 0).any() or (offset + window > sensor).any():
        raise InvalidMessageError(
            "camera_roi",
            f"camera_info: the region of interest, {window[0]}x{window[1]} pixels at ({offset[0]}, {offset[1]}), is "
            f"not inside of the calibrated {sensor[0]}x{sensor[1]}; set all its values to 0 if there is none",
        )
    binning = np.maximum([info.binning_x, info.binning_y], 1)
    expected = window // binning
    if tuple(expected) != (width, height):
        raise InvalidMessageError(
            "camera_size",
            f"camera_info is of an image of {expected[0]}x{expected[1]} pixels ({sensor[0]}x{sensor[1]} calibrated, "
            f"less region of interest and binning), but the image has {width}x{height}; subscribe to the camera_info "
            "of this image, or calibrate at this resolution",
        )
    affine = np.diag([*(1 / binning), 1.0])
    affine[:2, 2] = (0.5 - offset) / binning - 0.5
    return affine


def _distortion(info: CameraInfo) -> FloatArray:
    """OpenCV's coefficients, as short as they can be."""
    model, coefficients = info.distortion_model, np.array(info.d, np.float64)
    if model.lower() not in _PINHOLE_MODELS:
        raise InvalidMessageError(
            "camera_model",
            f"camera_info: distortion model {model!r} is not supported; rectify the images (image_proc) and "
            "subscribe to image_rect, or calibrate with plumb_bob or rational_polynomial",
        )
    used = int(np.flatnonzero(coefficients).max(initial=-1)) + 1
    if used > _COEFFICIENTS[-1]:
        raise InvalidMessageError(
            "camera_model",
            f"camera_info: {len(coefficients)} distortion coefficients (model {model!r}), but {_COEFFICIENTS[-1]} are "
            "supported; rectify the images (image_proc) and subscribe to image_rect",
        )
    length = min(n for n in _COEFFICIENTS if n >= used)
    return np.pad(coefficients[:used], (0, length - used))
