"""Cached student features of real images with pseudo-labels."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from support.feature_shards import assert_same_shards, read_shards
from support.real_images import CLIP_FRAMES, half_size_frames, write_real_images
from support.train_process import TINY_HAND
from torch.testing import assert_close

from lgnet_core.data.clip import read_clip
from lgnet_core.data.hand_pairs import CropJitter
from lgnet_core.data.photometry import Photometry
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.geometry.affine import inverse_transform_points
from lgnet_core.geometry.camera import project
from lgnet_core.geometry.crops import letterbox
from lgnet_core.io.files import InputError
from lgnet_core.network import PRESETS, build_network
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet, load_hand_landmark_net
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands, write_shards
from lgnet_core.training.features import shards, teacher_cache
from lgnet_core.training.features.batch import concatenate_features
from lgnet_core.training.features.teacher import Teacher, TeacherSettings
from lgnet_core.training.features.teacher_cache import TeacherCache
from lgnet_core.training.initial_weights import initial_network
from lgnet_core.training.losses.distillation import landmarker_terms, pseudo_label_error
from lgnet_core.training.mixture import open_mixture
from lgnet_core.training.train_config import TrainConfig

SIZE = 128
UNCHANGED = TeacherSettings(
    paste_probability=0.0,
    jitter=CropJitter(0.0, 0.0, 0.0),
    photometry=Photometry(**dict.fromkeys(Photometry.__dataclass_fields__, 0.0)),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two frames of the clip at half size, and between them an image without a hand."""
    first, second = half_size_frames()
    return write_real_images(tmp_path_factory.mktemp("real"), [first, np.full((96, 96, 3), 120, np.uint8), second])


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, hand_model) -> StoredHands:
    folder = write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 4, 64, progress=False)
    return StoredHands(folder, hand_model)


@pytest.fixture(scope="module")
def landmarker() -> HandLandmarkNet:
    return load_hand_landmark_net()


@pytest.fixture(autouse=True)
def engines(monkeypatch) -> list[torch.nn.Module]:
    """Networks for which engines were created, all eager; and two variants of each image instead of six."""
    networks = []

    def make(network, *args):
        networks.append(network)
        return EagerEngine(network, "cpu", 1)

    monkeypatch.setattr(teacher_cache, "make_engine", make)
    monkeypatch.setattr(teacher_cache, "VARIANTS", 2)
    return networks


def make_cache(
    root: Path,
    folder: Path,
    landmarker: HandLandmarkNet,
    rendered: StoredHands,
    settings: TeacherSettings | None = None,
) -> TeacherCache:
    return TeacherCache(root, folder, landmarker, rendered, SIZE, settings, threads=1, progress=False)


