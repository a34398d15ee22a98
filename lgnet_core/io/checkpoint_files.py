"""Weights files without their networks: locations, metadata, digests and sizes. Needs neither torch nor the networks.

A checkpoint of this project is a safetensors file whose header has a JSON entry ``lgnet``, see
:mod:`lgnet_core.network.checkpoint`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from array_api_compat import array_namespace
from safetensors import SafetensorError, safe_open

from lgnet_core.io.output import reason_of
from lgnet_core.types import Array

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
BUNDLED_WEIGHTS = WEIGHTS_FOLDER / "lgnet-hand.safetensors"
METADATA_KEY = "lgnet"


class CheckpointError(ValueError):
    """A weights file cannot be used; the message contains the reason and the remedy."""


def locate_weights(path: str | Path | None) -> Path:
    """Path of a checkpoint; None for the bundled one.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    if path is None:
        if not BUNDLED_WEIGHTS.is_file():
            raise FileNotFoundError(
                f"{BUNDLED_WEIGHTS}: the bundled weights are not installed; reinstall lgnet_ros, or pass a weights "
                "file (`lgnet train` writes one)"
            )
        return BUNDLED_WEIGHTS
    path = Path(path)
    if not path.is_file():
        missing = f"no such weights file; check the path (relative to {Path.cwd()})"
        reason = "is a folder; pass the .safetensors file in it" if path.is_dir() else missing
        raise FileNotFoundError(f"{path}: {reason}")
    return path


def read_metadata(path: str | Path | None = None) -> dict[str, Any]:
    """Read a checkpoint's metadata without its weights; None for the bundled one.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is not a checkpoint of this project.
    """
    path = locate_weights(path)
    try:
        with safe_open(path, "numpy") as file:
            return parse_metadata(path, file.metadata())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(unreadable(path, error)) from error


def parse_metadata(path: Path, header: Mapping[str, str] | None) -> dict[str, Any]:
    """The ``lgnet`` entry of a safetensors header.

    Raises:
        CheckpointError: if there is none or it is invalid; ``path`` is named in the message.
    """
    foreign = f"{path}: not a checkpoint of this project (its header has no valid {METADATA_KEY!r} entry)"
    try:
        metadata = json.loads((header or {})[METADATA_KEY])
    except (KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{foreign}; pass a file written by `lgnet train`") from error
    if not (isinstance(metadata, dict) and isinstance(metadata.get("config"), dict)):
        raise CheckpointError(f"{foreign}; pass a file written by `lgnet train`")
    return metadata


def unreadable(path: Path, error: Exception) -> str:
    """Message for a file that safetensors cannot read."""
    reason = reason_of(error)
    if path.suffix == ".safetensors":
        return (
            f"{path}: not a readable safetensors file ({reason}); it is damaged or truncated: copy or export it again"
        )
    return (
        f"{path}: not a safetensors file ({reason}); pickled weights (.pth, .pt, .ckpt) are never opened: "
        "pass the .safetensors file that training writes beside its .ckpt"
    )


def weights_digest(path: str | Path | None = None) -> str:
    """SHA-256 (hex) of a weights file; None for the bundled one."""
    digest = hashlib.sha256()
    with locate_weights(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a safetensors file by name, without counters of training steps.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such weights file; reinstall lgnet_ros")
    try:
        with safe_open(path, "numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: tuple(part.get_shape()) for name, part in slices.items() if part.get_dtype()[0] in "FB"}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(unreadable(path, error)) from error


def count_values(path: Path) -> int:
    """Number of values in all tensors of a safetensors file.

    Raises: see :func:`tensor_shapes`.
    """
    return sum(math.prod(shape) for shape in tensor_shapes(path).values())


def check_tensors(path: Path, expected: Mapping[str, tuple[int, ...]], stored: Mapping[str, Array]) -> None:
    """Check the names and shapes of a file's tensors, and that they are finite.

    Raises:
        CheckpointError: it lists all mismatches.
    """
    problems = []
    for problem, names in (
        ("missing", [n for n in expected if n not in stored]),
        ("unexpected", [n for n in stored if n not in expected]),
        (
            "of another shape",
            [
                f"{n} {tuple(stored[n].shape)} instead of {tuple(shape)}"
                for n, shape in expected.items()
                if n in stored and tuple(stored[n].shape) != tuple(shape)
            ],
        ),
        ("not finite", [n for n, values in stored.items() if not array_namespace(values).isfinite(values).all()]),
    ):
        if names:
            more = f" and {len(names) - 8} more" if len(names) > 8 else ""
            problems.append(f"{len(names)} {problem}: {', '.join(names[:8])}{more}")
    if problems:
        raise CheckpointError(
            f"{path}: its weights do not match the network it describes; {'; '.join(problems)}. The file was edited "
            "or written by another version: export it again with this one, or use the version in its metadata"
        )
