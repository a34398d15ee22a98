"""The tracker over an engine that knows the truth: when it asks the detector, where it looks, what it forgets."""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scene import Scene, SceneEngine, make_scene

from lgnet_core.inference import HandEstimator, HandTracker, Region, RegionDetector, Smoothing
from lgnet_core.inference.detection import CANDIDATES, LOOKS, MOST_CROPS
from lgnet_core.inference.regions import UNSURE, box_of_hand, share_crops
from lgnet_core.inference.track import STEADINESS
from lgnet_core.inference.tracking import STAGES
from lgnet_core.types import Camera, Hand, Side, TwoHands

CAMERA = Camera(np.array([[610.0, 0, 331.0], [0, 560.0, 228.0], [0, 0, 1]]), 640, 480)
FRAME = 33_333_333  # nanoseconds
NEAR, FAR = ((300, 240, 0.7), (360, 250, 0.72)), ((120, 240, 0.9), (520, 250, 0.7))


class Eye(RegionDetector):
    """Finds the scene's hands, and counts how often it is asked; ``blind`` to the sides that a test names."""

    def __init__(self, engine: SceneEngine) -> None:
        self.engine = engine
        self.asked = 0
        self.blind: set[Side] = set()

    def find(self, image: np.ndarray, camera: Camera | None) -> list[Region]:
        self.asked += 1
        scene = self.engine.scene
        sides = [side for side in Side if scene.presence[side] and side not in self.blind]
        return share_crops([Region(wider(box_of_hand(scene.pixels[side]), 9), (side,)) for side in sides])


class Oracle(SceneEngine):
    """Told where its crops lie, which is faster than reading it off their pixels, and goes for any camera."""

    tracker: HandTracker

    def _affine(self, k: int, image: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
        return self.tracker.last_regions[k].crop(256)


class World:
    """Hands that a test moves, shows and hides, before a tracker."""

    def __init__(self, hand_model, places=NEAR, presence=(True, True), **settings) -> None:
        self.home = make_scene(hand_model, CAMERA, np.stack([place(*p) for p in places]), presence)
        self.engine = Oracle(self.home)
        self.eye = Eye(self.engine)
        self.estimator = HandEstimator(self.engine, hand_model, self.eye)
        self.engine.tracker = self.tracker = HandTracker(self.estimator, **settings)
        self.now = 10 * FRAME

    def show(self, shift=(0.0, 0.0, 0.0), presence=None) -> Scene:
        """The hands as at the start but for a shift (of both, or one for each, metres)."""
        shift = np.broadcast_to(shift, (2, 3))[:, None]
        home = self.home
        seen = home.presence if presence is None else np.array(presence)
        self.engine.scene = replace(home, joints=home.joints + shift, vertices=home.vertices + shift, presence=seen)
        return self.engine.scene

    def step(self, frames: float = 1, camera: Camera | None = CAMERA) -> TwoHands:
        self.now += round(frames * FRAME)
        return self.tracker.update(self.engine.scene.picture, camera, self.now)


def wider(box: np.ndarray, pixels: float) -> np.ndarray:
    return box + np.array([-pixels, -pixels, pixels, pixels])


def drawn_together(grid: np.ndarray, factor: float) -> np.ndarray:
    """The right hand's joints nearer to the middle of their box. Shapes: (2, 21, 3), cells."""
    plane = grid[Side.RIGHT, :, :2]
    middle = plane.min(0) / 2 + plane.max(0) / 2
    grid = grid.copy()
    grid[Side.RIGHT, :, :2] = (plane - middle) * factor + middle
    return grid


def place(u: float, v: float, depth: float) -> np.ndarray:
    return np.append(np.linalg.inv(CAMERA.matrix[:2, :2]) @ ([u, v] - CAMERA.matrix[:2, 2]) * depth, depth)


def assert_same(mine: TwoHands, theirs: TwoHands, but: Sequence[str] = ("track_id",)) -> None:
    """To the last bit."""
    assert mine.metric is theirs.metric
    assert (mine.relative_translation is None) == (theirs.relative_translation is None)
    if mine.relative_translation is not None:
        np.testing.assert_array_equal(mine.relative_translation, theirs.relative_translation)
    assert [hand.side for hand in mine.hands] == [hand.side for hand in theirs.hands]
    for a, b in zip(mine.hands, theirs.hands):
        for f in fields(Hand):
            if f.name not in but:
                np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name), err_msg=f.name)


