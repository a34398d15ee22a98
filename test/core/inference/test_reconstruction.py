"""From observations to hands by networks of either kind: what they are given, and the way back to the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.scene import make_scene, point_at
from support.scripted_engines import CAMERA, LENS, Script, coordinate_image, script_of
from support.small_network import small_network

from lgnet_core.engines.eager import EagerEngine
from lgnet_core.geometry.camera import crop_intrinsics, grid_to_pixels, square_crop, transform_points, warp
from lgnet_core.inference.crops import cut
from lgnet_core.inference.estimator import HandEstimator
from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.reconstruction import HAND_OUTLINE, PAIR_MARGIN, HandReconstructor, PairReconstructor
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.network import LGNetConfig
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE
from lgnet_core.network.per_hand.stages import HandStages
from lgnet_core.network.prediction import StackedHands
from lgnet_core.types import Camera, Side

BOTH, RIGHT, LEFT = (True, True), (True, False), (False, True)


@pytest.fixture(scope="module")
def observed(hand_model):
    """A script, and what is observed and associated of its hands; by the sides that are there and the camera."""

    def observe(presence=BOTH, camera: Camera = CAMERA) -> tuple[Script, dict[Side, HandObservation]]:
        wrists = np.stack([point_at(80, 100, 0.55, camera), point_at(165, 95, 0.6, camera)])
        script = script_of(hand_model, make_scene(hand_model, camera, wrists, presence, seed=4))
        estimator, watch = script.estimator(), Stopwatch()
        found = script.detector.detect(coordinate_image(), camera, estimator.thresholds, watch)
        return script, estimator.associate(coordinate_image(), camera, found, watch)

    return observe


class Recorder(EagerEngine):
    """Keeps what it was given."""

    def __call__(self, *inputs):
        self.inputs = inputs
        return super().__call__(*inputs)


@pytest.mark.parametrize("presence", [BOTH, RIGHT, LEFT])
def test_hands_come_back_relative_to_their_wrists(observed, presence):
    script, hands = observed(presence)
    found = HandReconstructor(script.stages)(coordinate_image(), CAMERA, hands, Stopwatch())
    scene = script.scene
    assert list(found) == [side for side in Side if presence[side]]
    for side, hand in found.items():
        wrist = scene.joints[side, :1]
        np.testing.assert_allclose(hand.joints, scene.joints[side] - wrist, atol=1e-6)
        np.testing.assert_allclose(hand.vertices, scene.vertices[side] - wrist, atol=1e-6)
        np.testing.assert_allclose(hand.rotations, scene.rotations[side], atol=1e-6)
        np.testing.assert_allclose(hand.std, 0.005, atol=1e-6)
        np.testing.assert_allclose(hand.pixels, scene.pixels[side], atol=0.05)
    if presence == BOTH:
        np.testing.assert_allclose(
            found.relative_translation, scene.joints[Side.LEFT, 0] - scene.joints[Side.RIGHT, 0], atol=1e-6
        )
    else:
        assert found.relative_translation is None


@pytest.mark.parametrize("camera", [CAMERA, LENS], ids=["pinhole", "distorted"])
def test_the_stages_draw_the_hands_where_they_are_seen(observed, camera):
    """By the intrinsics that they are given: exactly, or to first order where the lens distorts."""
    script, hands = observed(BOTH, camera)
    HandReconstructor(script.stages)(coordinate_image(), camera, hands, Stopwatch())
    assert script.stages.misfit < (0.2 if camera is CAMERA else 8.0)


@pytest.mark.parametrize(("presence", "given"), [(BOTH, (1, 1)), (RIGHT, (1, 0)), (LEFT, (0, 1))])
def test_the_stages_are_given_the_hands_that_are_there_alone(observed, presence, given):
    """Features, cameras and frames as they were observed, in single precision."""
    script, hands = observed(presence)
    seen: list[np.ndarray] = []

    class Recording(type(script.stages)):
        def __call__(self, *inputs):
            seen.extend(inputs)
            return super().__call__(*inputs)

    engine = Recording(script.scene)
    HandReconstructor(engine)(coordinate_image(), CAMERA, hands, Stopwatch())
    assert engine.given == [given]
    named = dict(zip(HandStages.INPUTS, seen, strict=True))
    assert named.pop("other").tolist() == ([1, 0] if presence == BOTH else [0])
    for k, side in enumerate(sorted(hands)):
        hand = hands[side]
        for name, value in named.items():
            own = {"intrinsics": hand.intrinsics, "frames": hand.frame}.get(name)
            expected = getattr(hand.features, name).numpy() if own is None else own.astype(np.float32)
            np.testing.assert_array_equal(value[k], expected, err_msg=name)


@pytest.mark.parametrize("field", ["joints", "vertices", "rotations", "shape", "joints_grid", "joint_log_variance"])
def test_a_hand_that_is_not_finite_was_not_reconstructed(observed, field):
    script, hands = observed()

    class Overflowing(type(script.stages)):
        def __call__(self, *inputs) -> StackedHands:
            prediction = super().__call__(*inputs)
            getattr(prediction, field)[Side.RIGHT] = torch.nan
            return prediction

    found = HandReconstructor(Overflowing(script.scene))(coordinate_image(), CAMERA, hands, Stopwatch())
    assert list(found) == [Side.LEFT]
    assert found.relative_translation is None


def test_a_relation_that_is_not_finite_is_none(observed):
    script, hands = observed()

    class Overflowing(type(script.stages)):
        def __call__(self, *inputs) -> StackedHands:
            prediction = super().__call__(*inputs)
            return prediction._replace(to_other=prediction.to_other * torch.nan)

    found = HandReconstructor(Overflowing(script.scene))(coordinate_image(), CAMERA, hands, Stopwatch())
    assert list(found) == list(Side)
    assert found.relative_translation is None


@pytest.fixture(scope="module")
def pair_engine(hand_model) -> Recorder:
    """A network of the paper's kind, small, with random weights."""
    network = small_network(hand_model, config=LGNetConfig("efficientnet_lite0", channels=8, self_joint_depth=1))
    return Recorder(network, "cpu", inputs=network.example_inputs(64))


