"""Synthetic sets on disk: shards of crops that are generated once, resumed where they stopped, and mapped into memory.

A set is a folder with ``set.json`` (seed, indices, generator version, hand model) and one uncompressed safetensors file
per shard, its tensors the fields of :class:`~lgnet_core.data.sample.HandsBatch`.
"""

from __future__ import annotations

import json
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import safe_open
from safetensors.torch import save_file
from torch.utils.data import Dataset

from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.synthetic.sheet import write_sheet

METADATA_FILE = "set.json"
SHARD_SIZE = 512
"""Crops a shard: about 130 MB at 256 x 256."""
_BATCH = 32
_FIELDS = tuple(f.name for f in fields(HandsBatch))


class StoredSetError(ValueError):
    """A folder is no stored set, or not one that goes with what is asked of it."""


def _metadata(generator: SyntheticHands, count: int, size: int, first_index: int) -> dict[str, Any]:
    return {
        "format": "lgnet synthetic hands",
        "generator_version": GENERATOR_VERSION,
        "seed": generator.seed,
        "first_index": first_index,
        "count": count,
        "size": size,
        "shard_size": SHARD_SIZE,
        "hand_model": generator.hand_model.name,
        "hand_model_digest": generator.hand_model.digest,
    }


def write_shards(
    directory: str | Path,
    generator: SyntheticHands,
    count: int,
    size: int = 256,
    first_index: int = 0,
    progress: bool = True,
) -> Path:
    """Generate crops and store them, with a progress bar; shards that are already there are kept.

    A set may be enlarged: ``count`` may grow between calls, everything else must stay.

    Args:
        count: images of the whole set, indices ``first_index`` to ``first_index + count - 1``.
        size: side of the crops, pixels.

    Raises:
        StoredSetError: if the folder holds a set made otherwise.
    """
    directory = Path(directory)
    _begin(directory, _metadata(generator, count, size, first_index))
    rate = TextColumn("{task.fields[rate]}")
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn()]
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task("synthetic images", total=count, rate="")
        drawn, seconds = 0, 0.0
        for start in range(0, count, SHARD_SIZE):
            length = min(SHARD_SIZE, count - start)
            shard = directory / _shard_name(start // SHARD_SIZE)
            if _shard_length(shard) < length:
                batches = []
                for first in range(start, start + length, _BATCH):
                    began = time.perf_counter()
                    indices = torch.arange(first, min(first + _BATCH, start + length)) + first_index
                    batches.append(generator.crops(indices, size).to("cpu"))
                    drawn, seconds = drawn + len(indices), seconds + time.perf_counter() - began
                    bar.update(task, advance=len(indices), rate=f"{drawn / seconds:.0f} images/s")
                _write_shard(shard, concatenate(batches))
            else:
                bar.advance(task, length)
    return directory


def _begin(directory: Path, metadata: dict[str, Any]) -> None:
    """Make the folder and write what the set is, unless another set is there already."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / METADATA_FILE
    if path.exists():
        present = _read_metadata(directory)
        differing = [key for key in metadata if key != "count" and present.get(key) != metadata[key]]
        if differing:
            changes = ", ".join(f"{key} {present.get(key)!r} there, {metadata[key]!r} asked" for key in differing)
            raise StoredSetError(f"stored set {directory}: made otherwise ({changes}); give another folder")
        metadata = {**metadata, "count": max(metadata["count"], present["count"])}
    # Before the shards, so that whoever resumes is held to the same seed; missing shards tell an unfinished set.
    path.write_text(json.dumps(metadata, indent=1) + "\n")


def write_sheet_and_shards(
    directory: str | Path, generator: SyntheticHands, count: int, size: int = 256, sheet_tiles: int = 64
) -> Path:
    """What ``lgnet synth`` does: a contact sheet of the first images (``sheet.png``), then the set.

    Returns:
        The sheet's path.

    Raises:
        StoredSetError: if the folder holds a set made otherwise; nothing is changed there.
    """
    _begin(Path(directory), _metadata(generator, count, size, first_index=0))
    indices = torch.arange(min(count, sheet_tiles))
    batch = concatenate([generator.crops(part, size) for part in indices.split(_BATCH)])
    sheet = write_sheet(Path(directory) / "sheet.png", batch, generator.hand_model)
    write_shards(directory, generator, count, size)
    return sheet


def _shard_name(number: int) -> str:
    return f"shard_{number:05d}.safetensors"


def _write_shard(path: Path, batch: HandsBatch) -> None:
    """Write under another name first: a shard that bears its name is whole."""
    partial = path.with_suffix(".partial")
    save_file({name: getattr(batch, name).contiguous() for name in _FIELDS}, partial)
    partial.rename(path)


def _shard_length(path: Path) -> int:
    """Images in a shard, 0 if it is not there."""
    if not path.exists():
        return 0
    with safe_open(path, "pt") as shard:
        return int(shard.get_slice("image").get_shape()[0])


def _read_metadata(directory: Path) -> dict[str, Any]:
    path = directory / METADATA_FILE
    if not path.exists():
        raise StoredSetError(
            f"stored set {directory}: no {METADATA_FILE} in it; "
            f"write a set with `lgnet synth --out {directory} --count N`"
        )
    try:
        metadata = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise StoredSetError(f"stored set {path}: no valid JSON ({error}); write the set anew") from error
    if not isinstance(metadata, dict) or metadata.get("format") != "lgnet synthetic hands":
        raise StoredSetError(f"stored set {path}: not the description of a synthetic set; give the folder of one")
    return metadata


class StoredHands(Dataset[HandsBatch]):
    """A stored set as a torch data set of single samples (batches of length 1).

    Shards are opened on first use, once per process, and read through the page cache. For a
    :class:`torch.utils.data.DataLoader` give ``collate_fn=concatenate`` of :mod:`lgnet_core.data.sample`.

    Args:
        directory: written by :func:`write_shards`.
        hand_model: the one the labels are made with; None checks nothing.

    Attributes:
        shards, shard_size: how many files the set has, and images in each but the last.

    Raises:
        StoredSetError: if there is no such set, shards are missing, or it was made with another hand model.
    """

    def __init__(self, directory: str | Path, hand_model: HandModel | None = None) -> None:
        self.directory = Path(directory)
        self.metadata = _read_metadata(self.directory)
        digest = self.metadata["hand_model_digest"]
        if hand_model is not None and hand_model.digest != digest:
            raise StoredSetError(
                f"stored set {self.directory}: made with the hand model {self.metadata['hand_model']!r} "
                f"({digest[:12]}), but {hand_model.name!r} ({hand_model.digest[:12]}) is in use, whose joints and "
                "meshes differ; write the set anew with `lgnet synth`, or load its hand model with --hand-model"
            )
        self.shard_size = int(self.metadata["shard_size"])
        self.shards = -(-int(self.metadata["count"]) // self.shard_size)
        self._paths = [self.directory / _shard_name(k) for k in range(self.shards)]
        lengths = [min(self.shard_size, len(self) - k * self.shard_size) for k in range(self.shards)]
        missing = [path.name for path, length in zip(self._paths, lengths) if _shard_length(path) < length]
        if missing:
            raise StoredSetError(
                f"stored set {self.directory}: {len(missing)} shards are missing or short, {missing[0]} first; "
                "run `lgnet synth` with the same arguments again, it writes only those"
            )
        self._open: dict[int, Any] = {}

    def __len__(self) -> int:
        return int(self.metadata["count"])

    def __getitem__(self, index: int) -> HandsBatch:
        return self._read(index, index + 1)

    def __getitems__(self, indices: list[int]) -> list[HandsBatch]:
        return [self[index] for index in indices]

    def _read(self, start: int, stop: int) -> HandsBatch:
        """Samples ``start`` to ``stop`` - 1, of one shard."""
        if not 0 <= start < len(self):  # also what ends a plain iteration
            raise IndexError(f"stored set {self.directory}: sample {start} of {len(self)}")
        number, first = divmod(start, self.shard_size)
        if number not in self._open:
            # Not closed with the file's `with`: it stays mapped as long as this data set lives.
            self._open[number] = safe_open(self._paths[number], "pt")
        shard = self._open[number]
        return HandsBatch(*(shard.get_slice(name)[first : first + stop - start] for name in _FIELDS))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}  # each worker process opens its own
