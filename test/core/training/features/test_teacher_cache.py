"""Real images: the frozen landmark network teaches what it is sure of; the student sees the same hands changed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.perfect import perfect
from support.real_images import FRAMES, write_images
from support.train_process import TINY_HAND
from torch.testing import assert_close

from lgnet_core.data.clip import read_clip
from lgnet_core.data.hand_pairs import CropJitter
from lgnet_core.data.photometry import Photometry
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.geometry.camera import letterbox, project
from lgnet_core.geometry.hand_crops import to_image
from lgnet_core.io.images import InputError
from lgnet_core.network import PRESETS, build_network
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet, load_hand_landmark_net
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands, write_shards
from lgnet_core.training import teacher
from lgnet_core.training.feature_shards import concatenate_features
from lgnet_core.training.losses.teacher import landmarker_terms, teacher_error, teacher_loss, teacher_terms
from lgnet_core.training.mixture import open_mixture
from lgnet_core.training.teacher import TeacherCache, TeacherSettings
from lgnet_core.training.train import initial_network
from lgnet_core.training.train_config import TrainConfig

SIZE = 128
UNCHANGED = TeacherSettings(
    paste=0.0,
    jitter=CropJitter(0.0, 0.0, 0.0),
    photometry=Photometry(**dict.fromkeys(Photometry.__dataclass_fields__, 0.0)),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two frames of the clip at half their size, and between them an image without a hand."""
    frames = [cv2.resize(read_clip().frames[k], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for k in FRAMES]
    return write_images(tmp_path_factory.mktemp("real"), [frames[0], np.full((96, 96, 3), 120, np.uint8), frames[1]])


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, hand_model) -> StoredHands:
    folder = write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 4, 64, progress=False)
    return StoredHands(folder, hand_model)


@pytest.fixture(scope="module")
def landmarker() -> HandLandmarkNet:
    return load_hand_landmark_net()


@pytest.fixture(autouse=True)
def engines(monkeypatch) -> list[torch.nn.Module]:
    """The networks that engines were made of, eager ones; and two variants of each image, not six."""
    made = []

    def make(network, *args):
        made.append(network)
        return EagerEngine(network, "cpu", 1)

    monkeypatch.setattr(teacher, "make_engine", make)
    monkeypatch.setattr(teacher, "VARIANTS", 2)
    return made


def make_cache(
    root: Path,
    folder: Path,
    landmarker: HandLandmarkNet,
    rendered: StoredHands,
    settings: TeacherSettings | None = None,
) -> TeacherCache:
    return TeacherCache(root, folder, landmarker, rendered, SIZE, settings, threads=1, progress=False)


def hand(size: float, at: float = 0.0) -> torch.Tensor:
    """(21, 2): joints in a box whose longer side is ``size``."""
    joints = torch.rand(21, 2) * torch.tensor([size, size / 2])
    joints[0], joints[1] = torch.tensor([0.0, 0.0]), torch.tensor([size, size / 2])
    return joints + at


def test_the_error_is_in_parts_of_the_hands_size():
    """Of a hand that nobody taught nothing is known, and nothing of it matters."""
    taught = torch.stack([hand(80.0, 5.0), torch.full((21, 2), torch.nan)])[None]
    found = taught.nan_to_num(7.0) + torch.tensor([12.0, -16.0])  # 20 px off
    error, known = teacher_error(found, taught)
    assert known.tolist() == [[True, False]]
    assert_close(error[0, 0], torch.full((21,), 20 / 80))
    half = teacher_error(found / 2, taught / 2)[0]  # the image's scale does not matter
    assert_close(half, error)


def test_the_loss_is_what_exceeds_the_tolerance():
    """By hand: errors of 0.25 of a hand at one and of 0.05 at another, which is tolerated."""
    taught = torch.stack([torch.stack([hand(80.0), hand(200.0)])])
    found = taught + torch.tensor([20.0, 10.0])[:, None, None] * torch.tensor([1.0, 0.0])
    assert float(teacher_loss(found, taught, 0.1)) == pytest.approx((0.15 + 0) / 2)
    assert float(teacher_loss(found, taught, 0.0)) == pytest.approx((0.25 + 0.05) / 2)
    taught[0, 1] = torch.nan
    assert float(teacher_loss(found, taught, 0.1)) == pytest.approx(0.15)  # a mean of the hands that are known


def test_untaught_hands_have_no_gradient_and_taught_ones_are_pulled_to_the_teacher():
    taught = torch.stack([hand(80.0), torch.full((21, 2), torch.nan)])[None]
    found = (taught.nan_to_num(3.0) + torch.tensor([16.0, 0.0])).requires_grad_()
    teacher_loss(found, taught, 0.1).backward()
    assert found.grad is not None
    assert not found.grad[0, 1].any()
    assert_close(found.grad[0, 0], torch.tensor([1 / 80 / 21, 0.0]).expand(21, 2))
    nobody = torch.full_like(taught, torch.nan)
    assert float(teacher_loss(found.detach(), nobody, 0.1)) == 0.0