def ids(hands: TwoHands) -> list[int]:
    return [hand.track_id for hand in hands.hands]


@given(
    places=st.sampled_from([NEAR, FAR]),
    presence=st.sampled_from([(True, True), (True, False), (False, True), (False, False)]),
    seed=st.integers(0, 99),
)
def test_detection_in_every_picture_is_estimate(hand_model, places, presence, seed):
    world = World(hand_model, places, presence, detection_interval=1)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        scene = world.show(rng.normal(0, 0.02, (2, 3)))
        assert_same(world.step(), world.estimator.estimate(scene.picture, CAMERA))
    assert world.eye.asked == 6


@given(places=st.sampled_from([NEAR, FAR]), seed=st.integers(0, 99))
def test_without_smoothing_it_is_estimate_regions(hand_model, places, seed):
    world = World(hand_model, places)
    rng = np.random.default_rng(seed)
    for k in range(6):
        scene = world.show(rng.normal(0, 0.01, (2, 3)), presence=(True, k not in (2, 3)))
        hands = world.step()
        assert_same(hands, world.estimator.estimate_regions(scene.picture, CAMERA, world.tracker.last_regions))
        assert hands.right is not None
        assert hands.left is None if k in (2, 3) else hands.left is not None


def test_without_a_camera_too(hand_model):
    world = World(hand_model)
    for _ in range(3):
        hands = world.step(camera=None)
        assert not hands.metric
        regions = world.tracker.last_regions
        assert_same(hands, world.estimator.estimate_regions(world.engine.scene.picture, None, regions))
    assert ids(hands) == [1, 1]


@pytest.mark.parametrize("interval", [2, 5, 10])
def test_the_detector_is_asked_every_so_many_pictures(hand_model, interval):
    world = World(hand_model, detection_interval=interval)
    asked = []
    for _ in range(2 * interval + 2):
        world.step()
        asked.append(world.eye.asked)
    counts = np.diff([0, *asked]).tolist()
    assert counts == [int(k % interval == 0) for k in range(2 * interval + 2)]


def test_an_empty_picture_is_searched_every_time(hand_model):
    world = World(hand_model, presence=(False, False))
    for k in range(4):
        assert world.step().hands == []
        assert world.eye.asked == k + 1
    assert world.engine.batches == []
    world.show(presence=(True, False))
    assert ids(world.step()) == [1]


def test_hands_share_a_crop_where_they_are_near(hand_model):
    for places, crops in ((NEAR, 1), (FAR, 2)):
        world = World(hand_model, places)
        for _ in range(3):
            world.step()
        assert world.engine.batches == [crops] * 3


def test_a_hand_that_jumps_is_found_in_the_same_picture(hand_model):
    world = World(hand_model, presence=(True, False))
    assert ids(world.step()) == [1]
    scene = world.show((0.25, 0.05, 0))
    hands = world.step()
    assert world.eye.asked == 2
    np.testing.assert_allclose(hands.right.joints, scene.joints[0], atol=1e-3)
    assert ids(hands) == [2]  # out of its crop in one picture: nobody knows whether it is the same hand
    assert ids(world.step()) == [2]
    assert world.eye.asked == 2


def test_a_moving_hand_is_followed(hand_model):
    """1.5 m/s across the picture and 1 m/s towards the camera, faster than a crop's margin allows without foresight."""
    world = World(hand_model, ((120, 240, 0.9), (520, 250, 0.7)), (True, False), detection_interval=1000)
    for k in range(12):
        seconds = k / 30
        speed = min(seconds / 0.1, 1.0)
        scene = world.show((1.5 * seconds * speed, 0, -1.0 * seconds * speed))
        hands = world.step()
        np.testing.assert_allclose(hands.right.joints, scene.joints[0], atol=2e-3)
    assert ids(hands) == [1]
    assert world.eye.asked == 1


