"""Fine-tuning of the palm detector: what it sees, what it is asked for, and that a killed run goes on as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.real_images import FRAMES, write_images
from torch.testing import assert_close

from lgnet_core.data.clip import read_clip
from lgnet_core.data.photometry import Photometry
from lgnet_core.data.sample import RIGHT_HAND, HandsBatch
from lgnet_core.geometry.camera import letterbox
from lgnet_core.inference.crops import cut
from lgnet_core.network.detector.palm_detector import PalmCandidates, load_mediapipe_palm_detector, load_palm_detector
from lgnet_core.network.pretrained import PALM_DETECTOR, WEIGHTS_FOLDER, file_name
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands, write_shards
from lgnet_core.training.palms import train as training
from lgnet_core.training.palms.data import PalmImages, PalmViews
from lgnet_core.training.palms.labels import label_from_teacher, label_palms
from lgnet_core.training.palms.train import CHECKPOINT, PalmTraining, palm_loss, split_real, train_palms

UNCHANGED = Photometry(**dict.fromkeys(Photometry.__dataclass_fields__, 0.0))
STILL = PalmViews(whole=1.0, turn=0.0, any_turn=0.0, photometry=UNCHANGED)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Three images: the first is held out."""
    frames = [cv2.resize(read_clip().frames[k], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for k in FRAMES]
    return write_images(tmp_path_factory.mktemp("real"), [frames[0], frames[0], frames[1]])


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, hand_model) -> Path:
    return write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 6, 96, progress=False)


@pytest.fixture(scope="module")
def config(root: Path, rendered: Path) -> PalmTraining:
    return PalmTraining(
        Path(), (rendered,), root, steps=4, batch_size=2, warmup=1, checkpoint_steps=2, threads=1, progress=False
    )


def images_of(root: Path, rendered: Path, hand_model, views: PalmViews) -> PalmImages:
    real = split_real(root)[0]
    return PalmImages(real, [StoredHands(rendered, hand_model)], hand_model, load_mediapipe_palm_detector(), 3, views)


def dotted(sample: HandsBatch, joints: np.ndarray) -> HandsBatch:
    """A black image with a white dot at each joint, all of it a hand."""
    image = np.zeros((*sample.image.shape[-2:], 3), np.uint8)
    for u, v in joints[sample.presence[0].numpy()].reshape(-1, 2):
        cv2.circle(image, (round(u), round(v)), 2, (255, 255, 255), -1)
    hand = torch.full_like(sample.segmentation, RIGHT_HAND)
    return sample.replace(image=torch.from_numpy(image).permute(2, 0, 1)[None], segmentation=hand)


def test_one_real_image_in_ten_is_held_out(root):
    trained, held_out = split_real(root)
    assert [image.path.name for image in held_out] == ["0.png"]
    assert [image.path.name for image in trained] == ["1.png", "2.png"]


@torch.no_grad()
def test_a_real_image_is_taught_as_the_frozen_detector_sees_it(root, rendered, hand_model):
    """Unmoved and in its own colours it is the letterboxed image or its mirror; the targets are the candidates."""
    images = images_of(root, rendered, hand_model, STILL)
    batch = images.draw(0, 2)
    candidates = []
    for real in images.real:
        pixels = real.read()
        square = torch.from_numpy(cut(pixels, letterbox(pixels.shape[1], pixels.shape[0], 192)[None], 192))
        candidates += [square, square.flip(-1)]
    differences = [float((batch.images[:1] - square).abs().mean()) for square in candidates]
    assert min(differences) < 0.01
    seen = load_mediapipe_palm_detector()(batch.images[:1])
    expected = label_from_teacher(seen)
    assert expected.fitted.any()
    for found, wanted in zip(batch.targets, expected, strict=True):
        assert_close(found[:1], wanted, atol=1e-3, rtol=0)


@torch.no_grad()
def test_synthetic_keypoints_lie_where_the_image_shows_them(root, rendered, hand_model):
    """Turned, scaled and mirrored: an image with a dot at each joint has one at each keypoint that is asked for."""
    images = images_of(root, rendered, hand_model, replace(PalmViews(), palm_sides=(40.0, 90.0)))
    stored, checked = StoredHands(rendered, hand_model), 0
    for number in range(24):
        sample = stored[number % len(stored)]
        joints = sample.labels(hand_model).joints_2d.double().numpy()[0]
        image, cover, targets = images._move_synthetic(dotted(sample, joints), joints, np.random.default_rng(number))
        for u, v in torch.unique(targets.keypoints[targets.fitted], dim=0).flatten(0, 1).round().int().tolist():
            if 1 <= u < 191 and 1 <= v < 191 and cover[v, u] > 0.99:
                assert image[v, u].max() > 60
                checked += 1
    assert checked > 50


def test_a_hidden_hand_and_one_outside_the_image_are_no_targets(root, rendered, hand_model):
    stored = StoredHands(rendered, hand_model)
    images = images_of(root, rendered, hand_model, PalmViews())
    sample = next(stored[k] for k in range(len(stored)) if stored[k].presence.any())
    joints = sample.labels(hand_model).joints_2d.double().numpy()[0]
    hidden = sample.replace(visibility=torch.zeros_like(sample.visibility))
    assert not images._move_synthetic(hidden, joints, np.random.default_rng(0))[2].fitted.any()
    outside = images_of(root, rendered, hand_model, PalmViews(place=(1.5, 1.6)))
    far = outside._move_synthetic(sample, joints, np.random.default_rng(0))[2]
    assert not far.fitted.any()


