"""Tests of image decoding: each encoding against a reference, rejection of invalid messages."""

from __future__ import annotations

import array
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import Image

from lgnet_core.messages.encodings import BAYER, ENCODINGS, MAX_PIXELS
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.types import FloatArray
from lgnet_ros.input.decode import decode_image

WIDTH, HEIGHT = 20, 16
CHANNELS = {"rgb": [0, 1, 2], "bgr": [2, 1, 0], "rgba": [0, 1, 2, 0], "bgra": [2, 1, 0, 0], "mono": [0]}


def random_pixels(seed: int = 0, grey: bool = False) -> FloatArray:
    """(HEIGHT, WIDTH, 3) uint8, noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return np.repeat(noise[..., :1], 3, -1) if grey else noise


def image(rows: FloatArray, encoding: str, padding: int = 0, height: int = HEIGHT, **fields: Any) -> Image:
    """Message of rows (R, bytes) uint8, each followed by padding bytes."""
    rows = np.pad(rows.reshape(len(rows), -1), ((0, 0), (0, padding)), constant_values=0xAB)
    data = array.array("B", rows.tobytes())
    return Image(height=height, width=WIDTH, encoding=encoding, step=rows.shape[1], data=data, **fields)


def bytes_of(values: FloatArray, big: int = 0) -> FloatArray:
    """(H, ...) 16-bit samples as rows of bytes."""
    ordered = np.ascontiguousarray(values, ">u2" if big else "<u2")
    return ordered.reshape(len(ordered), -1).view(np.uint8)


@pytest.mark.parametrize("padding", [0, 1, 12])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "8UC1", "8UC3", "8UC4"])
def test_8_bit_encodings(encoding: str, padding: int) -> None:
    order = {"8UC1": "mono", "8UC3": "bgr", "8UC4": "bgra"}.get(encoding, encoding[:-1])
    expected = random_pixels(grey=order == "mono")
    np.testing.assert_array_equal(decode_image(image(expected[..., CHANNELS[order]], encoding, padding)), expected)


@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize("padding", [0, 1, 6])
@pytest.mark.parametrize("encoding", ["rgb16", "bgr16", "rgba16", "bgra16", "mono16", "16UC1"])
def test_16_bit_encodings(encoding: str, padding: int, big: int) -> None:
    order = {"16UC1": "mono"}.get(encoding, encoding[:-2])
    expected = random_pixels(grey=order == "mono")
    expected[0, 0] = 255  # sets the highest bit
    wide = expected[..., CHANNELS[order]].astype(np.uint16) * 256 + 99  # the low byte is discarded
    rows = bytes_of(wide, big)
    np.testing.assert_array_equal(decode_image(image(rows, encoding, padding, is_bigendian=big)), expected)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_images_with_fewer_bits_have_full_brightness(bits: int) -> None:
    grey = random_pixels(grey=True)
    grey[0, 0] = 255
    rows = bytes_of(grey[..., 0].astype(np.uint16) << (bits - 8))
    np.testing.assert_array_equal(decode_image(image(rows, "mono16")), grey)


def test_rgb8_image_is_not_copied() -> None:
    for padding in (0, 5):
        message = image(random_pixels(), "rgb8", padding)
        assert np.shares_memory(decode_image(message), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize("pattern", sorted(BAYER))
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_patterns(pattern: str, bits: int) -> None:
    """A uniform colour is preserved."""
    colour = np.array([200, 120, 40], np.uint8)
    flat = np.broadcast_to(colour, (HEIGHT, WIDTH, 3))
    mosaic = mosaic_of(flat, pattern)
    if bits == 16:
        mosaic = bytes_of(mosaic.astype(np.uint16) * 256)
    np.testing.assert_array_equal(decode_image(image(mosaic, f"bayer_{pattern}{bits}")), flat)


def test_demosaicing_preserves_measured_values() -> None:
    noise = random_pixels(3)
    for pattern in BAYER:
        decoded = decode_image(image(mosaic_of(noise, pattern), f"bayer_{pattern}8"))
        inside = np.s_[2:-2, 2:-2]
        np.testing.assert_array_equal(
            mosaic_of(decoded, pattern)[inside], mosaic_of(noise, pattern)[inside], err_msg=pattern
        )


def mosaic_of(rgb: FloatArray, pattern: str) -> FloatArray:
    """(H, W) raw image behind a Bayer filter whose first four pixels are ``pattern``, row by row."""
    mosaic = np.empty(rgb.shape[:2], np.uint8)
    for k, letter in enumerate(pattern):
        rows, columns = slice(k // 2, None, 2), slice(k % 2, None, 2)
        mosaic[rows, columns] = rgb[rows, columns, "rgb".index(letter)]
    return mosaic


def yuv_to_rgb(y: FloatArray, u: FloatArray, v: FloatArray) -> FloatArray:
    """BT.601 limited range (16 to 235)."""
    y, u, v = (np.asarray(x, np.float64) for x in (1.164 * (np.asarray(y, np.float64) - 16), u, v))
    u, v = u - 128, v - 128
    return np.stack([y + 1.596 * v, y - 0.813 * v - 0.391 * u, y + 2.018 * u], -1).clip(0, 255)


@pytest.mark.parametrize("padding", [0, 2, 3])
@pytest.mark.parametrize(("encoding", "luma"), [("yuv422", 1), ("uyvy", 1), ("yuv422_yuy2", 0), ("yuyv", 0)])
def test_yuv422_encodings(encoding: str, luma: int, padding: int) -> None:
    samples = np.random.default_rng(1).integers(40, 200, (HEIGHT, WIDTH, 2), np.uint8)
    y, chroma = samples[..., luma], samples[..., 1 - luma]
    u, v = (np.repeat(chroma[:, k::2], 2, 1) for k in (0, 1))
    decoded = decode_image(image(samples, encoding, padding))
    np.testing.assert_allclose(decoded, yuv_to_rgb(y, u, v), atol=1.5)


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize(("encoding", "first"), [("nv12", 0), ("nv21", 1)])
def test_yuv420_encodings(encoding: str, first: int, padding: int) -> None:
    samples = np.random.default_rng(2).integers(40, 200, (HEIGHT * 3 // 2, WIDTH), np.uint8)
    y, chroma = samples[:HEIGHT], samples[HEIGHT:]
    planes = [np.kron(chroma[:, k::2], np.ones((2, 2))) for k in (0, 1)]
    expected = yuv_to_rgb(y, planes[first], planes[1 - first])
    np.testing.assert_allclose(decode_image(image(samples, encoding, padding)), expected, atol=1.5)


def test_yuv_range_is_expanded() -> None:
    samples = np.full((HEIGHT, WIDTH, 2), 128, np.uint8)
    samples[..., 1] = 16
    assert not decode_image(image(samples, "uyvy")).any()
    samples[..., 1] = 235
    assert (decode_image(image(samples, "uyvy")) >= 254).all()


def rejection_of(message: Image) -> InvalidMessageError:
    with pytest.raises(InvalidMessageError) as caught:
        decode_image(message)
    return caught.value


@pytest.mark.parametrize(
    "encoding", ["", "RGB8", "32FC1", "8SC3", "64FC1", "rgb8 ", "bayer_rggb32", "nv24", "Ünbekannt"]
)
def test_unsupported_encoding_is_rejected_with_the_supported_ones(encoding: str) -> None:
    rejection = rejection_of(image(random_pixels(), encoding))
    assert rejection.key == "image_encoding"
    assert repr(encoding) in str(rejection)
    assert "rgb8" in str(rejection)


@pytest.mark.parametrize(
    ("changes", "key", "text"),
    [
        ({"width": 0}, "image_size", "0x16"),
        ({"height": 0}, "image_size", "20x0"),
        ({"width": 0, "height": 0, "step": 0, "data": []}, "image_size", "0x0"),
        ({"width": 2**32 - 1, "height": 2**32 - 1}, "image_size", "another resolution"),
        ({"width": 31_999, "height": 31_999}, "image_size", "64 million"),
        ({"width": 8, "step": 60}, "image_size", "8x16"),
        ({"step": 59}, "image_step", "59 bytes, but a row of 20 pixels in rgb8 has 60"),
        ({"step": 0}, "image_step", "0 bytes"),
        ({"width": 21}, "image_step", "63"),
        ({"height": 17}, "image_data", "960 bytes of data, but 17 rows with a step of 60 bytes"),
        ({"step": 61}, "image_data", "976"),
        ({"step": 2**32 - 1}, "image_data", "fix the camera driver"),
        ({"data": []}, "image_data", "0 bytes of data"),
        ({"encoding": "nv12"}, "image_data", "nv12"),
    ],
)
def test_inconsistent_messages_are_rejected(changes: dict[str, Any], key: str, text: str) -> None:
    message = image(random_pixels(), "rgb8")
    for name, value in changes.items():
        setattr(message, name, array.array("B", value) if name == "data" else value)
    rejection = rejection_of(message)
    assert (rejection.key, text in str(rejection)) == (key, True), rejection


@pytest.mark.parametrize(("encoding", "samples"), [("uyvy", 2), ("yuyv", 2), ("nv12", 1), ("nv21", 1)])
def test_subsampled_chroma_requires_even_sizes(encoding: str, samples: int) -> None:
    message = image(np.zeros((HEIGHT, WIDTH, samples), np.uint8), encoding)
    message.width -= 1
    assert "multiples of 2" in str(rejection_of(message))


def test_maximum_size_is_accepted() -> None:
    with pytest.raises(InvalidMessageError) as caught:
        decode_image(Image(height=8000, width=MAX_PIXELS // 8000, encoding="mono8", step=MAX_PIXELS // 8000))
    assert caught.value.key == "image_data"


SIZES = st.sampled_from([0, 1, 15, 16, 17, 20, 60, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1) | st.integers(14, 40)


@given(
    width=SIZES,
    height=SIZES,
    step=SIZES | st.integers(0, 400),
    encoding=st.sampled_from(sorted(ENCODINGS)) | st.text(max_size=12),
    big=st.integers(0, 255),
    data=st.binary(max_size=64),
    copies=st.integers(0, 40),
)
def test_any_message_is_decoded_or_rejected(
    width: int, height: int, step: int, encoding: str, big: int, data: bytes, copies: int
) -> None:
    content = array.array("B", data * copies)
    message = Image(height=height, width=width, encoding=encoding, is_bigendian=big, step=step, data=content)
    try:
        shape = decode_image(message).shape
    except InvalidMessageError:
        return
    assert shape == (height, width, 3)


@given(
    width=st.integers(16, 40),
    height=st.integers(16, 40),
    padding=st.integers(0, 9),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    big=st.booleans(),
)
def test_any_consistent_message_is_decoded(width: int, height: int, padding: int, encoding: str, big: bool) -> None:
    layout = ENCODINGS[encoding]
    width, height = (size - size % divisor for size, divisor in zip((width, height), layout.divisor))
    step = width * layout.samples * layout.bits // 8 + padding
    data = np.random.default_rng(width).integers(0, 256, step * height * layout.rows_per_two // 2, np.uint8)
    content = array.array("B", data.tobytes())
    message = Image(height=height, width=width, encoding=encoding, is_bigendian=big, step=step, data=content)
    decoded = decode_image(message)
    assert decoded.shape == (height, width, 3)
    assert decoded.dtype == np.uint8


def test_every_image_rejection_reason_occurs() -> None:
    """All image reasons can be produced by invalid messages."""
    keys = set()
    for width, encoding, step, size in itertools.product((0, 20), ("rgb8", "no"), (10, 60), (960, 3)):
        message = Image(height=16, width=width, encoding=encoding, step=step, data=array.array("B", bytes(size)))
        try:
            decode_image(message)
        except InvalidMessageError as rejection:
            keys.add(rejection.key)
    assert keys == {"image_encoding", "image_size", "image_step", "image_data"}
