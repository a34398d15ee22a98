"""Pictures of where a network looks."""

import cv2
import numpy as np
import pytest
import torch
from small_network import SMALL, small_network
from torch.nn import functional
from typer.testing import CliRunner

from lgnet_core.checkpoint import save_network
from lgnet_core.cli import app
from lgnet_core.drawing import draw_share
from lgnet_core.inference import HandEstimator, Region, RegionDetector
from lgnet_core.inference.attention import TILE, AttentionView
from lgnet_core.inference.detection import TrainedDetector
from lgnet_core.inference.eager import EagerEngine
from lgnet_core.network import LGNetConfig, LookedAt
from lgnet_core.types import Camera, Side

STEP = TILE + 2  # with the line between two tiles
CAMERA = Camera(np.array([[200.0, 0, 79.5], [0, 200, 59.5], [0, 0, 1]]), 160, 120)


class FixedRegions(RegionDetector):
    """Looks at the same places of every picture."""

    def __init__(self, *boxes):
        self.regions = [Region(np.array(box, float), tuple(Side)) for box in boxes]

    def find(self, image, camera):
        return self.regions


def view(hand_model, *boxes, config=SMALL):
    network = small_network(hand_model, config=config)
    estimator = HandEstimator(
        EagerEngine(network, "cpu", inputs=network.example_inputs(64)), hand_model, FixedRegions(*boxes)
    )
    return AttentionView(network, estimator)


def picture():
    return np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)


@pytest.mark.parametrize("camera", [None, CAMERA])
def test_a_sheet_for_each_crop(hand_model, camera):
    """The crop and the eight looks of LGNet, three in a row; two crops stand under each other."""
    one = view(hand_model, (20, 20, 100, 100)).draw(picture(), camera)
    two = view(hand_model, (20, 20, 100, 100), (60, 30, 120, 90)).draw(picture(), camera)
    assert one.shape == (3 * STEP, 3 * STEP, 3)
    assert two.shape == (6 * STEP, 3 * STEP, 3)


def test_each_crop_has_its_own_attention(hand_model):
    """Of a network that looks where its crop is bright: two crops are drawn as each alone."""

    def looking_at(*boxes):
        looking = view(hand_model, *boxes)
        looking.network.looked_at = lambda image, _: [LookedAt("light", functional.avg_pool2d(image.mean(1), 8))]
        return looking.draw(picture()).astype(int)

    boxes = (20, 20, 100, 100), (60, 30, 120, 90)
    alone = [looking_at(box) for box in boxes]
    assert np.array_equal(looking_at(*boxes), np.vstack(alone))
    tiles = [sheet[:TILE, STEP : STEP + TILE] for sheet in alone]
    assert np.abs(tiles[0] - tiles[1]).mean() > 10


def test_it_draws_what_the_network_attends_to(hand_model):
    """The tile of a part is its share, drawn over the crop that the estimator cuts."""
    looking = view(hand_model, (20, 20, 100, 100))
    crops = looking.estimator.cut(picture(), None, looking.estimator.detector.regions)
    crop = cv2.resize(np.rint(crops.images[0].transpose(1, 2, 0) * 255).astype(np.uint8), (TILE, TILE))
    with torch.no_grad():
        looks = looking.network.looked_at(torch.from_numpy(crops.images), torch.from_numpy(crops.intrinsics))
    sheet = looking.draw(picture())
    assert np.array_equal(sheet[:TILE, :TILE], crop)
    for k, look in enumerate(looks, 1):
        row, column = k // 3 * STEP, k % 3 * STEP
        tile = draw_share(crop, look.share[0].numpy(), look.part)
        assert np.array_equal(sheet[row : row + TILE, column : column + TILE], tile), look.part


def test_where_nothing_is_looked_for_nothing_is_drawn(hand_model):
    assert view(hand_model).draw(picture()) is None
    without = LGNetConfig(backbone="efficientnet_lite0", channels=16, self_joint_depth=1, lgblock=False)
    assert view(hand_model, (20, 20, 100, 100), config=without).draw(picture()) is None


def test_a_share_is_bright_where_it_is_large():
    image = np.full((160, 160, 3), 128, np.uint8)
    share = np.zeros((8, 8))
    share[2, 5] = 1.0
    drawn = draw_share(image, share, "x").astype(int).sum(-1)
    assert drawn[50, 110] > 2 * drawn[120, 30]
    brightest = np.unravel_index(drawn[20:140].argmax(), (120, 160))
    assert abs(brightest[0] + 20 - 50) <= 10
    assert abs(brightest[1] - 110) <= 10
    assert (image == 128).all()


def test_the_command_writes_it_beside_the_overlay(hand_model, tmp_path, monkeypatch):
    """Of the network whose weights are named, wherever the detector looks."""
    network = small_network(hand_model)
    save_network(tmp_path / "w.safetensors", network, {"size": 64})
    cv2.imwrite(str(tmp_path / "a.png"), cv2.cvtColor(picture(), cv2.COLOR_RGB2BGR))
    box = (20, 20, 100, 100)
    monkeypatch.setattr(TrainedDetector, "find", lambda *_: FixedRegions(box).regions)
    options = f"-w {tmp_path}/w.safetensors --engine eager --device cpu --attention"
    result = CliRunner().invoke(app, ["predict", f"{tmp_path}/a.png", "-o", f"{tmp_path}/out", *options.split()])
    assert result.exit_code == 0, result.output
    drawn = cv2.cvtColor(cv2.imread(str(tmp_path / "out" / "a_attention.png")), cv2.COLOR_BGR2RGB)
    assert np.array_equal(drawn, view(hand_model, box).draw(picture()))
    assert (tmp_path / "out" / "a_overlay.png").exists()
