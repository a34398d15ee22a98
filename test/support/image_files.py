"""Small image files with known content."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np


def quadrants() -> np.ndarray:
    """(48, 64, 3) RGB image with four uniform quadrants: red, green, blue and grey."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:] = (200, 0, 0), (0, 200, 0)
    image[24:, :32], image[24:, 32:] = (0, 0, 200), (90, 90, 90)
    return image


def write_image(path: Path, image: np.ndarray) -> Path:
    """Write a greyscale, RGB or RGBA image in the format of the file name."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(channels)
    assert cv2.imwrite(str(path), image if code is None else cv2.cvtColor(image, code))
    return path


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def exif_block(orientation: int) -> bytes:
    """An EXIF block, in TIFF format, with nothing but an orientation."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def set_orientation(path: Path, orientation: int) -> Path:
    """Add an EXIF orientation to a JPEG, PNG or WebP file."""
    data, exif = path.read_bytes(), exif_block(orientation)
    if path.suffix == ".jpg":
        exif = b"Exif\0\0" + exif
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    elif path.suffix == ".png":
        data = data[:33] + png_chunk(b"eXIf", exif) + data[33:]
    else:
        body = data[12:] + b"EXIF" + struct.pack("<I", len(exif)) + exif
        data = b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    path.write_bytes(data)
    return path


def write_video(path: Path, image: np.ndarray, frames: int = 3, clockwise: int = 0) -> Path:
    """Write a video of equal frames; an MP4 may be marked to be turned by 90, 180 or 270 degrees clockwise."""
    plain = path.with_name("plain" + path.suffix)
    codec = cv2.VideoWriter.fourcc(*("mp4v" if path.suffix == ".mp4" else "MJPG"))
    writer = cv2.VideoWriter(str(plain), codec, 10, (image.shape[1], image.shape[0]))
    for _ in range(frames):
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    data = bytearray(plain.read_bytes())
    plain.unlink()
    if clockwise:
        cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise]
        matrix = (cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30)
        struct.pack_into(">9i", data, data.index(b"tkhd") + 44, *matrix)
    path.write_bytes(data)
    return path
