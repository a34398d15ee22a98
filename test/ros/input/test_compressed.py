"""JPEG and PNG as publishers write them, and everything else refused before it costs anything."""

from __future__ import annotations

import array
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage

from lgnet_core.types import FloatArray
from lgnet_ros.input.intake import decode_image
from lgnet_ros.input.invalid_message import InvalidMessageError


def smooth(height: int = 24, width: int = 32) -> FloatArray:
    """(H, W, 3) RGB, without edges: JPEG keeps it within a few steps."""
    v, u = np.mgrid[:height, :width]
    return np.stack([u * 255 // width, v * 255 // height, (u + v) * 60 // (width + height)], -1).astype(np.uint8)


def written(image: FloatArray, suffix: str = ".jpg", quality: int = 98) -> bytes:
    """A file's bytes; of colours in OpenCV's order."""
    good, data = cv2.imencode(suffix, image, [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == ".jpg" else [])
    assert good
    return data.tobytes()


def message(data: bytes, description: str = "jpeg") -> CompressedImage:
    return CompressedImage(format=description, data=array.array("B", data))


def refused(data: bytes, description: str = "jpeg") -> InvalidMessageError:
    with pytest.raises(InvalidMessageError) as caught:
        decode_image(message(data, description))
    return caught.value


BGR = cv2.cvtColor(smooth(), cv2.COLOR_RGB2BGR)
JPEG, PNG = written(BGR), written(BGR, ".png")


@pytest.mark.parametrize(
    "description", ["jpeg", "jpg", "", "bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed bgr8", "rgb8;jpeg", "?"]
)
def test_jpeg_whatever_it_is_called(description: str) -> None:
    np.testing.assert_allclose(decode_image(message(JPEG, description)).astype(int), smooth(), atol=8)


@pytest.mark.parametrize("description", ["png", "bgr8; png compressed bgr8", "rgb8; png compressed bgr8", "jpeg"])
def test_png_to_the_last_digit(description: str) -> None:
    np.testing.assert_array_equal(decode_image(message(PNG, description)), smooth())


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_exchanged_colours_are_exchanged_back(suffix: str) -> None:
    """image_transport's subscriber reads ``compressed rgb8`` so."""
    decoded = decode_image(message(written(smooth(), suffix), "rgb8; jpeg compressed rgb8"))
    np.testing.assert_allclose(decoded.astype(int), smooth(), atol=8)


def test_grey_alpha_and_16_bits() -> None:
    grey = smooth()[..., 0]
    expected = np.repeat(grey[..., None], 3, -1)
    np.testing.assert_array_equal(decode_image(message(written(grey, ".png"), "mono8; png compressed ")), expected)
    full = grey.copy()
    full[0, 0] = 255
    wide = written(full.astype(np.uint16) * 256, ".png")
    np.testing.assert_array_equal(decode_image(message(wide, "mono16; png compressed "))[..., 1], full)
    alpha = written(np.dstack([BGR, np.zeros(BGR.shape[:2], np.uint8)]), ".png")
    np.testing.assert_array_equal(decode_image(message(alpha, "bgra8; png compressed bgr8")), smooth())


def test_a_mosaic_compressed_as_grey_gets_its_colours_back() -> None:
    mosaic = np.zeros((24, 32), np.uint8)
    mosaic[::2, ::2], mosaic[1::2, 1::2] = 200, 40  # red, blue; green stays 0
    decoded = decode_image(message(written(mosaic, ".png"), "bayer_rggb8; png compressed "))
    np.testing.assert_array_equal(decoded, np.broadcast_to([200, 0, 40], decoded.shape))


def test_an_exif_orientation_turns_nothing() -> None:
    """The calibration is of the sensor's pixels."""
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)  # turn by 90 degrees
    exif = b"Exif\0\0" + tiff
    turned = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
    np.testing.assert_array_equal(decode_image(message(turned)), decode_image(message(JPEG)))


@pytest.mark.parametrize("description", ["32FC1; compressedDepth", "16UC1; compressedDepth png"])
def test_depth_is_refused_with_where_to_look(description: str) -> None:
    rejection = refused(bytes(12) + PNG, description)
    assert rejection.key == "image_encoding"
    assert "colour camera" in str(rejection)


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"RIFF....WEBP", JPEG[2:], PNG[1:], PNG[:20], b"\xff\xd8\xff"])
def test_other_data_are_refused(data: bytes) -> None:
    rejection = refused(data, "h264")
    assert rejection.key == "image_encoding"
    assert "'h264'" in str(rejection)


def png_of_size(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def jpeg_of_size(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


@pytest.mark.parametrize("make", [png_of_size, jpeg_of_size])
@pytest.mark.parametrize("size", [(60_000, 60_000), (31_000, 31_000), (0, 24), (24, 0), (8, 24)])
def test_sizes_are_refused_before_decoding(
    make: object, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    rejection = refused(make(*size))  # type: ignore[operator]
    assert rejection.key == "image_size"
    assert f"{size[0]}x{size[1]}" in str(rejection)


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["jpeg", "png"])
def test_what_was_cut_short_is_refused_wherever_it_was_cut(data: bytes) -> None:
    for end in [*range(0, len(data) - 20, 37), *range(len(data) - 20, len(data) - 1)]:
        if data is PNG and end >= len(data) - 12:
            continue  # all pixels are there; only the empty end chunk is not
        assert refused(data[:end]).key in ("image_compressed", "image_encoding")


@given(data=st.binary(max_size=200), head=st.sampled_from([b"", JPEG[:3], PNG[:16], JPEG[:400]]), text=st.text())
def test_any_data_are_decoded_or_refused(data: bytes, head: bytes, text: str) -> None:
    try:
        decoded = decode_image(message(head + data, text.replace("\0", "")))
    except InvalidMessageError:
        return
    assert decoded.ndim == 3


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["jpeg", "png"])
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_bytes_are_decoded_or_refused(data: bytes, seed: int) -> None:
    generator = np.random.default_rng(seed)
    damaged = np.frombuffer(data, np.uint8).copy()
    damaged[generator.integers(3, len(data), 5)] = generator.integers(0, 256, 5)
    try:
        decoded = decode_image(message(damaged.tobytes()))
    except InvalidMessageError:
        return
    assert decoded.dtype == np.uint8
    assert decoded.shape[2] == 3
