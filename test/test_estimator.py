"""The estimator with an engine that knows the truth: what comes back must be the scene, in the camera's frame."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scene import Scene, SceneEngine, make_scene
from small_network import small_network

from lgnet_core.camera import invert_affine, square_crop, transform_points
from lgnet_core.checkpoint import CheckpointError, save_network
from lgnet_core.hand_model import HandModel, read_asset
from lgnet_core.hand_model.layer import BUNDLED_ASSET
from lgnet_core.inference import HandEstimator, Region, estimator
from lgnet_core.inference.cuda_graph import CudaGraphEngine
from lgnet_core.inference.detection import MOST_CROPS
from lgnet_core.inference.eager import EagerEngine
from lgnet_core.inference.regions import box_of_hand, length, share_crops
from lgnet_core.network import HandsPrediction
from lgnet_core.types import Camera, Side

TENTH_OF_A_MILLIMETRE = 1e-4
BOX = np.array([40.0, 50, 100, 110])

PINHOLE = Camera(np.array([[610.0, 0, 331.0], [0, 560.0, 228.0], [0, 0, 1]]), 640, 480)
WIDE = Camera(
    np.array([[410.0, 0, 322.0], [0, 415.0, 244.0], [0, 0, 1]]), 640, 480, np.array([-0.12, 0.03, 0.001, -0.0008, 0.0])
)
SIZES = st.sampled_from([PINHOLE, WIDE])


def at(u: float, v: float, depth: float, camera: Camera) -> np.ndarray:
    """A point at a depth that an ideal pinhole would see at a pixel."""
    return np.append(np.linalg.inv(camera.matrix[:2, :2]) @ ([u, v] - camera.matrix[:2, 2]) * depth, depth)


def assert_finds(hands, scene: Scene, tolerance: float = TENTH_OF_A_MILLIMETRE) -> None:
    assert hands.metric
    for side, hand in zip(Side, (hands.right, hands.left)):
        if not scene.presence[side]:
            assert hand is None
            continue
        assert hand.side is side
        np.testing.assert_allclose(hand.joints, scene.joints[side], atol=tolerance)
        np.testing.assert_allclose(hand.vertices, scene.vertices[side], atol=tolerance)
        np.testing.assert_allclose(hand.rotations, scene.rotations[side], atol=1e-3)
        np.testing.assert_allclose(hand.joints_image, scene.pixels[side], atol=0.05)
    if scene.presence.all():
        truth = scene.joints[1, 0] - scene.joints[0, 0]
        np.testing.assert_allclose(hands.relative_translation, truth, atol=2 * tolerance)
    else:
        assert hands.relative_translation is None


@given(
    seed=st.integers(0, 2**16),
    camera=SIZES,
    side=st.sampled_from(Side),
    place=st.tuples(st.floats(200, 440), st.floats(160, 320), st.floats(0.35, 0.8)),
    rotation=st.floats(-np.pi, np.pi),
    shift=st.tuples(st.floats(-15, 15), st.floats(-15, 15)),
)
def test_one_hand_comes_back_from_any_crop(hand_model, seed, camera, side, place, rotation, shift):
    wrist = at(*place, camera)
    scene = make_scene(hand_model, camera, np.stack([wrist, wrist]), tuple(s is side for s in Side), seed)
    box = scene.boxes[side] + np.tile(shift, 2)
    engine = SceneEngine(scene, [square_crop(box, 256, rotation=rotation)])
    region = Region(box, (side,), rotation=rotation)
    hands = HandEstimator(engine, hand_model).estimate_regions(scene.picture, camera, [region])
    assert_finds(hands, scene)
    # The crop's own camera draws the hand where it is seen; to first order where the picture is distorted.
    assert engine.misfit < (0.1 if camera is PINHOLE else 12.0)


@pytest.mark.parametrize("camera", [PINHOLE, WIDE], ids=["pinhole", "distorted"])
@pytest.mark.parametrize("near", [True, False], ids=["near", "far"])
def test_two_hands_share_a_crop_only_when_they_are_near(hand_model, camera, near):
    places = (at(300, 240, 0.7, camera), at(360, 250, 0.72, camera))
    if not near:
        places = (at(120, 240, 0.9, camera), at(520, 250, 0.7, camera))
    scene = make_scene(hand_model, camera, np.stack(places), (True, True), seed=3)
    engine = SceneEngine(scene)
    hands = HandEstimator(engine, hand_model).estimate(scene.picture, camera)
    assert_finds(hands, scene, TENTH_OF_A_MILLIMETRE if camera is PINHOLE else 1e-3)  # see SceneEngine
    assert engine.batches[-1] == (1 if near else 2)


@pytest.mark.parametrize("presence", [(True, False), (False, True), (False, False)])
def test_only_hands_that_are_there_are_reported(hand_model, presence):
    places = np.stack([at(300, 240, 0.7, PINHOLE), at(360, 250, 0.72, PINHOLE)])
    scene = make_scene(hand_model, PINHOLE, places, presence)
    assert_finds(HandEstimator(SceneEngine(scene), hand_model).estimate(scene.picture, PINHOLE), scene)


def test_hands_that_are_too_small_are_not_reported(hand_model):
    """As seen in the picture, whatever the crop."""
    places = np.stack([at(200, 240, 0.5, PINHOLE), at(500, 250, 1.5, PINHOLE)])
    scene = make_scene(hand_model, PINHOLE, places, (True, True))
    lengths = [length(box_of_hand(scene.pixels[side])) / PINHOLE.width for side in Side]
    assert lengths[Side.LEFT] < 0.8 * lengths[Side.RIGHT]
    found = HandEstimator(SceneEngine(scene), hand_model, smallest_hand=0.0).estimate(scene.picture, PINHOLE)
    assert {hand.side for hand in found.hands} == set(Side)
    for smallest, sides in (
        (0.98 * lengths[Side.LEFT], set(Side)),
        (1.02 * lengths[Side.LEFT], {Side.RIGHT}),
        (1.02 * lengths[Side.RIGHT], set()),
    ):
        found = HandEstimator(SceneEngine(scene), hand_model, smallest_hand=smallest).estimate_regions(
            scene.picture, PINHOLE, [Region(scene.boxes[side], (side,)) for side in Side]
        )
        assert {hand.side for hand in found.hands} == sides


@pytest.mark.parametrize("field", sorted({*HandsPrediction._fields} - {"relative_translation"}))
def test_a_hand_that_is_no_number_was_not_seen(hand_model, field):
    places = np.stack([at(300, 240, 0.7, PINHOLE), at(360, 250, 0.72, PINHOLE)])
    scene = make_scene(hand_model, PINHOLE, places, (True, True))

    class Overflowing(SceneEngine):
        def __call__(self, images, intrinsics):
            answer = super().__call__(images, intrinsics)
            getattr(answer, field)[:, Side.RIGHT] = torch.nan
            return answer

    found = HandEstimator(Overflowing(scene), hand_model).estimate_regions(
        scene.picture, PINHOLE, [Region(scene.boxes[Side.LEFT], tuple(Side))]
    )
    assert found.right is None
    np.testing.assert_allclose(found.left.joints, scene.joints[Side.LEFT], atol=TENTH_OF_A_MILLIMETRE)


def test_without_a_camera_hands_are_relative_to_their_wrists(hand_model):
    places = np.stack([at(300, 240, 0.7, PINHOLE), at(360, 250, 0.72, PINHOLE)])
    scene = make_scene(hand_model, PINHOLE, places, (True, True))
    engine = SceneEngine(scene)
    engine.calibrated = False
    hands = HandEstimator(engine, hand_model).estimate(scene.picture, None)
    assert not hands.metric
    for side, hand in zip(Side, hands.hands):
        wrist = scene.joints[side, :1]
        np.testing.assert_allclose(hand.joints, scene.joints[side] - wrist, atol=5e-5)
        np.testing.assert_allclose(hand.vertices, scene.vertices[side] - wrist, atol=5e-5)
        np.testing.assert_allclose(hand.joints_image, scene.pixels[side], atol=0.05)
    np.testing.assert_allclose(hands.relative_translation, np.diff(scene.joints[:, 0], axis=0)[0], atol=1e-4)


def test_hand_length_mends_the_depth_of_a_hand_taken_for_larger(hand_model):
    """An engine that thinks hands 10 % larger than they are puts them 10 % further away, until the length is given."""
    place = at(330, 240, 0.6, PINHOLE)
    scene = make_scene(hand_model, PINHOLE, np.stack([place, place]), (True, False), seed=5)
    scene.shape[:] = 0
    bones = np.diff(scene.joints[0, [0, 9, 10, 11, 12]], axis=0)
    rest = hand_model.joints_from_vertices(hand_model.v_template)[0].numpy()
    flat = np.linalg.norm(rest[12] - rest[0]) / np.linalg.norm(np.diff(rest[[0, 9, 10, 11, 12]], axis=0), axis=1).sum()
    length = float(np.linalg.norm(bones, axis=1).sum() * flat)

    class Exaggerating(SceneEngine):
        def __call__(self, images, intrinsics):
            truth = super().__call__(images, intrinsics)
            return truth._replace(joints=truth.joints * 1.1, vertices=truth.vertices * 1.1)

    region = Region(scene.boxes[0], (Side.RIGHT,))
    engine = Exaggerating(scene)
    misled = HandEstimator(engine, hand_model).estimate_regions(scene.picture, PINHOLE, [region])
    assert misled.right.joints[0, 2] == pytest.approx(1.1 * scene.joints[0, 0, 2], rel=1e-3)
    told = HandEstimator(engine, hand_model, hand_length=length)
    assert_finds(told.estimate_regions(scene.picture, PINHOLE, [region]), scene)


def larger_hand(factor: float) -> HandModel:
    asset = read_asset(BUNDLED_ASSET)
    return HandModel(replace(asset, v_template=asset.v_template * np.float32(factor), name="larger"))


def test_hands_of_another_model_stand_where_the_network_saw_them(hand_model):
    places = np.stack([at(300, 240, 0.7, PINHOLE), at(360, 250, 0.72, PINHOLE)])
    scene = make_scene(hand_model, PINHOLE, places, (True, True), seed=4)
    target = larger_hand(1.08)
    told = HandEstimator(SceneEngine(scene), hand_model, target=target)
    assert told.hand_model is target
    hands = told.estimate(scene.picture, PINHOLE)
    for side, hand in zip(Side, hands.hands):
        np.testing.assert_allclose(hand.joints, scene.joints[side], atol=1e-3)
        np.testing.assert_allclose(hand.vertices, scene.vertices[side], atol=5e-3)
        parameters = (torch.tensor(x[None]).float() for x in (hand.rotations, hand.shape))
        surface = target(*parameters, side=side).wrist_relative()
        np.testing.assert_allclose(hand.vertices - hand.joints[0], surface.vertices[0], atol=1e-6)
        assert hand.shape[0] < scene.shape[side, 0]  # smaller for its model, as that is a larger one
    np.testing.assert_allclose(hands.relative_translation, hands.left.joints[0] - hands.right.joints[0], atol=1e-9)


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_hand_length_enters_the_shape_of_another_model(hand_model, factor):
    """Its hand is as long as was said, and still a surface of its own parameters."""
    place = at(330, 240, 0.6, PINHOLE)
    scene = make_scene(hand_model, PINHOLE, np.stack([place, place]), (True, False), seed=5)
    target, chain = larger_hand(1.08), [0, 9, 10, 11, 12]

    def estimate(hand_length):
        told = HandEstimator(SceneEngine(scene), hand_model, hand_length=hand_length, target=target)
        return told.estimate(scene.picture, PINHOLE).right

    first, second = estimate(0.18 * factor), estimate(0.18)
    long, short = (np.linalg.norm(np.diff(h.joints[chain], axis=0), axis=1).sum() for h in (first, second))
    assert long / short == pytest.approx(factor, rel=5e-3)
    surface = target(*(torch.tensor(x[None]).float() for x in (first.rotations, first.shape)), side=Side.RIGHT)
    np.testing.assert_allclose(first.vertices - first.joints[0], surface.wrist_relative().vertices[0], atol=1e-6)


def test_the_networks_own_model_changes_nothing(hand_model):
    places = np.stack([at(300, 240, 0.7, PINHOLE), at(360, 250, 0.72, PINHOLE)])
    scene = make_scene(hand_model, PINHOLE, places, (True, True))
    plain, named = (HandEstimator(SceneEngine(scene), hand_model, target=m) for m in (None, copy.deepcopy(hand_model)))
    assert plain.retarget is named.retarget is None
    for a, b in zip(*(e.estimate(scene.picture, PINHOLE).hands for e in (plain, named))):
        for field in ("joints", "vertices", "rotations", "shape"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))


def test_weights_of_the_bundled_model_serve_any_model_and_others_their_own(hand_model, tmp_path, monkeypatch):
    monkeypatch.setattr(estimator, "BUNDLED_REGIONS", tmp_path / "none")
    mine, theirs = larger_hand(1.08), larger_hand(1.1)
    for model, name in ((hand_model, "bundled"), (mine, "mine")):
        save_network(tmp_path / f"{name}.safetensors", small_network(model), {})

    def load(name: str, model: HandModel | None) -> HandEstimator:
        return HandEstimator.load(tmp_path / f"{name}.safetensors", "cpu", model, "eager")

    assert load("bundled", None).retarget is None
    assert load("mine", mine).retarget is None
    retargeting = load("bundled", mine)
    assert retargeting.hand_model is mine
    assert retargeting.retarget.source.digest == hand_model.digest
    for wanted in (theirs, None):
        with pytest.raises(CheckpointError, match="trained with the hand model 'larger'"):
            load("mine", wanted)


def test_the_better_view_of_a_side_wins(hand_model):
    place = at(330, 240, 0.6, PINHOLE)
    scene = make_scene(hand_model, PINHOLE, np.stack([place, place]), (True, False), seed=7)
    elsewhere = Region(np.array([20.0, 20, 90, 90]), (Side.RIGHT,))
    there = Region(scene.boxes[0], (Side.RIGHT,))
    estimator = HandEstimator(SceneEngine(scene), hand_model)
    assert_finds(estimator.estimate_regions(scene.picture, PINHOLE, [elsewhere, there]), scene)


class Marking(SceneEngine):
    """Gives each crop the presence that the test says, and marks what it says of the crop by its shape."""

    def __init__(self, scene: Scene, presence: list[tuple[float, float]]) -> None:
        super().__init__(scene)
        self.presence = torch.tensor(presence)

    def __call__(self, images, intrinsics):
        answer = super().__call__(images, intrinsics)
        answer.shape[:, :, 0] = torch.arange(len(images))[:, None]
        return answer._replace(presence_logits=torch.logit(self.presence))


@pytest.mark.parametrize(
    ("looks", "presence", "crops"),
    [
        ((1.0, 1.2), [(0.9, 0.1), (0.6, 0.2)], (0, None)),
        ((1.0, 1.2), [(0.6, 0.2), (0.9, 0.1)], (1, None)),
        ((1.0, 1.2), [(0.6, 0.6), (0.7, 0.8)], (1, 1)),  # both hands of a region from one crop
        ((1.0, 1.2), [(0.8, 0.1), (0.6, 0.7)], (1, 1)),  # the surer crop sees but one
        ((1.0, 1.2, 1.4), [(0.1, 0.2), (0.3, 0.4), (0.2, 0.3)], (None, None)),
    ],
)
def test_one_look_of_a_region_counts(hand_model, looks, presence, crops):
    place = at(330, 240, 0.6, PINHOLE)
    scene = make_scene(hand_model, PINHOLE, np.stack([place, place]), (True, True), seed=7)
    estimator = HandEstimator(Marking(scene, presence), hand_model)
    region = Region(scene.boxes[0], tuple(Side), looks=looks)
    hands = estimator.estimate_regions(scene.picture, PINHOLE, [region])
    assert tuple(hand and round(hand.shape[0]) for hand in (hands.right, hands.left)) == crops


def test_looks_belong_to_their_region(hand_model):
    places = np.stack([at(180, 240, 0.6, PINHOLE), at(480, 240, 0.6, PINHOLE)])
    scene = make_scene(hand_model, PINHOLE, places, (True, True), seed=7)
    presence = [(0.9, 0.6), (0.2, 0.8), (0.3, 0.6)]  # of the first region's crop, and of the second's two
    regions = [Region(scene.boxes[0], (Side.RIGHT,)), Region(scene.boxes[1], (Side.LEFT,), looks=(1.0, 1.3))]
    hands = HandEstimator(Marking(scene, presence), hand_model).estimate_regions(scene.picture, PINHOLE, regions)
    assert [round(hand.shape[0]) for hand in hands.hands] == [0, 1]


def test_a_crop_that_shows_both_hands_tells_how_they_lie_to_each_other(hand_model):
    """Though each is seen better in one of its own. Without a camera nothing else tells it."""
    places = np.stack([at(300, 240, 0.7, PINHOLE), at(360, 250, 0.72, PINHOLE)])
    scene = make_scene(hand_model, PINHOLE, places, (True, True), seed=3)
    regions = [Region(box, (side,)) for side, box in zip(Side, scene.boxes)]
    (both,) = share_crops(regions)
    for looked_at, presence in ((regions, []), ([*regions, both], [(0.6, 0.6)])):
        engine = Marking(scene, [(0.99, 0.1), (0.1, 0.99), *presence])
        engine.calibrated = False
        hands = HandEstimator(engine, hand_model).estimate_regions(scene.picture, None, looked_at)
        assert [round(hand.shape[0]) for hand in hands.hands] == [0, 1]
        if presence:
            wanted = scene.joints[Side.LEFT][0] - scene.joints[Side.RIGHT][0]
            np.testing.assert_allclose(hands.relative_translation, wanted, atol=1e-3)
        else:
            assert hands.relative_translation is None


def test_each_look_is_a_crop_of_its_size(hand_model):
    estimator = HandEstimator(SceneEngine(make_scene(hand_model, PINHOLE, np.ones((2, 3)), (True, True))), hand_model)
    regions = [Region(np.array([200.0, 100, 300, 180]), tuple(Side), looks=(1.0, 1.5)), Region(BOX, tuple(Side))]
    crops = estimator.cut(picture(480, 640, 3), PINHOLE, regions)
    sides = 256 / crops.affines[:, 0, 0]
    np.testing.assert_allclose(sides, [125, 187.5, 75])
    centres = [transform_points(invert_affine(affine), np.array([127.5, 127.5])) for affine in crops.affines]
    np.testing.assert_allclose(centres, [[250, 140], [250, 140], [70, 80]])


def test_same_picture_same_hands(hand_model):
    places = np.stack([at(300, 240, 0.7, PINHOLE), at(360, 250, 0.72, PINHOLE)])
    scene = make_scene(hand_model, PINHOLE, places, (True, True))
    estimator = HandEstimator(SceneEngine(scene), hand_model)
    first, again = (estimator.estimate(scene.picture, PINHOLE) for _ in range(2))
    for a, b in zip(first.hands, again.hands):
        np.testing.assert_array_equal(a.vertices, b.vertices)


def test_a_region_at_the_border_of_the_picture(hand_model):
    """The crop reaches beyond the picture and part of the hand is out of it."""
    place = at(20, 240, 0.5, PINHOLE)
    scene = make_scene(hand_model, PINHOLE, np.stack([place, place]), (True, False), seed=2)
    assert (scene.pixels[0, :, 0] < 0).any()
    region = Region(scene.boxes[0], (Side.RIGHT,))
    hands = HandEstimator(SceneEngine(scene), hand_model).estimate_regions(scene.picture, PINHOLE, [region])
    assert_finds(hands, scene)


def picture(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (picture(48, 64), r"\(48, 64\)"),
        (picture(48, 64, 4), r"\(48, 64, 4\)"),
        (picture(48, 64, 3, dtype=np.uint16), "uint16"),
        (picture(48, 64, 3, dtype=np.float32), "float32"),
        (picture(1, 1, 3), "1x1"),
        (picture(0, 0, 3), "0x0"),
        (picture(16, 33_000, 3), "33000x16"),
        (picture(0), r"\(0,\)"),
        (None, "NoneType"),
    ],
    ids=["grey", "rgba", "16-bit", "float", "1x1", "empty", "too-long", "no-axes", "none"],
)
def test_pictures_that_are_none_are_refused_with_the_cure(hand_model, image, message):
    scene = make_scene(hand_model, PINHOLE, np.array([[0, 0, 0.5], [0, 0, 0.5]]), (True, True))
    estimator = HandEstimator(SceneEngine(scene), hand_model)
    with pytest.raises(ValueError, match=message):
        estimator.estimate(image, None)


def test_camera_of_another_size_is_refused(hand_model):
    scene = make_scene(hand_model, PINHOLE, np.array([[0, 0, 0.5], [0, 0, 0.5]]), (True, True))
    with pytest.raises(ValueError, match="calibrated for 640x480 pixels, but the picture has 320x240"):
        HandEstimator(SceneEngine(scene), hand_model).estimate(picture(240, 320, 3), PINHOLE)


def test_a_camera_of_nan_cannot_be_made():
    with pytest.raises(ValueError, match="NaN"):
        Camera(np.full((3, 3), np.nan), 640, 480)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"hand_length": 18.0}, "metres"),
        ({"hand_length": float("nan")}, "metres"),
        ({"presence_threshold": 1.5}, "probability"),
        ({"smallest_hand": 1.0}, "fraction of the picture"),
        ({"smallest_hand": float("nan")}, "fraction of the picture"),
    ],
)
def test_settings_out_of_range_are_refused(hand_model, setting, message):
    scene = make_scene(hand_model, PINHOLE, np.array([[0, 0, 0.5], [0, 0, 0.5]]), (True, True))
    with pytest.raises(ValueError, match=message):
        HandEstimator(SceneEngine(scene), hand_model, **setting)


def test_a_picture_of_a_hundred_megapixels(hand_model):
    place = at(330, 240, 0.6, PINHOLE)
    scene = make_scene(hand_model, PINHOLE, np.stack([place, place]), (False, False))

    class Blind(SceneEngine):
        def _affine(self, k, image, intrinsics):
            return np.eye(3)[:2]

    hands = HandEstimator(Blind(scene), hand_model).estimate(picture(9_000, 12_000, 3), None)
    assert hands.hands == []


@pytest.mark.parametrize(("kind", "each"), [(EagerEngine, False), (CudaGraphEngine, True)])
def test_warm_up_takes_every_number_of_crops_that_the_engine_prepares(hand_model, kind, each):
    """A GPU engine records a graph for each; none may be left for the pictures."""

    class Recorder(EagerEngine):
        prepares_each_size = kind.prepares_each_size

        def __call__(self, *inputs):
            batches.add(len(inputs[0]))
            return super().__call__(*inputs)

    batches: set[int] = set()
    network = small_network(hand_model)
    estimator = HandEstimator(Recorder(network, "cpu", inputs=network.example_inputs(64)), hand_model)
    estimator.warm_up()
    assert batches == (set(range(1, MOST_CROPS + 1)) if each else {1, MOST_CROPS})
