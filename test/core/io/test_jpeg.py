"""JPEG data followed by other bytes, cut off, or without their end marker."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lgnet_core.io.jpeg import complete_jpeg, jpeg_size

FORMATS = {
    "baseline": [],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 3],
    "no subsampling": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
}
PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]


def encode(parameters: list[int], channels: int = 3) -> bytes:
    """A textured image of 75x53 pixels, whose last blocks are incomplete; with a preview, as phones store it."""
    noise = np.random.default_rng(0).integers(0, 256, (14, 19, channels), np.uint8)
    success, data = cv2.imencode(".jpg", cv2.resize(noise, (75, 53)), parameters)
    assert success
    preview = cv2.imencode(".jpg", noise)[1].tobytes()
    application = b"\xff\xe2" + (len(preview) + 2).to_bytes(2, "big") + preview
    return data.tobytes()[:2] + application + data.tobytes()[2:]


@pytest.mark.parametrize("parameters", [*FORMATS.values(), PROGRESSIVE], ids=[*FORMATS, "progressive"])
def test_any_bytes_may_follow(parameters):
    data, rng = encode(parameters), np.random.default_rng(1)
    for length in (1, 2, 100, *rng.integers(1, 5000, 200)):
        assert complete_jpeg(data + rng.bytes(length)) == data
    for tail in (data, b"\xff\xd8\xff\xda", b"\xff\xda\xff\xd9", b"\0\0\0\x18ftypmp42"):
        assert complete_jpeg(data + tail) == data
    assert jpeg_size(data) == (75, 53)


@pytest.mark.parametrize("parameters", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_missing_end_marker_is_added_to_a_complete_image(parameters, channels):
    data = encode(parameters, channels)
    for tail in (b"", b"\0" * 50, b"\xff", data):  # the next image follows
        completed = complete_jpeg(data[:-2] + tail)
        assert completed is not None
        image, expected = (cv2.imdecode(np.frombuffer(d, np.uint8), 1) for d in (completed, data))
        assert (image == expected).all()


@pytest.mark.parametrize("parameters", [*FORMATS.values(), PROGRESSIVE], ids=[*FORMATS, "progressive"])
def test_cut_images_are_rejected(parameters):
    """Also if zeros follow, or in a buffer the next image."""
    data = encode(parameters)
    for end in range(2, int(0.9 * len(data)), 7):
        assert complete_jpeg(data[:end]) is None
        assert complete_jpeg(data[:end] + b"\0" * 500) is None
    assert complete_jpeg(data[:-2]) is None or parameters is not PROGRESSIVE  # scans may be missing
