"""Attention heatmaps, for networks of one crop of both hands and of one crop per hand."""

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
from lgnet_core.geometry.crops import warp
from lgnet_core.inference import HandEstimator
from lgnet_core.inference.association import associate
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.exposure import normalise_exposure
from lgnet_core.network import AttentionMap, HandLGNetConfig, LGNetConfig
from lgnet_core.network.checkpoint import save_network
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.types import Side
from lgnet_core.visualization.attention import TILE_SIZE, AttentionView
from lgnet_core.visualization.drawing import draw_heatmap, write_png

STEP = TILE_SIZE + 2  # including the gap between two tiles
SMALL_HAND = HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32, regressor_depth=1)
CONFIGS = {"pair": SMALL, "hand": SMALL_HAND}


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Both hands in the first frame, the right one in the last."""
    return read_clip()


def make_view(hand_model, config):
    """The hand-landmark network has its own weights, so that hands are detected; everything else is random."""
    network = small_network(hand_model, config=config)
    if isinstance(config, HandLGNetConfig):
        network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
    return AttentionView(network, HandEstimator.from_network(network, "eager", "cpu", size=64))


def observe(estimator, image, camera):
    context = ImageContext.from_image(image, camera, estimator.thresholds)
    return context, associate(context, estimator.detector.detect(context), estimator.detector.observer)[0]


def tiles(sheet, row=0):
    """The tiles of one crop, in three rows of three: nine of a pair, or seven of a hand."""
    rows = range(row * 3, row * 3 + 3)
    return [sheet[r * STEP : r * STEP + TILE_SIZE, c * STEP : c * STEP + TILE_SIZE] for r in rows for c in range(3)]


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize(("kind", "crops"), [("pair", 1), ("hand", 2)])
def test_one_sheet_per_crop(hand_model, clip, kind, crops, calibrated):
    """Three tiles in a row; the sheets of two crops are stacked."""
    drawn = make_view(hand_model, CONFIGS[kind]).draw(clip.frames[0], clip.camera if calibrated else None)
    assert drawn.shape == (crops * 3 * STEP, 3 * STEP, 3)


@pytest.mark.parametrize(
    ("kind", "frame", "sides"), [("pair", 0, [None]), ("hand", 0, Side), ("hand", -1, [Side.RIGHT])]
)
def test_tiles_show_the_attention_maps(hand_model, clip, kind, frame, sides):
    """Over the crops, which are mirrored for left hands; an absent hand has no sheet."""
    view, image = make_view(hand_model, CONFIGS[kind]), clip.frames[frame]
    context, hands = observe(view.estimator, image, clip.camera)
    inputs = view.estimator.reconstructor.network_inputs(context, hands)
    with torch.no_grad():
        maps = view.network.attention_maps(*map(torch.from_numpy, inputs))
    sheet = view.draw(image, clip.camera)
    assert len(sheet) == 3 * STEP * len(sides)
    for row, side in enumerate(sides):
        if side is None:
            crop = np.rint(inputs[0][0].transpose(1, 2, 0) * 255).astype(np.uint8)
        else:
            crop = warp(image, hands[side].affine, 224)
            assert (np.linalg.det(hands[side].affine[:, :2]) < 0) == (side is Side.LEFT)
        crop = cv2.resize(crop, (TILE_SIZE, TILE_SIZE))
        crop_tile, *heatmaps = tiles(sheet, row)
        assert np.abs(crop_tile.astype(int) - crop).max() <= 1
        for attention, heatmap in zip(maps, heatmaps):
            weights = attention.weights[0 if side is None else side].numpy()
            assert np.array_equal(heatmap, draw_heatmap(crop_tile.copy(), weights, attention.name)), attention.name


def test_dark_images_are_brightened_as_for_the_estimate(hand_model, clip):
    """The network must show what it sees: the crops of the normalised image."""
    view, dark = make_view(hand_model, SMALL_HAND), (clip.frames[0] * 0.15).astype(np.uint8)
    bright = normalise_exposure(dark, view.estimator.thresholds)
    assert bright.mean() > 3 * dark.mean()
    assert np.array_equal(view.draw(dark, clip.camera), view.draw(bright, clip.camera))


def test_each_crop_has_its_own_heatmap(hand_model, clip):
    """With a network whose attention is the brightness of its crop."""
    view = make_view(hand_model, SMALL_HAND)
    view.network.attention_maps = lambda images, *_: [
        AttentionMap("brightness", functional.avg_pool2d(images[0].mean(1), 8))
    ]
    sheet = view.draw(clip.frames[0], clip.camera)
    for half in np.split(sheet, 2):
        crop_tile, heatmap = half[:TILE_SIZE, :TILE_SIZE], half[:TILE_SIZE, STEP : STEP + TILE_SIZE]
        of_crop, of_heatmap = (
            cv2.resize(tile, (224, 224)).mean(-1).reshape(28, 8, 28, 8).mean((1, 3)) for tile in (crop_tile, heatmap)
        )
        assert np.corrcoef(of_crop[4:].ravel(), of_heatmap[4:].ravel())[0, 1] > 0.8  # below the title


def test_nothing_is_drawn_without_hands_or_without_attention(hand_model, clip):
    assert make_view(hand_model, SMALL).draw(np.full((120, 160, 3), 90, np.uint8)) is None
    without = LGNetConfig(backbone="efficientnet_lite0", channels=16, self_joint_depth=1, lgblock=False)
    assert make_view(hand_model, without).draw(clip.frames[0], clip.camera) is None


def test_heatmaps_are_bright_where_weights_are_large():
    image = np.full((160, 160, 3), 128, np.uint8)
    weights = np.zeros((8, 8))
    weights[2, 5] = 1.0
    drawn = draw_heatmap(image, weights, "x").astype(int).sum(-1)
    assert drawn[50, 110] > 2 * drawn[120, 30]
    brightest = np.unravel_index(drawn[20:140].argmax(), (120, 160))
    assert abs(brightest[0] + 20 - 50) <= 10
    assert abs(brightest[1] - 110) <= 10
    assert (image == 128).all()


def test_predict_writes_attention_next_to_the_overlay(hand_model, clip, tmp_path):
    save_network(tmp_path / "w.safetensors", small_network(hand_model), {"size": 64})
    write_png(tmp_path / "a.png", clip.frames[0])
    options = f"-w {tmp_path}/w.safetensors --engine eager --device cpu --attention"
    result = CliRunner().invoke(app, ["predict", f"{tmp_path}/a.png", "-o", f"{tmp_path}/out", *options.split()])
    assert result.exit_code == 0, result.output
    drawn = cv2.cvtColor(cv2.imread(str(tmp_path / "out" / "a_attention.png")), cv2.COLOR_BGR2RGB)
    assert np.array_equal(drawn, make_view(hand_model, SMALL).draw(clip.frames[0]))
    assert (tmp_path / "out" / "a_overlay.png").exists()