def test_pseudo_labels_match_the_ground_truth(tmp_path, root, landmarker, rendered):
    """In the letterboxed image, against the clip's ground truth; hands and images without labels are left out."""
    cache = make_cache(root, tmp_path, landmarker, rendered)
    assert len(cache) == 2 * 2  # without the image without a hand
    clip = read_clip()
    to_square = torch.from_numpy(letterbox(clip.camera.width, clip.camera.height, SIZE))
    matrix = torch.from_numpy(clip.camera.matrix)
    for index in range(len(cache)):
        sample, frame = cache.read(index), CLIP_FRAMES[index // 2]
        present = torch.from_numpy(clip.presence[frame])
        assert sample.given.tolist() == present.float()[None].tolist()
        assert torch.isfinite(sample.teacher).all(-1).all(-1).tolist() == present[None].tolist()
        assert not sample.batch.presence.any()  # no ground-truth labels
        pixels = project(torch.from_numpy(clip.joints[frame]), matrix)
        joints = (pixels @ to_square[:, :2].T + to_square[:, 2]).float()
        ground_truth = torch.where(present[:, None, None], joints, torch.nan)[None]
        error, labelled = pseudo_label_error(sample.teacher, ground_truth)
        assert float(error[labelled].mean(-1).max()) < 0.12  # in hand sizes


@torch.no_grad()
def test_crops_are_centred_on_the_pseudo_labels(tmp_path, root, landmarker, rendered):
    """Without augmentation, the landmarks decoded from the features agree with the pseudo-labels."""
    cache = make_cache(root, tmp_path, landmarker, rendered, UNCHANGED)
    for index in range(len(cache)):
        sample = cache.read(index)
        deep = landmarker.encoder.forward_deep(sample.middle[0])
        landmarks = inverse_transform_points(sample.affine[0], landmarker.heads(deep)[0][..., :2])
        error, labelled = pseudo_label_error(landmarks[None], sample.teacher)
        assert float(error[labelled].mean(-1).max()) < 0.03
        determinants = torch.linalg.det(sample.affine[0, :, :, :2])
        sides = [side if labelled[0, side] else 1 - side for side in range(2)]
        assert (determinants < 0).tolist() == [side == 1 for side in sides]  # left hands are mirrored
        assert_close(
            torch.linalg.det(sample.frames[0].double()), 1.0 - 2 * torch.tensor(sides).double(), atol=1e-4, rtol=0
        )
    first, second = (cache.read(k) for k in range(2))
    assert torch.equal(first.middle, second.middle)
    assert torch.equal(first.affine, second.affine)


def test_variants_are_augmented_differently(tmp_path, root, landmarker, rendered):
    """Their pseudo-labels are the same."""
    cache = make_cache(root, tmp_path, landmarker, rendered, TeacherSettings(paste_probability=1.0))
    first, second = cache.read(0), cache.read(1)
    assert_close(first.teacher, second.teacher, equal_nan=True)
    assert not torch.allclose(first.early, second.early, atol=1e-2)
    assert not torch.allclose(first.middle, second.middle, atol=1e-2)
    assert not torch.allclose(first.affine, second.affine, atol=1e-3)


@pytest.mark.parametrize(("source", "presence"), [("asl", [1.0, 0.0]), ("rf100", [1.0, 1.0])])
def test_only_images_with_all_hands_labelled_give_background(
    tmp_path, landmarker, rendered, monkeypatch, source, presence
):
    """The clip's second frame shows one hand; where the number is unknown, or is not two as in the first frame, the
    hard negative is a mirrored hand."""
    monkeypatch.setattr(teacher_cache, "MIRROR_PROBABILITY", 0.0)
    cache = make_cache(write_real_images(tmp_path, half_size_frames(), source), tmp_path, landmarker, rendered)
    assert [cache.read(k).negative_labels[0, 0].item() for k in (0, 2)] == presence


def test_interrupted_computation_resumes(tmp_path, root, landmarker, rendered, engines):
    """Existing shards are not recomputed; a missing shard is recomputed identically."""
    cache = make_cache(root, tmp_path, landmarker, rendered)
    assert len(engines) == 3  # student, teacher and palm detector
    before = [cache.read(k) for k in range(len(cache))]
    kept, lost = sorted(cache.folder.glob("*.safetensors"))
    time = os.stat(kept).st_mtime_ns
    lost.unlink()
    again = make_cache(root, tmp_path, landmarker, rendered)
    assert sorted(again.folder.glob("*.safetensors")) == [kept, lost]
    assert os.stat(kept).st_mtime_ns == time
    assert len(engines) == 6
    for index, expected in enumerate(before):
        for name, value in again.read(index).tensors().items():
            assert_close(value, getattr(expected, name), rtol=0, atol=0, equal_nan=True)
    make_cache(root, tmp_path, landmarker, rendered)
    assert len(engines) == 6, "nothing was missing"


@pytest.mark.parametrize(
    ("stop", "save_seconds"),
    [(KeyboardInterrupt, 600.0), (SystemError, 0.0)],
    ids=["Ctrl-C", "killed after a minute"],
)
@pytest.mark.parametrize("place", ["label", "_sample"])
def test_stopped_computation_is_continued_as_if_nothing_had_happened(
    tmp_path, root, landmarker, rendered, monkeypatch, stop, save_seconds, place
):
    """Stopped at the second image, by the teacher or by the student; nothing before it is computed again."""
    expected = make_cache(root, tmp_path / "whole", landmarker, rendered)
    monkeypatch.setattr(shards, "SAVE_SECONDS", save_seconds)
    owner = Teacher if place == "label" else teacher_cache._StudentSamples
    work, calls = getattr(owner, place), []

    def work_or_stop(self, *arguments):
        calls.append(arguments[0])
        if len(calls) == 2:
            raise stop
        return work(self, *arguments)

    monkeypatch.setattr(owner, place, work_or_stop)
    with pytest.raises(stop) as caught:
        make_cache(root, tmp_path / "stopped", landmarker, rendered)
    if stop is KeyboardInterrupt:
        assert f"features of {int(place == '_sample')} augmented images are in {tmp_path}" in str(caught.value)
    cache = make_cache(root, tmp_path / "stopped", landmarker, rendered)
    assert len(calls) == 1 + (3 if place == "label" else 2 * 2)  # the second one twice
    assert_same_shards(cache.folder, read_shards(expected.folder))


def test_cache_can_be_pickled_to_worker_processes(tmp_path, root, landmarker, rendered):
    cache = make_cache(root, tmp_path, landmarker, rendered)
    samples = [cache.read(k) for k in range(2)]
    copied = pickle.loads(pickle.dumps(cache))
    batch = concatenate_features([copied.read(k) for k in range(2)])
    assert len(batch) == 2
    assert torch.equal(batch.affine, torch.cat([sample.affine for sample in samples]))


def test_folder_depends_on_the_settings(tmp_path, root, landmarker, rendered):
    first = make_cache(root, tmp_path, landmarker, rendered, UNCHANGED)
    assert make_cache(root, tmp_path, landmarker, rendered).folder != first.folder


def test_rejects_images_without_hands(tmp_path, landmarker, rendered):
    with pytest.raises(InputError, match=r"index\.json: missing, or not an index of realhands"):
        make_cache(tmp_path / "nowhere", tmp_path, landmarker, rendered)
    empty = write_real_images(tmp_path / "empty", [np.full((96, 96, 3), 120, np.uint8)])
    with pytest.raises(InputError, match="confident of a hand in no image of the train split; provide images of hands"):
        make_cache(empty, tmp_path, landmarker, rendered)


@pytest.mark.parametrize(
    ("with_root", "with_set", "message"),
    [(False, True, "give the folder of the images with --root"), (True, False, "add a set of `lgnet synth`")],
)
def test_training_requires_real_images_and_rendered_hands(
    tmp_path, monkeypatch, hand_model, root, rendered, with_root, with_set, message
):
    monkeypatch.setitem(PRESETS, "tiny-hand", TINY_HAND)
    config = TrainConfig(
        out=tmp_path,
        preset="tiny-hand",
        data=f"realhands,{rendered.directory}" if with_set else "realhands",
        root=root if with_root else None,
        freeze_backbone=True,
        validation=2,
        initial="random",
        progress=False,
    )
    network = initial_network(config, hand_model)
    with pytest.raises(ValueError, match=message):
        open_mixture(config, hand_model, "cpu", None, network)


def test_hard_negative_labels_agree_with_the_teacher(tmp_path, root, landmarker, rendered):
    """A hard negative is a mirrored hand, or a crop of the clean image in which the teacher finds no hand."""
    cache = make_cache(root, tmp_path, landmarker, rendered, UNCHANGED)
    for index in range(len(cache)):
        sample = cache.read(index)
        with torch.no_grad():
            *_, presence, side = landmarker.heads(landmarker.encoder.forward_deep(sample.negative))
        hand, right = sample.negative_labels[0].tolist()
        assert (float(presence) > 0) == bool(hand)
        if hand:
            assert right == 0
            assert float(side) < 0


def test_landmark_network_is_trained_towards_its_teacher(tmp_path, root, landmarker, rendered, hand_model):
    """The pretrained network has low losses; with inverted handedness the side loss is high and its gradient restores
    the handedness."""
    cache = make_cache(root, tmp_path, landmarker, rendered, UNCHANGED)
    sample = concatenate_features([cache.read(k) for k in range(len(cache))])
    labels = sample.batch.labels(hand_model)
    network = build_network("lgnet-hand", hand_model)
    network.landmarker.load_state_dict(landmarker.state_dict())

    def terms() -> dict[str, torch.Tensor]:
        features = network.encode_maps(sample.early, sample.middle, sample.given)
        return landmarker_terms(network.landmarker, features, sample, labels)

    network.eval()
    with torch.no_grad():
        before = terms()
    assert float(before["landmarks"]) < 0.02
    assert float(before["hand_side"]) < 0.2
    assert float(before["hand_presence"]) < 0.2
    with torch.no_grad():
        network.landmarker.side.weight.neg_()
        network.landmarker.side.bias.neg_()
    after = terms()
    assert float(after["hand_side"].detach()) > 1
    assert float(after["hand_presence"].detach()) == pytest.approx(float(before["hand_presence"]))
    after["hand_side"].backward()
    gradient = network.landmarker.side.weight.grad
    assert float((gradient * landmarker.side.weight.detach()).sum()) < 0  # a gradient step restores the weight
