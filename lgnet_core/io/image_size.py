"""Size of an image from the header of its file, so that images too large for the memory are refused undecoded."""

from __future__ import annotations

import struct
from pathlib import Path

from lgnet_core.io.files import InputError
from lgnet_core.io.jpeg import jpeg_size
from lgnet_core.io.memory import available_memory

MAX_FILE_PIXELS = 400_000_000
"""Images with more pixels are refused: even a small file of a uniform image takes gigabytes when it is decoded."""

DECODED_BYTES_PER_PIXEL = 6
"""Peak of decoding 8-bit colour: the decoder's image, and its copy with swapped channels."""


def check_image_size(data: bytes, path: Path) -> None:
    """Refuse an image whose decoding would exhaust the memory; formats without a known header pass.

    Raises:
        InputError: with the size, the memory needed and the remedy.
    """
    size = read_image_size(data)
    if size is None:
        return
    width, height = size
    pixels = width * height
    need, free = pixels * DECODED_BYTES_PER_PIXEL, available_memory()
    what = f"{path}: has {width}x{height} pixels, which take {need / 1e9:.1f} GB when decoded"
    if pixels > MAX_FILE_PIXELS:
        raise InputError(f"{what}; the limit is {MAX_FILE_PIXELS / 1e6:.0f} megapixels: shrink or crop it first")
    if free is not None and need > free:
        raise InputError(f"{what}, and {free / 1e9:.1f} GB of memory are free; shrink or crop it first")


def read_image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height, before any EXIF rotation, of a PNG, JPEG, BMP, TIFF, WebP or PNM file; None if unknown."""
    readers = {
        b"\x89PNG": _png,
        b"\xff\xd8": jpeg_size,
        b"BM": _bmp,
        b"II": _tiff,
        b"MM": _tiff,
        b"RIFF": _webp,
        b"P5": _pnm,
        b"P6": _pnm,
    }
    for magic, read in readers.items():
        if data.startswith(magic):
            try:
                return read(data)
            except (struct.error, ValueError, IndexError):  # truncated: the decoder says so
                return None
    return None


def _png(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError("no header")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _bmp(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)  # negative: stored from top to bottom


def _tiff(data: bytes) -> tuple[int, int] | None:
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    sizes: dict[int, int] = {}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in (256, 257):  # ImageWidth, ImageLength: 16 or 32 bits
            (sizes[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, entry + 8)
    return (sizes[256], sizes[257]) if len(sizes) == 2 else None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _pnm(data: bytes) -> tuple[int, int]:
    lines = (line.partition(b"#")[0] for line in data[2:1000].splitlines())  # without comments
    width, height = b" ".join(lines).split()[:2]
    return int(width), int(height)
