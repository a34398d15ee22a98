"""Two hands that the network takes for the same one: the less sure is the other one, mirrored in depth."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scene import Scene, SceneEngine, make_scene
from scipy.spatial.transform import Rotation

from lgnet_core.camera import invert_affine, square_crop, transform_points
from lgnet_core.hand_model import HandModel
from lgnet_core.inference import HandEstimator, HandTracker, Region
from lgnet_core.inference.estimator import MIDDLE_CHAIN
from lgnet_core.inference.other_hand import DOUBT, mirror_in_depth, of_the_other_hand
from lgnet_core.types import Camera, Side

CAMERA = Camera(np.array([[610.0, 0, 331.0], [0, 560.0, 228.0], [0, 0, 1]]), 640, 480)
HERE, THERE = np.array([-0.25, 0.02, 0.9]), np.array([0.22, -0.03, 0.8])


def posed(hand_model: HandModel, side: Side, rotations: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """(778, 3) wrist-relative vertices of one hand."""
    both = torch.tensor(np.stack([rotations] * 2)[None], dtype=torch.float32)
    with torch.no_grad():
        mesh = hand_model(both, torch.tensor(np.stack([shape] * 2)[None], dtype=torch.float32)).wrist_relative()
    return mesh.vertices[0, side].double().numpy()


@given(seed=st.integers(0, 2**16), side=st.sampled_from(Side))
def test_the_mirror_image_is_a_hand_of_the_other_side(hand_model, seed, side):
    rng = np.random.default_rng(seed)
    rotations = Rotation.from_rotvec(rng.normal(0, 0.4, (16, 3))).as_matrix()
    rotations[0] = Rotation.random(random_state=seed).as_matrix()
    shape, ray = rng.normal(0, 1, 10), np.array([*rng.uniform(-1, 1, 2), 1.0])
    reflection = mirror_in_depth(ray)
    image = posed(hand_model, side, rotations, shape) @ reflection
    rotations[0] = reflection @ rotations[0]
    theirs = of_the_other_hand(rotations)
    np.testing.assert_allclose(np.linalg.det(theirs), 1, atol=1e-9)
    np.testing.assert_allclose(posed(hand_model, side.other, theirs, shape), image, atol=1e-5)


@given(u=st.floats(-1, 1), v=st.floats(-1, 1), seed=st.integers(0, 2**16))
def test_the_mirror_image_is_seen_where_the_hand_is(u, v, seed):
    """Of a body of 10 cm, half a metre to two metres away."""
    rng = np.random.default_rng(seed)
    ray = np.array([u, v, 1.0])
    place = ray / np.linalg.norm(ray) * rng.uniform(0.5, 2)
    body = rng.uniform(-0.05, 0.05, (20, 3))
    before, after = (
        (place + points)[:, :2] / (place + points)[:, 2:] for points in (body, body @ mirror_in_depth(ray))
    )
    across = 0.05 * np.sqrt(3) / np.linalg.norm(place)  # tangent of the angle that the body reaches
    assert np.abs(after - before).max() < 5 * across**2 * (1 + u * u + v * v)


class BothTaken(SceneEngine):
    """Sees a right hand in the crop of either place, and says how sure it is of right and left there."""

    def __init__(self, here: Scene, there: Scene, presence: dict[str, tuple[float, float]]) -> None:
        super().__init__(here)
        self.scenes, self.presence = {"here": here, "there": there}, presence

    def _answer(self, affine, intrinsics):
        name = "here" if transform_points(invert_affine(affine), np.array([127.5, 127.5]))[0] < 320 else "there"
        self.scene = self.scenes[name]
        logits = torch.logit(torch.tensor(self.presence[name], dtype=torch.float64)).numpy()
        variance = 2 * np.log([[0.004] * 21, [0.02] * 21])  # of the right hand, of the left one
        return super()._answer(affine, intrinsics) | {"presence_logits": logits, "joint_log_variance": variance}


class Fixed:
    """A detector of given regions, which counts how often it is asked."""

    def __init__(self, regions: list[Region]) -> None:
        self.regions, self.asked = regions, 0

    def find(self, image, camera):
        self.asked += 1
        return self.regions


# The seeds: the left hands lie about where the right ones do, as a network draws the two where it sees one.
@pytest.fixture
def here(hand_model) -> Scene:
    return make_scene(hand_model, CAMERA, np.stack([HERE, HERE]), (True, False), seed=26)


@pytest.fixture
def there(hand_model) -> Scene:
    return make_scene(hand_model, CAMERA, np.stack([THERE, THERE]), (True, False), seed=25)


def estimator_of(hand_model, here, there, presence, sides=tuple(Side)) -> HandEstimator:
    regions = [Region(scene.boxes[Side.RIGHT], sides) for scene in (here, there)]
    return HandEstimator(BothTaken(here, there, presence), hand_model, Fixed(regions))


def test_the_less_sure_of_two_right_hands_is_a_left_one(hand_model, here, there):
    said = estimator_of(hand_model, here, there, {"here": (0.9, 0.1), "there": (0.8, 0.3)}).estimate(
        here.picture, CAMERA
    )
    np.testing.assert_allclose(said.right.joints, here.joints[Side.RIGHT], atol=1e-4)
    left = said.left
    assert left.side is Side.LEFT
    assert left.presence == pytest.approx(0.8)
    np.testing.assert_allclose(left.joints_image, there.pixels[Side.RIGHT], atol=0.1)
    # What its joints say, its mesh and its parameters say too, and its faces look outwards.
    np.testing.assert_allclose(
        left.vertices - left.joints[0], posed(hand_model, Side.LEFT, left.rotations, left.shape), atol=1e-4
    )
    np.testing.assert_array_equal(left.faces, hand_model.faces[Side.LEFT].numpy())
    # Where it was: it is placed by the picture, which is about the same of the mirror image.
    centre = left.joints.mean(0), there.joints[Side.RIGHT].mean(0)
    np.testing.assert_allclose(centre[0], centre[1], atol=0.03 * np.linalg.norm(centre[1]))
    seen = left.joints / left.joints[:, 2:] @ CAMERA.matrix.T
    assert np.abs(seen[:, :2] - left.joints_image).mean() < 5


@pytest.mark.parametrize(
    ("presence", "right", "left"),
    [
        ({"here": (0.9, 0.1), "there": (0.4, 0.3)}, "here", None),  # no hand is seen there
        ({"here": (0.4, 0.3), "there": (0.95, 0.6)}, "there", ("there", Side.LEFT)),  # both in one crop
        ({"here": (0.9, 0.1), "there": (0.95, 0.6)}, "here", ("there", Side.LEFT)),  # a hand in either place
        ({"here": (0.9, 0.8), "there": (0.95, 0.1)}, "there", ("here", Side.LEFT)),  # as the network says
        ({"here": (0.7, 0.1), "there": (0.95, 0.1)}, "there", ("here", Side.RIGHT)),
        ({"here": (0.1, 0.4), "there": (0.95, 0.1)}, "there", None),
    ],
)
def test_which_hand_is_which(hand_model, here, there, presence, right, left):
    said = estimator_of(hand_model, here, there, presence).estimate(here.picture, CAMERA)
    scenes = {"here": here, "there": there}
    np.testing.assert_allclose(said.right.joints_image, scenes[right].pixels[Side.RIGHT], atol=0.1)
    if left is None:
        assert said.left is None
    else:
        place, slot = left
        np.testing.assert_allclose(said.left.joints_image, scenes[place].pixels[slot], atol=0.1)


def test_one_hand_in_two_crops_stays_one(hand_model, here):
    """Two regions that show the same right hand."""
    box = here.boxes[Side.RIGHT]
    beside = Region(box + np.array([40, 0, 40, 0]), tuple(Side))
    estimator = HandEstimator(SceneEngine(here), hand_model, Fixed([Region(box, tuple(Side)), beside]))
    said = estimator.estimate(here.picture, CAMERA)
    assert [hand.side for hand in said.hands] == [Side.RIGHT]


def test_it_is_the_same_hand_from_crops_that_are_turned(hand_model, here, there):
    """And its uncertainty is that of the hand that the network saw, as much larger as mirrored hands are worse."""
    presence = {"here": (0.9, 0.1), "there": (0.8, 0.3)}
    upright = estimator_of(hand_model, here, there, presence).estimate(here.picture, CAMERA).left
    boxes = [scene.boxes[Side.RIGHT] for scene in (here, there)]
    engine = BothTaken(here, there, presence)
    engine.affines = [square_crop(box, 256, rotation=angle) for box, angle in zip(boxes, (0.4, -1.1))]
    regions = [Region(box, tuple(Side), rotation=angle) for box, angle in zip(boxes, (0.4, -1.1))]
    turned = HandEstimator(engine, hand_model, Fixed(regions)).estimate(here.picture, CAMERA).left
    for name in ("joints", "vertices"):
        np.testing.assert_allclose(getattr(turned, name), getattr(upright, name), atol=1e-3)
    np.testing.assert_allclose(turned.rotations, upright.rotations, atol=2e-3)
    for hand in (upright, turned):
        np.testing.assert_allclose(hand.joint_std, 0.004 * DOUBT, rtol=1e-5)


def test_it_has_the_users_size(hand_model, here, there):
    """The scale is that of the hand that the network saw: the left one of its scenes has another shape."""
    estimator = estimator_of(hand_model, here, there, {"here": (0.9, 0.1), "there": (0.8, 0.3)})
    raw = estimator.estimate(here.picture, CAMERA).left
    estimator.hand_length = 0.15
    scaled = estimator.estimate(here.picture, CAMERA).left
    right = estimator.estimate(here.picture, CAMERA).right

    def length(joints: np.ndarray) -> float:
        return np.linalg.norm(np.diff(joints[list(MIDDLE_CHAIN)], axis=0), axis=1).sum()

    assert length(raw.joints) == pytest.approx(length(there.joints[Side.RIGHT]), rel=1e-4)
    assert length(scaled.joints) == pytest.approx(length(right.joints), rel=1e-4)
    ratio = length(scaled.joints) / length(raw.joints)
    assert scaled.joint_std[0] / raw.joint_std[0] == pytest.approx(ratio, rel=1e-4)


def test_where_a_left_hand_is_not_looked_for_there_is_none(hand_model, here, there):
    presence = {"here": (0.9, 0.1), "there": (0.8, 0.3)}
    said = estimator_of(hand_model, here, there, presence, sides=(Side.RIGHT,)).estimate(here.picture, CAMERA)
    assert [hand.side for hand in said.hands] == [Side.RIGHT]


def test_it_is_followed(hand_model, here, there):
    """Without asking the detector again: where the left hand was, a hand is seen."""
    estimator = estimator_of(hand_model, here, there, {"here": (0.9, 0.1), "there": (0.8, 0.3)})
    tracker = HandTracker(estimator, detection_interval=100)
    found = [tracker.update(here.picture, CAMERA, k * 33_000_000) for k in range(3)]
    assert estimator.detector.asked == 1
    assert [[hand.track_id for hand in hands.hands] for hands in found] == [[1, 1]] * 3
    assert {region.sides for region in tracker.last_regions} == {(Side.RIGHT,), (Side.LEFT,)}
    for hands in found[1:]:
        np.testing.assert_allclose(hands.left.joints, found[0].left.joints, atol=1e-3)
