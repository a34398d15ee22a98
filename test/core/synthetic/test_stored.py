"""Stored sets: round trip, resumption, extension, and errors that name the remedy."""

from dataclasses import fields

import pytest
import torch
from support.disks import free_space
from torch.utils.data import DataLoader

from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.io.disk import InsufficientSpaceError
from lgnet_core.io.memory import InsufficientMemoryError
from lgnet_core.synthetic import stored
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import (
    StoredHands,
    StoredSetError,
    stored_count,
    write_dataset,
    write_shards,
)

SIZE = 48


@pytest.fixture(scope="module")
def generator():
    return SyntheticHands(seed=3)


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(stored, "SHARD_SIZE", 4)
    monkeypatch.setattr(stored, "_BATCH_SIZE", 4)


def assert_same(a: HandsBatch, b: HandsBatch) -> None:
    """Equal labels, and images that differ by less than 4 of 255 (root mean square): JPEG of small, noisy images."""
    for f in fields(HandsBatch):
        if f.name != "image":
            assert torch.equal(getattr(a, f.name), getattr(b, f.name)), f.name
    assert a.image.shape == b.image.shape
    assert a.image.dtype == b.image.dtype
    error = (a.image.float() - b.image.float()).square().mean((1, 2, 3))
    assert float(error.max().sqrt()) < 4


def test_stored_set_returns_generated_crops(tmp_path, generator, small_shards):
    write_shards(tmp_path, generator, 10, SIZE, first_index=5, progress=False)
    data = StoredHands(tmp_path, generator.hand_model)
    assert len(data) == 10
    assert len(list(tmp_path.glob("shard_*.safetensors"))) == 3
    assert_same(concatenate([data[4], data[5], data[6], data[7]]), generator.crops(torch.arange(9, 13), SIZE))
    batches = list(DataLoader(data, batch_size=5, collate_fn=concatenate, num_workers=1))
    assert [len(batch) for batch in batches] == [5, 5]
    assert_same(batches[1][:1], data[5])
    with pytest.raises(IndexError):
        data[10]


def test_writing_resumes_by_shard_and_extends_set(tmp_path, generator, small_shards):
    write_shards(tmp_path, generator, 6, SIZE, progress=False)
    first = tmp_path / "shard_00000.safetensors"
    stamp = first.stat().st_mtime_ns
    (tmp_path / "shard_00001.safetensors").unlink()
    with pytest.raises(StoredSetError, match="shard_00001"):
        StoredHands(tmp_path)
    write_shards(tmp_path, generator, 9, SIZE, progress=False)
    assert first.stat().st_mtime_ns == stamp
    assert len(StoredHands(tmp_path)) == 9
    assert not list(tmp_path.glob("*.partial"))


def test_contact_sheet_is_kept_on_parameter_mismatch(tmp_path, generator, small_shards):
    sheet = write_dataset(tmp_path, generator, 2, SIZE)
    before = sheet.read_bytes()
    with pytest.raises(StoredSetError, match="seed is 3, requested 4"):
        write_dataset(tmp_path, SyntheticHands(4, generator.hand_model), 2, SIZE)
    assert sheet.read_bytes() == before


def test_mismatched_or_invalid_set_is_rejected(tmp_path, generator, small_shards):
    write_shards(tmp_path, generator, 2, SIZE, progress=False)
    with pytest.raises(StoredSetError, match="seed is 3, requested 4"):
        write_shards(tmp_path, SyntheticHands(4, generator.hand_model), 2, SIZE, progress=False)

    class Other:
        name, digest = "mano", "0" * 64

    with pytest.raises(StoredSetError, match=r"hand model.*lgnet synth"):
        StoredHands(tmp_path, Other())
    with pytest.raises(StoredSetError, match="lgnet synth --out"):
        StoredHands(tmp_path / "nowhere")
    (tmp_path / "set.json").write_text("{")
    with pytest.raises(StoredSetError, match="JSON"):
        StoredHands(tmp_path)


def test_write_dataset_writes_sheet_and_shards(tmp_path, generator, small_shards):
    sheet = write_dataset(tmp_path, generator, 3, SIZE)
    assert sheet.exists()
    assert len(StoredHands(tmp_path)) == 3


class _Stopping:
    """A generator that is interrupted, or killed, at an image."""

    def __init__(self, generator: SyntheticHands, at: int, error: type[BaseException]) -> None:
        self.generator, self.at, self.error = generator, at, error
        self.drawn: list[int] = []

    def __getattr__(self, name):
        return getattr(self.generator, name)

    def crops(self, indices, size):
        if self.at in indices:
            raise self.error
        self.drawn += indices.tolist()
        return self.generator.crops(indices, size)


