"""Cached features are what the landmark network computes, once for each set, network and jitter."""

from __future__ import annotations

import math
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from lgnet_core.data.hand_pairs import CropJitter, cut, cut_pairs
from lgnet_core.data.sample import concatenate
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.geometry.hand_crops import to_crop
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet, load_hand_landmark_net
from lgnet_core.synthetic import stored
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands, write_shards
from lgnet_core.training import features
from lgnet_core.training.feature_shards import MAPS, concatenate_features
from lgnet_core.training.features import CachedFeatures, FeatureCache
from lgnet_core.training.negatives import INSIDE, SIDES, draw_place, mirror

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
            assert torch.equal(sample.batch.image, batch.image[place, None])
            for name in ("intrinsics", "frames", "given", "affine"):
                assert_close(getattr(sample, name)[0], getattr(pairs, name)[place])
            given = pairs.given[place] > 0
            for side in range(2) if given.any() else ():
                own = 2 * place + (side if given[side] else 1 - side)
                absent += not given[side]
                for name in MAPS:
                    value, expected = getattr(sample, name), getattr(seen, name)[own]
                    assert value.dtype == torch.float32
                    assert_close(value[0, side], expected, atol=2e-3, rtol=2e-3, msg=name)
    assert absent > 0, "no image of one hand was tried"


def test_it_is_computed_once(images, landmarker, hand_model, engines):
    first = make_cache(images, landmarker, hand_model)
    again = make_cache(images, landmarker, hand_model)
    assert first.folder == again.folder
    assert len(engines) == 1
    assert torch.equal(first.read(5).middle, again.read(5).middle)


def test_what_it_follows_from_has_a_folder_of_its_own(images, landmarker, hand_model, engines):
    """Jitter, and the weights that the maps come from; the layers after them may be trained further."""
    other, later = load_hand_landmark_net(), load_hand_landmark_net()
    with torch.no_grad():
        other.encoder.stem.weight += 1
        later.side.bias += 1
        later.encoder.expand.weight += 1
    caches = [
        make_cache(images, network, hand_model, jitter)
        for network, jitter in ((landmarker, None), (landmarker, CropJitter()), (other, None))
    ]
    assert len({cache.folder for cache in caches}) == len(engines) == 3
    assert make_cache(images, later, hand_model).folder == caches[0].folder


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
        assert all(len(value) == 1 for value in grown.read(index).tensors().values())
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
        for name, mine in batch.tensors().items():
            assert_close(mine[k, None], getattr(sample, name), rtol=0, atol=0, equal_nan=True)


def test_one_more_crop_of_each_image_shows_a_hand_in_the_mirror_or_none(images, landmarker, hand_model, engines):
    """Its labels are what the crop shows: no hand, or one of the other side."""
    cache = make_cache(images, landmarker, hand_model)
    kinds = set()
    for index in range(COUNT):
        sample = cache.read(index)
        hand, right = sample.negative_labels[0].tolist()
        assert sample.negative.shape == (1, *sample.middle.shape[2:])
        kinds.add(hand)
        if hand == 1:
            assert right == 0
            assert sample.batch.presence.any()
        else:
            assert math.isnan(right)
    assert {0.0, 1.0} <= kinds


@torch.no_grad()
def test_a_mirrored_crop_is_the_crops_mirror_image(images, landmarker, hand_model):
    batch = next(images[k] for k in range(COUNT) if images[k].presence.any())
    pairs = cut_pairs(batch, batch.labels(hand_model).joints_2d)
    side = int(pairs.given[0].argmax())
    mirrored = cut(batch.image, mirror(pairs.affine[0, side, None]), torch.zeros(1, dtype=torch.long))
    assert_close(mirrored[0], pairs.images[0, side].flip(-1), atol=1e-3, rtol=0)


def test_places_without_a_hand_have_no_hand():
    """Almost no joint of the image's hands lies in them; where hands fill the image there is no such place."""
    random = torch.Generator().manual_seed(0)
    hand = torch.rand(1, 21, 2, generator=random) * 60 + torch.tensor([40.0, 50])
    found = 0
    for _ in range(30):
        affine = draw_place(hand, 100.0, (320, 240), random)
        if affine is None:
            continue
        found += 1
        inside = ((to_crop(affine[None], hand.double()) - 111.5).abs() <= 112).all(-1)
        assert float(inside.double().mean()) < INSIDE
        side = 224 / float(torch.linalg.det(affine[:, :2])) ** 0.5
        assert 100 * SIDES[0] <= side <= 100 * SIDES[1]
    assert found > 15
    filled = torch.rand(1, 2000, 2, generator=random) * 100
    assert draw_place(filled, 400.0, (100, 100), random) is None
