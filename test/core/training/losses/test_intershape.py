"""InterShape's terms, each against a case made by hand."""

from dataclasses import fields

import pytest
import torch
from support.random_labels import some_batch
from support.volumes import gaussian
from torch.testing import assert_close

from lgnet_core.network import IntermediateOutputs
from lgnet_core.network.baselines.internet import find_peaks
from lgnet_core.training.losses.config import HEATMAPS, InterShapeLossWeights, LossWeights, loss_weights
from lgnet_core.training.losses.intershape import heatmap_loss, inter_hand_offsets, intershape_terms
from lgnet_core.training.losses.terms import grid_target

BOX, ANSWERS = 0.5, 4


def truth_as_cascade(hand_model, batch) -> IntermediateOutputs:
    """What a perfect InterShape says besides, its volumes left empty."""
    labels = batch.labels(hand_model)
    palm = hand_model.palm_length(batch.shape)

    def each(x):
        return x[:, None].expand(-1, ANSWERS, *x.shape[1:])

    return IntermediateOutputs(
        heatmaps=torch.zeros(len(batch), 2, 21, 8, 8, 8),
        pose=each(torch.zeros(len(batch), 2, 48)),
        shape=each(batch.shape),
        joints=each(labels.joints - batch.wrist[:, :, None]),
        translation=torch.cat([(palm[:, 1] / palm[:, 0]).log()[:, None], labels.relative_translation / palm[:, 1:]], 1),
    )


def terms_of(cascade, batch, hand_model):
    return intershape_terms(cascade, batch, batch.labels(hand_model), hand_model, BOX)


def test_a_perfect_cascade_costs_nothing_but_its_prior(hand_model):
    batch = some_batch(hand_model)
    terms = terms_of(truth_as_cascade(hand_model, batch), batch, hand_model)
    assert set(terms) == {f.name for f in fields(InterShapeLossWeights)} - {f.name for f in fields(LossWeights)}
    for name in ("palm_joint", "inter_hand", "bone_length", "answer_shape"):
        assert terms[name] < 1e-6, name
    assert terms["heatmap"].item() == pytest.approx(1)
    assert terms["prior"].item() == pytest.approx(batch.shape.square().mean().item())
    assert terms["shape_agreement"].item() == pytest.approx(
        (batch.shape[:, 0] - batch.shape[:, 1]).square().mean().item()
    )


def test_every_answer_counts(hand_model):
    """An error of one of four answers costs a quarter of the same error of all."""
    batch = some_batch(hand_model)
    perfect = truth_as_cascade(hand_model, batch)
    wrong = perfect.joints + 0.01 * torch.randn(perfect.joints.shape[2:], generator=torch.Generator().manual_seed(1))
    costs = [terms_of(perfect._replace(joints=wrong), batch, hand_model)["palm_joint"]]
    for answer in range(ANSWERS):
        one = perfect.joints.clone()
        one[:, answer] = wrong[:, answer]
        costs.append(terms_of(perfect._replace(joints=one), batch, hand_model)["palm_joint"])
    assert_close(torch.stack(costs[1:]).sum(), costs[0])
    assert costs[0] > 0.05


def test_joints_count_in_palms(hand_model):
    """A hand that is larger in all its parts, joints and shape alike, costs nothing as to its joints."""
    batch = some_batch(hand_model)
    perfect = truth_as_cascade(hand_model, batch)
    larger = perfect.shape + torch.tensor([1.0] + [0.0] * 9)
    ratio = hand_model.palm_length(larger) / hand_model.palm_length(perfect.shape)
    assert (ratio - 1).abs().min() > 1e-3
    scaled = perfect._replace(shape=larger, joints=perfect.joints * ratio[..., None, None])
    terms = terms_of(scaled, batch, hand_model)
    assert terms["palm_joint"] < 1e-5
    bones = hand_model.bone_lengths(larger[:, 0]) - hand_model.bone_lengths(batch.shape)
    assert terms["bone_length"].item() == pytest.approx(bones.abs().mean().item(), rel=1e-4)


def test_absent_hands_cost_nothing(hand_model):
    batch = some_batch(hand_model).replace(presence=torch.zeros(2, 2, dtype=torch.bool))
    wild = IntermediateOutputs(*(torch.randn(x.shape) for x in truth_as_cascade(hand_model, batch)))
    assert all(term == 0 for term in terms_of(wild, batch, hand_model).values())


