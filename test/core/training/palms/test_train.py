"""Fine-tuning of the palm detector: augmentation, loss and resuming."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.real_images import half_size_frames, write_real_images
from torch.testing import assert_close

from lgnet_core.data.photometry import Photometry
from lgnet_core.data.sample import RIGHT_HAND, HandsBatch
from lgnet_core.geometry.crops import letterbox
from lgnet_core.inference.crops import extract_crops
from lgnet_core.network.detector.palm_detector import load_mediapipe_palm_detector, load_palm_detector
from lgnet_core.network.prediction import PalmCandidates
from lgnet_core.network.pretrained import PALM_DETECTOR, WEIGHTS_FOLDER, weights_filename
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands, write_shards
from lgnet_core.training.palms import train as training
from lgnet_core.training.palms.data import PalmAugmentation, PalmImages
from lgnet_core.training.palms.targets import assign_targets, label_from_teacher
from lgnet_core.training.palms.train import CHECKPOINT, PalmTrainConfig, palm_loss, split_real_images, train_palms

UNCHANGED = Photometry(**dict.fromkeys(Photometry.__dataclass_fields__, 0.0))
LETTERBOX_ONLY = PalmAugmentation(
    letterbox_probability=1.0, rotation_std=0.0, uniform_rotation_probability=0.0, photometry=UNCHANGED
)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Three images, of which the first is held out."""
    first, second = half_size_frames()
    return write_real_images(tmp_path_factory.mktemp("real"), [first, first, second])


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, hand_model) -> Path:
    return write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 6, 96, progress=False)


@pytest.fixture(scope="module")
def config(root: Path, rendered: Path) -> PalmTrainConfig:
    return PalmTrainConfig(
        Path(), (rendered,), root, steps=4, batch_size=2, warmup=1, log_steps=2, threads=1, progress=False
    )


@pytest.fixture(scope="module")
def uninterrupted(config, tmp_path_factory) -> Path:
    """Weights of a training that was not interrupted."""
    return train_palms(replace(config, out=tmp_path_factory.mktemp("uninterrupted")))


def palm_images(root: Path, rendered: Path, hand_model, augmentation: PalmAugmentation) -> PalmImages:
    real = split_real_images(root)[0]
    synthetic = [StoredHands(rendered, hand_model)]
    return PalmImages(real, synthetic, hand_model, load_mediapipe_palm_detector(), 3, augmentation)


def dotted(sample: HandsBatch, joints: np.ndarray) -> HandsBatch:
    """A black image with a white dot at each joint, segmented as hand everywhere."""
    image = np.zeros((*sample.image.shape[-2:], 3), np.uint8)
    for u, v in joints[sample.presence[0].numpy()].reshape(-1, 2):
        cv2.circle(image, (round(u), round(v)), 2, (255, 255, 255), -1)
    hand = torch.full_like(sample.segmentation, RIGHT_HAND)
    return sample.replace(image=torch.from_numpy(image).permute(2, 0, 1)[None], segmentation=hand)


def test_every_tenth_real_image_is_held_out(root):
    trained, held_out = split_real_images(root)
    assert [image.path.name for image in held_out] == ["0.png"]
    assert [image.path.name for image in trained] == ["1.png", "2.png"]


@torch.no_grad()
def test_targets_of_a_real_image_are_the_teachers_candidates(root, rendered, hand_model):
    """Without augmentation the image is a letterboxed image or its mirror image."""
    images = palm_images(root, rendered, hand_model, LETTERBOX_ONLY)
    batch = images.batch(0, 2)
    expected_images = []
    for real in images.real:
        pixels = real.read()
        square = torch.from_numpy(extract_crops(pixels, letterbox(pixels.shape[1], pixels.shape[0], 192)[None], 192))
        expected_images += [square, square.flip(-1)]
    differences = [float((batch.images[:1] - square).abs().mean()) for square in expected_images]
    assert min(differences) < 0.01
    expected = label_from_teacher(load_mediapipe_palm_detector()(batch.images[:1]))
    assert expected.positive.any()
    for targets, expected_targets in zip(batch.targets, expected, strict=True):
        assert_close(targets[:1], expected_targets, atol=1e-3, rtol=0)


@torch.no_grad()
def test_synthetic_keypoints_follow_the_augmentation(root, rendered, hand_model):
    """In an augmented image with a dot at each joint there is a dot at each target keypoint."""
    images = palm_images(root, rendered, hand_model, replace(PalmAugmentation(), palm_side_range=(40.0, 90.0)))
    stored, checked = StoredHands(rendered, hand_model), 0
    for number in range(24):
        sample = stored[number % len(stored)]
        joints = sample.labels(hand_model).joints_2d.double().numpy()[0]
        random = np.random.default_rng(number)
        image, alpha, targets = images._augment_synthetic(dotted(sample, joints), joints, random)
        for u, v in torch.unique(targets.keypoints[targets.positive], dim=0).flatten(0, 1).round().int().tolist():
            if 1 <= u < 191 and 1 <= v < 191 and alpha[v, u] > 0.99:
                assert image[v, u].max() > 60
                checked += 1
    assert checked > 50


def test_occluded_and_outside_hands_have_no_targets(root, rendered, hand_model):
    stored = StoredHands(rendered, hand_model)
    images = palm_images(root, rendered, hand_model, PalmAugmentation())
    sample = next(stored[k] for k in range(len(stored)) if stored[k].presence.any())
    joints = sample.labels(hand_model).joints_2d.double().numpy()[0]
    occluded = sample.replace(visibility=torch.zeros_like(sample.visibility))
    assert not images._augment_synthetic(occluded, joints, np.random.default_rng(0))[2].positive.any()
    outside = palm_images(root, rendered, hand_model, PalmAugmentation(palm_position_range=(1.5, 1.6)))
    targets = outside._augment_synthetic(sample, joints, np.random.default_rng(0))[2]
    assert not targets.positive.any()


