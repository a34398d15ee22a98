"""The node and the YAML reader accept and refuse the same calibrations, and read the same camera from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from sensor_msgs.msg import CameraInfo

from lgnet_core.io.calibration import read_camera
from lgnet_core.io.files import InputError
from lgnet_core.messages.camera_info import camera_from_info
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.types import Camera

K = [600.0, 0, 322.5, 0, 610, 238.25, 0, 0, 1]
P = [550.0, 0, 330, 0, 0, 550, 230, 0, 0, 0, 1, 0]
ZERO = [0.0] * 9

ACCEPTED = [
    *[("plumb_bob", [0.01] * count, K, P) for count in (0, 4, 5, 8, 12, 14)],
    *[(model, [0.01] * 5, K, P) for model in ("", "none", "None", "Plumb_Bob", "PLUMB_BOB", "rational_polynomial")],
    ("thin_prism", [0.01] * 12, K, P),
    ("Thin_Prism", [0.01] * 12, K, P),
    ("plumb_bob", [0.0] * 14, K, P),
    ("plumb_bob", [0.01] * 5, K, [0.0] * 12),
    ("plumb_bob", [], ZERO, P),
    ("equidistant", [0.01] * 4, ZERO, P),  # the images are rectified
]
REFUSED = [
    *[
        ("plumb_bob", [0.01] * count, K, P, "distortion coefficients; expected 0, 4, 5")
        for count in (1, 2, 3, 6, 7, 13)
    ],
    ("plumb_bob", [0.01] * 15, K, P, "15 distortion coefficients"),
    ("plumb_bob", [0.0] * 6, K, P, "6 distortion coefficients"),
    *[(model, [0.01] * 4, K, P, "rectify the images") for model in ("equidistant", "Equidistant", "fisheye", "radtan")],
    ("plumb_bob", [np.nan] * 5, K, P, "NaN"),
    ("plumb_bob", [], [np.nan, *K[1:]], P, "NaN"),
    ("plumb_bob", [], [-600.0, *K[1:]], P, "focal lengths must be positive"),
    ("plumb_bob", [], [*K[:8], 2.0], P, "not a valid camera matrix"),
    ("plumb_bob", [], [*K[:2], 1e6, *K[3:]], P, "principal point"),
    ("plumb_bob", [], [*K[:2], np.inf, *K[3:]], P, "NaN or infinity"),
    ("plumb_bob", [], ZERO, [0.0] * 12, "not calibrated"),
    ("plumb_bob", [], ZERO, [*P[:2], -1e6, *P[3:]], "principal point"),
]


def read(reader: str, folder: Path, model: str, d: list[float], k: list[float], p: list[float], width: int) -> Camera:
    if reader == "node":
        message = CameraInfo(width=width, height=480, distortion_model=model, d=d, k=k, p=p)
        camera = camera_from_info(message, 640, 480, "auto", "/image")
        if camera is None:
            raise InvalidMessageError("camera_values", "not calibrated")
        return camera
    path = folder / "camera.yaml"
    matrices = {"camera_matrix": k, "distortion_coefficients": d, "projection_matrix": p}
    content: dict[str, object] = {key: {"data": value} for key, value in matrices.items()}
    content |= {"image_width": width, "image_height": 480, "distortion_model": model}
    path.write_text(yaml.safe_dump(content))
    return read_camera(path)


@pytest.mark.parametrize("reader", ["node", "file"])
@pytest.mark.parametrize(("model", "d", "k", "p"), ACCEPTED)
def test_accepted(reader: str, model: str, d: list[float], k: list[float], p: list[float], tmp_path: Path) -> None:
    camera = read(reader, tmp_path, model, d, k, p, 640)
    rectified = k == ZERO
    np.testing.assert_array_equal(camera.matrix, np.reshape(p, (3, 4))[:, :3] if rectified else np.reshape(k, (3, 3)))
    np.testing.assert_array_equal(camera.distortion, d if any(d) and not rectified else [])
    assert (camera.width, camera.height) == (640, 480)


@pytest.mark.parametrize("reader", ["node", "file"])
@pytest.mark.parametrize(("model", "d", "k", "p", "words"), REFUSED)
def test_refused(
    reader: str, model: str, d: list[float], k: list[float], p: list[float], words: str, tmp_path: Path
) -> None:
    with pytest.raises((InputError, InvalidMessageError), match=words):
        read(reader, tmp_path, model, d, k, p, 640)


@pytest.mark.parametrize("reader", ["node", "file"])
def test_a_width_of_zero_is_named(reader: str, tmp_path: Path) -> None:
    with pytest.raises((InputError, InvalidMessageError), match="width and height are 0 and 480; set them"):
        read(reader, tmp_path, "plumb_bob", [], K, P, 0)
