"""InterShape's loss terms against hand-computed cases."""

from dataclasses import fields

import pytest
import torch
from support.random_batch import random_batch
from support.volumes import gaussian_volume
from torch.testing import assert_close

from lgnet_core.network import IntermediateOutputs
from lgnet_core.network.baselines.internet import find_peaks
from lgnet_core.training.losses.config import HEATMAPS, InterShapeLossWeights, LossWeights, loss_weights
from lgnet_core.training.losses.intershape import heatmap_loss, inter_hand_offsets, intershape_terms
from lgnet_core.training.losses.terms import grid_target

DEPTH_BOX, OUTPUTS = 0.5, 4


def perfect_outputs(hand_model, batch) -> IntermediateOutputs:
    """Ground truth as intermediate outputs, with empty heatmaps."""
    labels = batch.labels(hand_model)
    palm = hand_model.palm_length(batch.shape)

    def repeat(x):
        return x[:, None].expand(-1, OUTPUTS, *x.shape[1:])

    return IntermediateOutputs(
        heatmaps=torch.zeros(len(batch), 2, 21, 8, 8, 8),
        pose=repeat(torch.zeros(len(batch), 2, 48)),
        shape=repeat(batch.shape),
        joints=repeat(labels.joints - batch.wrist[:, :, None]),
        translation=torch.cat([(palm[:, 1] / palm[:, 0]).log()[:, None], labels.relative_translation / palm[:, 1:]], 1),
    )


def terms_of(outputs, batch, hand_model):
    return intershape_terms(outputs, batch, batch.labels(hand_model), hand_model, DEPTH_BOX)


def test_perfect_outputs_have_only_the_prior(hand_model):
    batch = random_batch(hand_model)
    terms = terms_of(perfect_outputs(hand_model, batch), batch, hand_model)
    assert set(terms) == {f.name for f in fields(InterShapeLossWeights)} - {f.name for f in fields(LossWeights)}
    for name in ("palm_joint", "inter_hand", "bone_length", "intermediate_shape"):
        assert terms[name] < 1e-6, name
    assert terms["heatmap"].item() == pytest.approx(1)
    assert terms["prior"].item() == pytest.approx(batch.shape.square().mean().item())
    assert terms["shape_agreement"].item() == pytest.approx(
        (batch.shape[:, 0] - batch.shape[:, 1]).square().mean().item()
    )


def test_every_intermediate_output_is_supervised(hand_model):
    """An error in one of four outputs has a quarter of the loss of the same error in all."""
    batch = random_batch(hand_model)
    perfect = perfect_outputs(hand_model, batch)
    wrong = perfect.joints + 0.01 * torch.randn(perfect.joints.shape[2:], generator=torch.Generator().manual_seed(1))
    losses = [terms_of(perfect._replace(joints=wrong), batch, hand_model)["palm_joint"]]
    for output in range(OUTPUTS):
        one = perfect.joints.clone()
        one[:, output] = wrong[:, output]
        losses.append(terms_of(perfect._replace(joints=one), batch, hand_model)["palm_joint"])
    assert_close(torch.stack(losses[1:]).sum(), losses[0])
    assert losses[0] > 0.05


def test_joint_loss_is_scale_invariant(hand_model):
    """A uniformly larger hand has no joint loss, only a bone-length loss."""
    batch = random_batch(hand_model)
    perfect = perfect_outputs(hand_model, batch)
    larger = perfect.shape + torch.tensor([1.0] + [0.0] * 9)
    ratio = hand_model.palm_length(larger) / hand_model.palm_length(perfect.shape)
    assert (ratio - 1).abs().min() > 1e-3
    scaled = perfect._replace(shape=larger, joints=perfect.joints * ratio[..., None, None])
    terms = terms_of(scaled, batch, hand_model)
    assert terms["palm_joint"] < 1e-5
    bones = hand_model.bone_lengths(larger[:, 0]) - hand_model.bone_lengths(batch.shape)
    assert terms["bone_length"].item() == pytest.approx(bones.abs().mean().item(), rel=1e-4)


def test_absent_hands_have_zero_loss(hand_model):
    batch = random_batch(hand_model).replace(presence=torch.zeros(2, 2, dtype=torch.bool))
    arbitrary = IntermediateOutputs(*(torch.randn(x.shape) for x in perfect_outputs(hand_model, batch)))
    assert all(term == 0 for term in terms_of(arbitrary, batch, hand_model).values())