def test_batches_are_a_function_of_their_number(root, rendered, hand_model):
    images = palm_images(root, rendered, hand_model, PalmAugmentation())
    with torch.no_grad():
        first, again, other = images.batch(1, 4), images.batch(1, 4), images.batch(2, 4)
    assert (first.images == again.images).all()
    assert all((a == b).all() for a, b in zip(first.targets, again.targets))
    assert (first.images != other.images).any()
    assert first.images.shape == (4, 3, 192, 192)


def test_loss_ignores_anchors_without_targets():
    keypoints = torch.tensor([[80.0, 90], [70, 60], [78, 60], [86, 60], [92, 64], [70, 84], [70, 78]])
    anchors = load_mediapipe_palm_detector().anchors
    targets = assign_targets(keypoints[None], torch.tensor([True]), anchors)
    logits = torch.where(targets.score_mask, torch.where(targets.scores > 0.5, 20.0, -20.0), 0.0)
    perfect = PalmCandidates(logits, targets.boxes, targets.keypoints)
    assert_close(torch.stack(palm_loss(perfect, targets)), torch.zeros(2))
    shifted = targets.keypoints + torch.where(targets.positive, 0.0, 9.0)[:, None, None]
    assert_close(torch.stack(palm_loss(perfect._replace(keypoints=shifted), targets)), torch.zeros(2))
    missed = palm_loss(perfect._replace(logits=torch.full_like(logits, -20.0)), targets)
    assert float(missed[0]) == pytest.approx(20.0, rel=1e-3)  # per positive anchor
    side = float(targets.boxes[targets.positive][0, 2] - targets.boxes[targets.positive][0, 0])
    shifted_boxes = perfect._replace(boxes=targets.boxes + side, keypoints=targets.keypoints + side)
    assert float(palm_loss(shifted_boxes, targets)[1]) == pytest.approx(2 * (1 - training.SMOOTH_L1_BETA / 2), rel=1e-3)


def test_loss_decreases_on_a_single_batch(config, hand_model, tmp_path, monkeypatch):
    """The entropy of the teacher's scores is its lower bound."""
    losses = []
    monkeypatch.setattr(training, "palm_loss", lambda *args: losses.append(palm_loss(*args)) or losses[-1])
    make_batch = PalmImages.batch
    monkeypatch.setattr(PalmImages, "batch", lambda images, number, count: make_batch(images, 0, count))
    train_palms(replace(config, out=tmp_path, steps=10, batch_size=4))
    scores = [float(score.detach()) for score, _ in losses]
    assert scores[-1] < 0.75 * scores[0]


@pytest.mark.parametrize(
    ("stop", "save_seconds", "saved"),
    [(KeyboardInterrupt, 600.0, 3), (SystemError, 0.0, 3)],
    ids=["Ctrl-C", "killed after a minute"],
)
def test_interrupted_training_resumes_to_the_same_weights(
    config, uninterrupted, tmp_path, monkeypatch, stop, save_seconds, saved
):
    """Interrupted in its fourth step; the layers up to stride 4 are unchanged."""
    make_batch = PalmImages.batch

    def interrupt(images: PalmImages, number: int, count: int):
        if number == 3:
            raise stop
        return make_batch(images, number, count)

    interrupted = replace(config, out=tmp_path / "interrupted")
    with monkeypatch.context() as patch:
        patch.setattr(PalmImages, "batch", interrupt)
        patch.setattr(training, "SAVE_SECONDS", save_seconds)
        with pytest.raises(stop):
            train_palms(interrupted)
    assert not (tmp_path / "interrupted" / weights_filename(PALM_DETECTOR, "full")).exists()
    assert torch.load(tmp_path / "interrupted" / CHECKPOINT, weights_only=True)["step"] == saved
    expected, resumed = load_file(uninterrupted), load_file(train_palms(interrupted))
    assert all((resumed[key] == value).all() for key, value in expected.items())

    bundled = load_file(WEIGHTS_FOLDER / "palm_detector_mediapipe.safetensors")
    assert {key: value.dtype for key, value in resumed.items()} == {key: value.dtype for key, value in bundled.items()}
    changed = {key for key in bundled if (bundled[key] != resumed[key]).any()}
    assert not any(key.startswith(("body.stem", "body.stride2", "body.stride4")) for key in changed)
    assert any(key.startswith("body.stride8") for key in changed)
    assert not load_palm_detector(uninterrupted).training


def test_completed_training_exports_again_and_rejects_other_settings(config, tmp_path):
    config = replace(config, out=tmp_path, steps=1)
    path = train_palms(config)
    path.unlink()
    assert train_palms(config) == path
    assert path.exists()
    with pytest.raises(ValueError, match=r"trained with seed=0, which cannot change to 1; keep the setting"):
        train_palms(replace(config, seed=1))
    assert json.loads((tmp_path / "settings.json").read_text())["seed"] == 0


def test_starts_from_given_weights(config, tmp_path):
    first = train_palms(replace(config, out=tmp_path / "first", steps=1))
    with pytest.raises(FileNotFoundError, match="none"):
        train_palms(replace(config, out=tmp_path / "second", initial=str(tmp_path / "none.safetensors")))
    second = train_palms(replace(config, out=tmp_path / "second", steps=1, initial=str(first)))
    start, end, pretrained = load_file(first), load_file(second), load_mediapipe_palm_detector().state_dict()
    key = "heads.1.logits.bias"
    assert (end[key] - start[key]).abs().max() < (end[key] - pretrained[key]).abs().max()
