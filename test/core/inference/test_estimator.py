"""The estimator: scenes recovered with scripted networks, and real and rendered hands with the bundled ones."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.mediapipe_inputs import photograph
from support.scene import Scene, make_scene, point_at
from support.scripted_engines import CAMERA, LENS, Script, ScriptedHand, coordinate_image, hand_at, script_of
from support.small_network import small_network

from lgnet_core.data.clip import read_clip
from lgnet_core.engines.cuda_graph import CudaGraphEngine
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.hand_model import HandModel, read_asset
from lgnet_core.hand_model.asset import BUNDLED_ASSET
from lgnet_core.inference import HandEstimator, Thresholds
from lgnet_core.inference.association import associate
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.reconstruction import HandReconstructor
from lgnet_core.io.checkpoint_files import CheckpointError
from lgnet_core.network import HandLGNetConfig, build_network
from lgnet_core.network.checkpoint import save_network
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.types import Camera, Hand, Side, TwoHands

TENTH_OF_A_MILLIMETRE = 1e-4
BOTH, RIGHT, LEFT, NONE = (True, True), (True, False), (False, True), (False, False)
CHAIN = [0, 9, 10, 11, 12]  # wrist to middle fingertip


def scene_of(hand_model: HandModel, presence=BOTH, camera: Camera = CAMERA, seed: int = 0) -> Scene:
    wrists = np.stack([point_at(80, 100, 0.6, camera), point_at(165, 90, 0.65, camera)])
    return make_scene(hand_model, camera, wrists, presence, seed)


def assert_recovers(hands: TwoHands, scene: Scene, tolerance: float = TENTH_OF_A_MILLIMETRE) -> None:
    assert hands.metric
    for side, hand in zip(Side, (hands.right, hands.left)):
        if not scene.presence[side]:
            assert hand is None
            continue
        assert hand.side is side
        np.testing.assert_allclose(hand.joints, scene.joints[side], atol=tolerance)
        np.testing.assert_allclose(hand.vertices, scene.vertices[side], atol=tolerance)
        np.testing.assert_allclose(hand.rotations, scene.rotations[side], atol=1e-6)
        np.testing.assert_allclose(hand.joints_2d, scene.pixels[side], atol=0.05)
    if scene.presence.all():
        expected = scene.joints[Side.LEFT, 0] - scene.joints[Side.RIGHT, 0]
        np.testing.assert_allclose(hands.relative_translation, expected, atol=2 * tolerance)
    else:
        assert hands.relative_translation is None


@given(
    seed=st.integers(0, 99),
    camera=st.sampled_from([CAMERA, LENS]),
    presence=st.sampled_from([BOTH, RIGHT, LEFT]),
    position=st.tuples(st.floats(70, 90), st.floats(80, 110), st.floats(0.45, 0.7)),
)
def test_a_scene_is_recovered(hand_model, seed, camera, presence, position):
    """To a millimetre in the camera frame: the landmarks are accurate to a hundredth of a pixel."""
    wrists = np.stack([point_at(*position, camera), point_at(170, 90, 0.65, camera)])
    scene = make_scene(hand_model, camera, wrists, presence, seed)
    assert_recovers(script_of(hand_model, scene).estimator().estimate(coordinate_image(), camera), scene, 1e-3)


def test_an_image_without_hands(hand_model):
    scene = scene_of(hand_model, NONE)
    hands = script_of(hand_model, scene).estimator().estimate(coordinate_image(), CAMERA)
    assert hands.hands == []
    assert hands.relative_translation is None
    assert hands.metric


def test_a_truncated_hand_is_recovered(hand_model):
    """Its joints outside the image have no weight in the placement."""
    wrists = np.stack([point_at(14, 90, 0.5, CAMERA), point_at(165, 90, 0.65, CAMERA)])
    scene = make_scene(hand_model, CAMERA, wrists, RIGHT, seed=2)
    assert (scene.pixels[0, :, 0] < -0.5).any()
    assert_recovers(script_of(hand_model, scene).estimator().estimate(coordinate_image(), CAMERA), scene, 1e-3)


def test_without_a_camera_hands_are_wrist_relative(hand_model):
    scene = scene_of(hand_model)
    hands = script_of(hand_model, scene).estimator().estimate(coordinate_image(), None)
    assert not hands.metric
    for side, hand in zip(Side, hands.hands, strict=True):
        wrist = scene.joints[side, :1]
        np.testing.assert_allclose(hand.joints, scene.joints[side] - wrist, atol=1e-6)
        np.testing.assert_allclose(hand.vertices, scene.vertices[side] - wrist, atol=1e-6)
        np.testing.assert_allclose(hand.joints_2d, scene.pixels[side], atol=0.05)
    np.testing.assert_allclose(hands.relative_translation, np.diff(scene.joints[:, 0], axis=0)[0], atol=1e-6)


def test_same_image_same_hands(hand_model):
    estimator = script_of(hand_model, scene_of(hand_model)).estimator()
    first, again = (estimator.estimate(coordinate_image(), CAMERA) for _ in range(2))
    for a, b in zip(first.hands, again.hands, strict=True):
        np.testing.assert_array_equal(a.vertices, b.vertices)


def script_with(hand_model: HandModel, *hands: ScriptedHand) -> Script:
    return Script(hand_model, scene_of(hand_model), list(hands))


def test_the_less_probable_of_two_right_hands_becomes_the_left_one(hand_model):
    """It is observed again in a mirrored crop."""
    sure, unsure = hand_at(70, 130), hand_at(180, 130, right_probability=0.7)
    script = script_with(hand_model, sure, unsure)
    hands = script.estimator().estimate(coordinate_image(), CAMERA)
    np.testing.assert_allclose(hands.right.joints_2d, sure.joints, atol=0.05)
    np.testing.assert_allclose(hands.left.joints_2d, unsure.joints, atol=0.05)
    assert script.landmarks.batches == [2, 2, 1]
    assert script.stages.presence == [(1, 1)]


@pytest.mark.parametrize("failure", ["not finite", "another hand", "low presence"])
def test_a_hand_that_is_not_confirmed_in_its_mirrored_crop_is_dropped(hand_model, failure):
    unsure = hand_at(180, 130, right_probability=0.7)
    script = script_with(hand_model, hand_at(70, 130), unsure)
    engine = script.landmarks

    class Failing(type(engine)):
        def __call__(self, crops):
            output = super().__call__(crops)
            if len(self.batches) == 3:
                output.landmarks[0] += {"not finite": np.nan, "another hand": 90.0, "low presence": 0.0}[failure]
                output.presence_logits[0] -= 4.0 if failure == "low presence" else 0.0
            return output

    script.detector.observer.engine = Failing(script.hands)
    hands = script.estimator().estimate(coordinate_image(), CAMERA)
    assert [hand.side for hand in hands.hands] == [Side.RIGHT]


def test_reobservation_in_a_mirrored_crop_keeps_the_handedness(hand_model):
    script = script_with(hand_model, hand_at(70, 130), hand_at(180, 130, right_probability=0.7))
    context = ImageContext.from_image(coordinate_image(), CAMERA, Thresholds())
    observations = [
        hand.with_right_probability(0.65) if hand.right_probability < 0.9 else hand  # as filtered by a track
        for hand in script.detector.detect(context)
    ]
    hands = associate(context, observations, script.detector.observer)[0]
    assert hands[Side.LEFT].mirrored
    assert hands[Side.LEFT].right_probability == 0.65


@pytest.mark.parametrize(("threshold", "count"), [(0.69, 2), (0.71, 1), (0.91, 0)])
def test_hands_below_the_presence_threshold_are_dropped(hand_model, threshold, count):
    script = script_with(hand_model, hand_at(70, 130), hand_at(180, 130, Side.LEFT, presence=0.7))
    estimator = script.estimator()
    assert estimator.presence_threshold == Thresholds().presence
    estimator.presence_threshold = threshold
    assert estimator.thresholds.presence == estimator.presence_threshold == threshold
    hands = estimator.estimate(coordinate_image(), CAMERA).hands
    assert len(hands) == count
    assert [hand.presence for hand in hands] == [pytest.approx(0.9), pytest.approx(0.7)][:count]


def test_hand_length_corrects_the_depth_of_an_overestimated_hand(hand_model):
    """Stages that overestimate hands by 10 % place them 10 % too far away, unless the length is given."""
    scene = scene_of(hand_model, RIGHT, seed=5)
    scene.shape[:] = 0
    bones = np.diff(scene.joints[0, CHAIN], axis=0)
    rest = hand_model.joints_from_vertices(hand_model.v_template)[0].numpy()
    flat = np.linalg.norm(rest[12] - rest[0]) / np.linalg.norm(np.diff(rest[CHAIN], axis=0), axis=1).sum()
    length = float(np.linalg.norm(bones, axis=1).sum() * flat)
    script = script_of(hand_model, scene)

    class Overestimating(type(script.stages)):
        def __call__(self, *inputs):
            output = super().__call__(*inputs)
            return output._replace(joints=output.joints * 1.1, vertices=output.vertices * 1.1)

    script.stages = Overestimating(scene)
    overestimated = script.estimator().estimate(coordinate_image(), CAMERA)
    assert overestimated.right.joints[0, 2] == pytest.approx(1.1 * scene.joints[0, 0, 2], rel=2e-3)
    assert_recovers(script.estimator(hand_length=length).estimate(coordinate_image(), CAMERA), scene, 1e-3)


def test_hand_length_can_be_changed(hand_model):
    estimator = script_of(hand_model, scene_of(hand_model, RIGHT, seed=5)).estimator()

    def wrist_depth() -> float:
        return float(estimator.estimate(coordinate_image(), CAMERA).right.joints[0, 2])

    predicted = wrist_depth()
    estimator.hand_length = 0.2
    long = wrist_depth()
    estimator.hand_length = 0.1
    assert wrist_depth() == pytest.approx(long / 2)
    with pytest.raises(ValueError, match="hand_length: expected metres"):
        estimator.hand_length = 18.0
    estimator.hand_length = None
    assert wrist_depth() == predicted != long


def test_hand_length_scales_the_relative_translation(hand_model):
    """Without a camera."""
    script = script_of(hand_model, scene_of(hand_model))
    plain = script.estimator().estimate(coordinate_image(), None)
    lengths = [np.linalg.norm(np.diff(hand.joints[CHAIN], axis=0), axis=1).sum() for hand in plain.hands]
    scaled = script.estimator(hand_length=0.2).estimate(coordinate_image(), None)
    factors = [
        np.linalg.norm(np.diff(hand.joints[CHAIN], axis=0), axis=1).sum() / length
        for hand, length in zip(scaled.hands, lengths)
    ]
    np.testing.assert_allclose(scaled.relative_translation, plain.relative_translation * np.mean(factors))
    np.testing.assert_allclose(scaled.right.joint_std, plain.right.joint_std * factors[0])


def larger_hand(factor: float) -> HandModel:
    asset = read_asset(BUNDLED_ASSET)
    return HandModel(replace(asset, v_template=asset.v_template * np.float32(factor), name="larger"))


def test_retargeted_hands_keep_their_position(hand_model):
    scene = scene_of(hand_model, seed=4)
    target = larger_hand(1.08)
    estimator = script_of(hand_model, scene).estimator(target_model=target)
    assert estimator.hand_model is target
    hands = estimator.estimate(coordinate_image(), CAMERA)
    for side, hand in zip(Side, hands.hands, strict=True):
        np.testing.assert_allclose(hand.joints, scene.joints[side], atol=2e-3)
        np.testing.assert_allclose(hand.vertices, scene.vertices[side], atol=6e-3)
        surface = target.pose(hand.rotations[None], hand.shape[None], side=side).wrist_relative()
        np.testing.assert_allclose(hand.vertices - hand.joints[0], surface.vertices[0], atol=1e-6)
        assert hand.shape[0] < scene.shape[side, 0]  # a smaller hand of a larger model
    np.testing.assert_allclose(hands.relative_translation, hands.left.joints[0] - hands.right.joints[0], atol=1e-9)


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_hand_length_determines_the_shape_of_a_retargeted_hand(hand_model, factor):
    """It has the given length, and its mesh is the surface of its own parameters."""
    script, target = script_of(hand_model, scene_of(hand_model, RIGHT, seed=5)), larger_hand(1.08)

    def estimate(hand_length: float) -> Hand:
        return script.estimator(hand_length=hand_length, target_model=target).estimate(coordinate_image(), CAMERA).right

    first, second = estimate(0.18 * factor), estimate(0.18)
    long, short = (np.linalg.norm(np.diff(h.joints[CHAIN], axis=0), axis=1).sum() for h in (first, second))
    assert long / short == pytest.approx(factor, rel=5e-3)
    surface = target.pose(first.rotations[None], first.shape[None], side=Side.RIGHT)
    np.testing.assert_allclose(first.vertices - first.joints[0], surface.wrist_relative().vertices[0], atol=1e-6)


def test_the_networks_own_model_is_not_retargeted(hand_model):
    script = script_of(hand_model, scene_of(hand_model))
    plain, named = (script.estimator(target_model=model) for model in (None, copy.deepcopy(hand_model)))
    assert plain.retargeter is named.retargeter is None
    outputs = (estimator.estimate(coordinate_image(), CAMERA).hands for estimator in (plain, named))
    for a, b in zip(*outputs, strict=True):
        for field in ("joints", "vertices", "rotations", "shape"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))


def test_only_weights_of_the_bundled_model_are_retargeted(hand_model, tmp_path):
    custom, other = larger_hand(1.08), larger_hand(1.1)
    for model, name in ((hand_model, "bundled"), (custom, "custom")):
        save_network(tmp_path / f"{name}.safetensors", small_network(model), {})

    def load(name: str, model: HandModel | None) -> HandEstimator:
        return HandEstimator.load(tmp_path / f"{name}.safetensors", "cpu", model, "eager")

    assert load("bundled", None).retargeter is None
    assert load("custom", custom).retargeter is None
    retargeting = load("bundled", custom)
    assert retargeting.hand_model is custom
    assert retargeting.retargeter.source.digest == hand_model.digest
    for requested in (other, None):
        with pytest.raises(CheckpointError, match="trained with the hand model 'larger'"):
            load("custom", requested)


@pytest.mark.parametrize("hand_length", [18.0, 0.0, float("nan")])
def test_an_implausible_hand_length_is_rejected(hand_model, hand_length):
    with pytest.raises(ValueError, match="metres"):
        script_with(hand_model).estimator(hand_length=hand_length)


def test_a_presence_threshold_out_of_range_is_rejected(hand_model):
    estimator = script_with(hand_model).estimator()
    with pytest.raises(ValueError, match="presence: expected a probability"):
        estimator.presence_threshold = 1.5
    assert estimator.presence_threshold == Thresholds().presence


def test_an_image_of_a_hundred_megapixels(hand_model):
    script = script_with(hand_model)

    class Blind(type(script.palms)):
        def __call__(self, image):
            return super().__call__(np.ones_like(image) * coordinates)

    crop = coordinate_image(192, 192).transpose(2, 0, 1)[None] / np.float32(255)
    coordinates = crop.astype(np.float32)
    script.detector.palms.engine = Blind(script.hands)
    assert script.estimator().estimate(np.zeros((9_000, 12_000, 3), np.uint8), None).hands == []


@pytest.mark.parametrize(("engine_type", "each_size"), [(EagerEngine, False), (CudaGraphEngine, True)])
def test_warm_up_runs_every_network_with_every_batch_size(hand_model, engine_type, each_size):
    """A GPU engine records a graph for each batch size; none may remain for the first images."""
    script = script_with(hand_model)
    batches: dict[str, set[int]] = {}

    def recorder(name: str, engine: object) -> object:
        class Recorder(type(engine)):
            prepares_each_batch_size = engine_type.prepares_each_batch_size

            def __call__(self, *inputs):
                batches.setdefault(name, set()).add(len(inputs[0]))

        recording = copy.copy(engine)
        recording.__class__ = Recorder
        return recording

    estimator = script.estimator()
    script.detector.palms.engine = recorder("palms", script.palms)
    script.detector.observer.engine = recorder("landmarks", script.landmarks)
    estimator.reconstructor.engine = recorder("hands", script.stages)
    estimator.warm_up()
    max_palms = estimator.thresholds.palm_count
    assert batches == {
        "palms": {1},
        "landmarks": set(range(1, max_palms + 1)) if each_size else {1},
        "hands": {1, 2} if each_size else {1},
    }


# The bundled networks on real and rendered images. The stages are untrained and return the landmarks as 2D joints, so
# these tests cover detection and association only.


@pytest.fixture(scope="module")
def bundled(hand_model) -> HandEstimator:
    torch.manual_seed(0)
    config = HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32, regressor_depth=1, refine_channels=8)
    network = build_network(config, hand_model)
    network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
    return HandEstimator.from_network(network.eval(), "eager", "cpu", threads=1)


def mirrored(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


def mirror_points(points: np.ndarray, width: int) -> np.ndarray:
    return np.column_stack([width - 1 - points[:, 0], points[:, 1]])


def test_estimator_with_the_bundled_networks(bundled):
    assert isinstance(bundled.reconstructor, HandReconstructor)
    assert {name: list(engine.input_shapes) for name, engine in bundled.engines.items()}["landmarks"] == ["crop"]
    bundled.warm_up()


def test_a_mirrored_photograph_shows_the_mirrored_hand(bundled):
    """A left hand, and a right one in the mirror image, with a mean error of a hundredth of its size.

    The palm detector is not symmetric, so the crops differ a little.
    """
    image = photograph()
    (hand,) = bundled.estimate(image).hands
    (other,) = bundled.estimate(mirrored(image)).hands
    assert (hand.side, other.side) == (Side.LEFT, Side.RIGHT)
    assert min(hand.presence, other.presence) > 0.9
    width = image.shape[1]
    distance = np.linalg.norm(mirror_points(other.joints_2d, width) - hand.joints_2d, axis=-1)
    size = np.ptp(hand.joints_2d, axis=0).max()
    assert distance.mean() < 0.01 * size
    assert size > 0.3 * width


@pytest.mark.parametrize("flip", [False, True], ids=["original", "mirrored"])
def test_hands_of_the_bundled_clip_are_detected(bundled, flip):
    """In four frames: each detected hand matches a ground-truth hand, and nearly all have the correct side."""
    clip = read_clip()
    correct = total = 0
    for k in range(0, len(clip.frames), len(clip.frames) // 4):
        width = clip.camera.width
        pixels = [project_distorted(joints, clip.camera) for joints in clip.joints[k]]
        ground_truth = {side: pixels[side] for side in Side if clip.presence[k, side]}
        if flip:
            ground_truth = {side.other: mirror_points(points, width) for side, points in ground_truth.items()}
        hands = bundled.estimate(mirrored(clip.frames[k]) if flip else clip.frames[k]).hands
        for hand in hands:
            errors = {
                side: np.linalg.norm(hand.joints_2d - points, axis=-1).mean() / np.ptp(points, axis=0).max()
                for side, points in ground_truth.items()
            }
            assert min(errors.values()) < 0.25, f"frame {k}: {errors}"
            correct += min(errors, key=errors.get) is hand.side
        total += len(ground_truth)
    assert correct >= 0.8 * total
