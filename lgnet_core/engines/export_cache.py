"""Cache of exported ONNX files in the user's cache directory."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import logging
import os
from pathlib import Path

import torch
from torch import Tensor

import lgnet_core
from lgnet_core.engines.export import network_digest, onnx_content
from lgnet_core.io.cache import CACHE_VARIABLE, cache_directory
from lgnet_core.io.output import make_folder, reason_of, write_bytes
from lgnet_core.network.exportable import ExportableModule, input_shapes
from lgnet_core.network.prediction import Outputs

log = logging.getLogger(__name__)

MAX_CACHE_BYTES = 2 << 30
"""Size limit of the cache; exports have 4 to 230 MB each, and an estimator uses several."""

EXPORTED_SOURCES = ("network", "hand_model", "geometry", "types.py", "engines/export.py")
"""Files and folders of the package whose code determines exported files; part of the cache key."""


_unsaved: dict[str, bytes] = {}
"""Exports of this process that could not be written to the cache, by name."""


def cached_onnx(
    network: ExportableModule[Outputs], inputs: tuple[Tensor, ...] | None = None, rebuild: bool = False
) -> Path | bytes:
    """Path of the network's ONNX file in the user's cache; it is exported if missing.

    Entries are named by a digest of everything that determines them: weights, hand model, code of this package, and
    versions of torch and onnx. Each has a checksum file; entries that do not match it are exported again. If the cache
    exceeds :data:`MAX_CACHE_BYTES`, the least recently used entries are deleted. If the file cannot be written, its
    content is returned instead and kept for this process, with a warning: this needs no disk at all.

    Args:
        network: with its weights.
        inputs: inputs with the shapes to export; None for the network's ``example_inputs()``.
        rebuild: export even if there is an entry.
    """
    inputs = network.example_inputs() if inputs is None else inputs
    name = f"{_cache_key(network, inputs)}.onnx"
    if not rebuild and name in _unsaved:
        return _unsaved[name]
    with contextlib.suppress(OSError):  # no cache directory: reported below
        path = cache_directory() / name
        if not rebuild and _is_intact(path):
            with contextlib.suppress(OSError):
                os.utime(path)  # mark as recently used
            return path
    log.info("exporting %s (only once)", type(network).__name__)
    content = onnx_content(network, inputs)
    place = None
    try:
        place = cache_directory() / name
        _write_entry(place, content)
    except OSError as error:
        if not _unsaved:
            log.warning(
                "%s: cannot be written (%s), so networks are exported again in every process; make room and the folder "
                "writable, or set %s to another folder",
                place or error.filename,
                reason_of(error),
                CACHE_VARIABLE,
            )
        _unsaved[name] = content
        return content
    _evict_least_recently_used(place.parent)
    return place


def _write_entry(path: Path, content: bytes) -> None:
    """Write a file and its checksum, or raise OSError and leave neither."""
    make_folder(path.parent)
    try:
        write_bytes(path, content)
        write_bytes(_checksum_path(path), hashlib.sha256(content).hexdigest().encode())
    except OSError:
        with contextlib.suppress(OSError):  # a folder in the place of the file stays
            path.unlink()
        raise


def _evict_least_recently_used(folder: Path) -> None:
    """Safe while other processes run: those that have an entry open keep it, others export it again."""
    with contextlib.suppress(OSError):
        newest, *older = sorted(folder.glob("*.onnx"), key=lambda path: path.stat().st_mtime, reverse=True)
        total = newest.stat().st_size
        for path in older:
            total += path.stat().st_size
            if total > MAX_CACHE_BYTES:
                _checksum_path(path).unlink(missing_ok=True)
                path.unlink(missing_ok=True)


def _cache_key(network: ExportableModule[Outputs], inputs: tuple[Tensor, ...]) -> str:
    versions = f"{torch.__version__} {importlib.metadata.version('onnx')}"
    shapes = input_shapes(network, inputs)
    digest = hashlib.sha256(f"{network_digest(network)} {shapes} {versions}".encode())
    root = Path(lgnet_core.__file__).parent
    for source in (root / name for name in EXPORTED_SOURCES):
        for path in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
            digest.update(path.read_bytes())
    return f"{type(network).__name__}-{digest.hexdigest()[:24]}"


def _checksum_path(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _is_intact(path: Path) -> bool:
    try:
        return _checksum_path(path).read_text() == _file_digest(path)
    except (OSError, UnicodeDecodeError):
        return False


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
