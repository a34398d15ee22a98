"""Tracking with scripted networks: detection schedule, predicted crops, track ids, resets and smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from threading import get_native_id

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scene import make_scene, point_at
from support.scripted_engines import CAMERA, HEIGHT, WIDTH, Script, coordinate_image, hand_at
from support.waiting import wait_for

from lgnet_core.inference import HandTracker, Smoothing, Thresholds
from lgnet_core.inference.timing import STAGES
from lgnet_core.types import Camera, Hand, Side, TwoHands

FRAME = 33_333_333  # nanoseconds
WRISTS = np.stack([point_at(60, 130, 0.6, CAMERA), point_at(180, 130, 0.65, CAMERA)])


class World:
    """Two scripted hands that a test moves, shows and hides, and a tracker.

    The detectors see flat hands, :func:`hand_at`; the meshes are a scene's.
    """

    def __init__(self, hand_model, thresholds: Thresholds | None = None, **settings) -> None:
        scene = make_scene(hand_model, CAMERA, WRISTS, (True, True), seed=3)
        self.right, self.left = hand_at(60, 130), hand_at(180, 130, Side.LEFT)
        self.script = Script(hand_model, scene, [self.right, self.left])
        self.estimator = self.script.estimator(thresholds=thresholds)
        self.tracker = HandTracker(self.estimator, **settings)
        self.image = coordinate_image()
        self.now = 10 * FRAME

    def step(self, frames: float = 1, camera: Camera | None = CAMERA) -> TwoHands:
        self.now += round(frames * FRAME)
        return self.tracker.update(self.image, camera, self.now)

    @property
    def detections(self) -> int:
        """Number of runs of the palm detector."""
        return len(self.script.palms.scales)

    @property
    def batches(self) -> list[int]:
        """Number of crops in each run of the hand-landmark network."""
        return self.script.landmarks.batches

    def hide(self, *hands) -> None:
        """Remove palms and presence."""
        for hand in hands:
            hand.palm_score, hand.presence = 0.0, 0.01

    def show(self, *hands) -> None:
        for hand in hands:
            hand.palm_score, hand.presence = 0.8, 0.9


def ids(hands: TwoHands) -> dict[Side, int]:
    return {hand.side: hand.track_id for hand in hands.hands}


def assert_equal(actual: TwoHands, expected: TwoHands, ignored: Sequence[str] = ("track_id",)) -> None:
    """Bit-identical except for the ignored fields."""
    assert actual.metric is expected.metric
    assert (actual.relative_translation is None) == (expected.relative_translation is None)
    if actual.relative_translation is not None:
        np.testing.assert_array_equal(actual.relative_translation, expected.relative_translation)
    assert [hand.side for hand in actual.hands] == [hand.side for hand in expected.hands]
    for a, b in zip(actual.hands, expected.hands):
        for f in fields(Hand):
            if f.name not in ignored:
                np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name), err_msg=f.name)


@settings(max_examples=8)
@given(present=st.sampled_from([(1, 1), (1, 0), (0, 1), (0, 0)]), seed=st.integers(0, 99))
def test_detection_in_every_image_equals_estimate(hand_model, present, seed):
    world = World(hand_model, detection_interval=1)
    world.hide(*(hand for hand, shown in zip((world.right, world.left), present) if not shown))
    rng = np.random.default_rng(seed)
    for _ in range(3):
        for hand in (world.right, world.left):
            hand.move(*rng.uniform(-5, 5, 2))
        assert_equal(world.step(), world.estimator.estimate(world.image, CAMERA))
    assert world.detections >= 6


@pytest.mark.parametrize("camera", [CAMERA, None], ids=["calibrated", "uncalibrated"])
def test_tracking_still_hands_matches_estimate(hand_model, camera):
    """Crops of tracked hands are those of the second detection pass, so the observations are the same."""
    world = World(hand_model)
    expected = world.estimator.estimate(world.image, camera)
    for _ in range(3):
        hands = world.step(camera=camera)
        assert hands.metric is (camera is not None)
        for a, b in zip(hands.hands, expected.hands, strict=True):
            np.testing.assert_allclose(a.joints, b.joints, atol=1e-3)
            np.testing.assert_allclose(a.joints_2d, b.joints_2d, atol=0.05)
    assert ids(hands) == {Side.RIGHT: 1, Side.LEFT: 2}


@pytest.mark.parametrize("interval", [2, 5, 10])
def test_two_tracked_hands_cost_a_detection_per_interval(hand_model, interval):
    world = World(hand_model, detection_interval=interval)
    detections = [0]
    for _ in range(2 * interval + 2):
        world.step()
        detections.append(world.detections)
    assert np.diff(detections).tolist() == [int(k % interval == 0) for k in range(2 * interval + 2)]


def test_a_tracked_hand_costs_one_crop(hand_model):
    world = World(hand_model)
    world.step()
    world.batches.clear()
    world.step()
    assert world.batches == [2]
    assert world.detections == 1


@pytest.mark.parametrize(("frames", "searched"), [(1, [1, 1, 2, 2, 3]), (1.5, [1, 2, 3, 4, 5])])
def test_missing_hand_is_searched_for_at_20_hz_at_most(hand_model, frames, searched):
    """Without a retry on the downscaled image, as one hand is known."""
    world = World(hand_model)
    world.hide(world.left)
    for count in searched:
        assert ids(world.step(frames)) == {Side.RIGHT: 1}
        assert world.detections == count
    assert world.batches == [1, 1, 1, 1, 1, 1]  # two detection passes, then one crop per image, as the palm is known
    world.show(world.left)
    assert ids(world.step(2)) == {Side.RIGHT: 1, Side.LEFT: 2}


def test_detection_is_retried_in_every_image_without_hands(hand_model):
    world = World(hand_model)
    world.hide(world.right, world.left)
    for k in range(3):
        assert world.step().hands == []
        assert world.detections == 2 * (k + 1)


def test_moving_hands_are_tracked(hand_model):
    """At 9 pixels, a tenth of a crop, per image: the predicted crop compensates for the motion."""
    world = World(hand_model, detection_interval=1000)
    for _ in range(8):
        hands = world.step()
        assert ids(hands) == {Side.RIGHT: 1, Side.LEFT: 2}
        np.testing.assert_allclose(hands.right.joints_2d, world.right.joints, atol=0.05)
        world.right.move(9, 0)
        world.left.move(-4, -3)
    assert world.detections == 1
    centres = [np.linalg.solve(a[:, :2], np.full(2, 111.5) - a[:, 2]) for a in world.script.landmarks.affines]
    last_joints = world.right.joints - [9, 0]
    assert abs(centres[0][0] - last_joints[:, 0].mean()) < 10


def test_a_hand_that_jumps_gets_a_new_track_in_the_same_image(hand_model):
    world = World(hand_model)
    world.hide(world.left)
    assert ids(world.step()) == {Side.RIGHT: 1}
    world.right.move(120, 20)
    hands = world.step()
    np.testing.assert_allclose(hands.right.joints_2d, world.right.joints, atol=0.05)
    assert ids(hands) == {Side.RIGHT: 2}
    assert ids(world.step()) == {Side.RIGHT: 2}


def test_a_presence_below_the_threshold_ends_a_track(hand_model):
    """Detection runs immediately; a hand that reappears gets a new track id."""
    world = World(hand_model)
    world.step()
    world.right.presence = 0.49
    assert ids(world.step()) == {Side.LEFT: 2}
    assert world.detections == 2
    world.right.presence = 0.51
    assert ids(world.step(2)) == {Side.RIGHT: 3, Side.LEFT: 2}


def test_the_presence_threshold_can_be_changed_between_images(hand_model):
    world = World(hand_model)
    world.right.presence = 0.6
    assert set(ids(world.step())) == set(Side)
    world.estimator.presence_threshold = 0.7
    assert set(ids(world.step())) == {Side.LEFT}
    world.estimator.presence_threshold = 0.5
    assert set(ids(world.step(2))) == set(Side)


def test_tracked_hands_do_not_depend_on_detection(hand_model):
    world = World(hand_model, detection_interval=2)
    first = ids(world.step())
    world.right.palm_score = world.left.palm_score = 0.0
    for _ in range(6):
        assert ids(world.step()) == first
    assert world.detections > 2


def test_duplicate_tracks_are_suppressed(hand_model):
    """If two tracks converge to one hand, the observation of higher presence is kept."""
    world = World(hand_model)
    world.step()
    world.left.joints = world.right.joints + 1.0
    world.left.presence = 0.7
    for _ in range(3):
        hands = world.step()
        assert len(hands.hands) == 1
    assert hands.hands[0].presence == pytest.approx(0.9, abs=1e-5)


def test_handedness_is_averaged_over_a_track(hand_model):
    """Single images with the wrong handedness do not change the side: the average spans about ten images."""
    world = World(hand_model)
    world.hide(world.left)
    world.step()
    world.right.right_probability = 0.1
    for _ in range(5):
        assert ids(world.step()) == {Side.RIGHT: 1}
    while set(ids(world.step())) == {Side.RIGHT}:
        pass
    changed = world.step()
    assert set(ids(changed)) == {Side.LEFT}
    assert changed.left.track_id == 2


def test_two_hands_of_the_same_handedness_get_both_sides(hand_model):
    world = World(hand_model)
    world.left.right_probability = 0.6
    for _ in range(3):
        hands = world.step()
        assert ids(hands) == {Side.RIGHT: 1, Side.LEFT: 2}
    np.testing.assert_allclose(hands.left.joints_2d, world.left.joints, atol=0.05)
    assert world.batches[-1] == 2, (
        "crops of tracked hands are mirrored according to their side, so no hand is observed again"
    )


def test_at_most_two_hands_are_tracked(hand_model):
    world = World(hand_model, detection_interval=2)
    world.script.hands.append(hand_at(120, 60, size=0.7, presence=0.55))
    for _ in range(6):
        assert ids(world.step()) == {Side.RIGHT: 1, Side.LEFT: 2}


def changed_camera() -> Camera:
    return Camera(CAMERA.matrix + np.diag([1.0, 0, 0]), WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "disturb",
    [
        lambda w: w.step(-20),
        lambda w: w.step(16),
        lambda w: w.step(camera=changed_camera()),
        lambda w: w.step(camera=Camera(CAMERA.matrix, WIDTH, HEIGHT, np.array([0.01, 0, 0, 0]))),
        lambda w: w.step(camera=None),
        lambda w: w.tracker.reset(),
    ],
    ids=["clock-back", "gap", "intrinsics", "distortion", "no-camera", "reset"],
)
def test_reset_conditions(hand_model, disturb):
    world = World(hand_model, smoothing=Smoothing(min_cutoff=0.1, beta=0))
    for _ in range(3):
        world.step()
    assert world.detections == 1
    world.right.move(8, 0)
    disturb(world)
    hands = world.step()
    assert world.detections >= 2
    assert min(ids(hands).values()) >= 3, "track ids count on"
    expected = world.estimator.estimate(world.image, CAMERA)
    np.testing.assert_allclose(hands.right.joints, expected.right.joints, atol=1e-6)  # the filter was reset, too


def test_another_image_size_resets(hand_model):
    world = World(hand_model)
    world.step(camera=None)
    world.now += FRAME
    larger = coordinate_image(WIDTH + 8, HEIGHT)
    assert ids(world.tracker.update(larger, None, world.now)) == {Side.RIGHT: 3, Side.LEFT: 4}


@pytest.mark.parametrize("frames", [0, 0.2, 1, 14])
def test_conditions_that_do_not_reset(hand_model, frames):
    """Irregular stamps up to the maximum gap, equal stamps, and a new camera object with the same calibration."""
    world = World(hand_model, smoothing=Smoothing())
    for k in range(4):
        camera = Camera(CAMERA.matrix.copy(), WIDTH, HEIGHT)
        hands = world.step(frames if k else 1, camera)
        assert np.isfinite(hands.right.vertices).all()
    assert ids(hands) == {Side.RIGHT: 1, Side.LEFT: 2}
    assert world.detections == 1


def test_smoothing_reduces_jitter_and_keeps_the_relative_translation_consistent(hand_model):
    rng = np.random.default_rng(0)
    worlds = [World(hand_model, smoothing=s) for s in (None, Smoothing(min_cutoff=1.0, beta=5.0))]
    trajectories: list[list[np.ndarray]] = [[], []]
    for _ in range(20):
        noise = rng.normal(0, 0.5, (2, 2))
        for world, trajectory in zip(worlds, trajectories):
            for hand, shift in zip((world.right, world.left), noise):
                hand.move(*shift)
            hands = world.step()
            for hand, shift in zip((world.right, world.left), noise):
                hand.move(*-shift)
            trajectory.append(hands.right.joints)
            np.testing.assert_allclose(
                hands.relative_translation, hands.left.joints[0] - hands.right.joints[0], atol=1e-12
            )
    raw, smoothed = (np.diff(np.array(joints), 2, axis=0)[5:].std() for joints in trajectories)
    assert smoothed < 0.5 * raw


def test_smoothing_is_not_fed_back_into_the_crops(hand_model):
    """The lag of a slow filter affects the output, not the predicted crops."""
    slow, plain = (World(hand_model, smoothing=s) for s in (Smoothing(min_cutoff=0.05, beta=0.0), None))
    for _ in range(5):
        for world in (slow, plain):
            world.right.move(6, 0)
            world.step()
        for a, b in zip(slow.script.landmarks.affines, plain.script.landmarks.affines, strict=True):
            np.testing.assert_array_equal(a, b)


def test_smoothing_can_be_switched_at_run_time(hand_model):
    world, plain = World(hand_model, smoothing=Smoothing(min_cutoff=0.1, beta=0.0)), World(hand_model)
    hands = [(world.step(), plain.step())]
    for smoothing in (world.tracker.smoothing, None, Smoothing(min_cutoff=0.1, beta=0.0)):
        world.tracker.smoothing = smoothing
        for each in (world, plain):
            each.right.move(8, 0)
            each.left.move(0, -5)
        hands.append((world.step(), plain.step()))
    lag = [np.abs(smoothed.right.joints - raw.right.joints).max() for smoothed, raw in hands]
    assert lag[1] > 1e-3
    assert max(lag[0], lag[2], lag[3]) < 1e-12, "restarts from the current hands, not from its last state"


def test_tracking_continues_after_an_exception(hand_model):
    world = World(hand_model)
    first = ids(world.step())
    engine = world.estimator.reconstructor.engine
    world.estimator.reconstructor.engine = None
    with pytest.raises(TypeError):
        world.step()
    world.estimator.reconstructor.engine = engine
    assert ids(world.step()) == first
    with pytest.raises(ValueError, match="RGB"):
        world.tracker.update(np.zeros((4, 4)), CAMERA, world.now)
    assert ids(world.step()) == first
    assert world.detections == 1


def test_a_mesh_that_is_not_finite_affects_one_image_only(hand_model):
    """An overflow in half precision: tracking continues with the joints, and the filter state stays finite."""
    world = World(hand_model, smoothing=Smoothing())
    first = world.step()
    engine = world.script.stages

    class Overflowing(type(engine)):
        def __call__(self, *inputs):
            prediction = super().__call__(*inputs)
            prediction.vertices[Side.RIGHT] = torch.nan
            return prediction

    world.estimator.reconstructor.engine = Overflowing(engine.scene)
    assert ids(world.step()) == {Side.LEFT: 2}
    world.estimator.reconstructor.engine = engine
    for _ in range(2):
        hands = world.step()
        np.testing.assert_allclose(hands.right.vertices, first.right.vertices, atol=1e-3)
    assert ids(hands) == ids(first)


def test_landmarks_that_are_not_finite_end_a_track(hand_model):
    world = World(hand_model)
    world.step()
    engine = world.script.landmarks

    class Overflowing(type(engine)):
        def __call__(self, crops):
            output = super().__call__(crops)
            output.landmarks[0] = torch.nan
            return output

    observer = world.estimator.detector.observer
    observer.engine = Overflowing(engine.hands)
    assert len(world.step().hands) < 2
    observer.engine = engine
    hands = world.step(2)
    assert set(ids(hands)) == set(Side)
    assert np.isfinite(hands.right.joints).all()


def test_stages_are_timed(hand_model):
    world = World(hand_model, smoothing=Smoothing())
    world.step()
    first = world.tracker.last_stages
    assert tuple(first) == STAGES
    assert all(seconds > 0 for seconds in first.values())
    world.step()
    assert world.tracker.last_stages["detect"] == 0
    assert world.tracker.last_stages is not first


def other_threads() -> list[Path]:
    return [path for path in Path("/proc/self/task").iterdir() if path.name != str(get_native_id())]


def asleep(thread: Path) -> bool:
    return (thread / "stat").read_text().rpartition(")")[2].split()[0] == "S"


def busy_threads(run) -> set[str]:
    """Other threads of this process that consume CPU time while ``run`` executes."""

    def computed() -> dict[str, int]:
        """Nanoseconds of each; updated when a thread falls asleep, which OpenCV's and torch's do after a while."""
        wait_for(lambda: all(map(asleep, other_threads())), "all other threads to sleep")
        return {path.name: int((path / "schedstat").read_text().split()[0]) for path in other_threads()}

    before = computed()
    run()
    after = computed()
    return {name for name, spent in after.items() if spent > before.get(name, 0)}


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs the per-thread statistics of Linux")
@pytest.mark.parametrize("count", [1, 2])
def test_torchs_thread_pool_is_not_used(hand_model, count):
    """Its threads would busy-wait on cores that the engines' threads need."""
    world = World(hand_model, detection_interval=3)
    if count == 1:
        world.hide(world.left)
    estimator, script = world.estimator, world.script
    world.step()

    def replay(engine):
        """An engine that repeats its recorded outputs by batch size, without computing them again."""
        outputs: dict[int, object] = {}

        class Replay(type(engine)):
            def __call__(self, *inputs):
                if len(inputs[0]) not in outputs:
                    outputs[len(inputs[0])] = engine(*inputs)
                return outputs[len(inputs[0])]

        return Replay.__new__(Replay)

    estimator.detector.palms.engine = replay(script.palms)
    estimator.detector.observer.engine = replay(script.landmarks)
    estimator.reconstructor.engine = replay(script.stages)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _ in range(4):
            assert len(world.step().hands) == count
        torchs = busy_threads(lambda: torch.rand(2_000_000).sum())
        if not torchs:
            pytest.skip("torch computes in one thread here")
        assert not torchs & busy_threads(lambda: [world.step() for _ in range(6)])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("setting", [{"detection_interval": 0}, {"max_gap": 0.0}, {"max_gap": float("nan")}])
