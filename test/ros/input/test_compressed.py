"""Tests of the decoding of compressed images: JPEG and PNG, rejection of invalid data before decoding."""

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

from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.types import FloatArray
from lgnet_ros.input.decode import decode_image


def smooth_image(height: int = 24, width: int = 32) -> FloatArray:
    """(H, W, 3) RGB without edges, so that JPEG changes values only slightly."""
    v, u = np.mgrid[:height, :width]
    return np.stack([u * 255 // width, v * 255 // height, (u + v) * 60 // (width + height)], -1).astype(np.uint8)


def encode(image: FloatArray, suffix: str = ".jpg", quality: int = 98) -> bytes:
    """Encode an image in OpenCV's channel order."""
    success, data = cv2.imencode(suffix, image, [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == ".jpg" else [])
    assert success
    return data.tobytes()


def message(data: bytes, message_format: str = "jpeg") -> CompressedImage:
    return CompressedImage(format=message_format, data=array.array("B", data))


def rejection_of(data: bytes, message_format: str = "jpeg") -> InvalidMessageError:
    with pytest.raises(InvalidMessageError) as caught:
        decode_image(message(data, message_format))
    return caught.value


BGR = cv2.cvtColor(smooth_image(), cv2.COLOR_RGB2BGR)
JPEG, PNG = encode(BGR), encode(BGR, ".png")


@pytest.mark.parametrize(
    "message_format", ["jpeg", "jpg", "", "bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed bgr8", "rgb8;jpeg", "?"]
)
def test_jpeg_with_any_format_string(message_format: str) -> None:
    np.testing.assert_allclose(decode_image(message(JPEG, message_format)).astype(int), smooth_image(), atol=8)


@pytest.mark.parametrize("message_format", ["png", "bgr8; png compressed bgr8", "rgb8; png compressed bgr8", "jpeg"])
def test_png_is_lossless(message_format: str) -> None:
    np.testing.assert_array_equal(decode_image(message(PNG, message_format)), smooth_image())


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_swapped_channels_are_restored(suffix: str) -> None:
    """Like image_transport's subscriber for ``compressed rgb8``."""
    decoded = decode_image(message(encode(smooth_image(), suffix), "rgb8; jpeg compressed rgb8"))
    np.testing.assert_allclose(decoded.astype(int), smooth_image(), atol=8)


def test_grayscale_alpha_and_16_bit_images() -> None:
    grey = smooth_image()[..., 0]
    expected = np.repeat(grey[..., None], 3, -1)
    np.testing.assert_array_equal(decode_image(message(encode(grey, ".png"), "mono8; png compressed ")), expected)
    full_range = grey.copy()
    full_range[0, 0] = 255
    wide = encode(full_range.astype(np.uint16) * 256, ".png")
    np.testing.assert_array_equal(decode_image(message(wide, "mono16; png compressed "))[..., 1], full_range)
    alpha = encode(np.dstack([BGR, np.zeros(BGR.shape[:2], np.uint8)]), ".png")
    np.testing.assert_array_equal(decode_image(message(alpha, "bgra8; png compressed bgr8")), smooth_image())


def test_bayer_mosaic_compressed_as_grayscale_is_demosaiced() -> None:
    mosaic = np.zeros((24, 32), np.uint8)
    mosaic[::2, ::2], mosaic[1::2, 1::2] = 200, 40  # red, blue; green stays 0
    decoded = decode_image(message(encode(mosaic, ".png"), "bayer_rggb8; png compressed "))
    np.testing.assert_array_equal(decoded, np.broadcast_to([200, 0, 40], decoded.shape))


def test_exif_orientation_is_ignored() -> None:
    """The calibration refers to the stored pixels."""
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)  # rotated by 90 degrees
    exif = b"Exif\0\0" + tiff
    rotated = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
    np.testing.assert_array_equal(decode_image(message(rotated)), decode_image(message(JPEG)))


@pytest.mark.parametrize("message_format", ["32FC1; compressedDepth", "16UC1; compressedDepth png"])
def test_depth_image_is_rejected_with_a_remedy(message_format: str) -> None:
    rejection = rejection_of(bytes(12) + PNG, message_format)
    assert rejection.key == "image_encoding"
    assert "colour camera" in str(rejection)


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"RIFF....WEBP", JPEG[2:], PNG[1:], PNG[:20], b"\xff\xd8\xff"])
def test_unknown_file_types_are_rejected(data: bytes) -> None:
    rejection = rejection_of(data, "h264")
    assert rejection.key == "image_encoding"
    assert "'h264'" in str(rejection)


