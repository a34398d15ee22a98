"""Images from messages: every encoding against an encoder of the test's own, and nothing else than a refusal."""

from __future__ import annotations

import array
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import Image

from lgnet_core.types import FloatArray
from lgnet_ros.input.encodings import BAYER, ENCODINGS, MAX_PIXELS
from lgnet_ros.input.intake import decode_image
from lgnet_ros.input.invalid_message import InvalidMessageError

WIDTH, HEIGHT = 20, 16
CHANNELS = {"rgb": [0, 1, 2], "bgr": [2, 1, 0], "rgba": [0, 1, 2, 0], "bgra": [2, 1, 0, 0], "mono": [0]}


def random_pixels(seed: int = 0, grey: bool = False) -> FloatArray:
    """(HEIGHT, WIDTH, 3) uint8, noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return np.repeat(noise[..., :1], 3, -1) if grey else noise


def image(rows: FloatArray, encoding: str, padding: int = 0, height: int = HEIGHT, **fields: Any) -> Image:
    """A message of rows (R, bytes) uint8, each followed by padding that is no image."""
    rows = np.pad(rows.reshape(len(rows), -1), ((0, 0), (0, padding)), constant_values=0xAB)
    data = array.array("B", rows.tobytes())
    return Image(height=height, width=WIDTH, encoding=encoding, step=rows.shape[1], data=data, **fields)


def bytes_of(values: FloatArray, big: int = 0) -> FloatArray:
    """(H, ...) numbers of 16 bits as rows of bytes."""
    ordered = np.ascontiguousarray(values, ">u2" if big else "<u2")
    return ordered.reshape(len(ordered), -1).view(np.uint8)


@pytest.mark.parametrize("padding", [0, 1, 12])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "8UC1", "8UC3", "8UC4"])
def test_colours_of_8_bits(encoding: str, padding: int) -> None:
    order = {"8UC1": "mono", "8UC3": "bgr", "8UC4": "bgra"}.get(encoding, encoding[:-1])
    expected = random_pixels(grey=order == "mono")
    np.testing.assert_array_equal(decode_image(image(expected[..., CHANNELS[order]], encoding, padding)), expected)


@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize("padding", [0, 1, 6])
@pytest.mark.parametrize("encoding", ["rgb16", "bgr16", "rgba16", "bgra16", "mono16", "16UC1"])
def test_colours_of_16_bits(encoding: str, padding: int, big: int) -> None:
    order = {"16UC1": "mono"}.get(encoding, encoding[:-2])
    expected = random_pixels(grey=order == "mono")
    expected[0, 0] = 255  # the fullest bit
    wide = expected[..., CHANNELS[order]].astype(np.uint16) * 256 + 99  # what 8 bits cannot hold
    rows = bytes_of(wide, big)
    np.testing.assert_array_equal(decode_image(image(rows, encoding, padding, is_bigendian=big)), expected)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_sensors_of_fewer_bits_are_as_bright(bits: int) -> None:
    grey = random_pixels(grey=True)
    grey[0, 0] = 255
    rows = bytes_of(grey[..., 0].astype(np.uint16) << (bits - 8))
    np.testing.assert_array_equal(decode_image(image(rows, "mono16")), grey)


def test_an_rgb_image_is_not_copied() -> None:
    for padding in (0, 5):
        message = image(random_pixels(), "rgb8", padding)
        assert np.shares_memory(decode_image(message), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize("pattern", sorted(BAYER))
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_patterns(pattern: str, bits: int) -> None:
    """Areas of one colour come out in this colour, and each pixel that sees a colour keeps it."""
    colour = np.array([200, 120, 40], np.uint8)
    flat = np.broadcast_to(colour, (HEIGHT, WIDTH, 3))
    mosaic = mosaic_of(flat, pattern)
    if bits == 16:
        mosaic = bytes_of(mosaic.astype(np.uint16) * 256)
    np.testing.assert_array_equal(decode_image(image(mosaic, f"bayer_{pattern}{bits}")), flat)


def test_bayer_pixels_keep_what_they_saw() -> None:
    noise = random_pixels(3)
    for pattern in BAYER:
        decoded = decode_image(image(mosaic_of(noise, pattern), f"bayer_{pattern}8"))
        inside = np.s_[2:-2, 2:-2]
        np.testing.assert_array_equal(
            mosaic_of(decoded, pattern)[inside], mosaic_of(noise, pattern)[inside], err_msg=pattern
        )


def mosaic_of(rgb: FloatArray, pattern: str) -> FloatArray:
    """(H, W) what a sensor sees behind the filter whose first four pixels are ``pattern``, row by row."""
    mosaic = np.empty(rgb.shape[:2], np.uint8)
    for k, letter in enumerate(pattern):
        rows, columns = slice(k // 2, None, 2), slice(k % 2, None, 2)
        mosaic[rows, columns] = rgb[rows, columns, "rgb".index(letter)]
    return mosaic


def yuv_to_rgb(y: FloatArray, u: FloatArray, v: FloatArray) -> FloatArray:
    """BT.601 with the range 16 to 235, as video has it."""
    y, u, v = (np.asarray(x, np.float64) for x in (1.164 * (np.asarray(y, np.float64) - 16), u, v))
    u, v = u - 128, v - 128
    return np.stack([y + 1.596 * v, y - 0.813 * v - 0.391 * u, y + 2.018 * u], -1).clip(0, 255)


@pytest.mark.parametrize("padding", [0, 2, 3])
@pytest.mark.parametrize(("encoding", "luma"), [("yuv422", 1), ("uyvy", 1), ("yuv422_yuy2", 0), ("yuyv", 0)])
def test_two_pixels_share_their_colour_in_yuv422(encoding: str, luma: int, padding: int) -> None:
    samples = np.random.default_rng(1).integers(40, 200, (HEIGHT, WIDTH, 2), np.uint8)
    y, colour = samples[..., luma], samples[..., 1 - luma]
    u, v = (np.repeat(colour[:, k::2], 2, 1) for k in (0, 1))
    decoded = decode_image(image(samples, encoding, padding))
    np.testing.assert_allclose(decoded, yuv_to_rgb(y, u, v), atol=1.5)


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize(("encoding", "first"), [("nv12", 0), ("nv21", 1)])
def test_four_pixels_share_their_colour_in_yuv420(encoding: str, first: int, padding: int) -> None:
    samples = np.random.default_rng(2).integers(40, 200, (HEIGHT * 3 // 2, WIDTH), np.uint8)
    y, colour = samples[:HEIGHT], samples[HEIGHT:]
    planes = [np.kron(colour[:, k::2], np.ones((2, 2))) for k in (0, 1)]
    expected = yuv_to_rgb(y, planes[first], planes[1 - first])
    np.testing.assert_allclose(decode_image(image(samples, encoding, padding)), expected, atol=1.5)


def test_grey_of_yuv_is_grey() -> None:
    samples = np.full((HEIGHT, WIDTH, 2), 128, np.uint8)
    samples[..., 1] = 16
    assert not decode_image(image(samples, "uyvy")).any()
    samples[..., 1] = 235
    assert (decode_image(image(samples, "uyvy")) >= 254).all()


def refused(message: Image) -> InvalidMessageError:
    with pytest.raises(InvalidMessageError) as caught:
        decode_image(message)
    return caught.value


@pytest.mark.parametrize(
    "encoding", ["", "RGB8", "32FC1", "8SC3", "64FC1", "rgb8 ", "bayer_rggb32", "nv24", "Ünbekannt"]
)
def test_other_encodings_are_refused_with_those_that_are_known(encoding: str) -> None:
    rejection = refused(image(random_pixels(), encoding))
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
        ({"height": 17}, "image_data", "960 bytes of data, but 17 rows in steps of 60 bytes"),
        ({"step": 61}, "image_data", "976"),
        ({"step": 2**32 - 1}, "image_data", "mend the driver"),
        ({"data": []}, "image_data", "0 bytes of data"),
        ({"encoding": "nv12"}, "image_data", "nv12"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], key: str, text: str) -> None:
    message = image(random_pixels(), "rgb8")
    for name, value in changes.items():
        setattr(message, name, array.array("B", value) if name == "data" else value)
    rejection = refused(message)
    assert (rejection.key, text in str(rejection)) == (key, True), rejection


@pytest.mark.parametrize(("encoding", "samples"), [("uyvy", 2), ("yuyv", 2), ("nv12", 1), ("nv21", 1)])
def test_shared_colours_need_whole_groups(encoding: str, samples: int) -> None:
    message = image(np.zeros((HEIGHT, WIDTH, samples), np.uint8), encoding)
    message.width -= 1
    assert "multiples of 2" in str(refused(message))


def test_a_image_of_the_largest_size_passes_the_check() -> None:
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
def test_anything_is_decoded_or_refused(
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
def test_what_fits_together_is_decoded(width: int, height: int, padding: int, encoding: str, big: bool) -> None:
    form = ENCODINGS[encoding]
    width, height = (size - size % divisor for size, divisor in zip((width, height), form.divisor))
    step = width * form.samples * form.bits // 8 + padding
    data = np.random.default_rng(width).integers(0, 256, step * height * form.halves // 2, np.uint8)
    content = array.array("B", data.tobytes())
    message = Image(height=height, width=width, encoding=encoding, is_bigendian=big, step=step, data=content)
    decoded = decode_image(message)
    assert decoded.shape == (height, width, 3)
    assert decoded.dtype == np.uint8


def test_every_reason_of_a_image_can_happen() -> None:
    """The table of reasons names nothing that no message is refused for."""
    seen = set()
    for width, encoding, step, size in itertools.product((0, 20), ("rgb8", "no"), (10, 60), (960, 3)):
        message = Image(height=16, width=width, encoding=encoding, step=step, data=array.array("B", bytes(size)))
        try:
            decode_image(message)
        except InvalidMessageError as rejection:
            seen.add(rejection.key)
    assert seen == {"image_encoding", "image_size", "image_step", "image_data"}
