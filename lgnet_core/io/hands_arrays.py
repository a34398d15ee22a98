"""Tracked hands as arrays in one npz file, with one row per hand and frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lgnet_core.io.output import OutputError, replacing
from lgnet_core.types import JOINT_NAMES, NUM_KEYPOINTS, Hand, TwoHands

_COLUMNS: dict[str, tuple[Any, tuple[int, ...], Callable[[Hand], Any]]] = {
    "side": (np.uint8, (), lambda hand: hand.side),
    "track_id": (np.uint32, (), lambda hand: hand.track_id),
    "presence": (np.float32, (), lambda hand: hand.presence),
    "joints": (np.float64, (NUM_KEYPOINTS, 3), lambda hand: hand.joints),
    "joints_2d": (np.float64, (NUM_KEYPOINTS, 2), lambda hand: hand.joints_2d),
    "joint_std": (np.float32, (NUM_KEYPOINTS,), lambda hand: hand.joint_std),
    "rotations": (np.float32, (16, 3, 3), lambda hand: hand.rotations),
    "shape": (np.float32, (10,), lambda hand: hand.shape),
}
"""Type and shape of a row, and value of a hand, by the name of the array."""


class HandsArrays:
    """Writer of such a file, as a context manager; it is written on exit, also after an interruption.

    Load it with ``numpy.load``. Arrays of N rows, in the order of the frames, the right hand first:

    ``frame`` (N,), ``time`` (N,) seconds from the start of the video; ``side`` (N,) 0 right, 1 left; ``track_id`` (N,)
    constant while a hand is followed, 0 without tracking; ``presence`` (N,) probability; ``metric`` (N,) true if the
    joints are in the camera frame, false if they are relative to the hand's wrist; ``joints`` (N, 21, 3) metres;
    ``joints_2d`` (N, 21, 2) pixels of the video; ``joint_std`` (N, 21) metres, per axis of the wrist-relative joints;
    ``rotations`` (N, 16, 3, 3) and ``shape`` (N, 10) of the hand model, see :class:`lgnet_core.types.Hand`. Besides,
    ``joint_names`` (21,).

    Raises:
        OutputError: on exit, if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._frames: list[tuple[int, float, bool]] = []
        self._rows: dict[str, list[Any]] = {name: [] for name in _COLUMNS}

    def __enter__(self) -> HandsArrays:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, OutputError):
            return
        frames, times, metric = zip(*self._frames) if self._frames else ((), (), ())
        arrays: dict[str, Any] = {
            "joint_names": np.array(JOINT_NAMES),
            "frame": np.array(frames, np.int64),
            "time": np.array(times, np.float64),
            "metric": np.array(metric, bool),
        }
        for name, (dtype, shape, _value) in _COLUMNS.items():
            arrays[name] = np.array(self._rows[name], dtype).reshape(-1, *shape)
        with replacing(self.path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **arrays)

    def add(self, frame: int, time: float, hands: TwoHands) -> None:
        """Add the hands of a frame, with 2D joints in pixels of the video."""
        for hand in hands.hands:
            self._frames.append((frame, time, hands.metric))
            for name, (dtype, _, value) in _COLUMNS.items():
                self._rows[name].append(np.asarray(value(hand), dtype))
