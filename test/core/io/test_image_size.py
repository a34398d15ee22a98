"""Sizes from headers, and refusal of images that would exhaust the memory."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from lgnet_core.io import image_size
from lgnet_core.io.files import InputError
from lgnet_core.io.image_size import read_image_size
from lgnet_core.io.images import read_image


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp", ".ppm", ".pgm"])
def test_size_in_the_header(suffix):
    image = np.random.default_rng(0).integers(0, 255, (37, 53, 3), dtype=np.uint8)
    if suffix == ".pgm":
        image = image[..., 0]
    data = cv2.imencode(suffix, image)[1].tobytes()
    assert read_image_size(data) == (53, 37)
    assert read_image_size(data[:5]) is None


def test_lossless_webp():
    data = cv2.imencode(".webp", np.zeros((37, 53, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    assert read_image_size(data) == (53, 37)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_small_file_with_a_huge_image_is_refused_undecoded(tmp_path, monkeypatch):
    """A PNG of 30,000 x 30,000 pixels, whose 2.6 MB take gigabytes when they are decoded."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b""))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(InputError, match=r"huge.png: has 30000x30000 pixels, which take 5.4 GB .* shrink or crop"):
        read_image(tmp_path / "huge.png")


def test_an_image_that_the_memory_does_not_hold_is_refused(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "cat.png"), np.zeros((1000, 1000, 3), np.uint8))
    assert read_image(tmp_path / "cat.png").shape == (1000, 1000, 3)
    monkeypatch.setattr(image_size, "available_memory", lambda: 5_000_000)
    with pytest.raises(InputError, match=r"1000x1000 pixels, which take 0.0 GB when decoded, and 0.0 GB of memory"):
        read_image(tmp_path / "cat.png")
