"""Feature cache of a stored set, and hard-negative crops."""

from __future__ import annotations

import copy
import math
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from support.disks import free_space
from support.feature_shards import assert_same_shards, read_shards
from torch.testing import assert_close

from lgnet_core.data.hand_pairs import CropJitter, crop_hand_pairs, crop_images
from lgnet_core.data.sample import concatenate
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.geometry.affine import transform_points
from lgnet_core.io.disk import InsufficientSpaceError
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet, load_hand_landmark_net
from lgnet_core.synthetic import stored
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands, write_shards
from lgnet_core.training.features import cache as cache_module
from lgnet_core.training.features import shards
from lgnet_core.training.features.batch import FEATURE_MAPS, cache_digest, concatenate_features
from lgnet_core.training.features.cache import FeatureCache, FeatureSubset
from lgnet_core.training.features.negatives import (
    MAX_JOINT_FRACTION,
    SCALE_RANGE,
    mirror_crop,
    sample_background_crop,
)

COUNT, SHARD, SIZE = 10, 4, 96


@pytest.fixture(scope="module")
def landmarker() -> HandLandmarkNet:
    return load_hand_landmark_net()


@pytest.fixture
def engines(monkeypatch) -> list[HandLandmarkNet]:
    """Networks for which engines were created; all engines are eager."""
    networks = []

    def make(network, *args):
        networks.append(network)
        return EagerEngine(network, "cpu", 1)

    monkeypatch.setattr(cache_module, "make_engine", make)
    return networks


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(stored, "SHARD_SIZE", SHARD)
    monkeypatch.setattr(stored, "_BATCH_SIZE", SHARD)


@pytest.fixture(scope="module")
def rendered() -> list[Path]:
    """Folder of the images, once they have been generated."""
    return []


@pytest.fixture
def images(tmp_path: Path, tmp_path_factory, hand_model, rendered) -> StoredHands:
    """Three shards, the last one half full; copied for each test."""
    if not rendered:
        rendered.append(tmp_path_factory.mktemp("rendered") / "set")
        write_shards(rendered[0], SyntheticHands(3, hand_model), COUNT, SIZE, progress=False)
    return StoredHands(shutil.copytree(rendered[0], tmp_path / "set"), hand_model)


def make_cache(images: StoredHands, landmarker, hand_model, jitter: CropJitter | None = None) -> FeatureCache:
    return FeatureCache(images, landmarker, hand_model, jitter, threads=1, progress=False)


def shards_of(cache: FeatureCache) -> list[Path]:
    return sorted(cache.folder.glob("*.safetensors"))


@pytest.mark.parametrize("jitter", [None, CropJitter()], ids=["unchanged", "jittered"])
@torch.no_grad()
def test_reads_what_the_network_computes(images, landmarker, hand_model, engines, jitter):
    """Maps of each present hand in half precision; an absent hand repeats the other one."""
    cache = make_cache(images, landmarker, hand_model, jitter)
    assert len(cache) == COUNT
    absent = 0
    for number in range(3):
        rows = range(number * SHARD, min((number + 1) * SHARD, COUNT))
        batch = concatenate([images[k] for k in rows])
        pairs = crop_hand_pairs(
            batch, batch.labels(hand_model).joints_2d, jitter, torch.Generator().manual_seed(number)
        )
        output = landmarker(pairs.images.flatten(0, 1))
        for row, index in enumerate(rows):
            sample = cache.read(index)
            assert torch.equal(sample.batch.image, batch.image[row, None])
            for name in ("intrinsics", "frames", "given", "affine"):
                assert_close(getattr(sample, name)[0], getattr(pairs, name)[row])
            present = pairs.given[row] > 0
            for side in range(2) if present.any() else ():
                hand = 2 * row + (side if present[side] else 1 - side)
                absent += not present[side]
                for name in FEATURE_MAPS:
                    value, expected = getattr(sample, name), getattr(output, name)[hand]
                    assert value.dtype == torch.float32
                    assert_close(value[0, side], expected, atol=2e-3, rtol=2e-3, msg=name)
    assert absent > 0, "no image of a single hand was tested"


