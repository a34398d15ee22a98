"""Crops of both hands of labelled images, and what networks of either kind predict for these."""

from __future__ import annotations

import pytest
import torch
from small_network import small_network
from torch.testing import assert_close

from lgnet_core.data.hand_pairs import cut_pairs, predict_batch
from lgnet_core.data.sample import HandsBatch, HandsTruth
from lgnet_core.data.synthetic.generator import SyntheticHands
from lgnet_core.hand_crops import to_crop
from lgnet_core.hand_model import HandModel
from lgnet_core.network import HandLGNet, HandLGNetConfig
from lgnet_core.network.hand_landmark import HAND_CROP_SIZE, load_hand_landmark_net
from lgnet_core.network.hand_stages import ABSENT_LOGIT
from lgnet_core.types import Side

SMALL = HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32, regressor_depth=1)


@pytest.fixture(scope="module")
def network(hand_model: HandModel) -> HandLGNet:
    """The landmark network as it is, all else at random."""
    network = small_network(hand_model, config=SMALL)
    assert isinstance(network, HandLGNet)
    network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
    return network


@pytest.fixture(scope="module")
def batch(hand_model: HandModel) -> HandsBatch:
    """Four images of both hands."""
    found = SyntheticHands(3, hand_model).crops(torch.arange(24), 96)
    return found[found.presence.all(1).nonzero()[:4, 0]]


def without(batch: HandsBatch, rows: list[tuple[int, int]]) -> HandsBatch:
    presence = batch.presence.clone()
    for row, side in rows:
        presence[row, side] = False
    return batch.replace(presence=presence)


def test_an_absent_hand_repeats_the_crop_of_the_other_but_shows_nothing(batch, hand_model):
    joints = batch.labels(hand_model).joints_2d
    pairs = cut_pairs(without(batch, [(1, Side.LEFT)]), joints)
    assert pairs.given.tolist() == [[1, 1], [1, 0], [1, 1], [1, 1]]
    assert_close(pairs.affine[1, 1], pairs.affine[1, 0])
    assert not pairs.images[1, 1].any()
    determinants = torch.linalg.det(pairs.affine[..., :2])
    assert ((determinants < 0) == torch.tensor([[False, True], [False, False], [False, True], [False, True]])).all()


def test_an_image_without_hands_gets_its_whole_as_a_crop_which_is_black(batch):
    """Whatever its labels are."""
    nobody = without(batch, [(2, Side.RIGHT), (2, Side.LEFT)])
    pairs = cut_pairs(nobody, torch.zeros(4, 2, 21, 2))
    edge = HAND_CROP_SIZE - 0.5
    corners = to_crop(pairs.affine[2], torch.tensor([[-0.5, -0.5], [95.5, 95.5]]))
    for end, place in ((corners.amin(1), -0.5), (corners.amax(1), edge)):  # one of both is mirrored
        assert_close(end, torch.full((2, 2), place), atol=1e-4, rtol=1e-4)
    assert not pairs.images[2].any()


@torch.no_grad()
def test_networks_of_either_kind_predict_in_the_image(network, batch, hand_model):
    """The landmarks of a true crop lie on the hand: the joint stage starts from them, up to its random correction."""
    truth = HandsTruth.of(batch, hand_model)
    pair = small_network(hand_model)
    expected = pair(batch.image.float() / 255, batch.intrinsics)
    found = predict_batch(pair, batch, truth.joints_2d, truth.joints_known)
    assert all(torch.equal(a, b) for a, b in zip(expected, found))

    network.stages.correction.weight.zero_(), network.stages.correction.bias.zero_()
    found = predict_batch(network, batch, truth.joints_2d, truth.joints_known)
    pixels = (found.joints_grid[..., :2] + 0.5) * 32 - 0.5
    size = (truth.joints_2d.amax(2) - truth.joints_2d.amin(2)).amax(-1)
    assert ((pixels - truth.joints_2d).norm(dim=-1).mean(-1) / size).median() < 0.25


@torch.no_grad()
def test_joints_that_are_not_known_do_not_matter(network, batch, hand_model):
    """A fingertip's place has no part in the crop; a hand of which nothing is known is as good as absent."""
    joints = batch.labels(hand_model).joints_2d
    known = torch.ones_like(joints[..., 0], dtype=torch.bool)
    expected = predict_batch(network, batch, joints, known)
    known[0, 0, 8], known[1, 1] = False, False
    wrong = torch.where(known[..., None], joints, 9e5)
    found = predict_batch(network, batch, wrong, known)
    for name, a, b in zip(expected._fields, expected, found):
        assert_close(b[[0, 2, 3]], a[[0, 2, 3]], msg=name)
    assert found.presence_logits[1, 1] == ABSENT_LOGIT
    alone = predict_batch(network, without(batch, [(1, Side.LEFT)]), joints, torch.ones_like(known))
    for a, b in zip(alone, found):
        assert_close(b, a)


@torch.no_grad()
def test_a_central_joint_that_is_not_known_is_taken_to_lie_amid_the_others(network, batch, hand_model):
    joints = batch.labels(hand_model).joints_2d
    known = torch.ones_like(joints[..., 0], dtype=torch.bool)
    known[:, :, 18] = False
    wrong = torch.where(known[..., None], joints, 9e5)
    middle = joints[:, :, torch.arange(21) != 18].mean(2)
    filled = joints.clone()
    filled[:, :, 18] = middle
    expected = predict_batch(network, batch, filled, torch.ones_like(known))
    for a, b in zip(expected, predict_batch(network, batch, wrong, known)):
        assert_close(b, a, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_a_batch_without_any_hand(network, batch, hand_model):
    nobody = without(batch, [(row, side) for row in range(4) for side in Side])
    truth = HandsTruth.of(nobody, hand_model)
    found = predict_batch(network, nobody, truth.joints_2d, truth.joints_known)
    assert all(value.isfinite().all() for value in found)
    assert (found.presence_logits == ABSENT_LOGIT).all()
