"""Sharded on-disk sets of synthetic crops: resumable generation and memory-mapped reading.

A set is a folder with ``set.json`` (seed, indices, generator version, hand model) and one file per shard, see
:mod:`lgnet_core.synthetic.shards`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import Dataset

from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.hand_model import HandLayer
from lgnet_core.io.disk import require_space
from lgnet_core.io.interruption import SAVE_SECONDS
from lgnet_core.io.memory import require_memory
from lgnet_core.io.output import make_folder, write_text
from lgnet_core.synthetic.contact_sheet import write_contact_sheet
from lgnet_core.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.synthetic.shards import Shard, encode_batch, read_encoded, shard_length, write_shard

METADATA_FILE = "set.json"
FORMAT = "lgnet synthetic hands, JPEG"
SHARD_SIZE = 512
"""Maximum number of crops per shard, up to 256 x 256; about 12 MB."""
_SHARD_PIXELS = SHARD_SIZE * 256**2
_SHARD_PATTERN = "shard_*.safetensors"
_BATCH_SIZE = 32
_BATCH_PIXELS = _BATCH_SIZE * 256**2
_GENERATION_BYTES_PER_PIXEL = 140
"""Peak memory of generating crops on a CPU, per pixel of all crops of a batch; measured from 256 to 1024 pixels."""
_STORED_BYTES_PER_PIXEL, _STORED_BYTES_PER_IMAGE = 0.5, 4000
"""Upper estimate of the JPEG and PNG data, and of the labels."""


class StoredSetError(ValueError):
    """A folder is not a valid stored set, or does not match the requested configuration."""


def _metadata(generator: SyntheticHands, count: int, size: int, first_index: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "generator_version": GENERATOR_VERSION,
        "seed": generator.seed,
        "first_index": first_index,
        "count": count,
        "size": size,
        "shard_size": max(1, min(SHARD_SIZE, _SHARD_PIXELS // size**2)),
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
    """Generate crops and write them as shards; images that exist already are kept.

    The shard that is being generated is written every :data:`SAVE_SECONDS`, and when the work is interrupted. An
    existing set can be extended: ``count`` may grow between calls, all other parameters must be unchanged.

    Args:
        count: images in the whole set, indices ``first_index`` to ``first_index + count - 1``.
        size: side of the crops, pixels. progress: show a progress bar.

    Raises:
        StoredSetError: if the folder holds a set with other parameters.
        InsufficientMemoryError: if crops of this size need more memory than there is.
        InsufficientSpaceError: if the set does not fit on the disk.
        OutputError: if the folder or a shard cannot be written.
    """
    directory = Path(directory)
    _check_memory(generator, size)
    _check_disk(directory, count, size)
    shard_size = _initialize(directory, _metadata(generator, count, size, first_index))
    rate = TextColumn("{task.fields[rate]}")
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn()]
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task("synthetic images", total=count, rate="")
        generated, seconds = 0, 0.0
        for start in range(0, count, shard_size):
            length = min(shard_size, count - start)
            shard = directory / _shard_name(start // shard_size)
            existing = shard_length(shard)
            bar.advance(task, min(existing, length))
            if existing >= length:
                continue
            parts, unsaved, saved_at = [read_encoded(shard)] if existing else [], 0, time.monotonic()
            try:
                for indices in torch.arange(start + existing, start + length).split(_batch_size(size)):
                    started = time.perf_counter()
                    parts.append(encode_batch(generator.crops(indices + first_index, size).to("cpu")))
                    generated, seconds = generated + len(indices), seconds + time.perf_counter() - started
                    bar.update(task, advance=len(indices), rate=f"{generated / seconds:.1f} images/s")
                    unsaved += len(indices)
                    if time.monotonic() - saved_at >= SAVE_SECONDS:
                        parts = [write_shard(shard, parts)]
                        unsaved, saved_at = 0, time.monotonic()
            finally:
                if unsaved:
                    write_shard(shard, parts)
    return directory


def stored_count(directory: str | Path) -> int:
    """Number of images in the shards of a set, also of an unfinished one; 0 without one."""
    return sum(shard_length(path) for path in Path(directory).glob(_SHARD_PATTERN))


def _batch_size(size: int) -> int:
    """Crops that are generated at once: the larger, the fewer."""
    return max(1, min(_BATCH_SIZE, _BATCH_PIXELS // size**2))


def _check_memory(generator: SyntheticHands, size: int) -> None:
    if generator.device.type == "cpu":
        need = _batch_size(size) * size**2 * _GENERATION_BYTES_PER_PIXEL
        require_memory(need, f"synthetic images of {size}x{size} pixels", "choose a smaller --size: networks use 256")


def _check_disk(directory: Path, count: int, size: int) -> None:
    """Refuse a set that does not fit on the disk, with one shard twice, as when it is replaced."""
    missing = count - stored_count(directory)
    if missing > 0:
        images = missing + min(count, SHARD_SIZE)
        need = images * (_STORED_BYTES_PER_PIXEL * size**2 + _STORED_BYTES_PER_IMAGE)
        require_space(
            need, directory, f"{missing} images of {size}x{size} pixels", "reduce --count, or free some space"
        )


def _initialize(directory: Path, metadata: dict[str, Any]) -> int:
    """Create the folder and its metadata file, or check that the parameters match those of the existing set.

    Returns:
        Images per shard, which an existing set keeps.
    """
    make_folder(directory)
    path = directory / METADATA_FILE
    if path.exists():
        existing = _read_metadata(directory)
        fixed = [key for key in metadata if key not in ("count", "shard_size")]
        differing = [key for key in fixed if existing.get(key) != metadata[key]]
        if differing:
            changes = ", ".join(f"{key} is {existing.get(key)!r}, requested {metadata[key]!r}" for key in differing)
            raise StoredSetError(
                f"stored set {directory}: exists with other parameters ({changes}); choose another folder"
            )
        metadata |= {"count": max(metadata["count"], existing["count"]), "shard_size": existing["shard_size"]}
    # Written before the shards, so that a resumed run is checked against it; missing shards mark an unfinished set.
    write_text(path, json.dumps(metadata, indent=1) + "\n")
    return int(metadata["shard_size"])


def write_dataset(
    directory: str | Path, generator: SyntheticHands, count: int, size: int = 256, sheet_tiles: int = 64
) -> Path:
    """Write the shards and, as soon as its images are there, a contact sheet ``sheet.png`` (``lgnet synth``).

    Returns:
        Path of the contact sheet.

    Raises:
        see :func:`write_shards`; a set with other parameters is left unchanged.
    """
    directory = Path(directory)
    _check_memory(generator, size)
    _check_disk(directory, count, size)
    _initialize(directory, _metadata(generator, count, size, first_index=0))
    tiles = min(count, sheet_tiles)
    write_shards(directory, generator, tiles, size, progress=tiles == count)
    shards: list[HandsBatch] = []
    missing = tiles
    while missing:
        shard = Shard(directory / _shard_name(len(shards)))
        shards.append(shard.read(0, min(len(shard), missing)))
        missing -= len(shards[-1])
    sheet = write_contact_sheet(directory / "sheet.png", concatenate(shards), generator.hand_model)
    if count > tiles:
        write_shards(directory, generator, count, size)
    return sheet


def _shard_name(number: int) -> str:
    return f"shard_{number:05d}.safetensors"


def _read_metadata(directory: Path) -> dict[str, Any]:
    path = directory / METADATA_FILE
    if not path.exists():
        raise StoredSetError(
            f"stored set {directory}: no {METADATA_FILE} found; "
            f"write a set with `lgnet synth --out {directory} --count N`"
        )
    try:
        metadata = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise StoredSetError(f"stored set {path}: invalid JSON ({error}); generate the set again") from error
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise StoredSetError(f"stored set {path}: not the metadata of a synthetic set; choose the folder of one")
    return metadata


class StoredHands(Dataset[HandsBatch]):
    """Stored set as a map-style dataset of single samples (batches of length 1).

    Shards are memory-mapped on first access, once per process. With a :class:`torch.utils.data.DataLoader` use
    ``collate_fn=concatenate`` of :mod:`lgnet_core.data.sample`.

    Args:
        directory: folder written by :func:`write_shards`.
        hand_model: hand model in use, checked against that of the labels; None skips the check.

    Attributes:
        shard_count, shard_size: number of shard files, and images in each of them but the last.

    Raises:
        StoredSetError: if the folder holds no set, shards are missing, or the hand models differ.
    """

    def __init__(self, directory: str | Path, hand_model: HandLayer | None = None) -> None:
        self.directory = Path(directory)
        self.metadata = _read_metadata(self.directory)
        digest = self.metadata["hand_model_digest"]
        if hand_model is not None and hand_model.digest != digest:
            raise StoredSetError(
                f"stored set {self.directory}: generated with the hand model {self.metadata['hand_model']!r} "
                f"({digest[:12]}), but {hand_model.name!r} ({hand_model.digest[:12]}) is loaded, whose joints and "
                "meshes differ; generate the set again with `lgnet synth`, or load its hand model with --hand-model"
            )
        self.shard_size = int(self.metadata["shard_size"])
        self.shard_count = -(-int(self.metadata["count"]) // self.shard_size)
        self._paths = [self.directory / _shard_name(k) for k in range(self.shard_count)]
        lengths = [min(self.shard_size, len(self) - k * self.shard_size) for k in range(self.shard_count)]
        missing = [path.name for path, length in zip(self._paths, lengths) if shard_length(path) < length]
        if missing:
            raise StoredSetError(
                f"stored set {self.directory}: {len(missing)} shards are missing or incomplete, the first is "
                f"{missing[0]}; run `lgnet synth` again with the same arguments to write only those"
            )
        self._open: dict[int, Shard] = {}

    def __len__(self) -> int:
        return int(self.metadata["count"])

    def __getitem__(self, index: int) -> HandsBatch:
        if not 0 <= index < len(self):  # also ends iteration by index
            raise IndexError(f"stored set {self.directory}: sample {index} of {len(self)}")
        number, row = divmod(index, self.shard_size)
        if number not in self._open:
            self._open[number] = Shard(self._paths[number])
        return self._open[number].read(row, row + 1)

    def __getitems__(self, indices: list[int]) -> list[HandsBatch]:
        return [self[index] for index in indices]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}  # every worker process opens its own mappings