def test_of_one_hand_nothing_between_hands_counts(hand_model):
    batch = some_batch(hand_model).replace(presence=torch.tensor([[True, False], [False, True]]))
    terms = terms_of(
        IntermediateOutputs(*(torch.randn(x.shape) for x in truth_as_cascade(hand_model, batch))), batch, hand_model
    )
    assert terms["inter_hand"] == terms["shape_agreement"] == 0
    assert terms["palm_joint"] > 0


def test_both_frames_see_the_same_pair():
    """What the right hand sees of the left is, turned round and in its own palms, what the left sees of the right."""
    g = torch.Generator().manual_seed(0)
    joints, translation, ratio = torch.randn(3, 2, 21, 3, generator=g), torch.randn(3, 3, generator=g), torch.randn(3)
    right_frame, left_frame = inter_hand_offsets(joints, translation, ratio).unbind(1)
    assert_close(left_frame, -right_frame * torch.exp(-ratio)[:, None, None])


def test_swapped_hands_swap_their_frames():
    """Naming the hands the other way round inverts the similarity between their frames."""
    g = torch.Generator().manual_seed(0)
    joints, translation, ratio = torch.randn(3, 2, 21, 3, generator=g), torch.randn(3, 3, generator=g), torch.randn(3)
    offsets = inter_hand_offsets(joints, translation, ratio)
    inverse = -translation * ratio.exp()[:, None]
    assert_close(inter_hand_offsets(joints.flip(1), inverse, -ratio), offsets.flip(1), atol=1e-5, rtol=1e-5)


def test_offsets_are_metric_distances_in_palms(hand_model):
    batch = some_batch(hand_model)
    labels, palm = batch.labels(hand_model), hand_model.palm_length(batch.shape)
    relative = (labels.joints - batch.wrist[:, :, None]) / palm[..., None, None]
    offsets = inter_hand_offsets(relative, labels.relative_translation / palm[:, 1:], (palm[:, 1] / palm[:, 0]).log())
    apart = labels.joints[:, 1] - labels.joints[:, 0]
    assert_close(offsets[:, 0], apart / palm[:, 0, None, None], atol=1e-5, rtol=1e-5)
    assert_close(offsets[:, 1], -apart / palm[:, 1, None, None], atol=1e-5, rtol=1e-5)


def test_heatmap_loss_is_that_of_whole_volumes():
    """Against Gaussians written out voxel by voxel."""
    g = torch.Generator().manual_seed(2)
    places = torch.rand(1, 2, 21, 3, generator=g) * 1.6 - 0.8
    volumes = torch.rand(1, 2, 21, 16, 16, 16, generator=g)
    mask = torch.rand(1, 2, 21, generator=g) < 0.7
    voxels = (places + 1) * 8 - 0.5
    values = []
    for index in mask.nonzero().tolist():
        target = gaussian(voxels[tuple(index)], 16)
        values.append((volumes[tuple(index)] - target).square().sum() / target.square().sum())
    assert_close(heatmap_loss(volumes, places, mask), torch.stack(values).mean(), rtol=1e-4, atol=0)


def test_heatmap_loss_vanishes_on_its_target_and_leads_to_it(hand_model):
    """Gradient descent on the volumes themselves puts the peaks on the joints."""
    batch = some_batch(hand_model, count=1)
    target, mask = grid_target(batch, batch.labels(hand_model), BOX)
    volumes = torch.zeros(1, 2, 21, 16, 16, 16, requires_grad=True)
    optimiser = torch.optim.SGD([volumes], 25.0)
    for _ in range(60):
        optimiser.zero_grad()
        loss = heatmap_loss(volumes, target, mask)
        loss.backward()
        optimiser.step()
    assert loss < 1e-3
    found = (find_peaks(volumes.detach()).voxels + 0.5) / 8 - 1
    assert mask.float().mean() > 0.9
    assert (found - target)[mask].abs().max() < 0.05


def test_the_first_phase_counts_the_heatmaps_alone():
    weights = loss_weights(HEATMAPS, "intershape")
    counted = {name for name, value in vars(weights).items() if value}
    assert counted == {"heatmap", "joint_grid", "presence"}


@pytest.mark.parametrize(("preset", "kind"), [("paper", "intershape"), ("heatmaps", "lgnet"), ("paper", "eanet")])
def test_a_network_has_presets_of_its_own(preset, kind):
    """InterShape under another's loss would leave its heatmaps random."""
    with pytest.raises(ValueError, match=rf"{kind} has no such preset.*default"):
        loss_weights(preset, kind)
