"""Tracked hands as a table: one CSV row per hand and frame, for spreadsheets and data frames."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from lgnet_core.io.output import OutputError, explain_os_error
from lgnet_core.types import JOINT_NAMES, Hand, TwoHands


def columns() -> list[str]:
    """Names of the columns.

    ``frame`` and ``time`` (seconds from the start of the video); ``side``, ``track_id`` (constant while a hand is
    followed; 0 without tracking), ``presence`` (probability); ``metric``: 1 if positions are in the camera frame, 0 if
    they are relative to the hand's wrist; and for each joint, e.g. ``wrist``: ``wrist_x``, ``_y``, ``_z`` (metres),
    ``wrist_u``, ``_v`` (pixels of the video), ``wrist_std`` (metres, per axis of the wrist-relative joint).
    """
    fields = ("x", "y", "z", "u", "v", "std")
    return [
        *("frame", "time", "side", "track_id", "presence", "metric"),
        *(f"{joint}_{field}" for joint in JOINT_NAMES for field in fields),
    ]


class HandsTable:
    """Writer of such a table, as a context manager; each row is complete in the file once it is added.

    Raises:
        OutputError: if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> HandsTable:
        try:
            self._file = self.path.open("w", newline="", buffering=1)
            csv.writer(self._file).writerow(columns())
        except OSError as error:
            raise OutputError(explain_os_error(error, self.path)) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, frame: int, time: float, hands: TwoHands) -> None:
        """Add the hands of a frame, with 2D joints in pixels of the video."""
        assert self._file is not None
        try:
            csv.writer(self._file).writerows(_row(frame, time, hand, hands.metric) for hand in hands.hands)
        except OSError as error:
            raise OutputError(explain_os_error(error, self.path)) from error


def _row(frame: int, time: float, hand: Hand, metric: bool) -> list[str | int]:
    values = np.column_stack([hand.joints, hand.joints_2d, hand.joint_std])
    return [
        *(frame, f"{time:.6f}", hand.side.label, hand.track_id, f"{hand.presence:.4f}", int(metric)),
        *_numbers(values),
    ]


def _numbers(values: np.ndarray) -> Iterator[str]:
    """Metres with 0.01 mm, pixels with 0.01 px."""
    for x, y, z, u, v, std in values.tolist():
        yield from (f"{x:.5f}", f"{y:.5f}", f"{z:.5f}", f"{u:.2f}", f"{v:.2f}", f"{std:.5f}")
