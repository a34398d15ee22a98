"""Depth images become depth maps of the image, or a problem with its remedy."""

from __future__ import annotations

import array
import re

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.geometry.transform_tree import TransformTree
from lgnet_core.types import Camera, DepthMap
from lgnet_ros.input.depth import DepthInput
from lgnet_ros.input.depth_buffer import BUFFER_DURATION, DepthBuffer

CAMERA = Camera(np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]), 64, 48)
MS = 1_000_000


def header(stamp_ns: int = 0, frame: str = "camera") -> Header:
    message = Header(frame_id=frame)
    message.stamp.sec, message.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return message


def depth_image(
    stamp_ns: int = 0, metres: float = 0.5, frame: str = "camera", size=(64, 48), padding: int = 0
) -> Image:
    width, height = size
    rows = np.full((height, width), 1000 * metres, "<u2").view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    return Image(
        header=header(stamp_ns, frame),
        width=width,
        height=height,
        encoding="16UC1",
        step=rows.shape[1],
        data=array.array("B", rows.tobytes()),
    )


def calibration(size=(64, 48), focal: float = 50.0, frame: str = "camera") -> CameraInfo:
    width, height = size
    k = [focal, 0.0, (width - 1) / 2, 0.0, focal, (height - 1) / 2, 0.0, 0.0, 1.0]
    info = CameraInfo(width=width, height=height, k=k)
    info.header.frame_id = frame
    return info


@pytest.fixture
def frames() -> TransformTree:
    return TransformTree()


@pytest.fixture
def depth(frames: TransformTree) -> DepthInput:
    return DepthInput("/depth", "/depth/camera_info", frames)


def lookup(depth: DepthInput, stamp_ns: int = 0, max_age: float = 0.1) -> DepthMap | None:
    return depth.lookup(header(stamp_ns), CAMERA, max_age)


@pytest.mark.parametrize("padding", [0, 6])
def test_registered_depth_in_millimetres(depth, padding):
    depth.put(depth_image(5 * MS, padding=padding))
    found = lookup(depth, 5 * MS)
    assert depth.problem == ""
    assert found.stamp_ns == 5 * MS
    np.testing.assert_allclose(found.metres, np.full((48, 64), 0.5))


@pytest.mark.parametrize("big", [0, 1])
def test_depth_in_metres(depth, big):
    values = np.random.default_rng(0).uniform(0.3, 2, (48, 64)).astype(np.float32)
    values[3, 4] = np.nan
    data = array.array("B", values.astype(">f4" if big else "<f4").tobytes())
    message = Image(header=header(), width=64, height=48, encoding="32FC1", step=256, data=data, is_bigendian=big)
    depth.put(message)
    np.testing.assert_array_equal(lookup(depth).metres, values)


def test_equal_stamps_are_preferred_then_the_nearest(depth):
    for k, metres in enumerate((0.4, 0.5, 0.6)):
        depth.put(depth_image(33 * MS * k, metres))
    assert lookup(depth, 33 * MS).metres[0, 0] == pytest.approx(0.5)
    assert lookup(depth, 45 * MS).metres[0, 0] == pytest.approx(0.5)
    assert lookup(depth, 55 * MS).metres[0, 0] == pytest.approx(0.6)


def test_buffer_keeps_one_duration_and_forgets_older_images():
    buffer, interval = DepthBuffer(), 20 * MS
    assert buffer.nearest(0) is None
    last = round(1.5 * BUFFER_DURATION * 1e9)
    for stamp in range(0, last + 1, interval):
        buffer.put(depth_image(stamp, size=(4, 3)))
    oldest = buffer.nearest(0).header.stamp.nanosec
    assert last - BUFFER_DURATION * 1e9 <= oldest < last - BUFFER_DURATION * 1e9 + interval
    again = depth_image(last, 0.9, size=(4, 3))
    buffer.put(again)
    assert buffer.nearest(last) is again  # of equal stamps the latest


def test_buffer_starts_anew_when_the_clock_jumps_back():
    buffer = DepthBuffer()
    buffer.put(depth_image(10_000 * MS))
    buffer.put(depth_image(5 * MS))
    assert buffer.nearest(10_000 * MS).header.stamp.nanosec == 5 * MS


def test_transformed_depth(depth, frames):
    """A depth camera of another size, 10 cm beside the camera and parallel to it, sees a wall."""
    size = (80, 60)
    frames.set("camera", "depth_camera", Pose(np.array([0.1, 0, 0]), np.array([0, 0, 0, 1.0])))
    depth.put_info(calibration(size, 60.0, "depth_camera"))
    depth.put(depth_image(0, 0.8, "depth_camera", size))
    metres = lookup(depth).metres
    assert depth.problem == ""
    assert metres.shape == (48, 64)
    seen = metres > 0
    np.testing.assert_allclose(metres[seen], 0.8, rtol=1e-6)
    # Left border of what the depth camera sees: (u + 0.5 - 40) / 60 * 0.8 + 0.1 m, projected into the image.
    left = 50 * ((-40 / 60) * 0.8 + 0.1) / 0.8 + 31.5
    assert np.flatnonzero(seen[24])[0] == pytest.approx(max(left, 0), abs=1.5)
    assert seen[:, 10:].mean() > 0.95


def test_leading_slashes_in_headers_are_ignored(depth, frames):
    frames.set("camera", "depth_camera", Pose(np.zeros(3), np.array([0, 0, 0, 1.0])))
    depth.put_info(calibration(frame="/depth_camera"))
    depth.put(depth_image(frame="/depth_camera"))
    assert depth.lookup(header(frame="/camera"), CAMERA, 0.1) is not None, depth.problem


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (lambda depth: None, "no depth image received on /depth; start the depth stream, or remap depth"),
        (
            lambda depth: depth.put(depth_image(-300 * MS + 1000 * MS)),
            "is 0.300 s older, depth_max_age is 0.1 s; let the driver synchronise.* or raise depth_max_age$",
        ),
        (
            lambda depth: depth.put(depth_image(1200 * MS)),
            "is 0.200 s newer, .*; depth is kept for 1 s while images wait",
        ),
        (
            lambda depth: depth.put(depth_image(1000 * MS, size=(32, 24))),
            r"/depth is not registered to the image \(32x24 pixels in frame 'camera'\), and no camera_info",
        ),
        (
            lambda depth: (
                depth.put_info(calibration((32, 24))),
                depth.put(depth_image(1000 * MS, 0.5, "d", (32, 24))),
            ),
            "no static transform from the frame of the depth images, 'd', to that of the images, 'camera'",
        ),
        (
            lambda depth: (
                depth.put_info(CameraInfo(width=32, height=24)),
                depth.put(depth_image(1000 * MS, size=(32, 24))),
            ),
            r"the depth camera is not calibrated \(K is zero in /depth/camera_info\)",
        ),
        (
            lambda depth: depth.put(Image(header=header(1000 * MS), width=64, height=48, encoding="rgb8", step=192)),
            "/depth: .*rgb8",
        ),
    ],
    ids=["none", "older", "newer", "not registered", "no transform", "not calibrated", "no depth encoding"],
)
def test_without_depth_the_problem_and_its_remedy_are_known(depth, prepare, problem):
    prepare(depth)
    assert depth.lookup(header(1000 * MS), CAMERA, 0.1) is None
    assert depth.problem.startswith("Depth is not used: ")
    assert re.search(problem, depth.problem), depth.problem
    depth.put_info(calibration())
    depth.put(depth_image(1000 * MS))
    assert depth.lookup(header(1000 * MS), CAMERA, 0.1) is not None
    assert depth.problem == ""
