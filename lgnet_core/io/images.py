"""Images, videos and camera files from disk: what can be used becomes uint8 RGB, what cannot gets a clear error.

Greyscale, palette, alpha (dropped), 16-bit and every EXIF orientation are read; an image above ``MAX_PIXELS`` is
shrunk by a whole factor, which :class:`LoadedImage` says, so that pixels can be told in the file's own size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from lgnet_core.types import Camera, FloatArray

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2"})
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".gif"})

MAX_PIXELS = 24_000_000
"""Larger images are shrunk: the network sees 256 pixels of a side, and a hand stays sharp far below this."""

MIN_SIDE = 16
"""Smaller images are refused: no hand can be told on so few pixels."""

_PINHOLE_MODELS = frozenset({"plumb_bob", "rational_polynomial"})

# A bad file is told once, in our own words. OpenCV 4 has the switch elsewhere than OpenCV 5.
(cv2.utils.logging.setLogLevel if hasattr(cv2.utils, "logging") else getattr(cv2, "setLogLevel"))(0)  # noqa: B009


class InputError(ValueError):
    """An image, video or camera file that cannot be used; the message says what, where and how to mend it."""


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """One image as the network sees it, and where it came from.

    Args:
        image: (H, W, 3) uint8 RGB.
        source: the file; for a frame of a video, the video.
        name: unique within its source, usable in a file name.
        width, height: size in the file (after its EXIF orientation), pixels; ``image`` may be smaller, see ``reduced``.
    """

    image: FloatArray
    source: Path
    name: str
    width: int
    height: int

    @property
    def reduced(self) -> bool:
        """True if the image was too large and ``image`` is a smaller copy of it."""
        return self.image.shape[1] != self.width

    def camera(self, camera: Camera) -> Camera:
        """The camera of ``image``, from the camera of the file.

        Raises:
            InputError: if the camera was calibrated for another size.
        """
        if (camera.width, camera.height) != (self.width, self.height):
            raise InputError(
                f"{self.source}: the image has {self.width}x{self.height} pixels, but the camera was calibrated for "
                f"{camera.width}x{camera.height}; give the camera file of this image size, or none"
            )
        height, width = self.image.shape[:2]
        scale = np.diag([width / self.width, height / self.height, 1.0])
        scale[:2, 2] = (scale.diagonal()[:2] - 1) / 2  # pixel centres lie at integers in both
        return replace(camera, matrix=scale @ camera.matrix, width=width, height=height)

    def file_pixels(self, pixels: FloatArray) -> FloatArray:
        """Pixels (..., 2) of ``image`` in the file's own size."""
        scale = np.array([self.width / self.image.shape[1], self.height / self.image.shape[0]])
        return (pixels + 0.5) * scale - 0.5


def load_image(path: str | Path) -> LoadedImage:
    """Read one image file.

    Raises:
        InputError: if the file is missing, empty, cut short, not an image, or too small.
    """
    path = Path(path)
    image = _to_8_bit(_decode(_read_bytes(path), path), path)
    return _loaded(image, path, path.stem)


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not an image; give a file inside it")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path (seen from {Path.cwd()})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions and its disk") from error
    if not data:
        raise InputError(f"{path}: is empty (0 bytes); copy or record it again")
    return data


def is_cut_jpeg(data: bytes) -> bool:
    """True for a JPEG whose end is missing: some decoders fill the missing part with grey, and say nothing."""
    return data.startswith(b"\xff\xd8") and data.find(b"\xff\xd9", data.rfind(b"\xff\xda")) < 0


def reduce_to_8_bit(image: FloatArray) -> FloatArray:
    """uint16 of any shape to uint8. 16-bit images often hold 10, 12 or 14 bits: the fullest bit found counts."""
    bits = max(8, int(image.max()).bit_length())
    bits += bits % 2  # sensors have 8, 10, 12, 14 or 16 bits
    return (image >> (bits - 8)).astype(np.uint8)


def _decode(data: bytes, path: Path) -> FloatArray:
    cut = InputError(f"{path}: is cut short ({len(data)} bytes, its end is missing); copy or download it again")
    if is_cut_jpeg(data):
        raise cut
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except (cv2.error, MemoryError) as error:
        reason = getattr(error, "err", "") or "out of memory"
        raise InputError(f"{path}: cannot be decoded ({reason}); shrink it or save it as PNG or JPEG") from error
    if image is not None:
        return image
    if data.startswith(b"\x89PNG") and b"IEND" not in data[-64:]:
        raise cut
    known = ", ".join(sorted(s[1:] for s in IMAGE_SUFFIXES))
    raise InputError(f"{path}: is not an image that can be read, or is damaged; save it as one of {known}")


