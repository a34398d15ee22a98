"""Reconstruction by networks of one crop per hand and of one crop of both: inputs, and conversion of the outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.scene import make_scene, point_at
from support.scripted_engines import CAMERA, LENS, Script, coordinate_image, script_of
from support.small_network import small_network

from lgnet_core.engines.eager import EagerEngine
from lgnet_core.geometry.affine import transform_points
from lgnet_core.geometry.coordinates import grid_to_pixels
from lgnet_core.geometry.crops import crop_intrinsics, square_crop, warp
from lgnet_core.inference.association import associate
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.crops import extract_crops
from lgnet_core.inference.estimator import HandEstimator
from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.reconstruction import JOINT_BOX_PADDING, PAIR_CROP_SCALE, HandReconstructor, PairReconstructor
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.network import LGNetConfig
from lgnet_core.network.per_hand.stages import HandStages
from lgnet_core.network.prediction import HAND_CROP_SIZE, StackedHands
from lgnet_core.types import Camera, Side

BOTH, RIGHT, LEFT = (True, True), (True, False), (False, True)


def context_of(camera: Camera = CAMERA) -> ImageContext:
    return ImageContext.from_image(coordinate_image(), camera, Thresholds())


@pytest.fixture(scope="module")
def observed(hand_model):
    """Scripted networks and the associated observations of their hands, by presence and camera."""

    def observe(presence=BOTH, camera: Camera = CAMERA) -> tuple[Script, dict[Side, HandObservation]]:
        wrists = np.stack([point_at(80, 100, 0.55, camera), point_at(165, 95, 0.6, camera)])
        script = script_of(hand_model, make_scene(hand_model, camera, wrists, presence, seed=4))
        context = context_of(camera)
        return script, associate(context, script.detector.detect(context), script.detector.observer)[0]

    return observe


class Recorder(EagerEngine):
    """Records the inputs of the last call."""

    def __call__(self, *inputs):
        self.inputs = inputs
        return super().__call__(*inputs)


@pytest.mark.parametrize("presence", [BOTH, RIGHT, LEFT])
def test_reconstructed_hands_are_wrist_relative(observed, presence):
    script, hands = observed(presence)
    reconstruction = HandReconstructor(script.stages)(context_of(), hands)
    scene = script.scene
    assert list(reconstruction.hands) == [side for side in Side if presence[side]]
    for side, hand in reconstruction.hands.items():
        wrist = scene.joints[side, :1]
        np.testing.assert_allclose(hand.joints, scene.joints[side] - wrist, atol=1e-6)
        np.testing.assert_allclose(hand.vertices, scene.vertices[side] - wrist, atol=1e-6)
        np.testing.assert_allclose(hand.rotations, scene.rotations[side], atol=1e-6)
        np.testing.assert_allclose(hand.joint_std, 0.005, atol=1e-6)
        np.testing.assert_allclose(hand.joints_2d, scene.pixels[side], atol=0.05)
    if presence == BOTH:
        np.testing.assert_allclose(
            reconstruction.relative_translation, scene.joints[Side.LEFT, 0] - scene.joints[Side.RIGHT, 0], atol=1e-6
        )
    else:
        assert reconstruction.relative_translation is None


@pytest.mark.parametrize("camera", [CAMERA, LENS], ids=["pinhole", "distorted"])
def test_the_stages_project_hands_onto_their_landmarks(observed, camera):
    """With the input intrinsics: exactly, or to first order for a distorted camera."""
    script, hands = observed(BOTH, camera)
    HandReconstructor(script.stages)(context_of(camera), hands)
    assert script.stages.max_reprojection_error < (0.2 if camera is CAMERA else 8.0)


@pytest.mark.parametrize(("presence", "in_batch"), [(BOTH, (1, 1)), (RIGHT, (1, 0)), (LEFT, (0, 1))])
def test_the_batch_holds_the_present_hands(observed, presence, in_batch):
    """Features, intrinsics and frames as observed, in single precision."""
    script, hands = observed(presence)
    recorded: list[np.ndarray] = []

    class Recording(type(script.stages)):
        def __call__(self, *inputs):
            recorded.extend(inputs)
            return super().__call__(*inputs)

    engine = Recording(script.scene)
    HandReconstructor(engine)(context_of(), hands)
    assert engine.presence == [in_batch]
    named = dict(zip(HandStages.INPUTS, recorded, strict=True))
    assert named.pop("other").tolist() == ([1, 0] if presence == BOTH else [0])
    for k, side in enumerate(sorted(hands)):
        hand = hands[side]
        for name, value in named.items():
            geometry = {"intrinsics": hand.intrinsics, "frames": hand.canonical_frame}.get(name)
            expected = getattr(hand.features, name) if geometry is None else geometry.astype(np.float32)
            np.testing.assert_array_equal(value[k], expected, err_msg=name)


@pytest.mark.parametrize("field", ["joints", "vertices", "rotations", "shape", "joints_grid", "joint_log_variance"])
def test_a_hand_that_is_not_finite_is_dropped(observed, field):
    script, hands = observed()

    class Overflowing(type(script.stages)):
        def __call__(self, *inputs) -> StackedHands:
            prediction = super().__call__(*inputs)
            getattr(prediction, field)[Side.RIGHT] = np.nan
            return prediction

    reconstruction = HandReconstructor(Overflowing(script.scene))(context_of(), hands)
    assert list(reconstruction.hands) == [Side.LEFT]
    assert reconstruction.relative_translation is None


def test_a_relative_translation_that_is_not_finite_is_dropped(observed):
    script, hands = observed()

    class Overflowing(type(script.stages)):
        def __call__(self, *inputs) -> StackedHands:
            prediction = super().__call__(*inputs)
            return prediction._replace(to_other=prediction.to_other * np.nan)

    reconstruction = HandReconstructor(Overflowing(script.scene))(context_of(), hands)
    assert list(reconstruction.hands) == list(Side)
    assert reconstruction.relative_translation is None


@pytest.fixture(scope="module")
def pair_engine(hand_model) -> Recorder:
    """A small network of one crop of both hands, with random weights."""
    network = small_network(hand_model, config=LGNetConfig("efficientnet_lite0", channels=8, self_joint_depth=1))
    return Recorder(network, "cpu", inputs=network.example_inputs(64))


@pytest.mark.parametrize("presence", [BOTH, LEFT])
@pytest.mark.parametrize("camera", [CAMERA, LENS], ids=["pinhole", "distorted"])
def test_a_pair_crop_covers_both_hands(observed, pair_engine, presence, camera):
    """Against a direct computation of the padded box, its crop, the intrinsics, and the inverse transforms."""
    _, hands = observed(presence, camera)
    image = coordinate_image()
    reconstruction = PairReconstructor(pair_engine)(context_of(camera), hands)

    corners = []
    for hand in hands.values():
        padding = JOINT_BOX_PADDING * np.ptp(hand.joints, axis=0).max()
        corners += [hand.joints.min(0) - padding, hand.joints.max(0) + padding]
    low, high = np.min(corners, 0), np.max(corners, 0)
    side = (high - low).max() * PAIR_CROP_SCALE
    scale = 64 / side
    affine = np.array([[scale, 0, 31.5], [0, scale, 31.5]]) - np.pad(
        (scale * (low + high) / 2)[:, None], ((0, 0), (2, 0))
    )
    crop, intrinsics = (value[0] for value in pair_engine.inputs)
    np.testing.assert_allclose(crop, warp(image, affine, 64).transpose(2, 0, 1) / 255, atol=1.01 / 255)
    if camera is CAMERA:
        np.testing.assert_allclose(intrinsics[:2], affine @ camera.matrix, rtol=1e-5)

    prediction = pair_engine.network(*(torch.from_numpy(value) for value in pair_engine.inputs))
    assert list(reconstruction.hands) == list(hands)
    for side, hand in reconstruction.hands.items():
        np.testing.assert_allclose(hand.joints, prediction.joints[0, side].detach(), atol=1e-6)
        np.testing.assert_allclose(hand.rotations, prediction.rotations[0, side].detach(), atol=1e-6)
        pixels = grid_to_pixels(prediction.joints_grid[0, side, :, :2].detach(), 64, 2).double().numpy()
        np.testing.assert_allclose(transform_points(affine, hand.joints_2d), pixels, atol=1e-3)
    relative = prediction.relative_translation[0].detach().numpy()
    if presence == BOTH:
        np.testing.assert_allclose(reconstruction.relative_translation, relative, atol=1e-6)
    else:
        assert reconstruction.relative_translation is None


@pytest.mark.parametrize("presence", [BOTH, LEFT])
def test_inputs_of_the_whole_network(observed, pair_engine, presence):
    """Crops first; the crop of an absent hand is black."""
    script, hands = observed(presence)
    image, size = coordinate_image(), HAND_CROP_SIZE
    context = context_of()
    crops, _, _, present = HandReconstructor(script.stages).network_inputs(context, hands)
    assert crops.shape == (1, 2, 3, size, size)
    assert present.tolist() == [[float(side in hands) for side in Side]]
    for side in Side:
        assert (side in hands) == crops[0, side].any()
        if side in hands:
            np.testing.assert_array_equal(crops[0, side], extract_crops(image, hands[side].affine[None], size)[0])
    reconstructor = PairReconstructor(pair_engine)
    reconstructor(context, hands)
    for value, expected in zip(reconstructor.network_inputs(context, hands), pair_engine.inputs, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_pair_crops_keep_the_camera_axes():
    """The crop is upright, so its camera is not rotated."""
    affine = square_crop(np.array([10.0, 20, 60, 90]), 64, PAIR_CROP_SCALE)
    np.testing.assert_allclose(crop_intrinsics(affine, CAMERA.matrix)[1], np.eye(3))


def test_an_estimator_of_a_pair_network_uses_the_bundled_detectors(hand_model, pair_engine, monkeypatch):
    made: dict[str, object] = {}

    def make(network, engine, device, threads, inputs=None):
        made[type(network).__name__] = inputs
        return pair_engine

    monkeypatch.setattr("lgnet_core.inference.estimator.make_engine", make)
    estimator = HandEstimator.from_network(pair_engine.network, size=64)
    assert isinstance(estimator.reconstructor, PairReconstructor)
    assert set(made) == {"PalmDetector", "HandLandmarkNet", "LGNet"}
    assert made["LGNet"][0].shape[-1] == 64
    assert set(estimator.engines) == {"palms", "landmarks", "hands"}
