"""InterHand2.6M's JSON files read as streams: rows are taken one by one, so that a gigabyte of JSON needs no gigabytes.

What a row lacks does not end the reading: the row is left out and counted.
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

from lgnet_core.data.interhand26m.layout import BOTH_FROM_INTERHAND
from lgnet_core.data.real_images import HAND_TYPES
from lgnet_core.io.images import InputError
from lgnet_core.types import FloatArray

MILLIMETRE = 1e-3

BAD_ROW = "row lacks a key or holds no numbers"
NO_IMAGE = "annotation of an image that is not listed"
NO_CAMERA = "no camera"
BAD_CAMERA = "camera without numbers"
NO_JOINTS = "no 3D joints of this time"
BAD_JOINTS = "3D joints without numbers"
BAD_FIT = "MANO fit without numbers"

_WRONG = (KeyError, TypeError, ValueError, OverflowError)  # what a row can be wrong by

Arrays = dict[str, FloatArray]
Place = tuple[str, str]
"""A capture and, in it, a camera or a frame, as the files' keys."""


class Reader:
    """The files of a split, read in order: cameras, joints, fits, images, annotations.

    Args:
        progress: shows how much of the files' bytes is read.

    Attributes:
        skipped: how many rows, cameras and fits were left out, by reason.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.skipped: Counter[str] = Counter()

    def cameras(self, path: Path) -> tuple[Arrays, dict[Place, int]]:
        """Cameras of all captures: (C, 3, 3) ``camera_rotation`` world -> camera, (C, 3) ``camera_position`` metres,
        (C, 2) ``focal`` and ``principal`` pixels; and where each is.
        """
        found: dict[Place, int] = {}
        columns: dict[str, list[FloatArray]] = {"camrot": [], "campos": [], "focal": [], "princpt": []}
        shapes = {"camrot": (3, 3), "campos": (3,), "focal": (2,), "princpt": (2,)}
        for capture, content in _read_small(path).items():
            for name in content.get("campos", {}):
                try:
                    values = {key: _numbers(content[key][name], shape) for key, shape in shapes.items()}
                except _WRONG:
                    self.skipped[BAD_CAMERA] += 1
                    continue
                found[capture, name] = len(found)
                for key, value in values.items():
                    columns[key].append(value)
        stacked = {key: np.array(columns[key], np.float64).reshape(-1, *shape) for key, shape in shapes.items()}
        arrays = {
            "camera_rotation": stacked["camrot"],
            "camera_position": stacked["campos"] * MILLIMETRE,
            "focal": stacked["focal"],
            "principal": stacked["princpt"],
        }
        return arrays, found

    def steps(self, path: Path) -> tuple[Arrays, dict[Place, int]]:
        """Time steps: (T, 2, 21, 3) ``joints``, world, metres, our order, and (T, 2, 21) ``joints_valid``."""
        found: dict[Place, int] = {}
        joints, valid = array("d"), bytearray()
        for capture, frames in self._members(path):
            for frame, step in frames.items():
                try:
                    points = _numbers(step["world_coord"], (42, 3))[BOTH_FROM_INTERHAND] * MILLIMETRE
                    flags = _flags(step["joint_valid"])
                except _WRONG:
                    self.skipped[BAD_JOINTS] += 1
                    continue
                found[capture, frame] = len(found)
                joints.frombytes(points.tobytes())
                valid += flags.tobytes()
        return {
            "joints": np.frombuffer(joints, np.float64).reshape(-1, 2, 21, 3),
            "joints_valid": np.frombuffer(valid, bool).reshape(-1, 2, 21),
        }, found

    def fits(self, path: Path | None, steps: dict[Place, int]) -> Arrays:
        """MANO's parameters of the time steps, world: (T, 2, 48) ``pose``, (T, 2, 10) ``shape``, (T, 2, 3)
        ``translation`` metres, and (T, 2) ``fitted``.
        """
        count = len(steps)
        shapes = {"pose": (48,), "shape": (10,), "trans": (3,)}
        kinds = {"pose": np.float32, "shape": np.float32, "trans": np.float64}
        values = {key: np.zeros((count, 2, *shape), kinds[key]) for key, shape in shapes.items()}
        fitted = np.zeros((count, 2), bool)
        for capture, frames in self._members(path) if path else ():
            for frame, hands in frames.items():
                step = steps.get((capture, frame))
                for side, label in enumerate(("right", "left")):
                    fit = hands.get(label) if isinstance(hands, dict) else None
                    if step is None or fit is None:
                        continue
                    try:
                        told = {key: _numbers(fit[key], shape) for key, shape in shapes.items()}
                    except _WRONG:
                        self.skipped[BAD_FIT] += 1
                        continue
                    fitted[step, side] = True
                    for key, value in told.items():
                        values[key][step, side] = value
        return {"pose": values["pose"], "shape": values["shape"], "translation": values["trans"], "fitted": fitted}

    def images(self, path: Path, cameras: dict[Place, int], steps: dict[Place, int]) -> tuple[Arrays, list[str]]:
        """The rows of ``images``, with places among cameras and steps (-1: not there), and the sequences' names."""
        numbers = {name: array("q") for name in ("id", "capture", "frame", "width", "height")}
        places = {name: array("i") for name in ("camera", "step", "sequence")}
        names, ends = bytearray(), array("q", [0])
        sequences: dict[str, int] = {}
        for item in self._items(path, "images.item"):
            try:
                row = [int(item[key]) for key in ("id", "capture", "frame_idx", "width", "height")]
                file_name, sequence, camera = item["file_name"].encode(), str(item["seq_name"]), str(item["camera"])
            except (*_WRONG, AttributeError):
                self.skipped[BAD_ROW] += 1
                continue
            for column, value in zip(numbers.values(), row):
                column.append(value)
            capture = str(row[1])
            places["camera"].append(cameras.get((capture, camera), -1))
            places["step"].append(steps.get((capture, str(row[2])), -1))
            places["sequence"].append(sequences.setdefault(sequence, len(sequences)))
            names += file_name
            ends.append(len(names))
        arrays = {name: np.frombuffer(column, np.int64) for name, column in numbers.items()}
        arrays |= {name: np.frombuffer(column, np.int32) for name, column in places.items()}
        arrays |= {"names": np.frombuffer(names, np.uint8), "name_ends": np.frombuffer(ends, np.int64)}
        return arrays, list(sequences)

    def annotations(self, path: Path) -> Arrays:
        """The rows of ``annotations``: ids, (N, 4) ``box`` left, top, right, bottom pixels, (N, 6) ``view_valid`` (42
        packed bits, our order), ``hand_type`` and whether it is marked as valid.
        """
        ids = {name: array("q") for name in ("id", "image_id")}
        boxes, valid, types, sure = array("f"), bytearray(), bytearray(), bytearray()
        for item in self._items(path, "annotations.item"):
            try:
                number, image = int(item["id"]), int(item["image_id"])
                left, top, width, height = _numbers(item["bbox"], (4,))
                flags = np.packbits(_flags(item["joint_valid"]))
                hand_type = HAND_TYPES.index(item["hand_type"])
                type_valid = int(item["hand_type_valid"]) > 0
            except _WRONG:
                self.skipped[BAD_ROW] += 1
                continue
            ids["id"].append(number)
            ids["image_id"].append(image)
            boxes.extend((left, top, left + width, top + height))
            valid += flags.tobytes()
            types.append(hand_type)
            sure.append(type_valid)
        return {name: np.frombuffer(column, np.int64) for name, column in ids.items()} | {
            "box": np.frombuffer(boxes, np.float32).reshape(-1, 4),
            "view_valid": np.frombuffer(valid, np.uint8).reshape(-1, 6),
            "hand_type": np.frombuffer(types, np.uint8),
            "hand_type_valid": np.frombuffer(sure, bool),
        }

    def _items(self, path: Path, prefix: str) -> Iterator[Any]:
        return self._stream(path, lambda file: ijson.items(file, prefix, use_float=True))

    def _members(self, path: Path) -> Iterator[Any]:
        return self._stream(path, lambda file: ijson.kvitems(file, "", use_float=True))

    def _stream(self, path: Path, parse: Callable[[BinaryIO], Iterator[Any]]) -> Iterator[Any]:
        size = path.stat().st_size
        task = self.progress.add_task(path.name, total=size)
        with _told(path), path.open("rb") as file:
            if file.read(64).lstrip()[:1] != b"{":
                raise AttributeError("it does not begin with {")
            file.seek(0)
            with self.progress.wrap_file(file, size, task_id=task) as counted:
                yield from parse(counted)


def read_ids(path: Path) -> FloatArray:
    """Whole numbers, one a line, sorted."""
    try:
        return np.unique(np.array(path.read_text().split(), np.int64))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no list of annotation ids, one a line ({error}); download it again") from error


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What is wrong with a file, in our own words."""
    try:
        yield
    except (ijson.JSONError, json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise InputError(
            f"{path}: is cut short or no annotation file of InterHand2.6M ({str(error).splitlines()[0]}); "
            "download it again"
        ) from error


def _read_small(path: Path) -> dict[str, Any]:
    with _told(path):
        content = json.loads(path.read_text())
        return dict(content.items())


def _numbers(value: Any, shape: tuple[int, ...]) -> FloatArray:
    """float64 of a shape. Raises ValueError where it is none, or not finite."""
    numbers = np.asarray(value, np.float64).reshape(shape)
    if not np.isfinite(numbers).all():
        raise ValueError("not finite")
    return numbers


def _flags(value: Any) -> FloatArray:
    """(42,) bool, our order."""
    return (np.asarray(value).reshape(42) != 0)[BOTH_FROM_INTERHAND]
