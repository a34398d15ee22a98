"""A bag of images gives a bag of results: the right messages at the right times, complete when interrupted."""

from __future__ import annotations

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Writer
from scipy.spatial.transform import Rotation
from support.bags import DELAY, FIRST_STAMP, FRAME_ID, PERIOD, camera_info, camera_messages, read_bag, write_bag
from support.fixed_hands import FixedTracker
from support.recorded_frames import CAMERA
from typer.testing import CliRunner

from lgnet_core.bags.image_bag import ImageBag
from lgnet_core.cli import app as cli
from lgnet_core.commands.replay import replay
from lgnet_core.commands.report import Report
from lgnet_core.inference.thresholds import PEOPLE_RANGE
from lgnet_core.io.output import OutputError
from lgnet_core.recording.formats import Recorder
from lgnet_core.types import Camera, ImageHands, Side

HANDS, NO_HANDS = 255, 0
"""First pixels, see :class:`support.fixed_hands.FixedTracker`."""


def frame(value: int) -> np.ndarray:
    return np.full((480, 640, 3), value, np.uint8)


def run(tracker, path, out, recordings=None, **choices) -> Report:
    report = Report()
    hand_model = tracker.estimator.hand_model
    with ImageBag(path, **choices) as bag:
        replay(tracker, hand_model, bag, out, recordings or Recorder((), hand_model).open(out.parent, "a"), report)
    return report


def by_topic(path):
    topics = {}
    for topic, time, kind, _, message in read_bag(path):
        topics.setdefault(topic, []).append((time, kind, message))
    return topics


def xyz(message):
    return [message.x, message.y, message.z]


def test_results_of_every_image(tmp_path):
    path = write_bag(tmp_path / "drive", camera_messages([frame(HANDS), frame(NO_HANDS), frame(HANDS)], CAMERA))
    tracker = FixedTracker()
    report = run(tracker, path, tmp_path / "out")
    assert (report.images, dict(report.hands), report.failures, report.notes) == (3, dict.fromkeys(Side, 2), [], [])
    topics = by_topic(tmp_path / "out")
    stamps = [FIRST_STAMP + k * PERIOD for k in range(3)]
    counts = {"/hands/mesh": 3, "/hands/joints": 3, "/hands/overlay/compressed": 3, "/tf": 2, "/hands/inter_hand": 2}
    assert {topic: len(messages) for topic, messages in topics.items()} == counts
    for topic, messages in topics.items():
        used = [0, 1, 2] if counts[topic] == 3 else [0, 2]
        assert [time for time, _, _ in messages] == [stamps[k] + DELAY for k in used]
        for k, (_, _, message) in zip(used, messages):
            for part in message.transforms if topic == "/tf" else [message]:
                assert part.header.frame_id == FRAME_ID
                assert part.header.stamp.sec * 10**9 + part.header.stamp.nanosec == stamps[k]
    expected = tracker.update_people(frame(HANDS), CAMERA, 0)
    _, kind, joints = topics["/hands/joints"][0]
    assert kind == "lgnet_ros/msg/HandJointsArray"
    assert [hand.side for hand in joints.hands] == [0, 1]
    _, kind, mesh = topics["/hands/mesh"][2]
    assert kind == "lgnet_ros/msg/HandMeshArray"
    for found, surface, hand in zip(joints.hands, mesh.hands, expected.hands):
        np.testing.assert_allclose([xyz(joint) for joint in found.joints], hand.joints, atol=1e-12)
        np.testing.assert_allclose(np.reshape(found.joints_2d, (21, 2)), hand.joints_2d, rtol=1e-6)
        np.testing.assert_allclose(found.joint_std, hand.joint_std, rtol=1e-6)
        assert (found.track_id, surface.track_id) == (1, 1)
        np.testing.assert_allclose(np.reshape(surface.vertices, (-1, 3)), hand.vertices, atol=1e-7)
        np.testing.assert_array_equal(np.reshape(surface.triangles, (-1, 3)), hand.faces)
    assert (topics["/hands/mesh"][1][2].hands, topics["/hands/joints"][1][2].hands) == ([], [])
    _, _, relation = topics["/hands/inter_hand"][0]
    assert (relation.right_frame, relation.left_frame) == ("hand_right", "hand_left")
    right, left = topics["/tf"][0][2].transforms
    assert [right.child_frame_id, left.child_frame_id] == ["hand_right", "hand_left"]
    turn = Rotation.from_quat([getattr(right.transform.rotation, axis) for axis in "xyzw"])
    moved = turn.inv().apply(np.subtract(xyz(left.transform.translation), xyz(right.transform.translation)))
    np.testing.assert_allclose(xyz(relation.transform.translation), moved, atol=1e-9)
    overlay = topics["/hands/overlay/compressed"][0][2]
    pixels = cv2.imdecode(overlay.data, cv2.IMREAD_COLOR)[..., ::-1]
    assert pixels.shape == (480, 640, 3)
    wrist = expected.first.right.joints_2d[9].astype(int)
    red, _, blue = pixels[wrist[1], wrist[0]].astype(int)
    assert red > blue + 30, "the right hand is orange"