def test_single_hands_have_no_inter_hand_loss(hand_model):
    batch = random_batch(hand_model).replace(presence=torch.tensor([[True, False], [False, True]]))
    terms = terms_of(
        IntermediateOutputs(*(torch.randn(x.shape) for x in perfect_outputs(hand_model, batch))), batch, hand_model
    )
    assert terms["inter_hand"] == terms["shape_agreement"] == 0
    assert terms["palm_joint"] > 0


def test_offsets_in_both_frames_agree():
    """Offsets in the left hand's frame are the negated offsets in the right hand's frame, in left palms."""
    g = torch.Generator().manual_seed(0)
    joints, translation, ratio = torch.randn(3, 2, 21, 3, generator=g), torch.randn(3, 3, generator=g), torch.randn(3)
    right_frame, left_frame = inter_hand_offsets(joints, translation, ratio).unbind(1)
    assert_close(left_frame, -right_frame * torch.exp(-ratio)[:, None, None])


def test_swapped_hands_swap_their_frames():
    """Swapping the hands inverts the similarity transform between their frames."""
    g = torch.Generator().manual_seed(0)
    joints, translation, ratio = torch.randn(3, 2, 21, 3, generator=g), torch.randn(3, 3, generator=g), torch.randn(3)
    offsets = inter_hand_offsets(joints, translation, ratio)
    inverse = -translation * ratio.exp()[:, None]
    assert_close(inter_hand_offsets(joints.flip(1), inverse, -ratio), offsets.flip(1), atol=1e-5, rtol=1e-5)


def test_offsets_are_metric_distances_in_palms(hand_model):
    batch = random_batch(hand_model)
    labels, palm = batch.labels(hand_model), hand_model.palm_length(batch.shape)
    relative = (labels.joints - batch.wrist[:, :, None]) / palm[..., None, None]
    offsets = inter_hand_offsets(relative, labels.relative_translation / palm[:, 1:], (palm[:, 1] / palm[:, 0]).log())
    apart = labels.joints[:, 1] - labels.joints[:, 0]
    assert_close(offsets[:, 0], apart / palm[:, 0, None, None], atol=1e-5, rtol=1e-5)
    assert_close(offsets[:, 1], -apart / palm[:, 1, None, None], atol=1e-5, rtol=1e-5)


def test_heatmap_loss_matches_explicit_volumes():
    """Against Gaussians evaluated at every voxel."""
    g = torch.Generator().manual_seed(2)
    centres = torch.rand(1, 2, 21, 3, generator=g) * 1.6 - 0.8
    volumes = torch.rand(1, 2, 21, 16, 16, 16, generator=g)
    mask = torch.rand(1, 2, 21, generator=g) < 0.7
    voxels = (centres + 1) * 8 - 0.5
    values = []
    for index in mask.nonzero().tolist():
        target = gaussian_volume(voxels[tuple(index)], 16)
        values.append((volumes[tuple(index)] - target).square().sum() / target.square().sum())
    assert_close(heatmap_loss(volumes, centres, mask), torch.stack(values).mean(), rtol=1e-4, atol=0)


def test_minimising_the_heatmap_loss_moves_peaks_to_the_joints(hand_model):
    """Gradient descent on the volumes themselves."""
    batch = random_batch(hand_model, count=1)
    target, mask = grid_target(batch, batch.labels(hand_model), DEPTH_BOX)
    volumes = torch.zeros(1, 2, 21, 16, 16, 16, requires_grad=True)
    optimiser = torch.optim.SGD([volumes], 25.0)
    for _ in range(60):
        optimiser.zero_grad()
        loss = heatmap_loss(volumes, target, mask)
        loss.backward()
        optimiser.step()
    assert loss < 1e-3
    peaks = (find_peaks(volumes.detach()).voxels + 0.5) / 8 - 1
    assert mask.float().mean() > 0.9
    assert (peaks - target)[mask].abs().max() < 0.05


def test_heatmaps_preset_has_only_heatmap_terms():
    weights = loss_weights(HEATMAPS, "intershape")
    active = {name for name, value in vars(weights).items() if value}
    assert active == {"heatmap", "joint_grid", "presence"}


@pytest.mark.parametrize(("preset", "kind"), [("paper", "intershape"), ("heatmaps", "lgnet"), ("paper", "eanet")])
def test_rejects_presets_of_other_networks(preset, kind):
    """With another network's losses InterShape's heatmaps would remain untrained."""
    with pytest.raises(ValueError, match=rf"{kind} has no such preset.*default"):
        loss_weights(preset, kind)
