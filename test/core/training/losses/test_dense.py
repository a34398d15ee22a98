"""Targets and losses of the dense supervision."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from lgnet_core.data.hand_pairs import CropJitter, crop_hand_pairs
from lgnet_core.data.sample import BACKGROUND, LEFT_HAND, RIGHT_HAND
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import HandModel
from lgnet_core.network.prediction import HAND_CROP_SIZE
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.training.features.batch import FeatureBatch, missing_pseudo_labels
from lgnet_core.training.losses.dense import DenseHead, dense_terms, depth_target, segmentation_target


@pytest.fixture(scope="module")
def sample(hand_model: HandModel) -> FeatureBatch:
    """Synthetic images with the geometry of their crops, without feature maps."""
    batch = SyntheticHands(5, hand_model).crops(torch.arange(24), 160)
    joints = batch.labels(hand_model).joints_2d
    pairs = crop_hand_pairs(batch, joints, CropJitter(), torch.Generator().manual_seed(0))
    empty = torch.empty(len(batch), 0)
    geometry = (pairs.intrinsics, pairs.frames, pairs.given, pairs.affine)
    return FeatureBatch(batch, empty, empty, *geometry, missing_pseudo_labels(len(batch)), empty, empty)


def test_depth_and_segmentation_agree_on_visible_hands(sample, hand_model):
    """Where the segmentation shows a hand, its mesh projects; visible hands cover most of what their meshes cover."""
    surface = torch.isfinite(depth_target(sample, sample.batch.labels(hand_model), hand_model))
    own = segmentation_target(sample) == RIGHT_HAND
    present = sample.batch.presence
    assert float((surface & own)[present].sum() / own[present].sum()) > 0.95
    unoccluded = present & (sample.batch.visibility.float().mean(-1) > 0.75)
    assert unoccluded.sum() >= 3
    covered = (surface & own)[unoccluded].sum() / surface[unoccluded].sum()
    assert float(covered) > 0.7


def test_depth_is_that_of_the_nearest_vertex(sample, hand_model):
    """The minimum over all cells is the depth of the hand's nearest surface point relative to its wrist."""
    labels = sample.batch.labels(hand_model)
    depth = depth_target(sample, labels, hand_model)
    nearest = labels.vertices[..., 2].amin(-1) - sample.batch.wrist[..., 2]
    pixels = project(labels.vertices, sample.intrinsics)
    inside = sample.batch.presence & ((pixels > 0) & (pixels < HAND_CROP_SIZE - 1)).all(-1).all(-1)
    assert inside.sum() >= 10
    assert_close(depth.amin((-2, -1))[inside], nearest[inside], atol=1e-3, rtol=0)


def test_targets_are_those_of_the_mirrored_image(sample, hand_model):
    """The crop of a left hand shows a right hand: in the mirrored image the same crops have the same targets."""
    batch = sample.batch
    mirror = torch.diag(torch.tensor([-1.0, 1, 1]))
    size = batch.image.shape[-1]
    flip = torch.tensor([[-1.0, 0, size - 1], [0, 1, 0], [0, 0, 1]])
    labels = batch.labels(hand_model)
    mirrored_batch = batch.replace(
        segmentation=_swap_sides(batch.segmentation.flip(-1)),
        presence=batch.presence.flip(1),
        wrist=(batch.wrist @ mirror).flip(1),
    )
    mirrored_labels = labels._replace(vertices=(labels.vertices @ mirror).flip(1))
    affine = torch.cat([sample.affine, torch.tensor([0.0, 0, 1]).expand(*sample.affine.shape[:2], 1, 3)], 2) @ flip
    mirrored = FeatureBatch(
        mirrored_batch,
        **{
            **sample.tensors(),
            "intrinsics": (sample.intrinsics @ mirror).flip(1),
            "affine": affine[:, :, :2].flip(1),
            "given": sample.given.flip(1),
        },
    )
    expected, actual = depth_target(sample, labels, hand_model), depth_target(mirrored, mirrored_labels, hand_model)
    present = batch.presence
    assert_close(actual.flip(1)[present], expected[present], atol=1e-4, rtol=0)
    same = segmentation_target(mirrored).flip(1)[present] == segmentation_target(sample)[present]
    assert float(same.float().mean()) > 0.99  # cell centres on pixel borders may round to the neighbour


def test_black_border_is_background(sample):
    """A crop far outside the image shows nothing, whatever the image shows."""
    outside = FeatureBatch(
        sample.batch, **{**sample.tensors(), "affine": sample.affine + torch.tensor([0.0, 0, 5000.0])}
    )
    assert (segmentation_target(outside) == BACKGROUND).all()


def test_perfect_prediction_has_no_loss_and_absent_hands_have_none(sample, hand_model):
    labels = sample.batch.labels(hand_model)
    classes = segmentation_target(sample)
    depth = depth_target(sample, labels, hand_model)

    class Oracle(DenseHead):
        def forward(self, enhanced: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = 50 * torch.nn.functional.one_hot(classes.flatten(0, 1), 5).permute(0, 3, 1, 2).float()
            wrong = ~sample.batch.presence.flatten()[:, None, None]  # absent hands: whatever
            return torch.where(wrong[:, None], -logits, logits), torch.where(wrong, 7.0, depth.flatten(0, 1))

    terms = dense_terms(Oracle(8), torch.zeros(len(sample), 2, 8, 7, 7), sample, labels, hand_model)
    assert float(terms["segmentation"]) < 1e-6
    assert float(terms["depth"]) < 1e-6


def test_loss_reaches_the_maps_of_present_hands_only(sample, hand_model):
    enhanced = torch.randn(len(sample), 2, 8, 7, 7, requires_grad=True)
    terms = dense_terms(DenseHead(8), enhanced, sample, sample.batch.labels(hand_model), hand_model)
    sum(terms.values()).backward()
    present = sample.batch.presence
    assert enhanced.grad is not None
    assert enhanced.grad[present].abs().sum((1, 2, 3)).min() > 0
    assert not enhanced.grad[~present].any()


def _swap_sides(segmentation: torch.Tensor) -> torch.Tensor:
    swapped = segmentation.clone()
    swapped[segmentation == RIGHT_HAND] = LEFT_HAND
    swapped[segmentation == LEFT_HAND] = RIGHT_HAND
    return swapped
