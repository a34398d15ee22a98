"""What a training learns from: each kind of set, several together, and what is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.made_interhand import MadeSet, write_interhand
from support.train_process import TINY

from lgnet_core.data.augmentation import Augmentation
from lgnet_core.evaluation.published_protocols import INTAGHAND
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.evaluation.scores import Key
from lgnet_core.evaluation.sets import Choice
from lgnet_core.hand_model import HandModel
from lgnet_core.io.images import InputError
from lgnet_core.network import PRESETS
from lgnet_core.network.checkpoint import load_network
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands, write_shards
from lgnet_core.training.mixture import DrawnImages, open_mixture
from lgnet_core.training.sampling import SampleIndex
from lgnet_core.training.train import train
from lgnet_core.training.train_config import TrainConfig

SIZE = 64


@pytest.fixture(scope="module")
def made(mano, tmp_path_factory) -> MadeSet:
    root = tmp_path_factory.mktemp("interhand")
    write_interhand(root, mano, 4, "val", seed=9)
    return write_interhand(root, mano, 8, "train")


@pytest.fixture(scope="module")
def stored(mano, tmp_path_factory) -> Path:
    return write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, mano), 8, 96, progress=False)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def settings(made, mano_folder, tmp_path) -> TrainConfig:
    return TrainConfig(
        out=tmp_path / "run", data="interhand26m", root=made.root, hand_model=mano_folder, size=SIZE, validation=3,
        batch_size=2,
    )  # fmt: skip


def supply(settings: TrainConfig, mano: HandModel, augmentation: Augmentation | None = None):
    return open_mixture(settings, mano, "cpu", augmentation)


def test_annotated_images_come_with_what_their_fits_say(settings, made, mano):
    source = supply(settings, mano).sources[0]
    assert source.length == 8
    batch = source.read([SampleIndex(0, image, 0) for image in range(8)])
    assert batch.image.shape == (8, 3, SIZE, SIZE)
    order = [made.names.index(source.set.index.name(int(row))) for row in source.set.rows]
    expected = made.labels.relative_translation[order]
    both = batch.presence.all(1)
    assert both.any()
    torch.testing.assert_close(batch.labels(mano).relative_translation[both], expected[both], atol=1e-5, rtol=0)


def test_crops_are_moved_as_they_are_cut(settings, mano):
    """Differently at each visit; labels follow. Mirrors and colours are left to the trainer."""
    opened = supply(settings, mano, Augmentation())
    assert not opened.augmentation.moves
    assert opened.augmentation.flip == 0.5
    assert opened.augmentation.photometry is not None
    source = opened.sources[0]
    draws = [SampleIndex(0, image, 1) for image in range(4)]
    first, again = source.read(draws), source.read(draws)
    other = source.read([draw._replace(visit=2) for draw in draws])
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.affine, again.affine)
    assert (first.affine - other.affine).abs().flatten(1).amax(1).min() > 1e-3
    labels = first.labels(mano)
    still = supply(settings, mano).sources[0].read(draws)
    kept = first.presence
    lengths = [b.labels(mano).vertices.norm(dim=-1) for b in (first, still)]
    torch.testing.assert_close(lengths[0][kept], lengths[1][kept], atol=1e-5, rtol=0)
    inside = ((labels.joints_2d > -0.5) & (labels.joints_2d < SIZE - 0.5)).all(-1)
    assert (inside.sum(-1)[kept] >= 7).all()


def test_a_neighbour_stands_in_for_a_image_that_cannot_be_read(settings, made, mano, tmp_path):
    changed = made.copied(tmp_path / "set")
    gone = changed.root / "images" / "train" / changed.names[0]
    gone.unlink()
    opened = supply(replace(settings, root=changed.root), mano)
    batch = opened.sources[0].read([SampleIndex(0, image, 0) for image in range(8)])
    assert len(batch) == 8
    assert opened.skipped() == {"image is missing": 1}
    for name in changed.names[1:]:
        (changed.root / "images" / "train" / name).unlink()
    with pytest.raises(InputError, match="check --root"):
        opened.sources[0].read([SampleIndex(0, 1, 0)])


def test_val_is_held_out(settings, mano):
    held = supply(settings, mano).held_out(3)
    assert len(held) == 3
    assert all(len(held[k]) == 1 for k in range(3))
    assert len(supply(settings, mano).held_out(100)) == 4


def test_several_sets_in_one_batch(settings, stored, mano):
    """Stored images at the size of the others, moved alike; held-out ones by weight."""
    mixed = replace(settings, data=f"interhand26m=3,{stored}=1", validation=4)
    opened = supply(mixed, mano, Augmentation())
    assert opened.weights == (3.0, 1.0)
    assert [share.images for share in opened.shares] == [8, 7]
    batches = DrawnImages(opened.sources).__getitems__(
        [SampleIndex(1, 0, 0), SampleIndex(0, 5, 0), SampleIndex(1, 3, 0)]
    )
    assert sorted(len(batch) for batch in batches) == [1, 2]
    assert {batch.image.shape[-1] for batch in batches} == {SIZE}
    moved = opened.sources[1].read([SampleIndex(1, 0, 0)])
    assert not torch.allclose(moved.affine, StoredHands(stored)[0].affine * SIZE / 96, atol=1e-2)
    held = opened.held_out(4)
    assert len(held) == 4
    assert {held[k].image.shape[-1] for k in range(4)} == {SIZE}
    alone = supply(replace(settings, data=str(stored), validation=1), mano, Augmentation())
    assert alone.augmentation.moves  # by the trainer, on its device
    generated = supply(replace(mixed, data="interhand26m,synthetic"), mano)
    assert not generated.finite
    assert len(generated.sources[1].read([SampleIndex(1, 4, 0), SampleIndex(1, 9, 0)])) == 2


def test_a_training_on_several_sets(settings, stored, mano, monkeypatch, tmp_path):
    """Two steps on a mixture, read by a worker: weights that know their hand model, whose surfaces can be judged."""
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    mixed = replace(
        settings, data=f"interhand26m=0.5,{stored}=0.5", preset="tiny", steps=2, epoch_steps=2, warmup=0,
        initial="random", device="cpu", progress=False, workers=1, batch_size=4,
    )  # fmt: skip
    weights = train(mixed)
    network, metadata = load_network(weights, mano)
    assert metadata["images"] == 8
    assert {"mpvpe_mm", "presence"} <= set(metadata["figures"])
    assert network.hand_model.digest == mano.digest
    choice = Choice("interhand26m", mixed.root, "train")
    report = run_evaluation(tmp_path / "eval", choice, weights, mano, device="cpu")
    assert report.results["all"].weights.figures[Key("mpvpe_mm", "wrist-raw")] > 0
    assert report.studies.named[INTAGHAND][0].mpvpe > 0
    assert report.studies.penetration["true"]["pairs"] > 0
    assert report.studies.notes == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": None}, "say with --root"),
        ({"hand_model": None}, "give your MANO"),
        ({"subset": "best"}, "choose of all, SH, IH, lgnet"),
        ({"annotation": "X"}, "choose of H, M, H\\+M"),
    ],
)
def test_what_an_annotated_set_needs_is_told(settings, mano, changes, message):
    with pytest.raises(ValueError, match=message):
        supply(replace(settings, **changes), mano)


def test_names_and_weights(tmp_path):
    def parts(data: str):
        return TrainConfig(out=tmp_path, data=data).parts()

    assert parts("synthetic") == [("synthetic", 1.0)]
    assert parts("interhand26m=0.7, /sets/a=b=3") == [("interhand26m", 0.7), ("/sets/a=b", 3.0)]
    for wrong, message in (
        ("synthetic=much", "no weight"),
        ("synthetic=0", "above 0"),
        ("=1", "above 0"),
        ("a,", "NAME"),
    ):
        with pytest.raises(ValueError, match=message):
            parts(wrong)
