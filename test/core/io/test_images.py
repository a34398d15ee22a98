"""Images, videos and camera files: every kind a person may hand over is read, or refused with the cure."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from support.paths import ROOT

from lgnet_core.io.images import ImageSource, InputError, LoadedImage, load_image, read_camera
from lgnet_core.types import Camera


@pytest.fixture
def colours() -> np.ndarray:
    """(48, 64, 3) RGB whose four quarters differ: red, green, blue, grey."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32], image[24:, 32:] = (
        (200, 0, 0),
        (0, 200, 0),
        (0, 0, 200),
        (90,) * 3,
    )
    return image


def write(path: Path, rgb: np.ndarray) -> Path:
    code = {2: None, 3: cv2.COLOR_RGB2BGR}.get(rgb.ndim if rgb.ndim == 2 else rgb.shape[2], cv2.COLOR_RGBA2BGRA)
    assert cv2.imwrite(str(path), rgb if code is None else cv2.cvtColor(rgb, code))
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp", ".jpg"])
def test_colour_images_come_back_as_rgb(tmp_path, colours, suffix):
    loaded = load_image(write(tmp_path / f"a{suffix}", colours))
    assert loaded.image.dtype == np.uint8
    assert not loaded.reduced
    for v, u in ((10, 10), (10, 50), (40, 10), (40, 50)):
        assert np.abs(loaded.image[v, u].astype(int) - colours[v, u]).max() <= 12  # JPEG and WebP lose a little


def test_greyscale_and_alpha(tmp_path, colours):
    grey = load_image(write(tmp_path / "grey.png", colours[..., 0])).image
    assert (grey == colours[..., :1]).all()
    alpha = np.dstack([colours, np.zeros((48, 64), np.uint8)])
    assert (load_image(write(tmp_path / "rgba.png", alpha)).image == colours).all()


