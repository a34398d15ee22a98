"""Predictions are drawn where the hands are, a row of the sheet for each category."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from support.perfect import perfect
from support.small_network import small_network
from torch import nn

from lgnet_core.data.augmentation import resize
from lgnet_core.data.sample import HandsTruth, joints_inside
from lgnet_core.evaluation.comparison import compare, place
from lgnet_core.evaluation.prediction_sheet import (
    DRAWN_SIZE,
    OF_EACH,
    WorstImages,
    draw_prediction,
    overlays,
    write_sheet,
)
from lgnet_core.evaluation.sets import Choice, open_images
from lgnet_core.network import HandLGNetConfig
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import write_shards
from lgnet_core.types import Side
from lgnet_core.visualization.drawing import SIDE_COLOURS


class RightHandOnly(nn.Module):
    """In place of a network's presence: a right hand in every image, and no left one."""

    def forward(self, means: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[[9.0], [-9.0]]]).expand(len(means), 2, 1)


ORANGE, BLUE = (np.array(colour) for colour in SIDE_COLOURS)


def test_the_hand_that_is_reported_is_drawn(hand_model):
    batch = SyntheticHands(2, hand_model).crops(torch.arange(2), 128)
    network = small_network(hand_model)
    network.presence = RightHandOnly()
    drawings = overlays(network, batch, HandsTruth.of(batch, hand_model), 64)
    for image, drawn in zip(batch.image.permute(0, 2, 3, 1).numpy(), drawings, strict=True):
        assert drawn.shape == (128, 128, 3)
        assert (drawn == ORANGE).all(-1).sum() > 30
        assert not (drawn == BLUE).all(-1).any()
        assert (drawn == image).all(-1).any()


@pytest.mark.parametrize("size", [64, 128])
def test_a_true_prediction_is_drawn_where_the_hands_are(hand_model, size):
    """Also where it was made from images of another size than is drawn on."""
    batch = SyntheticHands(2, hand_model).crops(torch.arange(12), 128)
    given = resize(batch, size)
    drawings = draw_prediction(perfect(given, hand_model), given, batch, hand_model)
    labels = batch.labels(hand_model)
    pixels, inside = labels.joints_2d.numpy(), joints_inside(batch, labels).all(-1)
    assert inside.sum() > 8
    for k, drawn in enumerate(drawings):
        for side, colour in zip(Side, (ORANGE, BLUE)):
            marked = np.argwhere((drawn == colour).all(-1))[:, ::-1]
            assert batch.presence[k, side] or not len(marked)
            if inside[k, side]:
                distance = np.linalg.norm(pixels[k, side][:, None] - marked, axis=-1).min(1)
                assert np.median(distance) < 1.5  # labels and the other hand hide some


def test_networks_of_one_crop_per_hand_are_drawn_too(hand_model):
    """Also where no image of the batch shows a hand."""
    network = small_network(hand_model, config=HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32))
    network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
    batch = SyntheticHands(2, hand_model).crops(torch.arange(8), 128)
    drawings = overlays(network, batch, HandsTruth.of(batch, hand_model), 128)
    seen = [[bool((drawn == colour).all(-1).any()) for colour in (ORANGE, BLUE)] for drawn in drawings]
    shown = batch.presence.tolist()
    assert all(there or not drawn for row in zip(seen, shown) for drawn, there in zip(*row))
    assert sum(map(sum, seen)) > 0.7 * int(batch.presence.sum())
    nobody = batch.replace(presence=torch.zeros_like(batch.presence))
    for drawn in overlays(network, nobody, HandsTruth.of(nobody, hand_model), 128):
        assert not any((drawn == colour).all(-1).any() for colour in (ORANGE, BLUE))


def test_sheet(hand_model, tmp_path):
    folder = write_shards(tmp_path / "set", SyntheticHands(8, hand_model), 12, 64, progress=False)
    images = open_images(Choice(str(folder)), hand_model)
    write_sheet(tmp_path / "sheet.png", small_network(hand_model), images, 64, torch.arange(12))
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    side = DRAWN_SIZE + 2
    category = images.read(torch.arange(12), 64).category
    there = sorted(set(category.tolist()))
    assert len(there) > 2
    assert sheet.shape == (len(there) * side, OF_EACH * side, 3)
    for row, number in enumerate(there):
        tiles = [sheet[row * side : (row + 1) * side, k * side : (k + 1) * side] for k in range(OF_EACH)]
        shown = sum(bool((tile < 250).any()) for tile in tiles)
        assert shown == min(int((category == number).sum()), OF_EACH)


def test_the_worst_images_are_kept_in_any_batches(hand_model, tmp_path):
    """Against a sort of all errors; images without hands do not count."""
    folder = write_shards(tmp_path / "set", SyntheticHands(8, hand_model), 24, 64, progress=False)
    network = small_network(hand_model).eval()
    worst, errors, images = WorstImages(count=5), [], []
    images = open_images(Choice(str(folder)), hand_model)
    for indices in torch.arange(24).split(7):
        read = images.read(indices, 64)
        with torch.no_grad():
            prediction = network(read.batch.image.float() / 255, read.batch.intrinsics)
        outcome = compare(prediction, place(prediction, read.batch), read.batch, read.truth)
        worst.update(outcome, read)
        for k in range(len(indices)):
            of_hands = [
                float((outcome.joints[k, side] - outcome.true_joints[k, side]).norm(dim=-1).mean())
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
    assert cv2.imread(str(tmp_path / "worst.png")).shape[0] == DRAWN_SIZE + 2