def test_a_hand_that_is_lost_for_a_moment(hand_model):
    """It is looked for in the whole picture once, then where it was: it is back at once, with a new number."""
    world = World(hand_model, FAR)
    assert ids(world.step()) == [1, 1]
    world.show(presence=(True, False))
    for _ in range(3):
        hands = world.step()
        assert hands.left is None
        assert ids(hands) == [1]
    world.show()
    assert ids(world.step()) == [1, 2]
    assert world.eye.asked == 2
    assert world.engine.batches == [2] * 5  # nothing new for a second pass


def test_a_hand_that_left_and_comes_back_elsewhere(hand_model):
    world = World(hand_model, FAR, detection_interval=5)
    world.step()
    world.show(presence=(True, False))
    for _ in range(6):
        assert ids(world.step()) == [1]
    assert world.engine.batches[-1] == 1  # where it was is forgotten at the detector's next turn
    world.show([(0, 0, 0), (-0.3, 0.1, 0)])
    for _ in range(5):
        hands = world.step()
    assert ids(hands) == [1, 2]


def test_what_the_detector_finds_beside_the_followed_hands_is_looked_at_as_it_says(hand_model):
    """And of three such places, each twice, no picture has more crops than the estimator was warmed up for."""
    world = World(hand_model, FAR, detection_interval=2)
    for _ in range(2):
        world.step()
    elsewhere = [Region(np.array([u, 10.0, u + 30, 40.0]), tuple(Side), looks=LOOKS) for u in (10, 200, 500)]

    class Anywhere(Oracle):
        def __call__(self, images, intrinsics):
            self.affines = np.concatenate([region.crops(256) for region in self.tracker.last_regions])
            return super().__call__(images, intrinsics)

        def _affine(self, k, image, intrinsics):
            return self.affines[k]

    world.estimator.engine = engine = Anywhere(world.home)
    engine.tracker = world.tracker
    world.eye.find = lambda image, camera: elsewhere[:places]
    for places in (1, 3):
        for _ in range(2):
            assert ids(world.step()) == [1, 1]
        assert sorted(engine.batches)[-1] == 2 + places * len(LOOKS)
    assert max(engine.batches) == MOST_CROPS == 2 + CANDIDATES * len(LOOKS)


def test_a_hand_that_is_only_seen_in_the_detectors_region(hand_model):
    """A network that needs more around the hand: it is found in every picture, mostly at the price of estimate()."""
    world = World(hand_model, presence=(True, False), detection_interval=4)

    class Farsighted(Oracle):
        def _answer(self, affine, intrinsics):
            wide = np.diff(box_of_hand(self.scene.pixels[0]).reshape(2, 2), axis=0).max() * affine[0, 0] < 170
            return super()._answer(affine, intrinsics) | {"presence_logits": np.array([3.0 if wide else -3.0, -8.0])}

    world.estimator.engine = engine = Farsighted(world.home)
    engine.tracker = world.tracker
    box = wider(box_of_hand(world.home.pixels[0]), 40)
    world.eye.find = lambda image, camera: [Region(box, tuple(Side))]
    for _ in range(12):
        assert ids(world.step()) == [1]
    passes = [1, 2, 1, 1, 1, 1, 2, 1, 1, 1, 1, 2]
    assert len(engine.batches) == sum(passes)


@pytest.mark.parametrize("sides", [(Side.RIGHT,), tuple(Side)])
def test_drifting_regions_are_set_right(hand_model, sides):
    """A network whose hands are always smaller than its crops would shrink them until nothing is left."""
    world = World(hand_model, presence=(True, False), detection_interval=4)

    class Shrinking(Oracle):
        def _answer(self, affine, intrinsics):
            answer = super()._answer(affine, intrinsics)
            extent = np.ptp(answer["joints_grid"][0, :, :2], axis=0).max()
            # followed, the hand always fills four fifths of what the crop should hold
            grid = drawn_together(answer["joints_grid"], 8 / 1.25 / 1.1 / extent * 0.8 / UNSURE)
            return answer | {"joints_grid": grid, "presence_logits": np.array([8.0, -8.0])}

    world.estimator.engine = engine = Shrinking(world.home)
    engine.tracker = world.tracker
    box = box_of_hand(world.home.pixels[0])
    world.eye.find = lambda image, camera: [Region(box, sides)]
    sizes = []
    for _ in range(60):
        assert ids(world.step()) == [1]
        sizes.append(np.diff(world.tracker.last_regions[0].box.reshape(2, 2), axis=0).max())
    assert sizes[3] < sizes[0]
    assert min(sizes) > 0.5 * sizes[0]
    assert sizes.count(sizes[0]) > 1


