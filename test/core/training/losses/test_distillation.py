"""Losses of pseudo-labels."""

from __future__ import annotations

import pytest
import torch
from support.oracle_network import perfect_prediction
from torch.testing import assert_close

from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.training.losses.distillation import distillation_terms, pseudo_label_error, pseudo_label_loss


def hand(size: float, offset: float = 0.0) -> torch.Tensor:
    """(21, 2) random joints in a box whose longer side is ``size``."""
    joints = torch.rand(21, 2) * torch.tensor([size, size / 2])
    joints[0], joints[1] = torch.tensor([0.0, 0.0]), torch.tensor([size, size / 2])
    return joints + offset


def test_error_is_relative_to_the_hand_size():
    """A hand without pseudo-labels is masked."""
    pseudo_labels = torch.stack([hand(80.0, 5.0), torch.full((21, 2), torch.nan)])[None]
    prediction = pseudo_labels.nan_to_num(7.0) + torch.tensor([12.0, -16.0])  # 20 px off
    error, labelled = pseudo_label_error(prediction, pseudo_labels)
    assert labelled.tolist() == [[True, False]]
    assert_close(error[0, 0], torch.full((21,), 20 / 80))
    half_scale = pseudo_label_error(prediction / 2, pseudo_labels / 2)[0]
    assert_close(half_scale, error)


def test_loss_is_the_error_beyond_the_tolerance():
    """Errors of 0.25 hand sizes for one hand and of 0.05, within the tolerance, for the other."""
    pseudo_labels = torch.stack([torch.stack([hand(80.0), hand(200.0)])])
    prediction = pseudo_labels + torch.tensor([20.0, 10.0])[:, None, None] * torch.tensor([1.0, 0.0])
    assert float(pseudo_label_loss(prediction, pseudo_labels, 0.1)) == pytest.approx((0.15 + 0) / 2)
    assert float(pseudo_label_loss(prediction, pseudo_labels, 0.0)) == pytest.approx((0.25 + 0.05) / 2)
    pseudo_labels[0, 1] = torch.nan
    assert float(pseudo_label_loss(prediction, pseudo_labels, 0.1)) == pytest.approx(
        0.15
    )  # mean over the labelled hands


def test_only_labelled_hands_have_a_gradient():
    pseudo_labels = torch.stack([hand(80.0), torch.full((21, 2), torch.nan)])[None]
    prediction = (pseudo_labels.nan_to_num(3.0) + torch.tensor([16.0, 0.0])).requires_grad_()
    pseudo_label_loss(prediction, pseudo_labels, 0.1).backward()
    assert prediction.grad is not None
    assert not prediction.grad[0, 1].any()
    assert_close(prediction.grad[0, 0], torch.tensor([1 / 80 / 21, 0.0]).expand(21, 2))
    missing = torch.full_like(pseudo_labels, torch.nan)
    assert float(pseudo_label_loss(prediction.detach(), missing, 0.1)) == 0.0


def test_ground_truth_has_zero_loss_and_a_shifted_mesh_has_not(hand_model):
    """Ground-truth hands in the ground-truth camera against a mesh shifted by half a hand."""
    batch = SyntheticHands(5, hand_model).crops(torch.arange(8), 64)
    labels = batch.labels(hand_model)
    wrist = labels.joints_2d[:, :, 0]
    depth, focal = batch.wrist[..., 2:], torch.linalg.det(batch.intrinsics[:, :2, :2]).sqrt()[:, None, None]
    camera = torch.cat([focal / (depth * 32), (2 * wrist + 1) / 64 - 1], -1)
    ground_truth = perfect_prediction(batch, hand_model)._replace(camera=camera)
    pseudo_labels = torch.where(batch.presence[..., None, None], labels.joints_2d, torch.nan)
    for term in distillation_terms(ground_truth, batch, pseudo_labels).values():
        assert_close(float(term), 0.0, atol=1e-5, rtol=0.0)
    shifted = ground_truth._replace(joints=ground_truth.joints + torch.tensor([0.09, 0.0, 0.0]))
    terms = distillation_terms(shifted, batch, pseudo_labels)
    assert float(terms["teacher"]) == pytest.approx(0.0, abs=1e-5)
    assert float(terms["teacher_mesh"]) > 0.1
