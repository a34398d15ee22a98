"""Compact index of a split's annotations, built once from the JSON files and kept in the user's cache directory.

The cache file records the size and modification time of its source files and is rebuilt when one of them changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lgnet_core.data.interhand26m.layout import SplitFiles
from lgnet_core.data.interhand26m.parse import NO_CAMERA, NO_IMAGE, NO_JOINTS, AnnotationReader, Arrays, read_ids
from lgnet_core.io.cache import CACHE_VARIABLE, cache_directory
from lgnet_core.io.output import OutputError, make_folder, reason_of, replacing
from lgnet_core.types import FloatArray

log = logging.getLogger(__name__)

VERSION = 1
"""Increased whenever the format or content of the index changes."""


@dataclass(frozen=True, eq=False)
class Index:
    """All annotations of a split. N rows ordered by (capture, sequence, camera, frame).

    Shapes:
        annotation_id, capture, frame: (N,) int64; size: (N, 2) width, height, pixels.
        sequence, camera, step: (N,) int32: sequence number, rows of the camera and time-step tables.
        names, name_ends: (K,) uint8 and (N + 1,): concatenated image names and their end offsets.
        box: (N, 4) left, top, right, bottom, pixels; view_valid: (N, 6) 42 packed bits: the joint is annotated.
        hand_type: (N,) uint8, of ``HAND_TYPES``; hand_type_valid, human: (N,) bool.
        camera_rotation: (C, 3, 3) world -> camera; camera_position: (C, 3) metres; focal, principal: (C, 2) pixels.
        joints: (T, 2, 21, 3) metres, world; joints_valid: (T, 2, 21).
        pose: (T, 2, 48), shape: (T, 2, 10), translation: (T, 2, 3) metres, world; fitted: (T, 2) bool.
    Attributes:
        about: ``sources`` (source files), ``sequences`` (names), ``skipped`` (number of skipped rows by reason).
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
        """Path of the image, relative to the image folder."""
        start, end = self.name_ends[row : row + 2]
        return bytes(self.names[start:end]).decode()

    def valid(self, rows: FloatArray) -> FloatArray:
        """(B, 2, 21) bool: the 3D joint is known and annotated in this view."""
        view = np.unpackbits(self.view_valid[rows], axis=-1, count=42).reshape(-1, 2, 21).astype(bool)
        return view & self.joints_valid[self.step[rows]]


_ARRAYS = tuple(f.name for f in fields(Index) if f.name != "about")