def test_several_people(tmp_path):
    """Each has frames and a transform between the hands; recordings show the first."""

    class Two(FixedTracker):
        def update_people(self, image, camera, stamp_ns):
            first = super().update_people(image, camera, stamp_ns).first
            right, left = (replace(hand, person=1) for hand in first.hands)
            return ImageHands([first, replace(first, right=right, left=left)], metric=True)

    path = write_bag(tmp_path / "drive", camera_messages([frame(HANDS)], CAMERA))
    run(Two(), path, tmp_path / "out")
    topics = by_topic(tmp_path / "out")
    names = [transform.child_frame_id for transform in topics["/tf"][0][2].transforms]
    assert names == ["hand_right", "hand_left", "hand_right_1", "hand_left_1"]
    assert [hand.person for hand in topics["/hands/joints"][0][2].hands] == [0, 0, 1, 1]
    relations = [message for _, _, message in topics["/hands/inter_hand"]]
    assert [(m.person, m.right_frame, m.left_frame) for m in relations] == [
        (0, "hand_right", "hand_left"),
        (1, "hand_right_1", "hand_left_1"),
    ]


def test_an_uncalibrated_camera_gives_overlays_only(tmp_path):
    info = camera_info(CAMERA, FIRST_STAMP)
    info.k[:] = info.p[:] = 0
    images = [(topic, message) for topic, message in camera_messages([frame(HANDS)], CAMERA) if "info" not in topic]
    path = write_bag(tmp_path / "drive", [*images, ("/camera/camera_info", info)])
    report = run(FixedTracker(), path, tmp_path / "out")
    assert report.notes == ["/camera/camera_info holds no calibration of these images: overlays only"]
    assert set(by_topic(tmp_path / "out")) == {"/hands/overlay/compressed"}


def test_images_that_cannot_be_used_are_reported_once(tmp_path):
    other = Camera(CAMERA.matrix, 1280, 960)
    messages = camera_messages([frame(HANDS), frame(HANDS)], other)
    path = write_bag(tmp_path / "drive", messages)
    report = run(FixedTracker(), path, tmp_path / "out")
    assert report.images == 0
    assert len(report.failures) == 1
    assert "describes images of 1280x960 pixels" in report.failures[0]


def test_another_frame_id_restarts_tracking(tmp_path):
    messages = camera_messages([frame(HANDS)] * 3, CAMERA)
    for _, message in messages[2:]:
        message.header.frame_id = "another"
    tracker = FixedTracker()
    run(tracker, write_bag(tmp_path / "drive", messages), tmp_path / "out")
    assert tracker.resets == 1


def test_recordings_count_from_the_first_image_and_do_not_go_back(tmp_path):
    """As at the end of a bag that was recorded while another one was played in a loop."""
    messages = camera_messages([frame(HANDS)] * 3, CAMERA)
    added = []

    class Recordings:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def add(self, frame):
            added.append((frame.number, frame.time))

    path = write_bag(tmp_path / "drive", [*messages, *messages[:2]])
    run(FixedTracker(), path, tmp_path / "out", Recordings())
    assert [time for _, time in added] == pytest.approx([0.0, 0.04, 0.08])


