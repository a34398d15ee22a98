"""A compact index of a split's annotations: made once from the JSON files, kept in the user's cache, opened at once.

The cache file names the size and time of every file that it was made of, and is made anew when one of them changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lgnet_core.data.interhand26m.layout import Sources
from lgnet_core.data.interhand26m.parse import NO_CAMERA, NO_IMAGE, NO_JOINTS, Arrays, Reader, read_ids
from lgnet_core.io.cache import cache_directory
from lgnet_core.types import FloatArray

log = logging.getLogger(__name__)

VERSION = 1
"""Raised whenever the index is made otherwise."""


@dataclass(frozen=True, eq=False)
class Index:
    """Everything of a split but its images. N rows in the order of (capture, sequence, camera, frame).

    Shapes:
        annotation_id, capture, frame: (N,) int64; size: (N, 2) width, height, pixels.
        sequence, camera, step: (N,) int32: a sequence's number, rows of the camera and step tables.
        names, name_ends: (K,) uint8 and (N + 1,): the images' names, one after the other.
        box: (N, 4) left, top, right, bottom, pixels; view_valid: (N, 6) 42 packed bits: the joint is annotated.
        hand_type: (N,) uint8, of ``HAND_TYPES``; hand_type_valid, human: (N,) bool.
        camera_rotation: (C, 3, 3) world -> camera; camera_position: (C, 3) metres; focal, principal: (C, 2) pixels.
        joints: (T, 2, 21, 3) metres, world; joints_valid: (T, 2, 21).
        pose: (T, 2, 48), shape: (T, 2, 10), translation: (T, 2, 3) metres, world; fitted: (T, 2) bool.
    Attributes:
        about: ``sources`` (what it was made of), ``sequences`` (names), ``skipped`` (rows left out, by reason).
    """

    annotation_id: FloatArray
    capture: FloatArray
    frame: FloatArray
    size: FloatArray
    sequence: FloatArray
    camera: FloatArray
    step: FloatArray
    names: FloatArray
    name_ends: FloatArray
    box: FloatArray
    view_valid: FloatArray
    hand_type: FloatArray
    hand_type_valid: FloatArray
    human: FloatArray
    camera_rotation: FloatArray
    camera_position: FloatArray
    focal: FloatArray
    principal: FloatArray
    joints: FloatArray
    joints_valid: FloatArray
    pose: FloatArray
    shape: FloatArray
    translation: FloatArray
    fitted: FloatArray
    about: dict[str, Any]

    def __len__(self) -> int:
        return len(self.annotation_id)

    def name(self, row: int) -> str:
        """The image's path below the images' folder."""
        start, end = self.name_ends[row : row + 2]
        return bytes(self.names[start:end]).decode()

    def valid(self, rows: FloatArray) -> FloatArray:
        """(B, 2, 21) bool: the joint's place is known, and was annotated in this view."""
        view = np.unpackbits(self.view_valid[rows], axis=-1, count=42).reshape(-1, 2, 21).astype(bool)
        return view & self.joints_valid[self.step[rows]]


_ARRAYS = tuple(f.name for f in fields(Index) if f.name != "about")


def open_index(sources: Sources, cache: Path | None = None, console: Console | None = None) -> Index:
    """The index of a split, from the cache if it is of these files, else made (with a progress bar) and kept.

    Several processes that ask at the same time make it once.

    Args:
        cache: the file to keep it in; None: in :func:`lgnet_core.io.cache.cache_directory`.

    Raises:
        InputError: if a file is cut short or no annotation file.
    """
    path = cache or _default_cache(sources)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_suffix(".lock").open("w")
    except OSError as error:
        log.warning("%s: the index cannot be kept (%s); it is made anew at each start", path, error)
        return build_index(sources, console)
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # ends with the file, also if the process dies
        index = _read(path, _fingerprint(sources))
        if index is None:
            index = build_index(sources, console)
            _write(path, index)
        return index