def open_index(sources: SplitFiles, cache: Path | None = None, console: Console | None = None) -> Index:
    """Open the index of a split from the cache, or build it (with a progress bar) and cache it.

    Concurrent processes build it only once.

    Args:
        cache: cache file; None: in :func:`lgnet_core.io.cache.cache_directory`.

    Raises:
        InputError: if an annotation file is truncated or invalid.
    """
    path = cache
    with contextlib.ExitStack() as stack:
        try:
            path = cache or _default_cache(sources)
            make_folder(path.parent)
            lock = stack.enter_context(path.with_suffix(".lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)  # released with the file, also if the process dies
        except OSError as error:
            _warn_uncached(path or error.filename, reason_of(error))
            return build_index(sources, console)
        index = _read(path, _fingerprint(sources))
        if index is None:
            index = build_index(sources, console)
            _write(path, index)
        return index


def build_index(sources: SplitFiles, console: Console | None = None) -> Index:
    """Build the index by streaming the JSON files.

    Raises: see :func:`open_index`.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console or Console(quiet=True), transient=True) as progress:
        reader = AnnotationReader(progress)
        cameras, camera_rows = reader.cameras(sources.camera)
        steps, step_rows = reader.steps(sources.joints)
        fits = reader.fits(sources.fits, step_rows)
        images, sequences = reader.images(sources.data, camera_rows, step_rows)
        rows = _join(images, reader.annotations(sources.data), reader)
    human = read_ids(sources.human) if sources.human else np.zeros(0, np.int64)
    rows["human"] = np.isin(rows["annotation_id"], human)
    about = {"sources": _fingerprint(sources), "sequences": sequences, "skipped": dict(reader.skipped)}
    return Index(**rows, **cameras, **steps, **fits, about=about)


def _join(images: Arrays, annotations: Arrays, reader: AnnotationReader) -> Arrays:
    """Annotations joined with their images in the order of the index; incomplete rows are dropped and counted."""
    order = np.argsort(images["id"], kind="stable")
    ids = images["id"][order]
    position = np.searchsorted(ids, annotations["image_id"])
    listed = position < len(ids)
    listed[listed] = ids[position[listed]] == annotations["image_id"][listed]
    image = order[position[listed]]
    known_camera, known_step = images["camera"][image] >= 0, images["step"][image] >= 0
    reader.skipped[NO_IMAGE] += int((~listed).sum())
    reader.skipped[NO_CAMERA] += int((~known_camera).sum())
    reader.skipped[NO_JOINTS] += int((known_camera & ~known_step).sum())
    reader.skipped += type(reader.skipped)()  # drops reasons with a count of 0
    kept = known_camera & known_step
    annotation, image = np.flatnonzero(listed)[kept], image[kept]
    sort_keys = [images[key][image] for key in ("frame", "camera", "sequence", "capture")]  # lexsort: last key first
    order = np.lexsort(sort_keys)
    annotation, image = annotation[order], image[order]

    starts, lengths = images["name_ends"][image], np.diff(images["name_ends"])[image]
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    within = np.arange(ends[-1]) - np.repeat(ends[:-1], lengths)
    rows = {key: images[key][image] for key in ("capture", "frame", "sequence", "camera", "step")}
    rows |= {key: annotations[key][annotation] for key in ("box", "view_valid", "hand_type", "hand_type_valid")}
    return rows | {
        "annotation_id": annotations["id"][annotation],
        "size": np.stack([images["width"][image], images["height"][image]], -1),
        "names": images["names"][np.repeat(starts, lengths) + within],
        "name_ends": ends,
    }


def _fingerprint(sources: SplitFiles) -> dict[str, Any]:
    """Identity of the source files: index version, paths, sizes and modification times."""
    stats = {role: (path.resolve(), path.stat()) for role, path in sources.files().items()}
    files = {role: [str(path), stat.st_size, stat.st_mtime_ns] for role, (path, stat) in stats.items()}
    return {"version": VERSION, "files": files}


def _default_cache(sources: SplitFiles) -> Path:
    digest = hashlib.sha256(str(sources.data.resolve()).encode()).hexdigest()
    return cache_directory() / f"interhand26m-{digest[:16]}.safetensors"


def _write(path: Path, index: Index) -> None:
    """Write to a temporary file and rename it, so that an existing index file is always complete."""
    arrays = {name: np.ascontiguousarray(getattr(index, name)) for name in _ARRAYS}
    try:
        with replacing(path) as partial:
            save_file(arrays, partial, metadata={"about": json.dumps(index.about)})
    except OutputError as error:
        _warn_uncached(path, reason_of(error))


def _warn_uncached(path: Path | str, reason: str) -> None:
    log.warning(
        "%s: cannot cache the index (%s), so it is rebuilt at each start; make room and the folder writable, or set %s "
        "to another folder",
        path,
        reason,
        CACHE_VARIABLE,
    )


def _read(path: Path, expected_sources: dict[str, Any]) -> Index | None:
    """The index in a cache file; None if it is missing, damaged or of other sources."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            if about.get("sources") != expected_sources:
                return None
            return Index(**{name: file.get_tensor(name) for name in _ARRAYS}, about=about)
    except (SafetensorError, json.JSONDecodeError, OSError):
        log.warning("%s: damaged; rebuilding the index", path)
        return None
