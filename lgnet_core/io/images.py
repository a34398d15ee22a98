"""Still images: decoding to uint8 RGB, conversion to 8 bits, and downscaling of very large images.

Greyscale, palette, alpha (dropped) and 16-bit images with any EXIF orientation are supported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lgnet_core.io.files import InputError, read_bytes
from lgnet_core.io.image_size import check_image_size
from lgnet_core.types import Camera, FloatArray, ImageArray

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2"})

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
    """

    image: ImageArray
    source: Path
    name: str
    width: int
    height: int

    @classmethod
    def from_pixels(cls, image: ImageArray, source: Path, name: str) -> LoadedImage:
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
        return cls(image, source, name, width, height)

    @property
    def downscaled(self) -> bool:
        """Whether ``image`` is smaller than the image in the file."""
        return self.image.shape[1] != self.width

    def scale_camera(self, camera: Camera) -> Camera:
        """The camera of ``image``, given the camera of the image in the file.

        Raises:
            InputError: if the camera was calibrated for another size.
        """
        if (camera.width, camera.height) != (self.width, self.height):
            raise InputError(
                f"{self.source}: the image has {self.width}x{self.height} pixels, but the camera was calibrated for "
                f"{camera.width}x{camera.height}; pass the calibration for this image size, or none"
            )
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
    return LoadedImage.from_pixels(read_image(path), path, path.stem)


def read_image(path: str | Path) -> ImageArray:
    """Read an image file as (H, W, 3) uint8 RGB in its own size, EXIF orientation applied.

    Raises:
        InputError: if the file is missing, empty, truncated, not an image, or has neither 8 nor 16 bits per channel.
    """
    path = Path(path)
    image = _decode(read_bytes(path), path)
    if image.dtype == np.uint16:
        image = reduce_to_8_bit(image)
    if image.dtype != np.uint8:
        raise InputError(f"{path}: has {image.dtype} pixels; save it with 8 or 16 bits per channel")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def is_image_file(path: Path) -> bool:
    """Whether a folder entry is an image file, by its name.

    Hidden files are excluded: macOS writes ``._name.jpg`` files beside images.
    """
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def is_truncated_jpeg(data: bytes) -> bool:
    """Whether a JPEG lacks its end-of-image marker; some decoders silently fill the missing part with grey."""
    return data.startswith(b"\xff\xd8") and data.find(b"\xff\xd9", data.rfind(b"\xff\xda")) < 0


def reduce_to_8_bit(image: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Convert uint16 of any shape to uint8.

    16-bit images often hold 10, 12 or 14 bits: the bit depth is that of the brightest value.
    """
    bits = max(8, int(image.max()).bit_length())
    bits += bits % 2  # sensors have 8, 10, 12, 14 or 16 bits
    return (image >> (bits - 8)).astype(np.uint8)


def _decode(data: bytes, path: Path) -> FloatArray:
    """Decode to BGR of any bit depth."""
    truncated = InputError(f"{path}: is truncated after {len(data)} bytes; copy or download it again")
    if is_truncated_jpeg(data):
        raise truncated
    check_image_size(data, path)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except (cv2.error, MemoryError) as error:
        reason = getattr(error, "err", "") or "out of memory"
        raise InputError(f"{path}: cannot be decoded ({reason}); shrink it or save it as PNG or JPEG") from error
    if image is not None:
        return image
    if data.startswith(b"\x89PNG") and b"IEND" not in data[-64:]:
        raise truncated
    known = ", ".join(sorted(s[1:] for s in IMAGE_SUFFIXES))
    raise InputError(f"{path}: is not a readable image, or is damaged; save it as one of {known}")
