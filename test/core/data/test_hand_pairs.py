"""Crops of both hands of labelled images, and predictions of both kinds of networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.oracle_network import perfect_prediction
from support.small_network import small_network
from torch.testing import assert_close

from lgnet_core.data.hand_pairs import (
    CropJitter,
    HandPairs,
    crop_hand_pairs,
    jitter_crops,
    predict_batch,
    uncrop_prediction,
)
from lgnet_core.data.sample import HandsBatch, HandsGroundTruth
from lgnet_core.geometry.affine import transform_points
from lgnet_core.geometry.camera import project, weak_perspective_root
from lgnet_core.geometry.coordinates import grid_to_pixels, pixels_to_grid, pixels_to_normalised
from lgnet_core.geometry.hand_crops import crops_from_joints
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.crops import extract_crops
from lgnet_core.network import HandLGNet, HandLGNetConfig, HandsPrediction
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.network.per_hand.batching import ABSENT_LOGIT
from lgnet_core.network.prediction import HAND_CROP_SIZE
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.types import Side

SMALL = HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32, regressor_depth=1)


@pytest.fixture(scope="module")
def network(hand_model: HandModel) -> HandLGNet:
    """The pretrained landmark network with random other layers."""
    network = small_network(hand_model, config=SMALL)
    assert isinstance(network, HandLGNet)
    network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
    return network


@pytest.fixture(scope="module")
def batch(hand_model: HandModel) -> HandsBatch:
    """Four images of both hands."""
    prediction = SyntheticHands(3, hand_model).crops(torch.arange(24), 96)
    return prediction[prediction.presence.all(1).nonzero()[:4, 0]]


def without_hands(batch: HandsBatch, rows: list[tuple[int, int]]) -> HandsBatch:
    presence = batch.presence.clone()
    for row, side in rows:
        presence[row, side] = False
    return batch.replace(presence=presence)


def test_absent_hand_has_the_other_crop_in_black(batch, hand_model):
    joints = batch.labels(hand_model).joints_2d
    pairs = crop_hand_pairs(without_hands(batch, [(1, Side.LEFT)]), joints)
    assert pairs.given.tolist() == [[1, 1], [1, 0], [1, 1], [1, 1]]
    assert_close(pairs.affine[1, 1], pairs.affine[1, 0])
    assert not pairs.images[1, 1].any()
    determinants = torch.linalg.det(pairs.affine[..., :2])
    assert ((determinants < 0) == torch.tensor([[False, True], [False, False], [False, True], [False, True]])).all()


def test_image_without_hands_has_black_full_image_crops(batch):
    """Independent of its labels."""
    no_hands = without_hands(batch, [(2, Side.RIGHT), (2, Side.LEFT)])
    pairs = crop_hand_pairs(no_hands, torch.zeros(4, 2, 21, 2))
    edge = HAND_CROP_SIZE - 0.5
    corners = transform_points(pairs.affine[2], torch.tensor([[-0.5, -0.5], [95.5, 95.5]]))
    for end, expected_edge in ((corners.amin(1), -0.5), (corners.amax(1), edge)):  # one of both is mirrored
        assert_close(end, torch.full((2, 2), expected_edge), atol=1e-4, rtol=1e-4)
    assert not pairs.images[2].any()


@torch.no_grad()
def test_both_kinds_of_networks_predict_in_image_coordinates(network, batch, hand_model):
    """Landmarks of ground-truth crops lie on the hand; the joint stage starts from them without a correction."""
    truth = HandsGroundTruth.of(batch, hand_model)
    pair = small_network(hand_model)
    expected = pair(batch.image.float() / 255, batch.intrinsics)
    prediction = predict_batch(pair, batch, truth.joints_2d, truth.joints_known)
    assert all(torch.equal(a, b) for a, b in zip(expected, prediction))

    network.stages.correction.weight.zero_(), network.stages.correction.bias.zero_()
    prediction = predict_batch(network, batch, truth.joints_2d, truth.joints_known)
    pixels = (prediction.joints_grid[..., :2] + 0.5) * 32 - 0.5
    size = (truth.joints_2d.amax(2) - truth.joints_2d.amin(2)).amax(-1)
    assert ((pixels - truth.joints_2d).norm(dim=-1).mean(-1) / size).median() < 0.25


@torch.no_grad()
def test_unknown_joints_do_not_influence_the_prediction(network, batch, hand_model):
    """The crop does not depend on a fingertip; a hand without known joints counts as absent."""
    joints = batch.labels(hand_model).joints_2d
    known = torch.ones_like(joints[..., 0], dtype=torch.bool)
    expected = predict_batch(network, batch, joints, known)
    known[0, 0, 8], known[1, 1] = False, False
    wrong = torch.where(known[..., None], joints, 9e5)
    prediction = predict_batch(network, batch, wrong, known)
    for name, a, b in zip(expected._fields, expected, prediction):
        assert_close(b[[0, 2, 3]], a[[0, 2, 3]], msg=name)
    assert prediction.presence_logits[1, 1] == ABSENT_LOGIT
    alone = predict_batch(network, without_hands(batch, [(1, Side.LEFT)]), joints, torch.ones_like(known))
    for a, b in zip(alone, prediction):
        assert_close(b, a)


@torch.no_grad()
def test_unknown_joint_is_placed_at_the_centroid(network, batch, hand_model):
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
def test_batch_without_hands(network, batch, hand_model):
    no_hands = without_hands(batch, [(row, side) for row in range(4) for side in Side])
    truth = HandsGroundTruth.of(no_hands, hand_model)
    prediction = predict_batch(network, no_hands, truth.joints_2d, truth.joints_known)
    assert all(value.isfinite().all() for value in prediction)
    assert (prediction.presence_logits == ABSENT_LOGIT).all()


def test_crop_intrinsics_project_labels_into_the_crop(batch, hand_model):
    """The z axis of the canonical frame points to the centre of the crop."""
    labels = batch.labels(hand_model)
    pairs = crop_hand_pairs(batch, labels.joints_2d, CropJitter(), torch.Generator().manual_seed(0))
    assert_close(
        project(labels.joints, pairs.intrinsics), transform_points(pairs.affine, labels.joints_2d), atol=0.02, rtol=1e-4
    )
    middle = torch.full((4, 2, 1, 2), (HAND_CROP_SIZE - 1) / 2)
    assert_close(project(pairs.frames[..., 2:, :], pairs.intrinsics), middle, atol=0.02, rtol=0)
    expected = torch.tensor([1.0, -1]).expand(4, 2)
    assert_close(torch.linalg.det(pairs.frames), expected)


def test_crops_without_jitter_are_determined_by_joints(batch, hand_model):
    joints = batch.labels(hand_model).joints_2d
    pairs = crop_hand_pairs(batch, joints)
    for side in Side:
        sides = torch.full((4,), int(side))
        expected = crops_from_joints(joints[:, side]).mirror_left(sides).affine(HAND_CROP_SIZE)
        assert_close(pairs.affine[:, side], expected)


def test_training_crops_equal_inference_crops(batch, hand_model):
    """For enlarged crops, up to two grey levels, since OpenCV interpolates in steps of 1/32 pixel."""
    pairs = crop_hand_pairs(batch, batch.labels(hand_model).joints_2d)
    for k, image in enumerate(batch.image.permute(0, 2, 3, 1).numpy()):
        expected = extract_crops(np.ascontiguousarray(image), pairs.affine[k].double().numpy(), HAND_CROP_SIZE)
        difference = np.abs(pairs.images[k].numpy() - expected)
        assert difference.mean() < 1 / 255
        assert np.quantile(difference, 0.99) < 3 / 255


def test_jitter_has_the_given_standard_deviations(batch, hand_model):
    joints = batch.labels(hand_model).joints_2d[:1].expand(600, -1, -1, -1)
    plain = crops_from_joints(joints[:, 0])
    crops = jitter_crops(plain, CropJitter(0.05, 0.2, 0.3), torch.Generator().manual_seed(0))
    shift = (crops.centre - plain.centre) / plain.side[:, None]
    for values, expected in (
        (shift, 0.05),
        (torch.log(crops.side / plain.side), 0.2),
        (crops.angle - plain.angle, 0.3),
    ):
        assert abs(float(values.mean())) < 0.15 * expected
        assert float(values.std()) == pytest.approx(expected, rel=0.1)


def test_crops_are_determined_by_the_generator(batch, hand_model):
    joints = batch.labels(hand_model).joints_2d
    first, again, other = (
        crop_hand_pairs(batch, joints, CropJitter(), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert not torch.equal(first.affine, other.affine)


def predict_in_crops(batch: HandsBatch, pairs: HandPairs, hand_model: HandModel) -> HandsPrediction:
    """The ground truth as a network with one crop per hand would predict it."""
    truth = perfect_prediction(batch, hand_model)
    labels = batch.labels(hand_model)
    crop_pixels = transform_points(pairs.affine, labels.joints_2d)
    cells = pixels_to_grid(crop_pixels, HAND_CROP_SIZE, HAND_CROP_SIZE // 32)
    focal = torch.linalg.det(pairs.intrinsics[..., :2, :2]).abs().sqrt()
    scale = focal / batch.wrist[..., 2] / (HAND_CROP_SIZE / 2)  # half crops per metre at the wrist's depth
    centre = pixels_to_normalised(crop_pixels[..., 0, :], HAND_CROP_SIZE)
    grid = torch.cat([cells, truth.joints_grid[..., 2:]], -1)
    return truth._replace(joints_grid=grid, camera=torch.cat([scale[..., None], centre], -1))


def test_perfect_prediction_stays_perfect_in_the_image(batch, hand_model):
    """2D joints equal the labels; the weak-perspective camera gives the true wrist, as the projection loss requires."""
    labels = batch.labels(hand_model)
    pairs = crop_hand_pairs(batch, labels.joints_2d, CropJitter(), torch.Generator().manual_seed(0))
    prediction = uncrop_prediction(predict_in_crops(batch, pairs, hand_model), pairs.affine, 96)
    assert_close(grid_to_pixels(prediction.joints_grid[..., :2], 96, 3), labels.joints_2d, atol=0.01, rtol=1e-4)
    roots = weak_perspective_root(prediction.camera, batch.intrinsics[:, None], 96)
    assert_close(roots, batch.wrist, atol=1e-4, rtol=1e-3)
    truth = perfect_prediction(batch, hand_model)
    for name in ("vertices", "joints", "rotations", "relative_translation"):
        assert torch.equal(getattr(prediction, name), getattr(truth, name))


def test_labels_of_absent_hands_are_ignored(batch, hand_model):
    """For any labels an absent hand has the crop of the other hand, and everything is finite."""
    joints = batch.labels(hand_model).joints_2d
    one = without_hands(batch, [(0, Side.LEFT), (1, Side.RIGHT)])
    wild = joints.clone()
    wild[0, Side.LEFT], wild[1, Side.RIGHT] = torch.nan, 1e9
    for a, b in zip(crop_hand_pairs(one, joints), crop_hand_pairs(one, wild)):
        assert torch.equal(a, b)
        assert torch.isfinite(b).all()
