"""Structure of JPEG data: where an image ends, whether it is whole, its size and its EXIF block.

Phones append videos to their photographs, and cameras leave old bytes in their buffers, so the end of an image is found
by walking its segments, never by searching for the end marker, which other data contain too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

SIGNATURE = b"\xff\xd8\xff"

_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, all JPEG processes
_INVALID_MARKERS = frozenset([*range(0x01, 0xC0), _START_OF_IMAGE, *range(0xF0, 0xFE)])
_NO_MARKERS = frozenset([0x00, 0xFF, *range(0xD0, 0xD8)])  # in the data of a scan: a value, filling, restarts
_SEQUENTIAL_MARKERS = frozenset([0xC0, 0xC1])


class Segment(NamedTuple):
    """A segment: its marker's second byte, and where its payload starts and ends. The end marker has no payload."""

    marker: int
    start: int
    end: int


def jpeg_segments(data: bytes) -> Iterator[Segment]:
    """Segments up to the end marker, or up to where the data end or are no JPEG; bytes between them are skipped."""
    offset = 2
    while (start := _find_marker(data, offset)) < len(data):
        marker, offset = data[start + 1], start + 2
        if marker == _END_OF_IMAGE:
            yield Segment(marker, offset, offset)
            return
        length = int.from_bytes(data[offset : offset + 2], "big")
        if marker in _INVALID_MARKERS or length < 2 or offset + length > len(data):
            return
        yield Segment(marker, offset + 2, offset + length)
        offset += length


def complete_jpeg(data: bytes) -> bytes | None:
    """The image without the bytes that follow it; None if it is cut off.

    Some webcams send images without end marker. Such an image is complete if its scan reaches the last pixels; the
    marker is then added.
    """
    frame = last = None
    for segment in jpeg_segments(data):
        if segment.marker == _END_OF_IMAGE:
            return data[: segment.end]
        frame, last = segment if segment.marker in _FRAME_MARKERS else frame, segment
    if frame is None or last is None or last.marker != _START_OF_SCAN:
        return None
    closed = _strip_filling(data[: _find_marker(data, last.end)]) + b"\xff\xd9"
    return closed if _reaches_last_pixels(closed, frame, last) else None


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from the frame header; None without one."""
    for marker, start, end in jpeg_segments(data):
        if marker in _FRAME_MARKERS and end - start >= 5:
            return int.from_bytes(data[start + 3 : start + 5], "big"), int.from_bytes(
                data[start + 1 : start + 3], "big"
            )
        if marker == _START_OF_SCAN:
            break
    return None


def jpeg_exif(data: bytes) -> bytes:
    """The EXIF block in TIFF format; empty without one."""
    for marker, start, end in jpeg_segments(data):
        if marker == _APP1 and data.startswith(b"Exif\0\0", start):
            return data[start + 6 : end]
        if marker == _START_OF_SCAN:
            break
    return b""


def _find_marker(data: bytes, offset: int) -> int:
    """Where the next marker starts at or after an offset, skipping a scan's data; ``len(data)`` if there is none."""
    while (offset := data.find(b"\xff", offset)) >= 0 and offset + 1 < len(data):
        if data[offset + 1] not in _NO_MARKERS:
            return offset
        offset += 1
    return len(data)


def _strip_filling(data: bytes) -> bytes:
    """Without zeros and fill bytes at the end, which would be read as pixels; FF 00 is a value."""
    stripped = data.rstrip(b"\0")
    return stripped + b"\0" if stripped.endswith(b"\xff") and stripped != data else stripped.rstrip(b"\xff")


def _reaches_last_pixels(data: bytes, frame: Segment, scan: Segment) -> bool:
    """Whether the only scan describes the last block of pixels, which is a plain 128 in the decoded image if not.

    Images with several scans are refused, because the file does not state how many there should be.
    """
    components = data[frame.start + 5]
    if frame.marker not in _SEQUENTIAL_MARKERS or data[scan.start] != components or frame.end < frame.start + 9:
        return False
    sampling = data[frame.start + 7 : frame.end : 3] if components > 1 else b"\x11"
    block_width, block_height = 8 * max(s >> 4 for s in sampling), 8 * max(s & 15 for s in sampling)
    try:
        luma = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    except (cv2.error, MemoryError):
        return False
    if luma is None or not block_width or not block_height:
        return False
    height, width = luma.shape
    last_block = luma[(height - 1) // block_height * block_height :, (width - 1) // block_width * block_width :]
    return bool((last_block != 128).any())
