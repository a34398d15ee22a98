"""Comparison of predictions with ground truth: wrist placement, pixel units, masks."""

from __future__ import annotations

import pytest
import torch
from support.oracle_network import perfect_prediction

from lgnet_core.data.augmentation import resize
from lgnet_core.data.sample import HandsBatch, HandsGroundTruth
from lgnet_core.evaluation.comparison import compare, place_wrists
from lgnet_core.synthetic.generator import SyntheticHands


@pytest.fixture(scope="module")
def batch(hand_model) -> HandsBatch:
    return SyntheticHands(3, hand_model).crops(torch.arange(12), 128)


def test_perfect_prediction_is_placed_correctly(hand_model, batch):
    """Absent hands are not placed."""
    wrists = place_wrists(perfect_prediction(batch, hand_model), batch)
    torch.testing.assert_close(wrists[batch.presence], batch.wrist[batch.presence], atol=2e-4, rtol=0)
    assert torch.isnan(wrists[~batch.presence]).all()
    assert batch.presence.all(1).any()
    assert not batch.presence.all()


def test_hand_of_twice_the_size_is_placed_at_twice_the_distance(hand_model, batch):
    predicted = perfect_prediction(batch, hand_model)
    scaled = predicted._replace(joints=2 * predicted.joints, relative_translation=2 * predicted.relative_translation)
    wrists = place_wrists(scaled, batch)
    torch.testing.assert_close(wrists[batch.presence], 2 * batch.wrist[batch.presence], atol=5e-4, rtol=0)


def test_non_finite_prediction_is_not_placed(hand_model, batch):
    predicted = perfect_prediction(batch, hand_model)
    joints = predicted.joints.clone()
    joints[0] = torch.nan
    wrists = place_wrists(predicted._replace(joints=joints), batch)
    assert torch.isnan(wrists[0]).all()
    assert torch.isfinite(wrists[1:][batch.presence[1:]]).all()


def test_pixels_refer_to_a_crop_of_256(hand_model, batch):
    """Independent of the image size: a cell of a 4 x 4 map is 64 of these pixels, one of 2 x 2 is 128."""
    for size, cell in ((128, 64.0), (64, 128.0)):
        images = resize(batch, size)
        truth, predicted = HandsGroundTruth.of(images, hand_model), perfect_prediction(images, hand_model)
        perfect = compare(predicted, images.wrist, images, truth)
        torch.testing.assert_close(perfect.pixels, perfect.true_pixels, atol=1e-2, rtol=1e-4)
        shifted = compare(predicted._replace(joints_grid=predicted.joints_grid + 1), images.wrist, images, truth)
        torch.testing.assert_close(
            shifted.pixels - perfect.pixels, torch.full_like(perfect.pixels, cell), atol=1e-2, rtol=1e-4
        )


def test_joints_in_crop_are_present_and_inside(hand_model, batch):
    comparison = compare(
        perfect_prediction(batch, hand_model), batch.wrist, batch, HandsGroundTruth.of(batch, hand_model)
    )
    shown = ((comparison.true_pixels > -0.5) & (comparison.true_pixels < 255.5)).all(-1)
    assert torch.equal(comparison.joints_in_crop, shown & batch.presence[..., None])
    assert comparison.joints_in_crop.any()


def test_select_images(hand_model, batch):
    comparison = compare(
        perfect_prediction(batch, hand_model), batch.wrist, batch, HandsGroundTruth.of(batch, hand_model)
    )
    some = batch.presence.all(1)
    assert len(comparison.select(some).joints) == int(some.sum())
    assert torch.equal(comparison.select(some).true_wrist, batch.wrist[some])