def test_settings_out_of_range_are_rejected(hand_model, setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        World(hand_model, **setting)


def test_two_people_keep_their_indices_and_tracks(hand_model):
    """A second person's right hand comes, and stays another's when the first person's is lost."""
    world = World(hand_model, thresholds=Thresholds(max_people=2))
    visitor = hand_at(120, 60)
    world.script.hands.append(visitor)
    world.hide(visitor)

    def people(step: World) -> dict[int, dict[Side, int]]:
        step.now += 2 * FRAME
        return {hands.person: ids(hands) for hands in step.tracker.update_people(step.image, CAMERA, step.now).people}

    assert people(world) == {0: {Side.RIGHT: 1, Side.LEFT: 2}}
    world.show(visitor)
    assert people(world) == {0: {Side.RIGHT: 1, Side.LEFT: 2}, 1: {Side.RIGHT: 3}}
    world.hide(world.right, world.left)
    assert people(world) == {1: {Side.RIGHT: 3}}
    hands = world.step()
    assert (hands.person, ids(hands)) == (1, {Side.RIGHT: 3})  # of `update` the first one that is there
    world.show(world.left)  # joins the person who lacks a left hand
    assert people(world) == {1: {Side.RIGHT: 3, Side.LEFT: 4}}


def test_with_one_person_a_second_right_hand_is_no_other_persons(hand_model):
    world = World(hand_model)
    world.script.hands.append(hand_at(120, 60))
    assert [hands.person for hands in world.tracker.update_people(world.image, CAMERA, world.now).people] == [0]