def test_a_set_that_does_not_fit_on_the_disk_is_refused(tmp_path, monkeypatch, hand_model):
    """Images that exist already need no more room; the estimate is above the files."""
    generator = SyntheticHands(0, hand_model)
    write_shards(tmp_path / "set", generator, 4, 64, progress=False)
    size = sum(path.stat().st_size for path in (tmp_path / "set").glob("*.safetensors")) / 4
    free_space(monkeypatch, int(10 * size))
    write_shards(tmp_path / "set", generator, 4, 64, progress=False)
    with pytest.raises(InsufficientSpaceError, match=r"set: 96 images of 64x64 pixels need about .*; reduce --count"):
        write_shards(tmp_path / "set", generator, 100, 64, progress=False)
    need = (96 + 100) * (stored._STORED_BYTES_PER_PIXEL * 64**2 + stored._STORED_BYTES_PER_IMAGE)
    assert 196 * size < need < 4 * 196 * size
    assert len(StoredHands(tmp_path / "set")) == 4


def test_an_interruption_keeps_what_was_generated(tmp_path, generator, monkeypatch):
    monkeypatch.setattr(stored, "_BATCH_SIZE", 4)
    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path, _Stopping(generator, 8, KeyboardInterrupt), 10, SIZE, progress=False)
    assert stored_count(tmp_path) == 8
    with pytest.raises(StoredSetError, match="incomplete"):
        StoredHands(tmp_path)
    rest = _Stopping(generator, -1, KeyboardInterrupt)
    write_shards(tmp_path, rest, 10, SIZE, progress=False)
    assert rest.drawn == [8, 9]
    data = StoredHands(tmp_path)
    assert_same(concatenate([data[k] for k in range(8, 10)]), generator.crops(torch.arange(8, 10), SIZE))
    assert_same(data[3], generator.crops(torch.arange(4), SIZE)[3:4])


def test_an_unfinished_shard_is_written_from_time_to_time(tmp_path, generator, monkeypatch):
    """So that a killed process, too, loses little."""
    monkeypatch.setattr(stored, "_BATCH_SIZE", 2)
    monkeypatch.setattr(stored, "SAVE_SECONDS", 0.0)
    counts = []
    crops = generator.crops
    monkeypatch.setattr(generator, "crops", lambda *args: counts.append(stored_count(tmp_path)) or crops(*args))
    write_shards(tmp_path, generator, 6, SIZE, progress=False)
    assert counts == [0, 2, 4]


def test_a_set_keeps_its_shard_size(tmp_path, generator, small_shards, monkeypatch):
    """A set whose shards have another size is extended in its own layout."""
    write_shards(tmp_path, generator, 6, SIZE, progress=False)
    monkeypatch.setattr(stored, "SHARD_SIZE", 512)
    write_shards(tmp_path, generator, 9, SIZE, progress=False)
    assert len(StoredHands(tmp_path)) == 9
    assert StoredHands(tmp_path).shard_count == 3


def test_the_sheet_shows_stored_images_and_none_is_drawn_twice(tmp_path, generator, small_shards):
    counting = _Stopping(generator, -1, KeyboardInterrupt)
    write_dataset(tmp_path, counting, 9, SIZE, sheet_tiles=6)
    assert counting.drawn == list(range(9))


def test_sizes_that_need_too_much_memory_are_refused(tmp_path, generator):
    with pytest.raises(InsufficientMemoryError, match=r"200000x200000 pixels: needs about 5600.0 GB .* --size"):
        write_dataset(tmp_path / "set", generator, 1, 200_000)
    assert not (tmp_path / "set").exists()


def test_resumed_shards_are_those_of_an_uninterrupted_run(tmp_path, generator, monkeypatch):
    """To the byte: what is in an unfinished shard is not compressed a second time."""
    monkeypatch.setattr(stored, "_BATCH_SIZE", 2)
    write_shards(tmp_path / "whole", generator, 6, SIZE, progress=False)
    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path / "parts", _Stopping(generator, 4, KeyboardInterrupt), 6, SIZE, progress=False)
    write_shards(tmp_path / "parts", generator, 6, SIZE, progress=False)
    name = "shard_00000.safetensors"
    assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_hundred_thousand_scenes_fit_in_15_gigabytes(tmp_path, generator):
    """At the size that trainings use."""
    write_shards(tmp_path, generator, 12, 320, progress=False)
    size = (tmp_path / "shard_00000.safetensors").stat().st_size
    assert size / 12 * 100_000 < 15e9


def test_damaged_image_is_named(tmp_path, generator):
    write_shards(tmp_path, generator, 2, SIZE, progress=False)
    path = tmp_path / "shard_00000.safetensors"
    path.write_bytes(path.read_bytes().replace(b"\xff\xd8\xff", b"\x00\x00\x00"))
    with pytest.raises(ValueError, match=r"image 0 of a shard: its image cannot be decoded"):
        StoredHands(tmp_path)[0]