def test_features_are_computed_once(images, landmarker, hand_model, engines):
    first = make_cache(images, landmarker, hand_model)
    again = make_cache(images, landmarker, hand_model)
    assert first.folder == again.folder
    assert len(engines) == 1
    assert torch.equal(first.read(5).middle, again.read(5).middle)


def test_folder_depends_on_jitter_and_on_weights_up_to_stride_16(images, landmarker, hand_model, engines):
    """The layers after the cached maps may be trained without invalidating the cache."""
    changed_early, changed_late = load_hand_landmark_net(), load_hand_landmark_net()
    with torch.no_grad():
        changed_early.encoder.stem.weight += 1
        changed_late.side.bias += 1
        changed_late.encoder.expand.weight += 1
    caches = [
        make_cache(images, network, hand_model, jitter)
        for network, jitter in ((landmarker, None), (landmarker, CropJitter()), (changed_early, None))
    ]
    assert len({cache.folder for cache in caches}) == len(engines) == 3
    assert make_cache(images, changed_late, hand_model).folder == caches[0].folder


def test_interrupted_computation_resumes_at_the_missing_shard(images, landmarker, hand_model, engines):
    cache = make_cache(images, landmarker, hand_model)
    first, second, third = shards_of(cache)
    second.rename(second.with_suffix(".partial"))
    times = [os.stat(path).st_mtime_ns for path in (first, third)]
    make_cache(images, landmarker, hand_model)
    assert shards_of(cache) == [first, second, third]
    assert [os.stat(path).st_mtime_ns for path in (first, third)] == times


@pytest.mark.parametrize(
    ("stop", "save_seconds"),
    [(KeyboardInterrupt, 600.0), (SystemError, 0.0)],
    ids=["Ctrl-C", "killed after a minute"],
)
def test_stopped_shard_is_continued_as_if_nothing_had_happened(
    images, landmarker, hand_model, engines, monkeypatch, stop, save_seconds
):
    """Stopped in the second batch of the second shard, with random crops; the interruption says what there is."""
    stored = SHARD + 1
    monkeypatch.setattr(cache_module, "_BATCH_SIZE", 1)
    uninterrupted = make_cache(images, landmarker, hand_model, CropJitter())
    expected = read_shards(uninterrupted.folder)
    shutil.rmtree(uninterrupted.folder)
    monkeypatch.setattr(shards, "SAVE_SECONDS", save_seconds)
    read = StoredHands.__getitem__
    with monkeypatch.context() as patch:

        def read_or_stop(stored_hands: StoredHands, index: int):
            if index == stored:
                raise stop
            return read(stored_hands, index)

        patch.setattr(StoredHands, "__getitem__", read_or_stop)
        with pytest.raises(stop) as caught:
            make_cache(images, landmarker, hand_model, CropJitter())
    if stop is KeyboardInterrupt:
        assert f"features of {stored} of {COUNT} images are in {uninterrupted.folder}; the same" in str(caught.value)
    visited = []
    monkeypatch.setattr(StoredHands, "__getitem__", lambda hands, index: visited.append(index) or read(hands, index))
    resumed = make_cache(images, landmarker, hand_model, CropJitter())
    assert visited == list(range(stored, COUNT))
    assert_same_shards(resumed.folder, expected)


def test_grown_set_recomputes_only_its_last_shards(images, landmarker, hand_model, engines):
    """The last shard of the set then has more samples than that of the features."""
    cache = make_cache(images, landmarker, hand_model)
    first = os.stat(shards_of(cache)[0]).st_mtime_ns
    write_shards(images.directory, SyntheticHands(3, hand_model), COUNT + 3, SIZE, progress=False)
    grown = make_cache(StoredHands(images.directory, hand_model), landmarker, hand_model)
    assert len(grown) == COUNT + 3
    for index in (COUNT - 1, COUNT, COUNT + 2):
        assert all(len(value) == 1 for value in grown.read(index).tensors().values())
    assert os.stat(shards_of(grown)[0]).st_mtime_ns == first


