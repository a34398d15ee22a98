"""Image files: supported formats and bit depths, rejected files, and downscaling."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.image_files import png_chunk, quadrants, set_orientation, write_image

from lgnet_core.io.files import InputError
from lgnet_core.io.image_formats import count_pages
from lgnet_core.io.images import LoadedImage, is_image_file, load_image, read_image, read_size_and_orientation
from lgnet_core.types import Camera

IMAGE = quadrants()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp", ".jpg"])
def test_colour_images_are_read_as_rgb(tmp_path, suffix):
    loaded = load_image(write_image(tmp_path / f"a{suffix}", IMAGE))
    assert loaded.image.dtype == np.uint8
    assert not loaded.downscaled
    for v, u in ((10, 10), (10, 50), (40, 10), (40, 50)):
        assert np.abs(loaded.image[v, u].astype(int) - IMAGE[v, u]).max() <= 12  # JPEG and WebP are lossy


def test_greyscale_is_replicated_and_alpha_dropped(tmp_path):
    grey = load_image(write_image(tmp_path / "grey.png", IMAGE[..., 0])).image
    assert (grey == IMAGE[..., :1]).all()
    alpha = np.dstack([IMAGE, np.zeros((48, 64), np.uint8)])
    assert (load_image(write_image(tmp_path / "rgba.png", alpha)).image == IMAGE).all()


def test_palette_png(tmp_path):
    """Encoded by hand, since OpenCV does not write palettes."""
    palette, index = np.unique(IMAGE.reshape(-1, 3), axis=0, return_inverse=True)
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in index.reshape(48, 64))
    header = struct.pack(">IIBBBBB", 64, 48, 8, 3, 0, 0, 0)
    parts = [(b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path = tmp_path / "palette.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*p) for p in parts))
    assert (load_image(path).image == IMAGE).all()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_16_bit_files_are_scaled_by_their_bit_depth(tmp_path, bits):
    image_16_bit = IMAGE.astype(np.uint16) << (bits - 8)
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), image_16_bit[..., ::-1])
    assert (load_image(path).image == IMAGE).all()


def test_float_images_are_rejected(tmp_path):
    path = tmp_path / "float.tiff"
    cv2.imwrite(str(path), np.zeros((32, 32, 3), np.float32))
    with pytest.raises(InputError, match=r"float\.tiff: has float32 pixels; save it with 8 or 16 bits"):
        load_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize(("orientation", "quarter_turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_applied(tmp_path, suffix, orientation, quarter_turns):
    """Orientation 6: rotate by 90 degrees clockwise for display."""
    path = set_orientation(write_image(tmp_path / f"exif{suffix}", IMAGE), orientation)
    upright = np.rot90(IMAGE, quarter_turns)
    loaded = load_image(path)
    assert loaded.image.shape == upright.shape
    assert (loaded.height, loaded.width) == upright.shape[:2]
    assert np.abs(loaded.image.astype(int) - upright).mean() < 4
    assert read_size_and_orientation(path) == ((loaded.width, loaded.height), orientation)


def test_the_camera_is_turned_with_the_image(tmp_path):
    """K of an image lying on its side, and of one upside down, which has the calibrated size."""
    camera = Camera(np.array([[50.0, 0, 20], [0, 60, 30], [0, 0, 1]]), 64, 48)
    for orientation, size, matrix in (
        (6, (48, 64), [[60, 0, 17], [0, 50, 20], [0, 0, 1]]),
        (3, (64, 48), [[50, 0, 43], [0, 60, 17], [0, 0, 1]]),
    ):
        path = set_orientation(write_image(tmp_path / "a.jpg", IMAGE), orientation)
        turned = load_image(path).scale_camera(camera)
        assert (turned.width, turned.height) == size
        np.testing.assert_array_equal(turned.matrix, matrix)


@pytest.mark.parametrize("tail", [b"\0\0\0\x18ftypmp42 film", b"\xff\xda\xff\xff", b"\0" * 99])
def test_motion_photographs_are_read(tmp_path, tail):
    path = write_image(tmp_path / "a.jpg", IMAGE)
    expected = read_image(path)
    path.write_bytes(path.read_bytes() + tail)
    assert (read_image(path) == expected).all()


def heif(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + brand + b"\0" * 300


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.heic", heif(b"heic"), "is HEIC.*convert it .heif-convert"),
        ("a.jpg", heif(b"heic"), "is HEIC"),
        ("a.avif", heif(b"avif"), "is damaged, or AVIF that this build of OpenCV cannot read; save it as"),
        ("a.nef", b"MM\0*" + b"\0" * 300, "is a raw photograph; export it as JPEG"),
    ],
)
def test_formats_that_cannot_be_read_are_named(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    assert is_image_file(tmp_path / name)
    with pytest.raises(InputError, match=message):
        load_image(tmp_path / name)


def test_avif_is_read_where_opencv_can(tmp_path):
    if not cv2.haveImageWriter("a.avif"):
        pytest.skip("this build of OpenCV has no AVIF")
    image = load_image(write_image(tmp_path / "a.avif", IMAGE)).image
    assert np.abs(image.astype(int) - IMAGE).mean() < 8
    pillow = pytest.importorskip("PIL.Image")  # writes the orientation as a property of the format
    exif = pillow.Exif()
    for orientation, quarter_turns in ((3, 2), (6, 3), (8, 1)):
        exif[0x0112] = orientation
        pillow.fromarray(IMAGE).save(tmp_path / "b.avif", exif=exif)
        turned = load_image(tmp_path / "b.avif")
        assert turned.orientation == orientation
        assert np.abs(turned.image.astype(int) - np.rot90(IMAGE, quarter_turns)).mean() < 8


def test_tiff_orientation_is_applied_once(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(IMAGE).save(tmp_path / "a.tiff", tiffinfo={0x0112: 6})
    loaded = load_image(tmp_path / "a.tiff")
    assert loaded.orientation == 6
    assert (loaded.image == np.rot90(IMAGE, 3)).all()


def test_further_pages_are_counted(tmp_path):
    tiff, png, webp = tmp_path / "a.tiff", tmp_path / "a.png", tmp_path / "a.webp"
    assert cv2.imwritemulti(str(tiff), [IMAGE, IMAGE, IMAGE])
    chunks = write_image(png, IMAGE).read_bytes()
    png.write_bytes(chunks[:33] + png_chunk(b"acTL", struct.pack(">II", 4, 0)) + chunks[33:])
    still = write_image(webp, IMAGE).read_bytes()
    frames = b"".join(b"ANMF" + struct.pack("<I", 4) + b"\0" * 4 for _ in range(2))
    assert [count_pages(path.read_bytes()) for path in (tiff, png)] == [3, 4]
    assert [count_pages(still), count_pages(still + frames)] == [1, 2]
    assert load_image(tiff).pages == 3
    assert load_image(write_image(tmp_path / "b.tiff", IMAGE)).pages == 1


def test_error_messages_name_file_problem_and_remedy(tmp_path):
    good = write_image(tmp_path / "good.jpg", np.kron(IMAGE, np.ones((8, 8, 1), np.uint8)))
    png = write_image(tmp_path / "good.png", IMAGE)
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:-200])
    (tmp_path / "cut.png").write_bytes(png.read_bytes()[:-40])
    (tmp_path / "text.png").write_text("not an image")
    write_image(tmp_path / "dot.png", IMAGE[:1, :1])
    for name, message in {
        "missing.png": "no such file; check the path",
        "empty.png": r"is empty \(0 bytes\); copy or record it again",
        "cut.jpg": "is truncated .* copy or download it again",
        "cut.png": "is truncated .* copy or download it again",
        "text.png": "is not a readable image.*; save it as one of",
        "dot.png": "has 1x1 pixels; hand estimation needs at least",
        "": "is a folder, not a file",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            load_image(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_huge_image_is_downscaled(tmp_path):
    path = write_image(tmp_path / "huge.jpg", np.zeros((9000, 12000), np.uint8))
    loaded = load_image(path)
    assert loaded.downscaled
    assert (loaded.width, loaded.height) == (12000, 9000)
    assert loaded.image.shape == (3000, 4000, 3)


def test_camera_and_pixels_of_a_downscaled_image():
    """A ray projects to corresponding pixels in the downscaled image and in the file."""
    loaded = LoadedImage(np.zeros((50, 100, 3), np.uint8), Path("a.png"), "a", 400, 200)
    camera = Camera(np.array([[500.0, 0, 199.5], [0, 490, 99.5], [0, 0, 1]]), 400, 200, np.array([0.1, 0, 0, 0]))
    scaled = loaded.scale_camera(camera)
    assert (scaled.width, scaled.height) == (100, 50)
    assert (scaled.distortion == camera.distortion).all()
    rays = np.array([[0.1, -0.05, 1], [-0.3, 0.1, 1]])
    np.testing.assert_allclose(
        loaded.to_file_pixels((rays @ scaled.matrix.T)[:, :2]), (rays @ camera.matrix.T)[:, :2], atol=1e-9
    )
    with pytest.raises(InputError, match="400x200 pixels, but the camera was calibrated for 640x480"):
        loaded.scale_camera(Camera(np.eye(3), 640, 480))


def test_read_image_keeps_the_size_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("lgnet_core.io.images.MAX_PIXELS", 1000)
    path = write_image(tmp_path / "a.png", IMAGE)
    assert (read_image(path) == IMAGE).all()
    assert load_image(path).downscaled
    tiny = write_image(tmp_path / "tiny.png", IMAGE[:1, :2])
    assert read_image(tiny).shape == (1, 2, 3)