def test_palette(tmp_path, colours):
    """A PNG with a palette, written by hand: OpenCV writes none."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    palette, index = np.unique(colours.reshape(-1, 3), axis=0, return_inverse=True)
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in index.reshape(48, 64))
    header = struct.pack(">IIBBBBB", 64, 48, 8, 3, 0, 0, 0)
    parts = [(b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path = tmp_path / "palette.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*p) for p in parts))
    assert (load_image(path).image == colours).all()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_16_bit_files_keep_their_brightness_whatever_the_sensor(tmp_path, colours, bits):
    deep = colours.astype(np.uint16) << (bits - 8)
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), deep[..., ::-1])
    assert (load_image(path).image == colours).all()


def test_float_images_are_refused(tmp_path):
    path = tmp_path / "float.tiff"
    cv2.imwrite(str(path), np.zeros((32, 32, 3), np.float32))
    with pytest.raises(InputError, match=r"float\.tiff: holds float32 values; save it with 8 or 16 bits"):
        load_image(path)


@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_applied(tmp_path, colours, orientation, turned):
    """6 means: turn by 90 degrees clockwise to see it upright."""
    path = write(tmp_path / "exif.jpg", colours)
    jpeg = path.read_bytes()
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0])
    tiff = b"II*\x00\x08\x00\x00\x00\x01\x00" + entry + b"\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    upright = np.rot90(colours, turned)
    got = load_image(path)
    assert got.image.shape == upright.shape
    assert (got.height, got.width) == upright.shape[:2]
    assert np.abs(got.image.astype(int) - upright).mean() < 4


def test_bad_files_say_what_where_and_the_cure(tmp_path, colours):
    good = write(tmp_path / "good.jpg", np.kron(colours, np.ones((8, 8, 1), np.uint8)))
    png = write(tmp_path / "good.png", colours)
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:-200])
    (tmp_path / "cut.png").write_bytes(png.read_bytes()[:-40])
    (tmp_path / "text.png").write_text("not an image")
    write(tmp_path / "dot.png", colours[:1, :1])
    for name, message in {
        "missing.png": "no such file; check the path",
        "empty.png": r"is empty \(0 bytes\); copy or record it again",
        "cut.jpg": "is cut short .* copy or download it again",
        "cut.png": "is cut short .* copy or download it again",
        "text.png": "is not an image that can be read.*; save it as one of",
        "dot.png": "has 1x1 pixels; a hand needs an image of at least",
        "": "is a folder, not an image",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            load_image(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_huge_image_is_shrunk_and_says_so(tmp_path):
    path = write(tmp_path / "huge.jpg", np.zeros((9000, 12000), np.uint8))
    loaded = load_image(path)
    assert loaded.reduced
    assert (loaded.width, loaded.height) == (12000, 9000)
    assert loaded.image.shape == (3000, 4000, 3)


def test_camera_and_pixels_follow_a_shrunk_image():
    """A ray meets the shrunk image where its pixel in the file lands."""
    loaded = LoadedImage(np.zeros((50, 100, 3), np.uint8), Path("a.png"), "a", 400, 200)
    camera = Camera(np.array([[500.0, 0, 199.5], [0, 490, 99.5], [0, 0, 1]]), 400, 200, np.array([0.1, 0, 0, 0]))
    small = loaded.camera(camera)
    assert (small.width, small.height) == (100, 50)
    assert (small.distortion == camera.distortion).all()
    rays = np.array([[0.1, -0.05, 1], [-0.3, 0.1, 1]])
    np.testing.assert_allclose(
        loaded.file_pixels((rays @ small.matrix.T)[:, :2]), (rays @ camera.matrix.T)[:, :2], atol=1e-9
    )
    with pytest.raises(InputError, match="400x200 pixels, but the camera was calibrated for 640x480"):
        loaded.camera(Camera(np.eye(3), 640, 480))


def test_folder_yields_errors_in_place_and_goes_on(tmp_path, colours):
    write(tmp_path / "a.png", colours)
    (tmp_path / "b.jpg").write_bytes(b"nonsense")
    write(tmp_path / "c.png", colours)
    write(tmp_path / "c.bmp", colours)
    (tmp_path / "notes.txt").write_text("no image")
    source = ImageSource(tmp_path)
    found = list(source)
    assert len(source) == len(found) == 4
    assert [f.name if isinstance(f, LoadedImage) else "bad" for f in found] == ["a", "bad", "c_bmp", "c_png"]


def test_empty_folder_and_missing_path(tmp_path):
    with pytest.raises(InputError, match="holds no images"):
        ImageSource(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        ImageSource(tmp_path / "nowhere")


@pytest.fixture
def video(tmp_path, colours) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for k in range(12):
        writer.write(np.roll(colours, k, axis=1)[..., ::-1])
    writer.release()
    return path


def test_video_frames(video, colours):
    source = ImageSource(video)
    frames = list(source)
    assert source.is_video
    assert len(source) == len(frames) == 12
    assert source.frames_per_second == pytest.approx(25)
    assert [f.name for f in frames[:2]] == ["clip_000000", "clip_000001"]
    assert np.abs(frames[3].image.astype(int) - np.roll(colours, 3, axis=1)).mean() < 8


def test_a_video_too_small_for_hands_is_told_once(tmp_path):
    path = tmp_path / "tiny.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (8, 8))
    for _ in range(3):
        writer.write(np.zeros((8, 8, 3), np.uint8))
    writer.release()
    (error,) = ImageSource(path)
    assert "has 8x8 pixels" in str(error)


def test_a_video_without_frames_is_told(tmp_path):
    path = tmp_path / "none.avi"
    cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48)).release()
    (error,) = ImageSource(path)
    assert "holds no frame" in str(error)


def test_broken_video(video):
    video.write_bytes(b"RIFF")
    with pytest.raises(InputError, match="cannot be opened as a video"):
        ImageSource(video)


CAMERA = {
    "image_width": 640,
    "image_height": 480,
    "camera_name": "head",
    "camera_matrix": {"rows": 3, "cols": 3, "data": [600.0, 0, 320, 0, 601, 240, 0, 0, 1]},
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, -0.2, 0.001, 0.002, 0]},
}


def test_camera_file(tmp_path):
    path = tmp_path / "K.yaml"
    path.write_text(yaml.safe_dump(CAMERA))
    camera = read_camera(path)
    assert (camera.width, camera.height) == (640, 480)
    np.testing.assert_array_equal(camera.matrix, [[600, 0, 320], [0, 601, 240], [0, 0, 1]])
    np.testing.assert_array_equal(camera.distortion, [0.1, -0.2, 0.001, 0.002, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera_matrix": {"data": [float("nan")] * 9}}, "NaN or infinity; calibrate the camera"),
        ({"camera_matrix": {"data": [0.0] * 9}}, "focal lengths must be positive"),
        ({"camera_matrix": {"data": [1.0] * 8}}, "holds 8 numbers; give the 9 of K"),
        ({"camera_matrix": {"data": "six"}}, "camera_matrix: data: .* holds no numbers"),
        ({"camera_matrix": None}, "camera_matrix: data: .* is missing"),
        ({"image_width": "wide"}, "image_width is 'wide'; give the image's size"),
        ({"image_height": 0}, "size must be positive"),
        ({"distortion_model": "equidistant"}, "'equidistant' is not supported; rectify"),
    ],
)
def test_bad_camera_files(tmp_path, change, message):
    path = tmp_path / "K.yaml"
    path.write_text(yaml.safe_dump(CAMERA | change))
    with pytest.raises(InputError, match=message) as caught:
        read_camera(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["%YAML:1.0\n---\na: !!opencv-matrix {", "just words", "\x00\x01", ""])
def test_files_that_are_no_camera(tmp_path, text):
    path = tmp_path / "K.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"K\.yaml: is"):
        read_camera(path)


def test_a_yaml_of_something_else_is_told_what_a_calibration_is():
    """The node's parameters, say; it is no use to calibrate again."""
    with pytest.raises(InputError, match=r"is no camera calibration file; .* camera_matrix: \{data: \[fx") as caught:
        read_camera(ROOT / "config" / "hands.yaml")
    assert "again" not in str(caught.value)


def test_camera_files_execute_nothing(tmp_path):
    path = tmp_path / "K.yaml"
    path.write_text(f"!!python/object/apply:os.mkdir ['{tmp_path}/made']")
    with pytest.raises(InputError):
        read_camera(path)
    assert not (tmp_path / "made").exists()
