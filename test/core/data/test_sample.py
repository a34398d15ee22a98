"""HandsBatch: labels derived from parameters, selection, concatenation and replacement of fields."""

import pickle
from dataclasses import fields

import pytest
import torch
from torch.testing import assert_close

from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.geometry.camera import project


def make_batch(count: int, seed: int = 0) -> HandsBatch:
    draw = torch.Generator().manual_seed(seed)
    rotations = torch.linalg.qr(torch.randn(count, 2, 16, 3, 3, generator=draw))[0]
    rotations = rotations * torch.linalg.det(rotations)[..., None, None]
    intrinsics = torch.tensor([[300.0, 0, 31.5], [0, 310.0, 23.5], [0, 0, 1]]).expand(count, 3, 3).clone()
    return HandsBatch(
        image=torch.randint(0, 256, (count, 3, 48, 64), generator=draw, dtype=torch.uint8),
        intrinsics=intrinsics,
        affine=torch.eye(3)[:2].expand(count, 2, 3).clone(),
        rotations=rotations,
        shape=torch.randn(count, 2, 10, generator=draw),
        wrist=torch.randn(count, 2, 3, generator=draw) * 0.1 + torch.tensor([0.0, 0.0, 0.7]),
        presence=torch.rand(count, 2, generator=draw) < 0.5,
        visibility=torch.rand(count, 2, 21, generator=draw) < 0.5,
        segmentation=torch.zeros(count, 48, 64, dtype=torch.uint8),
    )


def test_wrist_label_equals_batch_wrist(hand_model):
    batch = make_batch(3)
    labels = batch.labels(hand_model)
    assert_close(labels.joints[:, :, 0], batch.wrist, atol=1e-6, rtol=0)
    assert_close(labels.relative_translation, batch.wrist[:, 1] - batch.wrist[:, 0])
    assert_close(labels.joints_2d, project(labels.joints, batch.intrinsics[:, None]))
    assert labels.vertices.shape == (3, 2, 778, 3)


def test_labels_equal_translated_model(hand_model):
    batch = make_batch(2, seed=1)
    plain = hand_model(batch.rotations, batch.shape)
    moved = hand_model(batch.rotations, batch.shape, batch.wrist - plain.joints[:, :, 0])
    labels = batch.labels(hand_model)
    assert_close(labels.vertices, moved.vertices, atol=1e-6, rtol=0)
    assert_close(labels.joints, moved.joints, atol=1e-6, rtol=0)


def test_labels_are_computed_once(hand_model):
    """They are kept by replacements of other fields, recomputed after changes of their sources, and never pickled."""
    batch = make_batch(2)
    labels = batch.labels(hand_model)
    assert batch.labels(hand_model) is labels
    assert batch.replace(visibility=~batch.visibility).labels(hand_model) is labels
    shifted = batch.replace(wrist=batch.wrist + 1).labels(hand_model)
    assert_close(shifted.joints, labels.joints + 1)
    restored = pickle.loads(pickle.dumps(batch))
    assert vars(restored).keys() == {f.name for f in fields(HandsBatch)}
    with torch.inference_mode():
        assert make_batch(1).labels(hand_model).vertices.is_inference()
    tracked = batch.replace(wrist=batch.wrist.clone().requires_grad_())
    assert tracked.labels(hand_model) is not tracked.labels(hand_model)


def test_slices_concatenate_to_the_batch():
    batch = make_batch(5)
    again = concatenate([batch[:2], batch[torch.tensor([2])], batch[3:]])
    assert len(again) == 5
    for f in fields(HandsBatch):
        assert torch.equal(getattr(again, f.name), getattr(batch, f.name)), f.name


def test_replace_changes_only_the_given_field():
    batch = make_batch(2)
    changed = batch.replace(wrist=batch.wrist + 1)
    assert torch.equal(changed.wrist, batch.wrist + 1)
    assert changed.image is batch.image
    with pytest.raises(AttributeError):
        batch.wrist = changed.wrist  # frozen: batches are shared between threads


def test_to_moves_every_field():
    moved = make_batch(1).to("meta")
    assert all(getattr(moved, f.name).device.type == "meta" for f in fields(HandsBatch))