def build_index(sources: Sources, console: Console | None = None) -> Index:
    """Read the JSON files as streams.

    Raises: see :func:`open_index`.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console or Console(quiet=True), transient=True) as progress:
        reader = Reader(progress)
        cameras, camera_places = reader.cameras(sources.camera)
        steps, step_places = reader.steps(sources.joints)
        fits = reader.fits(sources.fits, step_places)
        images, sequences = reader.images(sources.data, camera_places, step_places)
        rows = _joined(images, reader.annotations(sources.data), reader)
    human = read_ids(sources.human) if sources.human else np.zeros(0, np.int64)
    rows["human"] = np.isin(rows["annotation_id"], human)
    about = {"sources": _fingerprint(sources), "sequences": sequences, "skipped": dict(reader.skipped)}
    return Index(**rows, **cameras, **steps, **fits, about=about)


def _joined(images: Arrays, annotations: Arrays, reader: Reader) -> Arrays:
    """Annotations with the columns of their images, those that lack something left out, in the index's order."""
    order = np.argsort(images["id"], kind="stable")
    ids = images["id"][order]
    place = np.searchsorted(ids, annotations["image_id"])
    listed = place < len(ids)
    listed[listed] = ids[place[listed]] == annotations["image_id"][listed]
    image = order[place[listed]]
    known_camera, known_step = images["camera"][image] >= 0, images["step"][image] >= 0
    reader.skipped[NO_IMAGE] += int((~listed).sum())
    reader.skipped[NO_CAMERA] += int((~known_camera).sum())
    reader.skipped[NO_JOINTS] += int((known_camera & ~known_step).sum())
    reader.skipped += type(reader.skipped)()  # drops the reasons that did not occur
    kept = known_camera & known_step
    note, image = np.flatnonzero(listed)[kept], image[kept]
    by = [images[key][image] for key in ("frame", "camera", "sequence", "capture")]  # the last one decides first
    order = np.lexsort(by)
    note, image = note[order], image[order]

    starts, lengths = images["name_ends"][image], np.diff(images["name_ends"])[image]
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    within = np.arange(ends[-1]) - np.repeat(ends[:-1], lengths)
    rows = {key: images[key][image] for key in ("capture", "frame", "sequence", "camera", "step")}
    rows |= {key: annotations[key][note] for key in ("box", "view_valid", "hand_type", "hand_type_valid")}
    return rows | {
        "annotation_id": annotations["id"][note],
        "size": np.stack([images["width"][image], images["height"][image]], -1),
        "names": images["names"][np.repeat(starts, lengths) + within],
        "name_ends": ends,
    }


def _fingerprint(sources: Sources) -> dict[str, Any]:
    """What tells whether an index is of these files as they are now."""
    stats = {role: (path.resolve(), path.stat()) for role, path in sources.files().items()}
    files = {role: [str(path), stat.st_size, stat.st_mtime_ns] for role, (path, stat) in stats.items()}
    return {"version": VERSION, "files": files}


def _default_cache(sources: Sources) -> Path:
    digest = hashlib.sha256(str(sources.data.resolve()).encode()).hexdigest()
    return cache_directory() / f"interhand26m-{digest[:16]}.safetensors"


def _write(path: Path, index: Index) -> None:
    """Under another name first: a file that bears the index's name is whole."""
    arrays = {name: np.ascontiguousarray(getattr(index, name)) for name in _ARRAYS}
    partial = path.with_suffix(".partial")
    try:
        save_file(arrays, partial, metadata={"about": json.dumps(index.about)})
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        log.warning("%s: the index cannot be kept (%s); it is made anew at each start", path, error)


def _read(path: Path, made_of: dict[str, Any]) -> Index | None:
    """The index in a file; None where there is none, or not of these sources."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            if about.get("sources") != made_of:
                return None
            return Index(**{name: file.get_tensor(name) for name in _ARRAYS}, about=about)
    except (SafetensorError, json.JSONDecodeError):
        log.warning("%s: is damaged; the index is made anew", path)
        return None
