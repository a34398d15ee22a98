"""Still images: decoding to uint8 RGB, conversion to 8 bits, and downscaling of very large images.

Greyscale, palette, alpha (dropped) and 16-bit images with any EXIF orientation are supported. Of a file with several
pages the first one is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_core.io.files import InputError, read_bytes
from lgnet_core.io.image_formats import (
    PNG_SIGNATURE,
    UNSUPPORTED_SUFFIXES,
    count_pages,
    is_avif,
    is_heic,
    is_image_data,
    read_orientation,
)
from lgnet_core.io.image_size import check_image_size
from lgnet_core.io.jpeg import SIGNATURE as JPEG_SIGNATURE
from lgnet_core.io.jpeg import complete_jpeg, jpeg_size
from lgnet_core.io.orientation import UPRIGHT, camera_of_upright_image, swaps_sides, turn_image
from lgnet_core.types import Camera, FloatArray, ImageArray

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2", ".avif"})

_HEAD_BYTES = 256
"""Of a file without a known suffix, to recognise an image."""

MAX_PIXELS = 24_000_000
"""Larger images are downscaled: the network crops are 224 or 256 pixels wide, so no detail that matters is lost."""

MIN_SIDE = 16
"""Pixels; smaller images are rejected, since no hand can be recognised in them."""

# Decoding errors are reported as InputError; silence OpenCV's own log (the setter moved in OpenCV 5).
(cv2.utils.logging.setLogLevel if hasattr(cv2.utils, "logging") else getattr(cv2, "setLogLevel"))(0)  # noqa: B009


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An image for the network, possibly downscaled, and where it came from.

    Args:
        image: (H, W, 3) uint8 RGB.
        source: the file; for a video frame, the video.
        name: unique within its source, usable in a file name.
        width, height: size in the file (after its EXIF orientation), pixels; larger than ``image`` if ``downscaled``.
        orientation: EXIF orientation by which the image was turned upright.
        pages: number of images in the file, of which this is the first.
        frame, time: number of a video frame, from 0, and its time from the start of the video, seconds; None: a still
            image.
    """

    image: ImageArray
    source: Path
    name: str
    width: int
    height: int
    orientation: int = UPRIGHT
    pages: int = 1
    frame: int | None = None
    time: float | None = None

    @classmethod
    def from_pixels(
        cls, image: ImageArray, source: Path, name: str, orientation: int = UPRIGHT, pages: int = 1
    ) -> LoadedImage:
        """Downscale an image above :data:`MAX_PIXELS` by an integer factor.

        Raises:
            InputError: if a side is shorter than :data:`MIN_SIDE`.
        """
        height, width = image.shape[:2]
        if min(width, height) < MIN_SIDE:
            raise InputError(
                f"{source}: has {width}x{height} pixels; hand estimation needs at least {MIN_SIDE}x{MIN_SIDE}"
            )
        if width * height > MAX_PIXELS:
            factor = int(np.ceil(np.sqrt(width * height / MAX_PIXELS)))
            size = max(1, width // factor), max(1, height // factor)
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return cls(image, source, name, width, height, orientation, pages)

    @property
    def downscaled(self) -> bool:
        """Whether ``image`` is smaller than the image in the file."""
        return self.image.shape[1] != self.width

    def upright_camera(self, camera: Camera) -> Camera:
        """The camera of the image in the file, turned by its EXIF orientation, given its calibration.

        Raises:
            InputError: if the camera was calibrated for another size.
        """
        try:
            return camera_of_upright_image(camera, (self.width, self.height), self.orientation)
        except ValueError as error:
            raise InputError(f"{self.source}: {error}") from error

    def scale_camera(self, camera: Camera) -> Camera:
        """The camera of ``image``: as :meth:`upright_camera`, but downscaled with the image."""
        camera = self.upright_camera(camera)
        height, width = self.image.shape[:2]
        scale = np.diag([width / self.width, height / self.height, 1.0])
        scale[:2, 2] = (scale.diagonal()[:2] - 1) / 2  # pixel centres lie at integers in both
        return replace(camera, matrix=scale @ camera.matrix, width=width, height=height)

    def to_file_pixels(self, pixels: FloatArray) -> FloatArray:
        """Convert pixels (..., 2) of ``image`` to pixels of the image in the file."""
        scale = np.array([self.width / self.image.shape[1], self.height / self.image.shape[0]])
        return (pixels + 0.5) * scale - 0.5


def load_image(path: str | Path) -> LoadedImage:
    """Read an image file for inference: as :func:`read_image`, but downscaled above :data:`MAX_PIXELS`.

    Raises:
        InputError: if the file cannot be read, is not an image, or is smaller than :data:`MIN_SIDE`.
    """
    path = Path(path)
    data = read_bytes(path)
    return LoadedImage.from_pixels(_read(data, path), path, path.stem, read_orientation(data), count_pages(data))


def read_image(path: str | Path) -> ImageArray:
    """Read an image file as (H, W, 3) uint8 RGB in its own size, EXIF orientation applied.

    The image is never downscaled, so the camera of the file is the camera of the result; for a file with an EXIF
    orientation it is ``read_camera(calibration, image=path)``.

    Raises:
        InputError: if the file is missing, empty, truncated, not an image, or has neither 8 nor 16 bits per channel.
    """
    path = Path(path)
    return _read(read_bytes(path), path)


def read_size_and_orientation(path: Path) -> tuple[tuple[int, int], int]:
    """(width, height) of the upright image in a file, and its EXIF orientation.

    Raises:
        InputError: see :func:`read_image`.
    """
    data = read_bytes(path)
    orientation, stored = read_orientation(data), jpeg_size(data) if data.startswith(JPEG_SIGNATURE) else None
    if stored is not None:
        return stored[::-1] if swaps_sides(orientation) else stored, orientation
    height, width = _read(data, path).shape[:2]
    return (width, height), orientation


def is_image_file(path: Path) -> bool:
    """Whether a folder entry is an image file: by its name, or without a known suffix by its content.

    Formats that cannot be read (HEIC, raw photographs) count as well, so that reading them names the remedy. Hidden
    files are excluded: macOS writes ``._name.jpg`` files beside images.
    """
    if path.name.startswith(".") or not path.is_file():
        return False
    if path.suffix.lower() in IMAGE_SUFFIXES or path.suffix.lower() in UNSUPPORTED_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return is_image_data(file.read(_HEAD_BYTES))
    except OSError:
        return False


def reduce_to_8_bit(image: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Convert uint16 of any shape to uint8.

    16-bit images often hold 10, 12 or 14 bits: the bit depth is that of the brightest value.
    """
    bits = max(8, int(image.max()).bit_length())
    bits += bits % 2  # sensors have 8, 10, 12, 14 or 16 bits
    return (image >> (bits - 8)).astype(np.uint8)


def _read(data: bytes, path: Path) -> ImageArray:
    """Decode a file's content to upright RGB."""
    image = _decode(data, path)
    if image.dtype == np.uint16:
        image = reduce_to_8_bit(image)
    if image.dtype != np.uint8:
        raise InputError(f"{path}: has {image.dtype} pixels; save it with 8 or 16 bits per channel")
    if not data.startswith((b"II", b"MM")):  # OpenCV turns TIFF images in any case
        image = turn_image(image, read_orientation(data))
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _decode(data: bytes, path: Path) -> FloatArray:
    """Decode to BGR of any bit depth, in the orientation as stored (except TIFF)."""
    unsupported = UNSUPPORTED_SUFFIXES.get(".heic" if is_heic(data) else path.suffix.lower())
    if unsupported is not None:
        raise InputError(f"{path}: is {unsupported}")
    truncated = InputError(f"{path}: is truncated after {len(data)} bytes; copy or download it again")
    if data.startswith(JPEG_SIGNATURE):
        complete = complete_jpeg(data)
        if complete is None:
            raise truncated
        data = complete
    check_image_size(data, path)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        reason = getattr(error, "err", "") or "out of memory"
        raise InputError(f"{path}: cannot be decoded ({reason}); shrink it or save it as PNG or JPEG") from error
    if image is not None:
        return image
    if data.startswith(PNG_SIGNATURE) and b"IEND" not in data[-64:]:
        raise truncated
    if is_avif(data):
        raise InputError(f"{path}: is damaged, or AVIF that this build of OpenCV cannot read; save it as PNG or JPEG")
    known = ", ".join(sorted(s[1:] for s in IMAGE_SUFFIXES))
    raise InputError(f"{path}: is not a readable image, or is damaged; save it as one of {known}")