def test_features_that_do_not_fit_on_the_disk_are_refused(images, landmarker, hand_model, engines, monkeypatch):
    """The estimate is that of the files, if both hands are visible."""
    cache = make_cache(images, landmarker, hand_model)
    hands = sum(int((cache.read(k).given > 0).sum()) for k in range(COUNT))
    early, middle = (2 * getattr(cache.read(0), name)[0, 0].numel() for name in FEATURE_MAPS)
    size = sum(path.stat().st_size for path in shards_of(cache))
    assert size == pytest.approx(hands * (early + middle) + COUNT * middle, rel=0.02)
    assert cache_module.feature_bytes(landmarker) == 2 * (early + middle) + middle
    shutil.rmtree(cache.folder)
    free_space(monkeypatch, COUNT * cache_module.feature_bytes(landmarker) - 1)
    with pytest.raises(InsufficientSpaceError, match=rf"the features of {COUNT} images need about .*; free some space"):
        make_cache(images, landmarker, hand_model)
    assert not shards_of(cache)


def test_subset_is_a_dataset_that_can_be_pickled(images, landmarker, hand_model, engines):
    cache = make_cache(images, landmarker, hand_model)
    data = FeatureSubset(cache, 3, 4)
    assert len(data) == 4
    copied = pickle.loads(pickle.dumps(data))  # as for worker processes, each of which opens its own files
    batch = concatenate_features([copied[k] for k in range(4)])
    assert len(batch) == 4
    for k in range(4):
        sample = cache.read(3 + k)
        for name, value in batch.tensors().items():
            assert_close(value[k, None], getattr(sample, name), rtol=0, atol=0, equal_nan=True)


def test_hard_negative_is_background_or_a_mirrored_hand(images, landmarker, hand_model, engines):
    """Its labels are no hand, or a hand of the opposite side."""
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
def test_mirror_crop_mirrors_the_pixels(images, landmarker, hand_model):
    batch = next(images[k] for k in range(COUNT) if images[k].presence.any())
    pairs = crop_hand_pairs(batch, batch.labels(hand_model).joints_2d)
    side = int(pairs.given[0].argmax())
    mirrored = crop_images(batch.image, mirror_crop(pairs.affine[0, side, None]), torch.zeros(1, dtype=torch.long))
    assert_close(mirrored[0], pairs.images[0, side].flip(-1), atol=1e-3, rtol=0)


def test_background_crops_contain_almost_no_joints():
    """If hands fill the image, there is no background crop."""
    random = torch.Generator().manual_seed(0)
    hand = torch.rand(1, 21, 2, generator=random) * 60 + torch.tensor([40.0, 50])
    count = 0
    for _ in range(30):
        affine = sample_background_crop(hand, 100.0, (320, 240), random)
        if affine is None:
            continue
        count += 1
        inside = ((transform_points(affine[None], hand.double()) - 111.5).abs() <= 112).all(-1)
        assert float(inside.double().mean()) < MAX_JOINT_FRACTION
        side = 224 / float(torch.linalg.det(affine[:, :2])) ** 0.5
        assert 100 * SCALE_RANGE[0] <= side <= 100 * SCALE_RANGE[1]
    assert count > 15
    filled = torch.rand(1, 2000, 2, generator=random) * 100
    assert sample_background_crop(filled, 400.0, (100, 100), random) is None


def test_digest_depends_on_values_not_on_the_sign_of_zero(landmarker):
    changed = copy.deepcopy(landmarker)
    weight = next(changed.encoder.middle_layers()[0].parameters())
    with torch.no_grad():
        weight.flatten()[0] = 0.0
    before = cache_digest(changed, "")
    with torch.no_grad():
        weight.flatten()[0] = -0.0
    assert cache_digest(changed, "") == before
    with torch.no_grad():
        weight.flatten()[0] = 1.0
    assert cache_digest(changed, "") != before
