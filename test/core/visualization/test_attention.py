"""Drawings of where a network attends, of networks of one crop of both hands and of one crop per hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from support.small_network import SMALL, small_network
from torch.nn import functional
from typer.testing import CliRunner

from lgnet_core.cli.app import app
from lgnet_core.data.clip import Clip, read_clip
from lgnet_core.geometry.camera import warp
from lgnet_core.inference import HandEstimator
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.network import AttentionMap, HandLGNetConfig, LGNetConfig
from lgnet_core.network.checkpoint import save_network
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.types import Side
from lgnet_core.visualization.attention import TILE, AttentionView
from lgnet_core.visualization.drawing import draw_heatmap, write_png

STEP = TILE + 2  # with the line between two tiles
SMALL_HAND = HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32, regressor_depth=1)
CONFIGS = {"pair": SMALL, "hand": SMALL_HAND}


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Both hands in the first frame, the right one in the last."""
    return read_clip()


def view(hand_model, config):
    """The landmark network has its own weights, so that hands are found; all else is random."""
    network = small_network(hand_model, config=config)
    if isinstance(config, HandLGNetConfig):
        network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
    return AttentionView(network, HandEstimator.of_network(network, "eager", "cpu", size=64))


def observed(estimator, image, camera):
    watch = Stopwatch()
    found = estimator.detector.detect(image, camera, estimator.thresholds, watch)
    return estimator.associate(image, camera, found, watch)


def tiles(sheet, row=0):
    """The tiles of one crop, row by row: three rows of three for the pair's nine, and for seven of a hand's."""
    rows = range(row * 3, row * 3 + 3)
    return [sheet[r * STEP : r * STEP + TILE, c * STEP : c * STEP + TILE] for r in rows for c in range(3)]


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize(("kind", "crops"), [("pair", 1), ("hand", 2)])
def test_a_sheet_for_each_crop(hand_model, clip, kind, crops, calibrated):
    """The crop and what each part attends to, three in a row; two crops stand under each other."""
    drawn = view(hand_model, CONFIGS[kind]).draw(clip.frames[0], clip.camera if calibrated else None)
    assert drawn.shape == (crops * 3 * STEP, 3 * STEP, 3)


@pytest.mark.parametrize(
    ("kind", "frame", "sides"), [("pair", 0, [None]), ("hand", 0, Side), ("hand", -1, [Side.RIGHT])]
)
def test_it_draws_what_the_network_attends_to(hand_model, clip, kind, frame, sides):
    """In each crop, warped anew here; left hands' are mirrored, and one that is not there has none."""
    looking, image = view(hand_model, CONFIGS[kind]), clip.frames[frame]
    hands = observed(looking.estimator, image, clip.camera)
    inputs = looking.estimator.reconstructor.network_inputs(image, clip.camera, hands)
    with torch.no_grad():
        looks = looking.network.attention_maps(*map(torch.from_numpy, inputs))
    sheet = looking.draw(image, clip.camera)
    assert len(sheet) == 3 * STEP * len(sides)
    for row, side in enumerate(sides):
        if side is None:
            crop = np.rint(inputs[0][0].transpose(1, 2, 0) * 255).astype(np.uint8)
        else:
            crop = warp(image, hands[side].affine, 224)
            assert (np.linalg.det(hands[side].affine[:, :2]) < 0) == (side is Side.LEFT)
        crop = cv2.resize(crop, (TILE, TILE))
        shown, *parts = tiles(sheet, row)
        assert np.abs(shown.astype(int) - crop).max() <= 1
        for look, tile in zip(looks, parts):
            share = look.share[0 if side is None else side].numpy()
            assert np.array_equal(tile, draw_heatmap(shown.copy(), share, look.part)), look.part


def test_each_crop_has_its_own_attention(hand_model, clip):
    """Of a network that attends to where its crop is bright."""
    looking = view(hand_model, SMALL_HAND)
    looking.network.attention_maps = lambda images, *_: [
        AttentionMap("light", functional.avg_pool2d(images[0].mean(1), 8))
    ]
    sheet = looking.draw(clip.frames[0], clip.camera)
    for half in np.split(sheet, 2):
        shown, drawn = half[:TILE, :TILE], half[:TILE, STEP : STEP + TILE]
        light = cv2.resize(shown, (224, 224)).mean(-1).reshape(28, 8, 28, 8).mean((1, 3))
        bright = cv2.resize(drawn, (224, 224)).mean(-1).reshape(28, 8, 28, 8).mean((1, 3))
        assert np.corrcoef(light[4:].ravel(), bright[4:].ravel())[0, 1] > 0.8  # less the title


def test_where_no_hand_is_found_and_of_a_network_without_attention_nothing_is_drawn(hand_model, clip):
    assert view(hand_model, SMALL).draw(np.full((120, 160, 3), 90, np.uint8)) is None
    without = LGNetConfig(backbone="efficientnet_lite0", channels=16, self_joint_depth=1, lgblock=False)
    assert view(hand_model, without).draw(clip.frames[0], clip.camera) is None


def test_a_share_is_bright_where_it_is_large():
    image = np.full((160, 160, 3), 128, np.uint8)
    share = np.zeros((8, 8))
    share[2, 5] = 1.0
    drawn = draw_heatmap(image, share, "x").astype(int).sum(-1)
    assert drawn[50, 110] > 2 * drawn[120, 30]
    brightest = np.unravel_index(drawn[20:140].argmax(), (120, 160))
    assert abs(brightest[0] + 20 - 50) <= 10
    assert abs(brightest[1] - 110) <= 10
    assert (image == 128).all()


def test_the_command_writes_it_beside_the_overlay(hand_model, clip, tmp_path):
    """Of the network whose weights are named."""
    save_network(tmp_path / "w.safetensors", small_network(hand_model), {"size": 64})
    write_png(tmp_path / "a.png", clip.frames[0])
    options = f"-w {tmp_path}/w.safetensors --engine eager --device cpu --attention"
    result = CliRunner().invoke(app, ["predict", f"{tmp_path}/a.png", "-o", f"{tmp_path}/out", *options.split()])
    assert result.exit_code == 0, result.output
    drawn = cv2.cvtColor(cv2.imread(str(tmp_path / "out" / "a_attention.png")), cv2.COLOR_BGR2RGB)
    assert np.array_equal(drawn, view(hand_model, SMALL).draw(clip.frames[0]))
    assert (tmp_path / "out" / "a_overlay.png").exists()