def test_a_hand_seen_too_small_is_followed_as_it_is(hand_model):
    """Else crops would be tighter than those that the network was trained on."""
    world = World(hand_model, presence=(True, False), detection_interval=1000)

    class Unsure(Oracle):
        def _answer(self, affine, intrinsics):
            answer = super()._answer(affine, intrinsics)
            return answer | {"joints_grid": drawn_together(answer["joints_grid"], 1 / UNSURE)}

    world.estimator.engine = engine = Unsure(world.home)
    engine.tracker = world.tracker
    for _ in range(3):
        world.step()
    (region,) = world.tracker.last_regions
    np.testing.assert_allclose(region.box, box_of_hand(world.home.pixels[Side.RIGHT]), atol=0.01)


def test_regions_grow_at_once_and_shrink_slowly(hand_model):
    world = World(hand_model, presence=(True, False), detection_interval=1000)

    def size() -> float:
        world.step()
        return float(np.diff(world.tracker.last_regions[0].box.reshape(2, 2), axis=0).max())

    small = [size() for _ in range(3)][-1]
    world.show((0, 0, -0.1))
    world.step()
    large = size()
    assert large > 1.1 * small
    world.show()
    world.step()
    sizes = [size() for _ in range(30)]
    assert sizes[0] > 0.95 * large
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < (1 + 2 * STEADINESS) * small


