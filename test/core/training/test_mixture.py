"""Data sources and their mixture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.synthetic_freihand import write_freihand
from support.synthetic_interhand import SyntheticInterHand, write_interhand
from support.train_process import TINY

from lgnet_core.data.augmentation import Augmentation
from lgnet_core.evaluation.datasets.factory import DatasetConfig
from lgnet_core.evaluation.protocols.published_protocols import INTAGHAND
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.evaluation.scores import MetricKey
from lgnet_core.hand_model import HandModel
from lgnet_core.io.files import InputError
from lgnet_core.network import PRESETS
from lgnet_core.network.checkpoint import load_network
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands, write_shards
from lgnet_core.training.mixture import DataMixture, MixtureDataset, open_mixture
from lgnet_core.training.sampling import SampleIndex
from lgnet_core.training.train import train
from lgnet_core.training.train_config import TrainConfig

SIZE = 64


@pytest.fixture(scope="module")
def interhand(mano, tmp_path_factory) -> SyntheticInterHand:
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
def settings(interhand, mano_folder, tmp_path) -> TrainConfig:
    return TrainConfig(
        out=tmp_path / "run", data="interhand26m", root=interhand.root, hand_model=mano_folder, size=SIZE, validation=3,
        batch_size=2,
    )  # fmt: skip


def mixture_of(settings: TrainConfig, mano: HandModel, augmentation: Augmentation | None = None) -> DataMixture:
    return open_mixture(settings, mano, "cpu", augmentation)


def test_annotated_images_have_the_labels_of_their_fits(settings, interhand, mano):
    source = mixture_of(settings, mano).sources[0]
    assert source.length == 8
    batch = source.read([SampleIndex(0, image, 0) for image in range(8)])
    assert batch.image.shape == (8, 3, SIZE, SIZE)
    order = [interhand.names.index(source.set.index.name(int(row))) for row in source.set.rows]
    expected = interhand.labels.relative_translation[order]
    both = batch.presence.all(1)
    assert both.any()
    torch.testing.assert_close(batch.labels(mano).relative_translation[both], expected[both], atol=1e-5, rtol=0)


def test_annotated_crops_are_augmented_when_read(settings, mano):
    """Differently in each pass, together with their labels. Mirroring and colours are left to the training step."""
    mixture = mixture_of(settings, mano, Augmentation())
    assert not mixture.augmentation.is_geometric
    assert mixture.augmentation.flip == 0.5
    assert mixture.augmentation.photometry is not None
    source = mixture.sources[0]
    samples = [SampleIndex(0, image, 1) for image in range(4)]
    first, again = source.read(samples), source.read(samples)
    other = source.read([sample._replace(visit=2) for sample in samples])
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.affine, again.affine)
    assert (first.affine - other.affine).abs().flatten(1).amax(1).min() > 1e-3
    labels = first.labels(mano)
    unaugmented = mixture_of(settings, mano).sources[0].read(samples)
    present = first.presence
    lengths = [b.labels(mano).vertices.norm(dim=-1) for b in (first, unaugmented)]
    torch.testing.assert_close(lengths[0][present], lengths[1][present], atol=1e-5, rtol=0)
    inside = ((labels.joints_2d > -0.5) & (labels.joints_2d < SIZE - 0.5)).all(-1)
    assert (inside.sum(-1)[present] >= 7).all()


def test_unreadable_image_is_replaced_by_a_neighbour(settings, interhand, mano, tmp_path):
    changed = interhand.copied(tmp_path / "set")
    missing = changed.root / "images" / "train" / changed.names[0]
    missing.unlink()
    mixture = mixture_of(replace(settings, root=changed.root), mano)
    batch = mixture.sources[0].read([SampleIndex(0, image, 0) for image in range(8)])
    assert len(batch) == 8
    assert mixture.skipped() == {"image is missing": 1}
    for name in changed.names[1:]:
        (changed.root / "images" / "train" / name).unlink()
    with pytest.raises(InputError, match="check --root"):
        mixture.sources[0].read([SampleIndex(0, 1, 0)])


def test_val_split_is_held_out(settings, mano):
    held_out = mixture_of(settings, mano).held_out(3)
    assert len(held_out) == 3
    assert all(len(held_out[k]) == 1 for k in range(3))
    assert len(mixture_of(settings, mano).held_out(100)) == 4


def test_freihand_holds_out_samples_in_all_versions(settings, mano, tmp_path):
    """Four versions of six samples, of which two are held out, in one version; labels are those of the fits."""
    dataset = write_freihand(tmp_path / "freihand", mano, 6, "train")
    config = replace(settings, data="freihand", root=dataset.root, validation=2)
    mixture = mixture_of(config, mano, Augmentation())
    source = mixture.sources[0]
    assert source.length == 4 * 4
    batch = source.read([SampleIndex(0, image, 0) for image in range(source.length)])
    assert batch.presence.tolist() == [[True, False]] * 16
    held_out = mixture.held_out(2)
    assert len(held_out) == 2
    shapes = {tuple(row.tolist()) for row in batch.shape[:, 0]}
    assert len(shapes) == 4
    assert shapes.isdisjoint(tuple(held_out[k].shape[0, 0].tolist()) for k in range(2))
    distances = (batch.labels(mano).joints[:, 0] - batch.wrist[:, :1]).norm(dim=-1)
    true = dataset.labels.joints[:, 0]
    torch.testing.assert_close(distances[:4], (true - true[:, :1]).norm(dim=-1)[:4], atol=2e-5, rtol=0)
    with pytest.raises(ValueError, match="freihand: --validation 6 holds out all of its 6 images"):
        mixture_of(replace(config, validation=6), mano)
    with pytest.raises(ValueError, match="freihand: its labels are MANO fits; give your MANO model"):
        mixture_of(replace(config, hand_model=None), mano)


def test_batch_of_several_sources(settings, stored, mano):
    """Stored images are resized and augmented like the others; held-out images are divided by weight."""
    mixed = replace(settings, data=f"interhand26m=3,{stored}=1", validation=4)
    mixture = mixture_of(mixed, mano, Augmentation())
    assert mixture.weights == (3.0, 1.0)
    assert [component.images for component in mixture.components] == [8, 7]
    batches = MixtureDataset(mixture.sources).__getitems__(
        [SampleIndex(1, 0, 0), SampleIndex(0, 5, 0), SampleIndex(1, 3, 0)]
    )
    assert sorted(len(batch) for batch in batches) == [1, 2]
    assert {batch.image.shape[-1] for batch in batches} == {SIZE}
    augmented = mixture.sources[1].read([SampleIndex(1, 0, 0)])
    assert not torch.allclose(augmented.affine, StoredHands(stored)[0].affine * SIZE / 96, atol=1e-2)
    held_out = mixture.held_out(4)
    assert len(held_out) == 4
    assert {held_out[k].image.shape[-1] for k in range(4)} == {SIZE}
    alone = mixture_of(replace(settings, data=str(stored), validation=1), mano, Augmentation())
    assert alone.augmentation.is_geometric  # applied by the training step
    generated = mixture_of(replace(mixed, data="interhand26m,synthetic"), mano)
    assert not generated.finite
    assert len(generated.sources[1].read([SampleIndex(1, 4, 0), SampleIndex(1, 9, 0)])) == 2


def test_training_on_several_sources(settings, stored, mano, monkeypatch, tmp_path):
    """Two steps on a mixture read by a worker process; the weights record their hand model and can be evaluated."""
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
    dataset = DatasetConfig("interhand26m", mixed.root, "train")
    report = run_evaluation(tmp_path / "eval", dataset, weights, mano, device="cpu")
    assert report.results["all"].weights.metrics[MetricKey("mpvpe_mm", "wrist-raw")] > 0
    assert report.analyses.protocols[INTAGHAND][0].mpvpe > 0
    assert report.analyses.penetration["true"]["pairs"] > 0
    assert report.analyses.notes == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": None}, "give the folder of the dataset with --root"),
        ({"hand_model": None}, "give your MANO model"),
        ({"subset": "best"}, "choose from all, SH, IH, lgnet"),
        ({"annotation": "X"}, "choose from H, M, H\\+M"),
    ],
)
def test_rejects_incomplete_interhand_settings(settings, mano, changes, message):
    with pytest.raises(ValueError, match=message):
        mixture_of(replace(settings, **changes), mano)


def test_parses_names_and_weights(tmp_path):
    def components(data: str):
        return TrainConfig(out=tmp_path, data=data).components()

    assert components("synthetic") == [("synthetic", 1.0)]
    assert components("interhand26m=0.7, /sets/a=b=3") == [("interhand26m", 0.7), ("/sets/a=b", 3.0)]
    for wrong, message in (
        ("synthetic=much", "is not a weight"),
        ("synthetic=0", "above 0"),
        ("=1", "above 0"),
        ("a,", "NAME"),
    ):
        with pytest.raises(ValueError, match=message):
            components(wrong)
