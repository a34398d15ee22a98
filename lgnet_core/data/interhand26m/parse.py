"""Streaming readers of InterHand2.6M's JSON files, which may be gigabytes: rows are parsed one by one in little memory.

Incomplete or invalid rows are skipped and counted.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import numpy as np
from rich.progress import Progress

from lgnet_core.data.annotated_images import HAND_TYPES
from lgnet_core.data.interhand26m.layout import BOTH_FROM_INTERHAND
from lgnet_core.io.files import InputError
from lgnet_core.types import FloatArray

MILLIMETRE = 1e-3

BAD_ROW = "row lacks a key or has invalid numbers"
NO_IMAGE = "annotation of an unlisted image"
NO_CAMERA = "no camera"
BAD_CAMERA = "camera with invalid numbers"
NO_JOINTS = "no 3D joints of this time step"
BAD_JOINTS = "3D joints with invalid numbers"
BAD_FIT = "MANO fit with invalid numbers"

_PARSE_ERRORS = (KeyError, TypeError, ValueError, OverflowError)  # raised by invalid rows

Arrays = dict[str, FloatArray]
CaptureKey = tuple[str, str]
"""A capture and, within it, a camera or a frame, as the keys in the files."""


class AnnotationReader:
    """Reads the files of a split in order: cameras, joints, fits, images, annotations.

    Args:
        progress: shows the number of bytes read.

    Attributes:
        skipped: number of skipped rows, cameras and fits by reason.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.skipped: Counter[str] = Counter()

    def cameras(self, path: Path) -> tuple[Arrays, dict[CaptureKey, int]]:
        """Cameras of all captures: (C, 3, 3) ``camera_rotation`` world -> camera, (C, 3) ``camera_position`` metres,
        (C, 2) ``focal`` and ``principal`` pixels; and the row of each camera.
        """
        rows: dict[CaptureKey, int] = {}
        columns: dict[str, list[FloatArray]] = {"camrot": [], "campos": [], "focal": [], "princpt": []}
        shapes = {"camrot": (3, 3), "campos": (3,), "focal": (2,), "princpt": (2,)}
        for capture, content in _read_small(path).items():
            for name in content.get("campos", {}):
                try:
                    values = {key: _numbers(content[key][name], shape) for key, shape in shapes.items()}
                except _PARSE_ERRORS:
                    self.skipped[BAD_CAMERA] += 1
                    continue
                rows[capture, name] = len(rows)
                for key, value in values.items():
                    columns[key].append(value)
        stacked = {key: np.array(columns[key], np.float64).reshape(-1, *shape) for key, shape in shapes.items()}
        arrays = {
            "camera_rotation": stacked["camrot"],
            "camera_position": stacked["campos"] * MILLIMETRE,
            "focal": stacked["focal"],
            "principal": stacked["princpt"],
        }
        return arrays, rows

    def steps(self, path: Path) -> tuple[Arrays, dict[CaptureKey, int]]:
        """Time steps: (T, 2, 21, 3) ``joints``, world, metres, OpenPose order, and (T, 2, 21) ``joints_valid``; and the
        row of each time step.
        """
        rows: dict[CaptureKey, int] = {}
        joints, valid = array("d"), bytearray()
        for capture, frames in self._members(path):
            for frame, step in frames.items():
                try:
                    points = _numbers(step["world_coord"], (42, 3))[BOTH_FROM_INTERHAND] * MILLIMETRE
                    flags = _flags(step["joint_valid"])
                except _PARSE_ERRORS:
                    self.skipped[BAD_JOINTS] += 1
                    continue
                rows[capture, frame] = len(rows)
                joints.frombytes(points.tobytes())
                valid += flags.tobytes()
        return {
            "joints": np.frombuffer(joints, np.float64).reshape(-1, 2, 21, 3),
            "joints_valid": np.frombuffer(valid, bool).reshape(-1, 2, 21),
        }, rows

    def fits(self, path: Path | None, steps: dict[CaptureKey, int]) -> Arrays:
        """MANO parameters of the time steps, world: (T, 2, 48) ``pose``, (T, 2, 10) ``shape``, (T, 2, 3)
        ``translation`` metres, and (T, 2) ``fitted``.
        """
        count = len(steps)
        shapes = {"pose": (48,), "shape": (10,), "trans": (3,)}
        dtypes = {"pose": np.float32, "shape": np.float32, "trans": np.float64}
        values = {key: np.zeros((count, 2, *shape), dtypes[key]) for key, shape in shapes.items()}
        fitted = np.zeros((count, 2), bool)
        for capture, frames in self._members(path) if path else ():
            for frame, hands in frames.items():
                step = steps.get((capture, frame))
                for side, label in enumerate(("right", "left")):
                    fit = hands.get(label) if isinstance(hands, dict) else None
                    if step is None or fit is None:
                        continue
                    try:
                        parameters = {key: _numbers(fit[key], shape) for key, shape in shapes.items()}
                    except _PARSE_ERRORS:
                        self.skipped[BAD_FIT] += 1
                        continue
                    fitted[step, side] = True
                    for key, value in parameters.items():
                        values[key][step, side] = value
        return {"pose": values["pose"], "shape": values["shape"], "translation": values["trans"], "fitted": fitted}

    def images(
        self, path: Path, cameras: dict[CaptureKey, int], steps: dict[CaptureKey, int]
    ) -> tuple[Arrays, list[str]]:
        """Columns of ``images``, with rows of the camera and time-step tables (-1: missing), and the sequence names."""
        numbers = {name: array("q") for name in ("id", "capture", "frame", "width", "height")}
        references = {name: array("i") for name in ("camera", "step", "sequence")}
        names, ends = bytearray(), array("q", [0])
        sequences: dict[str, int] = {}
        for item in self._items(path, "images.item"):
            try:
                row = [int(item[key]) for key in ("id", "capture", "frame_idx", "width", "height")]
                file_name, sequence, camera = item["file_name"].encode(), str(item["seq_name"]), str(item["camera"])
            except (*_PARSE_ERRORS, AttributeError):
                self.skipped[BAD_ROW] += 1
                continue
            for column, value in zip(numbers.values(), row):
                column.append(value)
            capture = str(row[1])
            references["camera"].append(cameras.get((capture, camera), -1))
            references["step"].append(steps.get((capture, str(row[2])), -1))
            references["sequence"].append(sequences.setdefault(sequence, len(sequences)))
            names += file_name
            ends.append(len(names))
        arrays = {name: np.frombuffer(column, np.int64) for name, column in numbers.items()}
        arrays |= {name: np.frombuffer(column, np.int32) for name, column in references.items()}
        arrays |= {"names": np.frombuffer(names, np.uint8), "name_ends": np.frombuffer(ends, np.int64)}
        return arrays, list(sequences)

    def annotations(self, path: Path) -> Arrays:
        """Columns of ``annotations``: ids, (N, 4) ``box`` left, top, right, bottom pixels, (N, 6) ``view_valid`` (42
        packed bits, OpenPose order), ``hand_type`` and whether it is marked as valid.
        """
        ids = {name: array("q") for name in ("id", "image_id")}
        boxes, valid, types, type_valid_flags = array("f"), bytearray(), bytearray(), bytearray()
        for item in self._items(path, "annotations.item"):
            try:
                number, image = int(item["id"]), int(item["image_id"])
                left, top, width, height = _numbers(item["bbox"], (4,))
                flags = np.packbits(_flags(item["joint_valid"]))
                hand_type = HAND_TYPES.index(item["hand_type"])
                type_valid = int(item["hand_type_valid"]) > 0
            except _PARSE_ERRORS:
                self.skipped[BAD_ROW] += 1
                continue
            ids["id"].append(number)
            ids["image_id"].append(image)
            boxes.extend((left, top, left + width, top + height))
            valid += flags.tobytes()
            types.append(hand_type)
            type_valid_flags.append(type_valid)
        return {name: np.frombuffer(column, np.int64) for name, column in ids.items()} | {
            "box": np.frombuffer(boxes, np.float32).reshape(-1, 4),
            "view_valid": np.frombuffer(valid, np.uint8).reshape(-1, 6),
            "hand_type": np.frombuffer(types, np.uint8),
            "hand_type_valid": np.frombuffer(type_valid_flags, bool),
        }

    def _items(self, path: Path, prefix: str) -> Iterator[Any]:
        return self._stream(path, lambda file: ijson.items(file, prefix, use_float=True))

    def _members(self, path: Path) -> Iterator[Any]:
        return self._stream(path, lambda file: ijson.kvitems(file, "", use_float=True))

    def _stream(self, path: Path, parse: Callable[[BinaryIO], Iterator[Any]]) -> Iterator[Any]:
        size = path.stat().st_size
        task = self.progress.add_task(path.name, total=size)
        with _annotation_errors(path), path.open("rb") as file:
            if file.read(64).lstrip()[:1] != b"{":
                raise AttributeError("it does not start with {")
            file.seek(0)
            with self.progress.wrap_file(file, size, task_id=task) as counted:
                yield from parse(counted)


def read_ids(path: Path) -> FloatArray:
    """Read integers, one per line, sorted."""
    try:
        return np.unique(np.array(path.read_text().split(), np.int64))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a list of annotation ids, one per line ({error}); download it again") from error


@contextmanager
def _annotation_errors(path: Path) -> Iterator[None]:
    """Convert errors of the JSON parsers to an InputError that names the file."""
    try:
        yield
    except (ijson.JSONError, json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise InputError(
            f"{path}: truncated, or not an annotation file of InterHand2.6M ({str(error).splitlines()[0]}); "
            "download it again"
        ) from error


def _read_small(path: Path) -> dict[str, Any]:
    with _annotation_errors(path):
        content = json.loads(path.read_text())
        return dict(content.items())


def _numbers(value: Any, shape: tuple[int, ...]) -> FloatArray:
    """Array of float64 of the given shape. Raises ValueError if the shape differs or a value is not finite."""
    numbers = np.asarray(value, np.float64).reshape(shape)
    if not np.isfinite(numbers).all():
        raise ValueError("not finite")
    return numbers


def _flags(value: Any) -> FloatArray:
    """(42,) bool, OpenPose order."""
    return (np.asarray(value).reshape(42) != 0)[BOTH_FROM_INTERHAND]