def test_the_truth_has_no_loss_and_a_mesh_off_its_place_has_one(hand_model):
    """True hands seen by their true camera lie on the teacher's joints; a mesh half a hand aside does not."""
    batch = SyntheticHands(5, hand_model).crops(torch.arange(8), 64)
    labels = batch.labels(hand_model)
    wrist = labels.joints_2d[:, :, 0]
    depth, focal = batch.wrist[..., 2:], torch.linalg.det(batch.intrinsics[:, :2, :2]).sqrt()[:, None, None]
    camera = torch.cat([focal / (depth * 32), (2 * wrist + 1) / 64 - 1], -1)
    truth = perfect(batch, hand_model)._replace(camera=camera)
    taught = torch.where(batch.presence[..., None, None], labels.joints_2d, torch.nan)
    for term in teacher_terms(truth, batch, taught).values():
        assert_close(float(term), 0.0, atol=1e-5, rtol=0.0)
    aside = truth._replace(joints=truth.joints + torch.tensor([0.09, 0.0, 0.0]))
    moved = teacher_terms(aside, batch, taught)
    assert float(moved["teacher"]) == pytest.approx(0.0, abs=1e-5)
    assert float(moved["teacher_mesh"]) > 0.1


def test_the_teachers_joints_lie_where_the_hands_are(tmp_path, root, landmarker, rendered):
    """In the image fitted into a square, by the clip's truth; hands and images without the teacher are left out."""
    cache = make_cache(root, tmp_path, landmarker, rendered)
    assert len(cache) == 2 * 2  # the image without a hand teaches nothing
    clip = read_clip()
    fit = torch.from_numpy(letterbox(clip.camera.width, clip.camera.height, SIZE))
    matrix = torch.from_numpy(clip.camera.matrix)
    for index in range(len(cache)):
        sample, frame = cache.read(index), FRAMES[index // 2]
        present = torch.from_numpy(clip.presence[frame])
        assert sample.given.tolist() == present.float()[None].tolist()
        assert torch.isfinite(sample.teacher).all(-1).all(-1).tolist() == present[None].tolist()
        assert not sample.batch.presence.any()  # nothing is labelled
        pixels = project(torch.from_numpy(clip.joints[frame]), matrix)
        truth = (pixels @ fit[:, :2].T + fit[:, 2]).float()
        error, known = teacher_error(sample.teacher, torch.where(present[:, None, None], truth, torch.nan)[None])
        assert float(error[known].mean(-1).max()) < 0.12  # in parts of the hand's size


@torch.no_grad()
def test_features_are_of_crops_around_the_teachers_joints(tmp_path, root, landmarker, rendered):
    """Unchanged images: the network's landmarks in the crop, taken back to the image, are what the teacher said."""
    cache = make_cache(root, tmp_path, landmarker, rendered, UNCHANGED)
    for index in range(len(cache)):
        sample = cache.read(index)
        deep = landmarker.encoder.deepen(sample.middle[0])
        back = to_image(sample.affine[0], landmarker.heads(deep)[0][..., :2])
        error, known = teacher_error(back[None], sample.teacher)
        assert float(error[known].mean(-1).max()) < 0.03
        determinants = torch.linalg.det(sample.affine[0, :, :, :2])
        shown = [side if known[0, side] else 1 - side for side in range(2)]
        assert (determinants < 0).tolist() == [side == 1 for side in shown]  # left hands are mirrored
        assert_close(
            torch.linalg.det(sample.frames[0].double()), 1.0 - 2 * torch.tensor(shown).double(), atol=1e-4, rtol=0
        )
    first, second = (cache.read(k) for k in range(2))
    assert torch.equal(first.middle, second.middle)
    assert torch.equal(first.affine, second.affine)


def test_each_variant_of_an_image_is_changed_differently(tmp_path, root, landmarker, rendered):
    """The teacher's joints stay."""
    cache = make_cache(root, tmp_path, landmarker, rendered, TeacherSettings(paste=1.0))
    first, second = cache.read(0), cache.read(1)
    assert_close(first.teacher, second.teacher, equal_nan=True)
    assert not torch.allclose(first.early, second.early, atol=1e-2)
    assert not torch.allclose(first.middle, second.middle, atol=1e-2)
    assert not torch.allclose(first.affine, second.affine, atol=1e-3)


@pytest.mark.parametrize("rendered_part", [0.0, 1.0], ids=["a piece of another image", "a rendered hand"])
def test_what_is_pasted_lies_over_the_hand(tmp_path, root, landmarker, rendered, rendered_part):
    """It changes pixels near the hand, and none further away than its size and offset allow."""
    settings = TeacherSettings(
        paste=1.0, rendered=rendered_part, jitter=UNCHANGED.jitter, photometry=UNCHANGED.photometry
    )
    cache = make_cache(root, tmp_path, landmarker, rendered, settings)
    joints = np.random.default_rng(0).uniform(50, 70, (21, 2))
    image = np.full((160, 200, 3), 128, np.uint8)
    others = [np.full((80, 80, 3), value, np.uint8) for value in (0, 255)]
    taught = [teacher.PseudoLabel(teacher.Side.RIGHT, joints)]
    for seed in range(8):
        changed = cache._change(image, taught, [image, *others], 0, np.random.default_rng(seed))
        rows, columns = np.nonzero((changed != image).any(-1))
        assert 20 < len(rows) < 3000
        distance = np.hypot(columns - joints[:, 0].mean(), rows - joints[:, 1].mean())
        assert distance.max() < 20 * (0.6 * np.sqrt(2) + 1.3 * np.sqrt(2))
    assert (image == 128).all()


def test_a_computation_that_was_interrupted_goes_on(tmp_path, root, landmarker, rendered, engines):
    """Files that are there are not computed again; a file that was lost comes back as it was."""
    cache = make_cache(root, tmp_path, landmarker, rendered)
    assert len(engines) == 3  # student, teacher and palms
    before = [cache.read(k) for k in range(len(cache))]
    kept, lost = sorted(cache.folder.glob("*.safetensors"))
    time = os.stat(kept).st_mtime_ns
    lost.rename(lost.with_suffix(".partial"))
    again = make_cache(root, tmp_path, landmarker, rendered)
    assert sorted(again.folder.iterdir()) == [kept, lost]
    assert os.stat(kept).st_mtime_ns == time
    assert len(engines) == 6
    for index, expected in enumerate(before):
        found = again.read(index)
        for name, value in found.tensors().items():
            assert_close(value, getattr(expected, name), rtol=0, atol=0, equal_nan=True)
    make_cache(root, tmp_path, landmarker, rendered)
    assert len(engines) == 6, "nothing was missing"


def test_worker_processes_read_it(tmp_path, root, landmarker, rendered):
    cache = make_cache(root, tmp_path, landmarker, rendered)
    samples = [cache.read(k) for k in range(2)]
    copied = pickle.loads(pickle.dumps(cache))
    batch = concatenate_features([copied.read(k) for k in range(2)])
    assert len(batch) == 2
    assert torch.equal(batch.affine, torch.cat([sample.affine for sample in samples]))


def test_other_settings_have_a_folder_of_their_own(tmp_path, root, landmarker, rendered):
    first = make_cache(root, tmp_path, landmarker, rendered, UNCHANGED)
    assert make_cache(root, tmp_path, landmarker, rendered).folder != first.folder


def test_images_of_no_use_are_refused(tmp_path, landmarker, rendered):
    with pytest.raises(InputError, match=r"index\.json: is missing or no index of realhands"):
        make_cache(tmp_path / "nowhere", tmp_path, landmarker, rendered)
    empty = write_images(tmp_path / "empty", [np.full((96, 96, 3), 120, np.uint8)])
    with pytest.raises(InputError, match="sure of no hand in the images of the split train; give images of hands"):
        make_cache(empty, tmp_path, landmarker, rendered)


@pytest.mark.parametrize(
    ("with_root", "with_set", "message"),
    [(False, True, "say with --root where its folder is"), (True, False, "name a set of `lgnet synth` too")],
)
def test_a_training_without_what_its_teacher_needs_is_refused(
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


def test_one_more_crop_of_each_image_is_judged_as_the_teacher_judges_it(tmp_path, root, landmarker, rendered):
    """It shows a hand in the mirror, or a place of the clean image in which the teacher sees none."""
    cache = make_cache(root, tmp_path, landmarker, rendered, UNCHANGED)
    for index in range(len(cache)):
        sample = cache.read(index)
        with torch.no_grad():
            *_, presence, side = landmarker.heads(landmarker.encoder.deepen(sample.negative))
        hand, right = sample.negative_labels[0].tolist()
        assert (float(presence) > 0) == bool(hand)
        if hand:
            assert right == 0
            assert float(side) < 0


def test_the_landmark_network_learns_from_its_own_answers(tmp_path, root, landmarker, rendered, hand_model):
    """The pretrained network agrees with its teacher; one with the sides swapped does not, and is pulled back."""
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
    assert float((gradient * landmarker.side.weight.detach()).sum()) < 0  # a step against it leads back