def test_an_interrupted_run_leaves_a_complete_bag(tmp_path):
    class Interrupted(FixedTracker):
        def update_people(self, image, camera, stamp_ns):
            if stamp_ns > FIRST_STAMP + PERIOD:
                raise KeyboardInterrupt
            return super().update_people(image, camera, stamp_ns)

    path = write_bag(tmp_path / "drive", camera_messages([frame(HANDS)] * 4, CAMERA))
    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(), path, tmp_path / "out")
    assert len(by_topic(tmp_path / "out")["/hands/mesh"]) == 2


def test_a_bag_is_not_replaced(tmp_path):
    path = write_bag(tmp_path / "drive", camera_messages([frame(HANDS)], CAMERA))
    before = sorted(path.iterdir())
    with pytest.raises(OutputError, match="exists already; delete it, or choose another folder with --out"):
        run(FixedTracker(), path, path)
    assert sorted(path.iterdir()) == before


@pytest.mark.parametrize("method", ["write", "close"])
def test_a_full_disk_is_named_and_nothing_is_left(tmp_path, monkeypatch, method):
    def fail(*_):
        raise OSError(28, "No space left on device")

    path = write_bag(tmp_path / "drive", camera_messages([frame(HANDS)], CAMERA))
    monkeypatch.setattr(Writer, method, fail)
    with pytest.raises(OutputError, match=r"cannot write .*out: no space left on device; free some space"):
        run(FixedTracker(), path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_command(tmp_path, monkeypatch):
    """Bad input is reported before the network is loaded; results are named after the bag."""
    loaded = []

    def load(*arguments, **options):
        loaded.append(options)
        return FixedTracker().estimator

    monkeypatch.setattr("lgnet_core.inference.HandEstimator.load", load)
    monkeypatch.setattr("lgnet_core.inference.HandTracker", lambda *_: FixedTracker())
    monkeypatch.setattr("lgnet_core.cli.report.print_line", lambda text, *_: lines.append(text))
    lines: list[str] = []
    path = write_bag(tmp_path / "drive", camera_messages([frame(HANDS)], CAMERA))
    shutil.copy(next(path.glob("*.mcap")), tmp_path / "single.mcap")
    arguments = ["-o", str(tmp_path / "out"), "--record", "glb"]
    for name in ("drive", "single.mcap"):
        done = CliRunner().invoke(cli.app, ["replay", str(tmp_path / name), *arguments])
        assert done.exit_code == 0, done.output
    assert len(loaded) == 2
    made = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert made == ["drive_hands", "drive_hands.glb", "single_hands", "single_hands.glb"]
    assert "1 image(s): hands found: 1 right, 1 left" in lines[0]
    again = CliRunner().invoke(cli.app, ["replay", str(path), *arguments])
    missing = CliRunner().invoke(cli.app, ["replay", str(path), "--image-topic", "/x"])
    assert isinstance(again.exception, OutputError)
    assert "has no images on /x" in str(missing.exception)
    assert len(loaded) == 2


def test_people(tmp_path, monkeypatch):
    """As many as asked for; the range is that of the thresholds."""
    tracker = FixedTracker()
    monkeypatch.setattr("lgnet_core.inference.HandEstimator.load", lambda *_, **__: tracker.estimator)
    monkeypatch.setattr("lgnet_core.inference.HandTracker", lambda *_: tracker)
    path = write_bag(tmp_path / "drive", camera_messages([frame(HANDS)], CAMERA))
    exit_codes = []
    for people in (PEOPLE_RANGE[0] - 1, *PEOPLE_RANGE, PEOPLE_RANGE[1] + 1):
        command = ["replay", str(path), "-o", str(tmp_path / str(people)), "--max-people", str(people)]
        exit_codes.append(CliRunner().invoke(cli.app, command).exit_code)
        if not exit_codes[-1]:
            assert tracker.estimator.thresholds.max_people == people
    assert exit_codes == [2, 0, 0, 2]