def png_of_size(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def jpeg_of_size(width: int, height: int) -> bytes:
    offset = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:offset] + struct.pack(">HH", height, width) + JPEG[offset + 4 :]


@pytest.mark.parametrize("make", [png_of_size, jpeg_of_size])
@pytest.mark.parametrize("size", [(60_000, 60_000), (30_000, 30_000), (9_000, 9_000), (0, 24), (24, 0), (8, 24)])
def test_invalid_sizes_are_rejected_before_decoding(
    make: object, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    rejection = rejection_of(make(*size))  # type: ignore[operator]
    assert rejection.key == "image_size"
    assert f"{size[0]}x{size[1]}" in str(rejection)


def test_truncated_png_is_rejected() -> None:
    for end in [*range(0, len(PNG) - 20, 37), *range(len(PNG) - 20, len(PNG) - 12)]:  # the last 12 bytes hold nothing
        assert rejection_of(PNG[:end]).key in ("image_compressed", "image_encoding")


def test_truncated_jpeg_is_rejected() -> None:
    """Unless only a part of the last 16x16 pixels and the end marker are missing."""
    whole = decode_image(message(JPEG)).astype(int)
    accepted = []
    for end in range(len(JPEG) - 1):
        try:
            difference = np.abs(decode_image(message(JPEG[:end])).astype(int) - whole)
        except InvalidMessageError as rejection:
            assert rejection.key in ("image_compressed", "image_encoding")  # noqa: PT017
            continue
        accepted.append(end)
        assert difference[:14].max() == difference[:, :14].max() == 0  # colours are interpolated over 2 pixels
    assert accepted
    assert min(accepted) > 0.7 * len(JPEG)


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\xff\xd8\xff\xda stale", b"ftypmp42" * 50, JPEG[:-2], b"\xff" * 7])
@pytest.mark.parametrize("data", [JPEG, JPEG[:-2]], ids=["end marker", "no end marker"])
def test_bytes_after_a_jpeg_are_ignored(data: bytes, tail: bytes) -> None:
    """Drivers send the whole buffer, and some webcams no end marker; text would be read as pixels, but is ignored."""
    np.testing.assert_array_equal(decode_image(message(data + tail)), decode_image(message(JPEG)))


@given(data=st.binary(max_size=200), head=st.sampled_from([b"", JPEG[:3], PNG[:16], JPEG[:400]]), text=st.text())
def test_any_data_are_decoded_or_rejected(data: bytes, head: bytes, text: str) -> None:
    try:
        decoded = decode_image(message(head + data, text.replace("\0", "")))
    except InvalidMessageError:
        return
    assert decoded.ndim == 3


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["jpeg", "png"])
@given(seed=st.integers(0, 2**32 - 1))
def test_corrupt_data_are_decoded_or_rejected(data: bytes, seed: int) -> None:
    generator = np.random.default_rng(seed)
    damaged = np.frombuffer(data, np.uint8).copy()
    damaged[generator.integers(3, len(data), 5)] = generator.integers(0, 256, 5)
    try:
        decoded = decode_image(message(damaged.tobytes()))
    except InvalidMessageError:
        return
    assert decoded.dtype == np.uint8
    assert decoded.shape[2] == 3
