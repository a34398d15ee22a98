"""Cached features are what the landmark network computes, once for each set, network and jitter."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from lgnet_core.data.hand_pairs import CropJitter, cut_pairs
from lgnet_core.data.sample import concatenate
from lgnet_core.data.synthetic import stored
from lgnet_core.data.synthetic.generator import SyntheticHands
from lgnet_core.data.synthetic.stored import StoredHands, write_shards
from lgnet_core.inference.eager import EagerEngine
from lgnet_core.network.hand_landmark import HandLandmarkNet, load_hand_landmark_net
from lgnet_core.training import features
from lgnet_core.training.feature_shards import FIELDS, concatenate_features
from lgnet_core.training.features import CachedFeatures, FeatureCache

COUNT, SHARD, SIZE = 10, 4, 96


@pytest.fixture(scope="module")
def landmarker() -> HandLandmarkNet:
    return load_hand_landmark_net()


@pytest.fixture
def engines(monkeypatch) -> list[HandLandmarkNet]:
    """The networks that engines were made of, eager ones."""
    made = []

    def make(network, *args):
        made.append(network)
        return EagerEngine(network, "cpu", 1)

    monkeypatch.setattr(features, "make_engine", make)
    return made


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(stored, "SHARD_SIZE", SHARD)
    monkeypatch.setattr(stored, "_BATCH", SHARD)


@pytest.fixture(scope="module")
def rendered() -> list[Path]:
    """Where the images are once they have been made."""
    return []


@pytest.fixture
def images(tmp_path: Path, tmp_path_factory, hand_model, rendered) -> StoredHands:
    """Three shards, the last one half full; a copy for each test."""
    if not rendered:
        rendered.append(tmp_path_factory.mktemp("rendered") / "set")
        write_shards(rendered[0], SyntheticHands(3, hand_model), COUNT, SIZE, progress=False)
    return StoredHands(shutil.copytree(rendered[0], tmp_path / "set"), hand_model)


def make_cache(images: StoredHands, landmarker, hand_model, jitter: CropJitter | None = None) -> FeatureCache:
    return FeatureCache(images, landmarker, hand_model, jitter, threads=1, progress=False)


def shards_of(cache: FeatureCache) -> list[Path]:
    return sorted(cache.folder.glob("*.safetensors"))


@pytest.mark.parametrize("jitter", [None, CropJitter()], ids=["as-they-are", "moved"])
@torch.no_grad()
def test_what_is_read_is_what_the_network_computes(images, landmarker, hand_model, engines, jitter):
    """Of each hand that is there; where none is, the other's. Maps are in half precision."""
    cache = make_cache(images, landmarker, hand_model, jitter)
    assert len(cache) == COUNT
    absent = 0
    for number in range(3):
        rows = range(number * SHARD, min((number + 1) * SHARD, COUNT))
        batch = concatenate([images[k] for k in rows])
        pairs = cut_pairs(batch, batch.labels(hand_model).joints_2d, jitter, torch.Generator().manual_seed(number))
        seen = landmarker(pairs.images.flatten(0, 1))
        for place, index in enumerate(rows):
            sample = cache.read(index)
            inputs = dict(zip((*FIELDS, "intrinsics", "frames", "given"), sample.inputs, strict=True))
            assert torch.equal(sample.batch.image, batch.image[place, None])
            for name in ("intrinsics", "frames", "given"):
                assert_close(inputs[name][0], getattr(pairs, name)[place])
            assert_close(sample.affine[0], pairs.affine[place])
            given = pairs.given[place] > 0
            for side in range(2) if given.any() else ():
                own = 2 * place + (side if given[side] else 1 - side)
                absent += not given[side]
                for name, value in zip(FIELDS, sample.inputs):
                    expected = getattr(seen, name)[own]
                    assert value.dtype == torch.float32
                    assert_close(value[0, side], expected, atol=2e-3, rtol=2e-3, msg=name)
    assert absent > 0, "no image of one hand was tried"


def test_it_is_computed_once(images, landmarker, hand_model, engines):
    first = make_cache(images, landmarker, hand_model)
    again = make_cache(images, landmarker, hand_model)
    assert first.folder == again.folder
    assert len(engines) == 1
    assert torch.equal(first.read(5).inputs[2], again.read(5).inputs[2])


def test_what_it_follows_from_has_a_folder_of_its_own(images, landmarker, hand_model, engines):
    """Jitter and weights."""
    other = load_hand_landmark_net()
    with torch.no_grad():
        other.side.bias += 1
    caches = [
        make_cache(images, network, hand_model, jitter)
        for network, jitter in ((landmarker, None), (landmarker, CropJitter()), (other, None))
    ]
    assert len({cache.folder for cache in caches}) == len(engines) == 3


def test_an_interrupted_computation_goes_on_shard_by_shard(images, landmarker, hand_model, engines):
    cache = make_cache(images, landmarker, hand_model)
    first, second, third = shards_of(cache)
    second.rename(second.with_suffix(".partial"))
    times = [os.stat(path).st_mtime_ns for path in (first, third)]
    make_cache(images, landmarker, hand_model)
    assert shards_of(cache) == [first, second, third]
    assert [os.stat(path).st_mtime_ns for path in (first, third)] == times


def test_a_set_that_has_grown_is_computed_on(images, landmarker, hand_model, engines):
    """Its last shard has more samples than that of the features."""
    cache = make_cache(images, landmarker, hand_model)
    first = os.stat(shards_of(cache)[0]).st_mtime_ns
    write_shards(images.directory, SyntheticHands(3, hand_model), COUNT + 3, SIZE, progress=False)
    grown = make_cache(StoredHands(images.directory, hand_model), landmarker, hand_model)
    assert len(grown) == COUNT + 3
    for index in (COUNT - 1, COUNT, COUNT + 2):
        assert all(len(value) == 1 for value in grown.read(index).inputs)
    assert os.stat(shards_of(grown)[0]).st_mtime_ns == first


def test_a_stretch_of_it_is_a_data_set(images, landmarker, hand_model, engines):
    cache = make_cache(images, landmarker, hand_model)
    data = CachedFeatures(cache, 3, 4)
    assert len(data) == 4
    copied = pickle.loads(pickle.dumps(data))  # as worker processes get it: each opens its own files
    batch = concatenate_features([copied[k] for k in range(4)])
    assert len(batch) == 4
    for k in range(4):
        sample = cache.read(3 + k)
        for mine, theirs in zip((*batch.inputs, batch.affine), (*sample.inputs, sample.affine), strict=True):
            assert torch.equal(mine[k, None], theirs)
