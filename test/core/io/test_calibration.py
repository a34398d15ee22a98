"""Camera calibration files of ROS's camera_calibration: valid, invalid and unrelated files."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from support.image_files import set_orientation, write_image
from support.paths import ROOT

from lgnet_core.io.calibration import read_camera
from lgnet_core.io.files import InputError
from lgnet_core.io.images import read_image

CAMERA = {
    "image_width": 640,
    "image_height": 480,
    "camera_name": "head",
    "camera_matrix": {"rows": 3, "cols": 3, "data": [600.0, 0, 320, 0, 601, 240, 0, 0, 1]},
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, -0.2, 0.001, 0.002, 0]},
}


def test_read_camera(tmp_path):
    path = tmp_path / "K.yaml"
    path.write_text(yaml.safe_dump(CAMERA))
    camera = read_camera(path)
    assert (camera.width, camera.height) == (640, 480)
    np.testing.assert_array_equal(camera.matrix, [[600, 0, 320], [0, 601, 240], [0, 0, 1]])
    np.testing.assert_array_equal(camera.distortion, [0.1, -0.2, 0.001, 0.002])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera_matrix": {"data": [float("nan")] * 9}}, r"not a valid camera matrix \(NaN or infinity\); calibrate"),
        ({"camera_matrix": {"data": [0.0] * 9}}, "K is zero, so the camera is not calibrated"),
        ({"camera_matrix": {"data": [1.0] * 8}}, "holds 8 numbers; expected the 9 of K"),
        ({"camera_matrix": {"data": "six"}}, "camera_matrix: data: .* holds no numbers"),
        ({"camera_matrix": None}, "camera_matrix: data: .* is missing"),
        ({"image_width": "wide"}, "image_width is 'wide'; expected the image size"),
        ({"image_height": 0}, "width and height are 640 and 0; set them"),
        ({"distortion_model": "equidistant"}, "'equidistant' is not supported; rectify"),
    ],
)
def test_invalid_calibrations_are_rejected(tmp_path, change, message):
    path = tmp_path / "K.yaml"
    path.write_text(yaml.safe_dump(CAMERA | change))
    with pytest.raises(InputError, match=message) as caught:
        read_camera(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["%YAML:1.0\n---\na: !!opencv-matrix {", "just words", "\x00\x01", ""])
def test_files_other_than_calibrations_are_rejected(tmp_path, text):
    path = tmp_path / "K.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"K\.yaml: is"):
        read_camera(path)


def test_other_yaml_files_are_rejected_with_an_example():
    """For example the parameters of the node; the message does not suggest to calibrate again."""
    with pytest.raises(InputError, match=r"is not a camera calibration file; .* camera_matrix: \{data: \[fx") as caught:
        read_camera(ROOT / "config" / "hands.yaml")
    assert "again" not in str(caught.value)


def test_yaml_tags_are_not_executed(tmp_path):
    path = tmp_path / "K.yaml"
    path.write_text(f"!!python/object/apply:os.mkdir ['{tmp_path}/created']")
    with pytest.raises(InputError):
        read_camera(path)
    assert not (tmp_path / "created").exists()


def test_camera_of_an_image_file_is_turned_with_it(tmp_path):
    path, image = tmp_path / "K.yaml", write_image(tmp_path / "a.jpg", np.zeros((480, 640, 3), np.uint8))
    path.write_text(yaml.safe_dump(CAMERA))
    assert read_camera(path, image).width == 640
    turned = read_camera(path, set_orientation(image, 6))
    assert (turned.width, turned.height) == read_image(image).shape[1::-1] == (480, 640)
    np.testing.assert_array_equal(turned.matrix, [[601, 0, 479 - 240], [0, 600, 320], [0, 0, 1]])
    write_image(image, np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(
        InputError, match=r"a\.jpg: the image has 320x240 pixels, but the camera was calibrated for 640"
    ):
        read_camera(path, image)