def test_a_hand_that_only_trembles_is_looked_at_in_one_crop(hand_model):
    """Else its own noise would come back through the crop."""
    world = World(hand_model, presence=(True, False), detection_interval=1000)
    for _ in range(3):
        world.step()
    (region,) = world.tracker.last_regions
    for k in range(10):
        world.show((0.003 * (-1) ** k, 0.002 * (-1) ** (k // 2), 0))
        world.step()
        assert world.tracker.last_regions[0].box.tobytes() == region.box.tobytes()
    world.show((0.1, 0, 0))
    world.step()
    world.step()
    assert world.tracker.last_regions[0].box[0] > region.box[0]


def test_a_detector_that_misses_a_followed_hand_does_not_lose_it(hand_model):
    world = World(hand_model, FAR, detection_interval=2)
    world.step()
    world.eye.blind = set(Side)
    for _ in range(6):
        assert ids(world.step()) == [1, 1]


class Mixing(Oracle):
    """Draws the right hand over the left one where only the last hands say where to look; ``blind`` to it elsewhere."""

    eye: Eye
    asked = 1
    blind = False

    def _answer(self, affine, intrinsics):
        answer = super()._answer(affine, intrinsics)
        if self.eye.asked > self.asked:
            return answer | ({"presence_logits": np.array([-8.0, 8.0])} if self.blind else {})
        grid = answer["joints_grid"].copy()
        grid[Side.RIGHT] = grid[Side.LEFT]
        return answer | {"joints_grid": grid}


def mixed_up(hand_model) -> tuple[World, Mixing]:
    """Two hands in one crop, seen once; from now on the network mixes them up."""
    world = World(hand_model, ((300, 240, 0.7), (390, 250, 0.72)), detection_interval=5)
    assert ids(world.step()) == [1, 1]
    assert len(world.tracker.last_regions) == 1
    world.estimator.engine = world.engine = engine = Mixing(world.home)
    engine.tracker, engine.eye = world.tracker, world.eye
    return world, engine


def test_a_hand_that_is_drawn_over_the_other_one_is_looked_for_in_the_same_picture(hand_model):
    world, engine = mixed_up(hand_model)
    hands = world.step()
    assert world.eye.asked == 2
    assert len(engine.batches) == 2
    assert ids(hands) == [1, 1]
    np.testing.assert_allclose(hands.right.joints, world.home.joints[0], atol=1e-3)
    for k in range(5):  # following does not help: the detector is asked first
        engine.asked = world.eye.asked
        assert ids(world.step()) == [1, 1]
        assert world.eye.asked == 3 + k
        assert len(engine.batches) == 3 + k


def test_a_hand_that_cannot_be_found_better_is_reported_as_it_is_drawn(hand_model):
    world, engine = mixed_up(hand_model)
    engine.blind = True
    hands = world.step()
    assert world.eye.asked == 2
    left = world.home.pixels[Side.LEFT]
    np.testing.assert_allclose(hands.right.joints_image, left, atol=0.1)
    engine.blind, engine.asked = False, 99  # nothing but the truth for what it looked at last
    assert_same(hands, world.estimator.estimate_regions(world.home.picture, CAMERA, world.tracker.last_regions))


def test_a_surer_hand_elsewhere_takes_over(hand_model):
    """Two right hands, as of two persons: one that the detector finds clear of the followed one is looked at too."""
    world = World(hand_model, ((120, 240, 0.9), (520, 250, 0.9)), (True, False), detection_interval=2)

    here, there = world.home, world.show((0.6, 0, 0))

    class Persons(Oracle):
        """A right hand that is not quite sure on the left of the picture, and a surer one on the right of it."""

        def _answer(self, affine, intrinsics):
            surer = (127.5 - affine[0, 2]) / affine[0, 0] > 320
            self.scene = there if surer else here
            return super()._answer(affine, intrinsics) | {"presence_logits": np.array([4.0 if surer else 1.0, -8.0])}

    world.estimator.engine = world.engine = Persons(here)
    world.engine.tracker = world.tracker
    world.eye.find = lambda image, camera: [Region(box_of_hand(here.pixels[0]), (Side.RIGHT,))]
    for _ in range(2):
        assert ids(world.step()) == [1]
    world.eye.find = lambda image, camera: [Region(box_of_hand(there.pixels[0]), (Side.RIGHT,))]
    hands = world.step()
    assert ids(hands) == [2]
    np.testing.assert_allclose(hands.right.joints, there.joints[0], atol=1e-3)
    assert len(world.tracker.last_regions) == 2
    assert ids(world.step()) == [2]
    assert len(world.tracker.last_regions) == 1


def test_what_the_detector_finds_over_a_followed_hand_is_only_asked_for_the_other(hand_model):
    """A detector that tells no sides: its region over the followed hand does not compete with it."""
    world = World(hand_model, FAR, (True, False), detection_interval=2)
    box = box_of_hand(world.home.pixels[0])
    world.eye.find = lambda image, camera: [Region(wider(box, 20), (Side.RIGHT, Side.LEFT))]
    for _ in range(4):
        hands = world.step()
        assert ids(hands) == [1]
        assert len(world.tracker.last_regions) == 1


def changed_camera() -> Camera:
    return Camera(CAMERA.matrix + np.diag([1.0, 0, 0]), 640, 480)


@pytest.mark.parametrize(
    "disturb",
    [
        lambda w: w.step(-20),
        lambda w: w.step(16),
        lambda w: w.step(camera=changed_camera()),
        lambda w: w.step(camera=Camera(CAMERA.matrix, 640, 480, np.array([0.01, 0, 0, 0]))),
        lambda w: w.step(camera=None),
        lambda w: w.tracker.reset(),
    ],
    ids=["clock-back", "gap", "intrinsics", "distortion", "no-camera", "reset"],
)
def test_what_makes_it_forget(hand_model, disturb):
    world = World(hand_model, smoothing=Smoothing(min_cutoff=0.1, beta=0))
    for _ in range(3):
        world.step()
    assert world.eye.asked == 1
    world.show((0.01, 0, 0))
    disturb(world)
    hands = world.step()
    assert world.eye.asked >= 2
    assert min(ids(hands)) >= 2


def test_the_size_of_the_picture_makes_it_forget(hand_model):
    world = World(hand_model)
    world.step(camera=None)
    world.now += FRAME
    larger = np.zeros((500, 700, 3), np.uint8)
    assert ids(world.tracker.update(larger, None, world.now)) == [2, 2]
    assert world.eye.asked == 2


@pytest.mark.parametrize("frames", [0, 0.2, 1, 14])
def test_what_does_not(hand_model, frames):
    """Irregular stamps up to the gap, a stamp that stands still, and a camera that is sent anew with each picture."""
    world = World(hand_model, smoothing=Smoothing())
    for _ in range(4):
        camera = Camera(CAMERA.matrix.copy(), 640, 480, np.zeros(5) if frames == 1 else CAMERA.distortion)
        hands = world.step(frames, Camera(CAMERA.matrix.copy(), 640, 480) if frames != 1 else camera)
        assert np.isfinite(hands.right.vertices).all()
    assert ids(hands) == [1, 1]
    assert world.eye.asked == 1


def test_smoothing_holds_a_noisy_hand_and_keeps_relations(hand_model):
    rng = np.random.default_rng(0)
    worlds = [World(hand_model, smoothing=s) for s in (None, Smoothing(min_cutoff=1.0, beta=5.0))]
    tracks: list[list[np.ndarray]] = [[], []]
    for _ in range(20):
        shift = rng.normal(0, 0.002, (2, 3))
        for world, track in zip(worlds, tracks):
            world.show(shift)
            hands = world.step()
            track.append(hands.right.joints)
            np.testing.assert_allclose(
                hands.relative_translation, hands.left.joints[0] - hands.right.joints[0], atol=1e-12
            )
    rough, calm = (np.diff(np.array(track), 2, axis=0)[5:].std() for track in tracks)
    assert calm < 0.5 * rough


def test_smoothing_can_be_switched_while_it_runs(hand_model):
    world = World(hand_model, smoothing=Smoothing(min_cutoff=0.1, beta=0.0))
    world.step()
    scene = world.show((0.02, 0, 0))
    lagging = world.step()
    assert np.abs(lagging.right.joints - scene.joints[0]).max() > 0.01
    world.tracker.smoothing = None
    np.testing.assert_allclose(world.step().right.joints, scene.joints[0], atol=1e-3)
    world.tracker.smoothing = Smoothing(min_cutoff=0.1, beta=0.0)
    hands = world.step()  # begins with what is seen, not with what it held before
    np.testing.assert_allclose(hands.right.joints, scene.joints[0], atol=1e-3)
    assert ids(hands) == [1, 1]


def test_an_error_is_forgotten(hand_model):
    world = World(hand_model)
    world.step()
    look = world.estimator.engine
    world.estimator.engine = None
    with pytest.raises(Exception, match="NoneType"):
        world.step()
    world.estimator.engine = look
    assert ids(world.step()) == [1, 1]
    with pytest.raises(ValueError, match="RGB"):
        world.tracker.update(np.zeros((4, 4)), CAMERA, world.now)
    assert ids(world.step()) == [1, 1]
    assert world.eye.asked == 1


@pytest.mark.parametrize("field", ["joints", "vertices", "rotations", "shape"])
def test_numbers_that_are_none_are_forgotten(hand_model, field):
    """An overflow in half precision costs its picture only: no filter and no region keeps it."""
    world = World(hand_model, presence=(True, False), smoothing=Smoothing())
    first = world.step()

    class Overflowing(Oracle):
        def _answer(self, affine, intrinsics):
            answer = super()._answer(affine, intrinsics)
            return answer | {field: answer[field] * np.nan}

    world.estimator.engine = Overflowing(world.home)
    world.estimator.engine.tracker = world.tracker
    assert ids(world.step()) == []
    world.estimator.engine = world.engine
    for _ in range(2):
        hands = world.step()
        np.testing.assert_allclose(hands.right.vertices, first.right.vertices, atol=1e-5)
    assert ids(hands) == [2]


def test_stages_are_timed(hand_model):
    world = World(hand_model, smoothing=Smoothing())
    world.step()
    first = world.tracker.last_stages
    assert tuple(first) == STAGES
    assert all(seconds > 0 for seconds in first.values())
    world.step()
    assert world.tracker.last_stages["detect"] == 0
    assert world.tracker.last_stages is not first


@pytest.mark.parametrize("setting", [{"detection_interval": 0}, {"max_gap": 0.0}, {"max_gap": float("nan")}])
def test_settings_out_of_range_are_refused(hand_model, setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        World(hand_model, **setting)