def _to_8_bit(image: FloatArray, path: Path) -> FloatArray:
    """BGR of any depth to uint8 RGB."""
    if image.dtype == np.uint16:
        image = reduce_to_8_bit(image)
    if image.dtype != np.uint8:
        raise InputError(f"{path}: holds {image.dtype} values; save it with 8 or 16 bits a channel")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _loaded(image: FloatArray, source: Path, name: str) -> LoadedImage:
    height, width = image.shape[:2]
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"{source}: has {width}x{height} pixels; a hand needs an image of at least {MIN_SIDE}x{MIN_SIDE}"
        )
    if width * height > MAX_PIXELS:
        factor = int(np.ceil(np.sqrt(width * height / MAX_PIXELS)))
        image = cv2.resize(image, (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA)
    return LoadedImage(image, source, name, width, height)


def is_image_file(path: Path) -> bool:
    """Whether a folder's entry is an image by its name. Names that begin with a dot are none: other systems leave such
    files beside images, with the same suffix."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


class ImageSource:
    """The images of a file, a folder (sorted by name, not descended into) or a video, one after the other.

    Iterating yields a :class:`LoadedImage`, or the :class:`InputError` of a file that cannot be used, so that one bad
    file does not end a folder.

    Raises:
        InputError: if nothing there can be an image at all (also a video that cannot be opened).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.is_video = self.path.is_file() and self.path.suffix.lower() in VIDEO_SUFFIXES
        self.frames_per_second = 0.0
        self._files = [] if self.is_video else self._list_files()
        self._count = self._probe_video() if self.is_video else len(self._files)

    def __len__(self) -> int:
        """How many are to come; for a video what its header says, which may be wrong or 0 (unknown)."""
        return self._count

    def __iter__(self) -> Iterator[LoadedImage | InputError]:
        yield from self._video_frames() if self.is_video else self._images()

    def _list_files(self) -> list[Path]:
        if not self.path.exists():
            raise InputError(f"{self.path}: no such file or folder; check the path (seen from {Path.cwd()})")
        if not self.path.is_dir():
            return [self.path]
        files = sorted(f for f in self.path.iterdir() if is_image_file(f))
        if not files:
            known = ", ".join(sorted(s[1:] for s in IMAGE_SUFFIXES))
            raise InputError(f"{self.path}: holds no images; put files of one of the kinds {known} into it")
        return files

    def _images(self) -> Iterator[LoadedImage | InputError]:
        stems = [file.stem for file in self._files]
        for file in self._files:
            try:
                loaded = load_image(file)
                yield loaded if stems.count(file.stem) == 1 else replace(loaded, name=file.name.replace(".", "_"))
            except InputError as error:
                yield error

    def _open_video(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            size = self.path.stat().st_size
            raise InputError(
                f"{self.path}: cannot be opened as a video ({size} bytes: cut short, damaged, or a codec this OpenCV "
                "lacks); convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"
            )
        return capture

    def _probe_video(self) -> int:
        capture = self._open_video()
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        self.frames_per_second = rate if np.isfinite(rate) and 0 < rate <= 1000 else 30.0
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        capture.release()
        return max(0, int(count)) if np.isfinite(count) else 0

    def _video_frames(self) -> Iterator[LoadedImage | InputError]:
        capture = self._open_video()
        count = 0
        while True:
            good, frame = capture.read()
            if not good:
                break
            try:
                loaded = _loaded(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), self.path, f"{self.path.stem}_{count:06d}")
            except InputError as error:  # of its size, which all its frames share
                capture.release()
                yield error
                return
            yield loaded
            count += 1
        capture.release()
        if not count:
            yield InputError(
                f"{self.path}: holds no frame that can be read; convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"
            )
        elif count < self._count - 1:  # headers are off by one often enough to be no fault
            yield InputError(
                f"{self.path}: ends after {count} of {self._count} frames (cut short or damaged); "
                "the frames before were used"
            )


def read_camera(path: str | Path) -> Camera:
    """Camera from the YAML file that ROS's camera_calibration writes (``image_width``, ``camera_matrix``, ...).

    Raises:
        InputError: if the file is missing, is no such YAML, or describes no pinhole camera (NaN, zeros, fisheye).
    """
    path = Path(path)
    data = _read_bytes(path)
    try:
        content = yaml.safe_load(data.decode("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{path}: is not YAML ({first}); give the file that ROS's camera_calibration wrote") from error
    if not isinstance(content, dict) or "camera_matrix" not in content:
        raise InputError(
            f"{path}: is no camera calibration file; one that ROS's camera_calibration wrote holds image_width: 640, "
            "image_height: 480, camera_matrix: {data: [fx, 0, cx, 0, fy, cy, 0, 0, 1]}"
        )
    model = content.get("distortion_model", "plumb_bob")
    if model not in _PINHOLE_MODELS:
        raise InputError(
            f"{path}: distortion_model {model!r} is not supported; rectify the images and give the rectified camera, "
            f"or calibrate with one of {', '.join(sorted(_PINHOLE_MODELS))}"
        )
    matrix = _numbers(content, "camera_matrix", path)
    if matrix.size != 9:
        raise InputError(f"{path}: camera_matrix: data holds {matrix.size} numbers; give the 9 of K, row by row")
    distorted = "distortion_coefficients" in content
    distortion = _numbers(content, "distortion_coefficients", path) if distorted else np.zeros(0)
    size = [_whole(content, key, path) for key in ("image_width", "image_height")]
    try:
        return Camera(matrix.reshape(3, 3), size[0], size[1], distortion)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def _numbers(content: dict[str, Any], key: str, path: Path) -> FloatArray:
    block = content.get(key)
    data = block.get("data") if isinstance(block, dict) else block
    try:
        numbers = np.asarray(data, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        numbers = np.full(1, np.nan)
    if data is None or (numbers.size == 1 and not np.isfinite(numbers[0])):
        raise InputError(f"{path}: {key}: data: [...] is missing or holds no numbers; calibrate the camera again")
    return numbers


def _whole(content: dict[str, Any], key: str, path: Path) -> int:
    value = content.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{path}: {key} is {value!r}; give the image's size in whole pixels")
    return value