@pytest.mark.parametrize("presence", [BOTH, LEFT])
@pytest.mark.parametrize("camera", [CAMERA, LENS], ids=["pinhole", "distorted"])
def test_a_network_of_one_crop_sees_the_union_of_both_hands(observed, pair_engine, presence, camera):
    """Against its direct computation: the box around all joints and outlines, its crop, its camera, and back."""
    _, hands = observed(presence, camera)
    image = coordinate_image()
    found = PairReconstructor(pair_engine)(image, camera, hands, Stopwatch())

    corners = []
    for hand in hands.values():
        outline = HAND_OUTLINE * np.ptp(hand.joints, axis=0).max()
        corners += [hand.joints.min(0) - outline, hand.joints.max(0) + outline]
    low, high = np.min(corners, 0), np.max(corners, 0)
    side = (high - low).max() * PAIR_MARGIN
    scale = 64 / side
    affine = np.array([[scale, 0, 31.5], [0, scale, 31.5]]) - np.pad(
        (scale * (low + high) / 2)[:, None], ((0, 0), (2, 0))
    )
    crop, intrinsics = (value[0] for value in pair_engine.inputs)
    np.testing.assert_allclose(crop, warp(image, affine, 64).transpose(2, 0, 1) / 255, atol=1.01 / 255)
    if camera is CAMERA:
        np.testing.assert_allclose(intrinsics[:2], affine @ camera.matrix, rtol=1e-5)

    prediction = pair_engine.network(*(torch.from_numpy(value) for value in pair_engine.inputs))
    assert list(found) == list(hands)
    for side, hand in found.items():
        np.testing.assert_allclose(hand.joints, prediction.joints[0, side].detach(), atol=1e-6)
        np.testing.assert_allclose(hand.rotations, prediction.rotations[0, side].detach(), atol=1e-6)
        pixels = grid_to_pixels(prediction.joints_grid[0, side, :, :2].detach(), 64, 2).double().numpy()
        np.testing.assert_allclose(transform_points(affine, hand.pixels), pixels, atol=1e-3)
    relative = prediction.relative_translation[0].detach().numpy()
    if presence == BOTH:
        np.testing.assert_allclose(found.relative_translation, relative, atol=1e-6)
    else:
        assert found.relative_translation is None


@pytest.mark.parametrize("presence", [BOTH, LEFT])
def test_inputs_of_the_whole_network(observed, pair_engine, presence):
    """Crops first: what the engines are given, and black where a hand is absent."""
    script, hands = observed(presence)
    image, size = coordinate_image(), HAND_CROP_SIZE
    crops, _, _, given = HandReconstructor(script.stages).network_inputs(image, CAMERA, hands)
    assert crops.shape == (1, 2, 3, size, size)
    assert given.tolist() == [[float(side in hands) for side in Side]]
    for side in Side:
        assert (side in hands) == crops[0, side].any()
        if side in hands:
            np.testing.assert_array_equal(crops[0, side], cut(image, hands[side].affine[None], size)[0])
    reconstructor = PairReconstructor(pair_engine)
    reconstructor(image, CAMERA, hands, Stopwatch())
    for mine, theirs in zip(reconstructor.network_inputs(image, CAMERA, hands), pair_engine.inputs, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_crops_of_pairs_have_the_cameras_axes():
    """An upright crop's camera is not turned, so nothing has to be turned back."""
    affine = square_crop(np.array([10.0, 20, 60, 90]), 64, PAIR_MARGIN)
    np.testing.assert_allclose(crop_intrinsics(affine, CAMERA.matrix)[1], np.eye(3))


def test_an_estimator_takes_the_reconstructor_of_its_network(hand_model, pair_engine, monkeypatch):
    """Networks of one crop run beside the bundled detector and landmark network."""
    made: dict[str, object] = {}

    def make(network, engine, device, threads, inputs=None):
        made[type(network).__name__] = inputs
        return pair_engine

    monkeypatch.setattr("lgnet_core.inference.estimator.make_engine", make)
    estimator = HandEstimator.of_network(pair_engine.network, size=64)
    assert isinstance(estimator.reconstructor, PairReconstructor)
    assert list(made) == ["PalmDetector", "HandLandmarkNet", "LGNet"]
    assert made["LGNet"][0].shape[-1] == 64
    assert set(estimator.engines) == {"palms", "landmarks", "hands"}
