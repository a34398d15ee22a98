"""Regions found by the network's own first and second look."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scene import SceneEngine, make_scene

from lgnet_core.inference import WholePictureDetector
from lgnet_core.inference.detection import MOST_CROPS, TrainedDetector
from lgnet_core.inference.regions import box_of_hand, box_to_follow
from lgnet_core.network.region_net import REACH_UNIT, REGION_IMAGE_SIZE, STRIDE, RegionMaps
from lgnet_core.types import Camera, Side

CAMERA = Camera(np.array([[610.0, 0, 331.0], [0, 560.0, 228.0], [0, 0, 1]]), 640, 480)


def wrist(u: float, v: float, depth: float) -> np.ndarray:
    return np.append(np.linalg.inv(CAMERA.matrix[:2, :2]) @ ([u, v] - CAMERA.matrix[:2, 2]) * depth, depth)


@given(seed=st.integers(0, 2**16), side=st.sampled_from(Side), depth=st.floats(0.4, 1.2))
def test_one_hand_is_boxed(hand_model, seed, side, depth):
    place = wrist(320, 240, depth)
    scene = make_scene(hand_model, CAMERA, np.stack([place, place]), tuple(s is side for s in Side), seed)
    engine = SceneEngine(scene)
    (region,) = WholePictureDetector(engine).find(scene.picture, CAMERA)
    assert region.sides == (side,)
    np.testing.assert_allclose(region.box, box_to_follow(box_of_hand(scene.pixels[side])), atol=0.1)
    assert len(engine.batches) == 2  # two looks


def test_near_hands_share_a_region_and_far_ones_do_not(hand_model):
    for places, count in (((300, 360), 1), ((120, 520), 2)):
        scene = make_scene(hand_model, CAMERA, np.stack([wrist(u, 240, 0.9) for u in places]), (True, True))
        regions = WholePictureDetector(SceneEngine(scene)).find(scene.picture, CAMERA)
        assert len(regions) == count
        assert sorted(side for region in regions for side in region.sides) == [Side.RIGHT, Side.LEFT]
        low = np.min([region.box[:2] for region in regions], 0)
        boxes = [box_to_follow(box_of_hand(hand)) for hand in scene.pixels]
        np.testing.assert_allclose(low, np.min(boxes, 0)[:2], atol=0.1)


def test_an_empty_picture_costs_one_look(hand_model):
    scene = make_scene(hand_model, CAMERA, np.stack([wrist(320, 240, 0.6)] * 2), (False, False))
    engine = SceneEngine(scene)
    assert WholePictureDetector(engine).find(scene.picture, CAMERA) == []
    assert engine.batches == [1]


@pytest.mark.parametrize("doubt", [-0.5, -2.0])
def test_the_second_look_decides(hand_model, doubt):
    """A hand that only the first look believes in is dropped."""
    scene = make_scene(hand_model, CAMERA, np.stack([wrist(320, 240, 0.6)] * 2), (True, False))

    class Doubting(SceneEngine):
        def __call__(self, images, intrinsics):
            answer = super().__call__(images, intrinsics)
            logits = answer.presence_logits.clamp(max=doubt)
            return answer._replace(presence_logits=logits)

    engine = Doubting(scene)
    assert WholePictureDetector(engine).find(scene.picture, CAMERA) == []
    assert len(engine.batches) == (2 if doubt == -0.5 else 1)


def test_the_trained_detector_speaks_of_the_picture():
    """Letter-boxing, decoding and the way back, with a net that sees hands in a given cell."""

    class OneRegion(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> RegionMaps:
            cells = image.shape[-1] // STRIDE
            logits = torch.full((1, cells, cells), -9.0)
            logits[0, 10, 14] = 9.0
            return RegionMaps(logits, torch.full((1, 4, cells, cells), 32 / REACH_UNIT))

    picture = np.zeros((480, 640, 3), np.uint8)
    (region,) = TrainedDetector(OneRegion()).find(picture, None)
    assert region.sides == (Side.RIGHT, Side.LEFT)
    assert region.looks[0] == 1
    assert len(region.looks) == 2
    assert min(region.looks) >= 1, "hands are lost in crops that are tighter than training's"
    ((box, score),) = region.detected
    np.testing.assert_array_equal(box, region.box)
    assert score == pytest.approx(1 / (1 + np.exp(-9)))
    scale = 640 / REGION_IMAGE_SIZE
    centre = (np.array([14, 10]) + 0.5) * STRIDE * scale - 0.5 - [0, 80]  # 80 black rows above the picture
    np.testing.assert_allclose(region.box, [*(centre - 80), *(centre + 80)], atol=1e-3)


def test_hands_near_each_other_share_a_region():
    class TwoHands(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> RegionMaps:
            cells = image.shape[-1] // STRIDE
            logits = torch.full((1, cells, cells), -9.0)
            logits[0, 12, 8], logits[0, 12, 14] = 9.0, 8.0
            return RegionMaps(logits, torch.full((1, 4, cells, cells), 2.5 * STRIDE / REACH_UNIT))

    (region,) = TrainedDetector(TwoHands()).find(np.zeros((480, 640, 3), np.uint8), None)
    scale = 640 / REGION_IMAGE_SIZE
    left, right, middle = (8 + 0.5 - 2.5) * STRIDE, (14 + 0.5 + 2.5) * STRIDE, (12 + 0.5) * STRIDE
    corners = np.array([left, middle - 2.5 * STRIDE, right, middle + 2.5 * STRIDE]) * scale - 0.5 - [0, 80, 0, 80]
    np.testing.assert_allclose(region.box, corners, atol=1e-3)
    assert region.sides == (Side.RIGHT, Side.LEFT)
    assert len(region.looks) == 2
    assert [hand.score for hand in region.detected] == pytest.approx([1 / (1 + np.exp(-x)) for x in (9, 8)])


def test_a_third_hand_has_a_region_of_its_own():
    """However near: a person has two."""

    class ThreeHands(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> RegionMaps:
            cells = image.shape[-1] // STRIDE
            logits = torch.full((1, cells, cells), -9.0)
            logits[0, 12, 8], logits[0, 12, 20], logits[0, 12, 14], logits[0, 20, 14] = 3.0, 1.0, 2.0, 0.5
            return RegionMaps(logits, torch.full((1, 4, cells, cells), 2.5 * STRIDE / REACH_UNIT))

    pair, third = TrainedDetector(ThreeHands()).find(np.zeros((480, 640, 3), np.uint8), None)
    assert [hand.score for hand in (*pair.detected, *third.detected)] == pytest.approx(
        [1 / (1 + np.exp(-x)) for x in (3, 2, 1)]
    )
    crops = sum(len(region.crops(128)) for region in (pair, third))
    assert crops + len(Side) == MOST_CROPS, "what the estimator warms up for, with two followed hands elsewhere"
