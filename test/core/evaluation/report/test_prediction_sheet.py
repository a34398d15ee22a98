"""Predictions are drawn at the hands, with one row of the sheet per category."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from support.oracle_network import perfect_prediction
from support.small_network import small_network
from torch import nn

from lgnet_core.data.augmentation import resize
from lgnet_core.data.sample import HandsGroundTruth, joints_inside
from lgnet_core.evaluation.comparison import compare, place_wrists
from lgnet_core.evaluation.datasets.factory import DatasetConfig, open_images
from lgnet_core.evaluation.report.prediction_sheet import (
    TILE_SIZE,
    TILES_PER_CATEGORY,
    WorstImages,
    draw_prediction,
    draw_predictions,
    write_sheet,
)
from lgnet_core.network import HandLGNetConfig
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import write_shards
from lgnet_core.types import Side
from lgnet_core.visualization.drawing import SIDE_COLOURS


class RightHandOnly(nn.Module):
    """Presence head that reports a right hand in every image, and no left one."""

    def forward(self, means: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[[9.0], [-9.0]]]).expand(len(means), 2, 1)


ORANGE, BLUE = (np.array(colour) for colour in SIDE_COLOURS)


def test_reported_hand_is_drawn(hand_model):
    batch = SyntheticHands(2, hand_model).crops(torch.arange(2), 128)
    network = small_network(hand_model)
    network.presence = RightHandOnly()
    drawings = draw_predictions(network, batch, HandsGroundTruth.of(batch, hand_model), 64)
    for image, drawn in zip(batch.image.permute(0, 2, 3, 1).numpy(), drawings, strict=True):
        assert drawn.shape == (128, 128, 3)
        assert (drawn == ORANGE).all(-1).sum() > 30
        assert not (drawn == BLUE).all(-1).any()
        assert (drawn == image).all(-1).any()


@pytest.mark.parametrize("size", [64, 128])
def test_perfect_prediction_is_drawn_on_the_hands(hand_model, size):
    """Also if the network's input has another size than the drawing."""
    batch = SyntheticHands(2, hand_model).crops(torch.arange(12), 128)
    input_batch = resize(batch, size)
    drawings = draw_prediction(perfect_prediction(input_batch, hand_model), input_batch, batch, hand_model)
    labels = batch.labels(hand_model)
    pixels, inside = labels.joints_2d.numpy(), joints_inside(batch, labels).all(-1)
    assert inside.sum() > 8
    for k, drawn in enumerate(drawings):
        for side, colour in zip(Side, (ORANGE, BLUE)):
            marked = np.argwhere((drawn == colour).all(-1))[:, ::-1]
            assert batch.presence[k, side] or not len(marked)
            if inside[k, side]:
                distance = np.linalg.norm(pixels[k, side][:, None] - marked, axis=-1).min(1)
                assert np.median(distance) < 1.5  # some joints are covered by the other hand


def test_network_with_one_crop_per_hand(hand_model):
    """Also for a batch without hands."""
    network = small_network(hand_model, config=HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32))
    network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
    batch = SyntheticHands(2, hand_model).crops(torch.arange(8), 128)
    drawings = draw_predictions(network, batch, HandsGroundTruth.of(batch, hand_model), 128)
    seen = [[bool((drawn == colour).all(-1).any()) for colour in (ORANGE, BLUE)] for drawn in drawings]
    shown = batch.presence.tolist()
    assert all(present or not drawn for row in zip(seen, shown) for drawn, present in zip(*row))
    assert sum(map(sum, seen)) > 0.7 * int(batch.presence.sum())
    no_hands = batch.replace(presence=torch.zeros_like(batch.presence))
    for drawn in draw_predictions(network, no_hands, HandsGroundTruth.of(no_hands, hand_model), 128):
        assert not any((drawn == colour).all(-1).any() for colour in (ORANGE, BLUE))


def test_sheet_layout(hand_model, tmp_path):
    folder = write_shards(tmp_path / "set", SyntheticHands(8, hand_model), 12, 64, progress=False)
    images = open_images(DatasetConfig(str(folder)), hand_model)
    write_sheet(tmp_path / "sheet.png", small_network(hand_model), images, 64, torch.arange(12))
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    side = TILE_SIZE + 2
    category = images.read(torch.arange(12), 64).category
    present = sorted(set(category.tolist()))
    assert len(present) > 2
    assert sheet.shape == (len(present) * side, TILES_PER_CATEGORY * side, 3)
    for row, number in enumerate(present):
        tiles = [sheet[row * side : (row + 1) * side, k * side : (k + 1) * side] for k in range(TILES_PER_CATEGORY)]
        shown = sum(bool((tile < 250).any()) for tile in tiles)
        assert shown == min(int((category == number).sum()), TILES_PER_CATEGORY)


def test_worst_images_do_not_depend_on_batches(hand_model, tmp_path):
    """Equals sorting of all errors; images without hands do not count."""
    folder = write_shards(tmp_path / "set", SyntheticHands(8, hand_model), 24, 64, progress=False)
    network = small_network(hand_model).eval()
    worst, errors, images = WorstImages(count=5), [], []
    dataset = open_images(DatasetConfig(str(folder)), hand_model)
    for indices in torch.arange(24).split(7):
        read = dataset.read(indices, 64)
        with torch.no_grad():
            prediction = network(read.batch.image.float() / 255, read.batch.intrinsics)
        comparison = compare(prediction, place_wrists(prediction, read.batch), read.batch, read.truth)
        worst.update(comparison, read)
        for k in range(len(indices)):
            of_hands = [
                float((comparison.joints[k, side] - comparison.true_joints[k, side]).norm(dim=-1).mean())
                for side in range(2)
                if read.batch.presence[k, side]
            ]
            if of_hands:
                errors.append(max(of_hands))
                images.append(read.batch.image[k])
    order = np.argsort(errors)[::-1][:5]
    np.testing.assert_allclose(worst.errors, np.array(errors)[order], rtol=1e-5)
    assert all(torch.equal(image, images[k]) for image, k in zip(worst.batch.image, order))
    worst.write(tmp_path / "worst.png", network, 64)
    assert cv2.imread(str(tmp_path / "worst.png")).shape[0] == TILE_SIZE + 2
