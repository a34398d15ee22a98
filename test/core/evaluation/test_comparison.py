"""A prediction beside the truth: wrists are placed as the estimator does it, pixels are those of a crop of 256."""

from __future__ import annotations

import pytest
import torch
from support.perfect import perfect

from lgnet_core.data.augmentation import resize
from lgnet_core.data.sample import HandsBatch, HandsTruth
from lgnet_core.evaluation.comparison import compare, place
from lgnet_core.synthetic.generator import SyntheticHands


@pytest.fixture(scope="module")
def batch(hand_model) -> HandsBatch:
    return SyntheticHands(3, hand_model).crops(torch.arange(12), 128)


def test_the_truth_is_placed_where_it_is(hand_model, batch):
    """Hands that are not there stand nowhere. A joint that the crop does not show is not asked."""
    wrists = place(perfect(batch, hand_model), batch)
    torch.testing.assert_close(wrists[batch.presence], batch.wrist[batch.presence], atol=2e-4, rtol=0)
    assert torch.isnan(wrists[~batch.presence]).all()
    assert batch.presence.all(1).any()
    assert not batch.presence.all()


def test_a_hand_twice_as_large_is_placed_twice_as_far(hand_model, batch):
    said = perfect(batch, hand_model)
    large = said._replace(joints=2 * said.joints, relative_translation=2 * said.relative_translation)
    wrists = place(large, batch)
    torch.testing.assert_close(wrists[batch.presence], 2 * batch.wrist[batch.presence], atol=5e-4, rtol=0)


def test_what_is_no_number_is_not_placed(hand_model, batch):
    said = perfect(batch, hand_model)
    joints = said.joints.clone()
    joints[0] = torch.nan
    wrists = place(said._replace(joints=joints), batch)
    assert torch.isnan(wrists[0]).all()
    assert torch.isfinite(wrists[1:][batch.presence[1:]]).all()


def test_pixels_are_those_of_a_crop_of_256(hand_model, batch):
    """Whatever the size of the images: a cell of a 4 x 4 map is 64 of these pixels, one of 2 x 2 is 128."""
    for size, cell in ((128, 64.0), (64, 128.0)):
        images = resize(batch, size)
        truth, said = HandsTruth.of(images, hand_model), perfect(images, hand_model)
        exact = compare(said, images.wrist, images, truth)
        torch.testing.assert_close(exact.pixels, exact.true_pixels, atol=1e-2, rtol=1e-4)
        moved = compare(said._replace(joints_grid=said.joints_grid + 1), images.wrist, images, truth)
        torch.testing.assert_close(
            moved.pixels - exact.pixels, torch.full_like(exact.pixels, cell), atol=1e-2, rtol=1e-4
        )


def test_joints_count_where_the_crop_shows_them(hand_model, batch):
    outcome = compare(perfect(batch, hand_model), batch.wrist, batch, HandsTruth.of(batch, hand_model))
    shown = ((outcome.true_pixels > -0.5) & (outcome.true_pixels < 255.5)).all(-1)
    assert torch.equal(outcome.inside, shown & batch.presence[..., None])
    assert outcome.inside.any()


def test_some_of_the_images(hand_model, batch):
    outcome = compare(perfect(batch, hand_model), batch.wrist, batch, HandsTruth.of(batch, hand_model))
    some = batch.presence.all(1)
    assert len(outcome.select(some).joints) == int(some.sum())
    assert torch.equal(outcome.select(some).true_wrist, batch.wrist[some])