def test_the_same_number_draws_the_same_batch_and_another_draws_another(root, rendered, hand_model):
    images = images_of(root, rendered, hand_model, PalmViews())
    with torch.no_grad():
        first, again, other = images.draw(1, 4), images.draw(1, 4), images.draw(2, 4)
    assert (first.images == again.images).all()
    assert all((a == b).all() for a, b in zip(first.targets, again.targets))
    assert (first.images != other.images).any()
    assert first.images.shape == (4, 3, 192, 192)


def test_the_loss_is_zero_where_every_known_anchor_is_right_and_counts_nothing_else():
    keypoints = torch.tensor([[80.0, 90], [70, 60], [78, 60], [86, 60], [92, 64], [70, 84], [70, 78]])
    anchors = load_mediapipe_palm_detector().anchors
    targets = label_palms(keypoints[None], torch.tensor([True]), anchors)
    logits = torch.where(targets.known, torch.where(targets.scores > 0.5, 20.0, -20.0), 0.0)
    right = PalmCandidates(logits, targets.boxes, targets.keypoints)
    assert_close(torch.stack(palm_loss(right, targets)), torch.zeros(2))
    shifted = targets.keypoints + torch.where(targets.fitted, 0.0, 9.0)[:, None, None]
    assert_close(torch.stack(palm_loss(right._replace(keypoints=shifted), targets)), torch.zeros(2))
    missed = palm_loss(right._replace(logits=torch.full_like(logits, -20.0)), targets)
    assert float(missed[0]) == pytest.approx(20.0, rel=1e-3)  # per anchor of a palm
    side = float(targets.boxes[targets.fitted][0, 2] - targets.boxes[targets.fitted][0, 0])
    moved = right._replace(boxes=targets.boxes + side, keypoints=targets.keypoints + side)
    assert float(palm_loss(moved, targets)[1]) == pytest.approx(2 * (1 - training.BOX_KNEE / 2), rel=1e-3)


def test_the_loss_falls_on_a_tiny_set(config, hand_model, tmp_path, monkeypatch):
    """Of the same four images again and again; the entropy of the teacher's own scores stays."""
    losses = []
    monkeypatch.setattr(training, "palm_loss", lambda *args: losses.append(palm_loss(*args)) or losses[-1])
    draw = PalmImages.draw
    monkeypatch.setattr(PalmImages, "draw", lambda images, number, count: draw(images, 0, count))
    train_palms(replace(config, out=tmp_path, steps=10, batch_size=4))
    scores = [float(score.detach()) for score, _ in losses]
    assert scores[-1] < 0.75 * scores[0]


def test_a_killed_run_goes_on_to_the_same_weights(config, tmp_path, monkeypatch):
    """It dies in its fourth step, after the checkpoint of the second; the layers up to stride 4 are untouched."""
    whole = train_palms(replace(config, out=tmp_path / "whole"))
    draw = PalmImages.draw

    def die(images: PalmImages, number: int, count: int):
        if number == 3:
            raise KeyboardInterrupt
        return draw(images, number, count)

    killed = replace(config, out=tmp_path / "killed")
    with monkeypatch.context() as patch:
        patch.setattr(PalmImages, "draw", die)
        with pytest.raises(KeyboardInterrupt):
            train_palms(killed)
    assert not (tmp_path / "killed" / file_name(PALM_DETECTOR, "full")).exists()
    assert torch.load(tmp_path / "killed" / CHECKPOINT, weights_only=True)["step"] == 2
    expected, found = load_file(whole), load_file(train_palms(killed))
    assert all((found[key] == value).all() for key, value in expected.items())

    bundled = load_file(WEIGHTS_FOLDER / "palm_detector_mediapipe.safetensors")
    assert {key: value.dtype for key, value in found.items()} == {key: value.dtype for key, value in bundled.items()}
    changed = {key for key in bundled if (bundled[key] != found[key]).any()}
    assert not any(key.startswith(("body.stem", "body.stride2", "body.stride4")) for key in changed)
    assert any(key.startswith("body.stride8") for key in changed)
    assert not load_palm_detector(whole).training


def test_a_run_that_is_over_exports_again_and_other_settings_are_refused(config, tmp_path):
    config = replace(config, out=tmp_path, steps=1)
    path = train_palms(config)
    path.unlink()
    assert train_palms(config) == path
    assert path.exists()
    with pytest.raises(ValueError, match=r"trained with seed=0, now 1 is asked; give the same, or another folder"):
        train_palms(replace(config, seed=1))
    assert json.loads((tmp_path / "settings.json").read_text())["seed"] == 0


def test_a_run_starts_from_the_weights_that_are_given(config, tmp_path):
    first = train_palms(replace(config, out=tmp_path / "first", steps=1))
    with pytest.raises(FileNotFoundError, match="none"):
        train_palms(replace(config, out=tmp_path / "second", initial=str(tmp_path / "none.safetensors")))
    second = train_palms(replace(config, out=tmp_path / "second", steps=1, initial=str(first)))
    start, end, pretrained = load_file(first), load_file(second), load_mediapipe_palm_detector().state_dict()
    key = "heads.1.logits.bias"
    assert (end[key] - start[key]).abs().max() < (end[key] - pretrained[key]).abs().max()
