"""Conversion of sensor_msgs/CameraInfo to the camera model of one image."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from lgnet_core.geometry.plausibility import implausible_intrinsics
from lgnet_core.io.calibration import Calibration, CalibrationError
from lgnet_core.messages.fields import CameraInfo
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.types import Camera, FloatArray

_REASONS = {"size": "camera_size", "model": "camera_model", "values": "camera_values"}
"""Reason of the rejection by the part of the calibration that cannot be used."""


def camera_from_info(info: CameraInfo, width: int, height: int, camera_model: str, image_topic: str) -> Camera | None:
    r"""Return the camera model of an image, given the calibration of the full sensor.

    Raw images use K and D, rectified images the left 3x3 block of P. Both refer to the full sensor; the image may be a
    region of interest of it (given in unbinned pixels) that is then binned. With pixel centres at integer coordinates,
    sensor coordinate u maps to u' = (u - x_offset + 1/2) / binning_x - 1/2 in the image, because the centre of a binned
    pixel is the mean of the centres of its source pixels. (image_geometry omits the halves and is off by up to half a
    pixel.) ``roi.do_rectify`` has no effect: image_proc rectifies within the same region.

    The fourth column of P (the baseline of a stereo pair) and R are not used: hands are expressed in the frame of the
    image's own header, whose origin CameraInfo defines as the optical centre of this camera, not of the first one.

    Args:
        width, height: of the image, pixels.
        camera_model: value of the parameter: ``raw``, ``rectified`` or ``auto``, see :func:`is_rectified`.
        image_topic: resolved name of the image topic.

    Returns:
        The camera, or None if it is not calibrated: ``K[0]`` is 0, unless the images are rectified and P is not 0. With
        ``auto`` K all zero and P not 0 means rectified images, whatever the topic's name.

    Raises:
        InvalidMessageError: ``camera_size``, ``camera_roi``, ``camera_values``, ``camera_model``.
    """
    rectified = camera_model == "rectified" or (camera_model == "auto" and is_rectified(image_topic))
    calibration = Calibration(
        *(info.width, info.height, np.array(info.k, np.float64).reshape(3, 3), info.distortion_model),
        *(np.array(info.d, np.float64), np.array(info.p, np.float64).reshape(3, 4)),
    )
    try:
        sensor = calibration.camera(rectified or (None if camera_model == "auto" else False))
        if sensor is None:
            return None
        matrix = _sensor_to_image(info, width, height) @ sensor.matrix
        return replace(sensor, matrix=matrix, width=width, height=height)
    except CalibrationError as error:
        remedy = ", or set camera_model to raw" if rectified and error.part == "values" else ""
        raise InvalidMessageError(_REASONS[error.part], f"camera_info: {error}{remedy}") from error
    except InvalidMessageError:
        raise
    except ValueError as error:
        raise InvalidMessageError("camera_values", f"camera_info: {error}") from error


class CameraConverter:
    """Memoised :func:`camera_from_info`: consecutive messages with equal calibration give the same camera object.

    Args:
        image_topic: resolved name of the image topic.

    Attributes:
        warning: what makes the calibration of the last image implausible; empty if it is not.
    """

    def __init__(self, image_topic: str) -> None:
        self.warning = ""
        self._image_topic = image_topic
        self._key: tuple[object, ...] = ()
        self._camera: Camera | None = None

    def convert(self, info: CameraInfo, width: int, height: int, camera_model: str) -> Camera | None:
        """Arguments, result and exceptions as for :func:`camera_from_info`."""
        key = (width, height, camera_model, *calibration_key(info))
        if key != self._key:
            self._camera = camera_from_info(info, width, height, camera_model, self._image_topic)
            self.warning = "" if self._camera is None else _plausibility_warning(info, self._camera)
            self._key = key
        return self._camera


def calibration_key(info: CameraInfo) -> tuple[object, ...]:
    """Content of a message except its header: equal for messages with equal calibration."""
    roi = info.roi
    return (
        *(info.width, info.height, info.distortion_model, info.d.tobytes(), info.k.tobytes(), info.p.tobytes()),
        *(info.binning_x, info.binning_y, roi.x_offset, roi.y_offset, roi.width, roi.height),
    )


def is_rectified(image_topic: str) -> bool:
    """Whether a word of the topic name is ``rect`` or ``rectified``, as in ``/camera/image_rect_color``."""
    return not {"rect", "rectified"}.isdisjoint(re.split(r"[/_]", image_topic))


def _plausibility_warning(info: CameraInfo, camera: Camera) -> str:
    """Text for a calibration that is implausible for the whole sensor; ``camera`` may be a region of it."""
    binning = max(info.binning_x, 1), max(info.binning_y, 1)
    matrix = camera.matrix.copy()
    matrix[:2, 2] += np.divide([info.roi.x_offset, info.roi.y_offset], binning)
    problem = implausible_intrinsics(matrix, info.width / binning[0], info.height / binning[1])
    return problem and (
        f"camera_info is implausible: {problem}. It may be of another resolution or camera, and hands would be at a "
        "wrong distance; calibrate the camera at this resolution"
    )


def _sensor_to_image(info: CameraInfo, width: int, height: int) -> FloatArray:
    """(3, 3) affine transform from full-sensor to image pixels: region of interest, then binning."""
    roi = info.roi
    offset, roi_size = np.array([roi.x_offset, roi.y_offset]), np.array([roi.width, roi.height])
    sensor_size = np.array([info.width, info.height])
    if not offset.any() and not roi_size.any():
        roi_size = sensor_size
    if (roi_size == 0).any() or (offset + roi_size > sensor_size).any():
        raise InvalidMessageError(
            "camera_roi",
            f"camera_info: the region of interest ({roi_size[0]}x{roi_size[1]} pixels at ({offset[0]}, {offset[1]})) "
            f"exceeds the calibrated {sensor_size[0]}x{sensor_size[1]} pixels; set all its values to 0 to disable it",
        )
    binning = np.maximum([info.binning_x, info.binning_y], 1)
    expected = roi_size // binning
    if tuple(expected) != (width, height):
        raise InvalidMessageError(
            "camera_size",
            f"camera_info describes images of {expected[0]}x{expected[1]} pixels ({sensor_size[0]}x{sensor_size[1]} "
            f"before region of interest and binning), but the image has {width}x{height}; use the camera_info topic "
            "of this image, or calibrate at this resolution",
        )
    affine = np.diag([*(1 / binning), 1.0])
    affine[:2, 2] = (0.5 - offset) / binning - 0.5
    return affine
