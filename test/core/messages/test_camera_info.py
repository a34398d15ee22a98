"""Tests of the conversion of CameraInfo, compared with points projected step by step: lens, sensor, ROI, binning."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.messages.camera_info import CameraConverter, camera_from_info, is_rectified
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.types import FloatArray

WIDTH, HEIGHT = 640, 480
K = [600.0, 0.0, 322.5, 0.0, 610.0, 238.25, 0.0, 0.0, 1.0]
P = [550.0, 0.0, 330.0, -55.0, 0.0, 550.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
D = [-0.2, 0.05, 0.001, -0.002, 0.01]
POINTS = np.array([[0.1, 0.05, 0.6], [-0.2, 0.1, 0.8], [0.0, 0.0, 0.5], [0.15, -0.2, 1.0]])


def info(**fields: Any) -> CameraInfo:
    defaults = {"width": WIDTH, "height": HEIGHT, "k": K, "p": P, "d": D, "distortion_model": "plumb_bob"}
    return CameraInfo(**(defaults | fields))


def rejection_of(
    message: CameraInfo, width: int = WIDTH, height: int = HEIGHT, model: str = "raw"
) -> InvalidMessageError:
    with pytest.raises(InvalidMessageError) as caught:
        camera_from_info(message, width, height, model, "/image")
    return caught.value


def project_to_sensor(points: FloatArray) -> FloatArray:
    """Pixel coordinates on the full sensor, with lens distortion."""
    return cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.reshape(K, (3, 3)), np.array(D))[0][:, 0]


def test_raw_image_uses_k_and_d() -> None:
    camera = camera_from_info(info(), WIDTH, HEIGHT, "raw", "/image_rect")
    assert camera is not None
    np.testing.assert_allclose(project_distorted(POINTS, camera), project_to_sensor(POINTS), atol=1e-9)
    assert (camera.width, camera.height) == (WIDTH, HEIGHT)


def test_rectified_image_uses_p_without_the_baseline() -> None:
    camera = camera_from_info(info(), WIDTH, HEIGHT, "rectified", "/image")
    assert camera is not None
    np.testing.assert_array_equal(camera.matrix, [[550, 0, 330], [0, 550, 230], [0, 0, 1]])
    assert not camera.distortion.any()


@pytest.mark.parametrize(
    ("topic", "rectified"),
    [
        ("/camera/image_rect", True),
        ("/image_rect_color", True),
        ("/camera/infra1/image_rect_raw", True),
        ("/zed/rgb/color/rect/image", True),
        ("/image_rect/compressed", True),
        ("/left/rectified", True),
        ("/camera/image_raw", False),
        ("/direct/rectangle", False),
        ("/unrectified/image", False),
        ("/image", False),
    ],
)
def test_auto_detects_rectified_topics(topic: str, rectified: bool) -> None:
    assert is_rectified(topic) == rectified
    camera = camera_from_info(info(), WIDTH, HEIGHT, "auto", topic)
    assert camera is not None
    assert camera.matrix[0, 0] == (550 if rectified else 600)


@pytest.mark.parametrize("topic", ["/image", "/image_rect"])
def test_uncalibrated_camera_is_none(topic: str) -> None:
    assert camera_from_info(CameraInfo(), WIDTH, HEIGHT, "auto", topic) is None
    assert camera_from_info(info(k=[0.0] * 9, p=[0.0] * 12), WIDTH, HEIGHT, "auto", topic) is None


@pytest.mark.parametrize("binning", [(1, 1), (2, 2), (4, 2), (0, 3)])
@pytest.mark.parametrize("roi_values", [(0, 0, 0, 0), (0, 0, 640, 480), (101, 50, 320, 240), (7, 3, 333, 477)])
def test_roi_and_binning(roi_values: tuple[int, int, int, int], binning: tuple[int, int]) -> None:
    """The centre of a binned pixel is the mean of the centres of its source pixels."""
    left, top, roi_width, roi_height = roi_values
    roi = RegionOfInterest(x_offset=left, y_offset=top, width=roi_width, height=roi_height, do_rectify=True)
    bx, by = (max(1, b) for b in binning)
    size = ((roi_width or WIDTH) // bx, (roi_height or HEIGHT) // by)
    message = info(roi=roi, binning_x=binning[0], binning_y=binning[1])
    camera = camera_from_info(message, *size, "raw", "/image")
    assert camera is not None
    assert (camera.width, camera.height) == size
    u = np.array([np.arange(k * bx, (k + 1) * bx).mean() + left for k in range(size[0])])  # pixel centres on the sensor
    v = np.array([np.arange(k * by, (k + 1) * by).mean() + top for k in range(size[1])])
    expected = project_to_sensor(POINTS)
    projected = project_distorted(POINTS, camera)
    np.testing.assert_allclose(u[0] + projected[:, 0] * bx, expected[:, 0], atol=1e-9)
    np.testing.assert_allclose(v[0] + projected[:, 1] * by, expected[:, 1], atol=1e-9)
    inside = (projected > 0).all(1) & (projected < np.array(size) - 1).all(1)
    np.testing.assert_allclose(np.interp(projected[inside, 0], np.arange(size[0]), u), expected[inside, 0], atol=1e-9)
    np.testing.assert_allclose(np.interp(projected[inside, 1], np.arange(size[1]), v), expected[inside, 1], atol=1e-9)


def test_roi_and_binning_of_rectified_image() -> None:
    message = info(roi=RegionOfInterest(x_offset=100, y_offset=40, width=400, height=400), binning_x=2, binning_y=2)
    camera = camera_from_info(message, 200, 200, "rectified", "/image")
    assert camera is not None
    np.testing.assert_allclose(camera.matrix, [[275, 0, 114.75], [0, 275, 94.75], [0, 0, 1]])


@pytest.mark.parametrize(
    ("model", "coefficients", "expected"),
    [
        ("plumb_bob", D, D),
        ("plumb_bob", [], []),
        ("plumb_bob", [0.0] * 5, []),
        ("plumb_bob", [0.1, 0.2, 0.0, 0.0, 0.0], [0.1, 0.2, 0.0, 0.0]),
        ("rational_polynomial", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]),
        ("rational_polynomial", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6] + [0.0] * 8, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.0, 0.0]),
        ("", [], []),
        ("None", [], []),
    ],
)
def test_distortion_coefficients_for_opencv(model: str, coefficients: list[float], expected: list[float]) -> None:
    camera = camera_from_info(info(distortion_model=model, d=coefficients), WIDTH, HEIGHT, "raw", "/image")
    assert camera is not None
    np.testing.assert_array_equal(camera.distortion, expected)
    project_distorted(POINTS, camera)


@pytest.mark.parametrize("model", ["equidistant", "fisheye", "kannala_brandt4"])
def test_fisheye_models_are_rejected_unless_rectified(model: str) -> None:
    message = info(distortion_model=model, d=[0.0] * 4)
    rejection = rejection_of(message)
    assert rejection.key == "camera_model"
    assert "image_rect" in str(rejection)
    assert camera_from_info(message, WIDTH, HEIGHT, "rectified", "/image") is not None


@pytest.mark.parametrize("fields", [{"width": 0}, {"height": 0}, {"width": 0, "height": 0}])
def test_a_size_of_zero_is_named(fields: dict[str, int]) -> None:
    """As drivers publish it that read no calibration file; not as a region of interest."""
    rejection = rejection_of(info(**fields))
    assert rejection.key == "camera_size"
    assert "width and height are" in str(rejection)


def test_k_of_zero_with_p_is_a_rectified_camera() -> None:
    message = info(k=[0.0] * 9, d=[])
    for model, topic in (("auto", "/image"), ("auto", "/image_rect"), ("rectified", "/image")):
        camera = camera_from_info(message, WIDTH, HEIGHT, model, topic)
        assert camera is not None
        np.testing.assert_array_equal(camera.matrix, [[550, 0, 330], [0, 550, 230], [0, 0, 1]])
    assert camera_from_info(message, WIDTH, HEIGHT, "raw", "/image") is None


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 9, 13, 15])
def test_other_numbers_of_coefficients_are_rejected(count: int) -> None:
    assert rejection_of(info(d=[0.1] * count)).key == "camera_model"


def test_different_size_is_rejected_with_both_sizes() -> None:
    rejection = rejection_of(info(), 320, 240)
    assert rejection.key == "camera_size"
    assert "640x480" in str(rejection)
    assert "320x240" in str(rejection)


@pytest.mark.parametrize(
    "fields",
    [
        {"roi": RegionOfInterest(x_offset=600, y_offset=0, width=100, height=480)},
        {"roi": RegionOfInterest(x_offset=0, y_offset=0, width=640, height=481)},
        {"roi": RegionOfInterest(x_offset=10, y_offset=10)},
        {"roi": RegionOfInterest(width=100)},
        {"roi": RegionOfInterest(x_offset=2**32 - 1, width=2**32 - 1, height=480)},
    ],
)
def test_roi_outside_the_image_is_rejected(fields: dict[str, Any]) -> None:
    rejection = rejection_of(info(**fields))
    assert rejection.key == "camera_roi"
    assert "region of interest" in str(rejection)


@pytest.mark.parametrize("model", ["raw", "rectified"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -600.0])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 1), (2, 2)])
def test_invalid_intrinsics_are_rejected(row: int, column: int, value: float, model: str) -> None:
    k, p = list(K), list(P)
    k[3 * row + column] = value
    p[4 * row + column] = value
    assert rejection_of(info(k=k if model == "raw" else K, p=p), model=model).key == "camera_values"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_principal_point_must_be_finite(value: float) -> None:
    assert rejection_of(info(k=[600.0, 0.0, value, *K[3:]])).key == "camera_values"


def test_rectified_image_requires_p() -> None:
    rejection = rejection_of(info(p=[0.0] * 12), model="rectified")
    assert rejection.key == "camera_values"
    assert "camera_model to raw" in str(rejection)


def test_nan_distortion_is_rejected() -> None:
    assert rejection_of(info(d=[np.nan] * 5)).key == "camera_values"


ANY = st.floats()
SIZE = st.sampled_from([0, 1, 2, 240, 320, 480, 640, 2**32 - 1]) | st.integers(0, 2**32 - 1)


@given(
    k=st.just(K) | st.lists(ANY, min_size=9, max_size=9),
    p=st.just(P) | st.lists(ANY, min_size=12, max_size=12),
    d=st.lists(ANY, max_size=15),
    model=st.sampled_from(["", "plumb_bob", "rational_polynomial", "equidistant"]) | st.text(),
    sizes=st.tuples(*[SIZE] * 10),
    image=st.tuples(st.integers(16, 700), st.integers(16, 500)) | st.just((WIDTH, HEIGHT)),
    camera_model=st.sampled_from(["raw", "rectified", "auto"]),
)
def test_any_calibration_is_converted_or_rejected(
    k: list[float],
    p: list[float],
    d: list[float],
    model: str,
    sizes: tuple[int, ...],
    image: tuple[int, int],
    camera_model: str,
) -> None:
    width, height, left, top, roi_width, roi_height, bx, by, any_width, any_height = sizes
    message = CameraInfo(
        width=width if any_width % 2 else WIDTH,
        height=height if any_height % 2 else HEIGHT,
        k=k,
        p=p,
        d=d,
        distortion_model=model.replace("\0", ""),
        binning_x=bx % 5,
        binning_y=by % 5,
        roi=RegionOfInterest(x_offset=left, y_offset=top, width=roi_width, height=roi_height),
    )
    try:
        camera = camera_from_info(message, *image, camera_model, "/image")
    except InvalidMessageError:
        return
    if camera is None:
        assert k[0] == 0
    else:
        assert np.isfinite(camera.matrix).all()
        assert (camera.width, camera.height) == image


def test_equal_calibrations_are_converted_once() -> None:
    """The same camera is returned if only the header differs, a new one if any relevant field differs."""
    converter = CameraConverter("/image")
    first = converter.convert(info(), WIDTH, HEIGHT, "raw")
    same = info()
    same.header.stamp.sec, same.header.frame_id = 5, "elsewhere"
    assert converter.convert(same, WIDTH, HEIGHT, "raw") is first
    binned = {"binning_x": 2, "binning_y": 2}
    roi = RegionOfInterest(x_offset=8, y_offset=6, width=320, height=240)
    others: list[tuple[CameraInfo, int, int, str]] = [
        (info(k=[601.0, *K[1:]]), WIDTH, HEIGHT, "raw"),
        (info(d=[-0.2, 0.05, 0.001, -0.002, 0.02]), WIDTH, HEIGHT, "raw"),
        (info(), WIDTH, HEIGHT, "rectified"),
        (info(p=[551.0, *P[1:]]), WIDTH, HEIGHT, "rectified"),
        (info(**binned), 320, 240, "raw"),
        (info(roi=roi), 320, 240, "raw"),
        (info(width=1280, height=960, roi=roi), 320, 240, "raw"),
        (info(k=[0.0] * 9), WIDTH, HEIGHT, "raw"),
    ]
    for other in others:
        camera, expected = converter.convert(*other), camera_from_info(*other, "/image")
        if camera is None or expected is None:
            assert camera is expected
            continue
        np.testing.assert_array_equal(camera.matrix, expected.matrix)
        np.testing.assert_array_equal(camera.distortion, expected.distortion)
        assert converter.convert(*other) is camera
    for _ in range(2):  # errors are not cached
        with pytest.raises(InvalidMessageError):
            converter.convert(info(distortion_model="equidistant"), WIDTH, HEIGHT, "raw")
