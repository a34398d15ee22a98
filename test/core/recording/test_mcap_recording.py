"""MCAP files, read back by the library of the format: message types, times and values."""

from __future__ import annotations

import errno
import json
from collections import defaultdict

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from support.paths import ROOT
from support.recorded_frames import CAMERA, TIMES, moving_frames

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.io.output import OutputError
from lgnet_core.recording.mcap_recording import INTER_HAND, INTER_HAND_SCHEMA, TOPICS, McapRecording
from lgnet_core.types import Side
from lgnet_core.visualization.drawing import SIDE_COLOURS

NANOSECONDS = [round(time * 1e9) for time in TIMES]


def record(path, hand_model, frames):
    with McapRecording(path, hand_model) as recording:
        for frame in frames:
            recording.add(frame)
    return read(path)


def read(path):
    """(log time, decoded message) by topic; JSON as it is."""
    messages = defaultdict(list)
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        summary = reader.get_summary()
        for schema, channel, message in reader.iter_messages():
            if channel.message_encoding == "json":
                decoded = json.loads(message.data)
            else:
                decoded = DecoderFactory().decoder_for("protobuf", schema)(message.data)
            messages[channel.topic].append((message.log_time, decoded))
    return summary, messages


def xyz(message):
    return [message.x, message.y, message.z]


@pytest.fixture(scope="module")
def frames(hand_model):
    return moving_frames(hand_model)


@pytest.fixture(scope="module")
def recorded(hand_model, frames, tmp_path_factory):
    return record(tmp_path_factory.mktemp("mcap") / "a.mcap", hand_model, frames)


def test_topics_types_and_times(recorded):
    summary, messages = recorded
    types = {channel.topic: summary.schemas[channel.schema_id] for channel in summary.channels.values()}
    assert {topic: schema.name for topic, schema in types.items() if schema.encoding == "protobuf"} == {
        topic: f"foxglove.{kind.__name__}" for topic, kind in TOPICS.items()
    }
    assert (types["/hands/inter_hand"].name, types["/hands/inter_hand"].encoding) == ("lgnet.InterHand", "jsonschema")
    for topic in TOPICS:
        assert [time for time, _ in messages[topic]] == NANOSECONDS, topic
    assert [time for time, _ in messages["/hands/inter_hand"]] == [NANOSECONDS[0], NANOSECONDS[3]]
    assert summary.statistics.message_count == 7 * len(TIMES) + 2


def test_image_and_calibration(recorded, frames):
    _, messages = recorded
    for (time, image), (_, calibration), frame in zip(
        messages["/camera/image"], messages["/camera/calibration"], frames
    ):
        assert image.timestamp.ToNanoseconds() == calibration.timestamp.ToNanoseconds() == time
        assert image.frame_id == calibration.frame_id == "camera"
        decoded = cv2.cvtColor(cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        assert image.format == "jpeg"
        np.testing.assert_allclose(decoded, frame.image, atol=3)
        assert (calibration.width, calibration.height, calibration.distortion_model) == (640, 480, "plumb_bob")
        np.testing.assert_array_equal(np.reshape(calibration.K, (3, 3)), CAMERA.matrix)
        np.testing.assert_array_equal(np.reshape(calibration.P, (3, 4))[:, :3], CAMERA.matrix)
        np.testing.assert_array_equal(calibration.D, [*CAMERA.distortion, 0])


def test_scene(recorded, frames):
    """Meshes, skeletons and the line in the camera frame; what is gone is deleted."""
    _, messages = recorded
    for k, frame in enumerate(frames):
        present = {hand.side.label: hand for hand in frame.hands.hands}
        for topic, kind in (("/hands/mesh", "mesh"), ("/hands/joints", "joints")):
            update = messages[topic][k][1]
            assert {entity.id for entity in update.entities} == {f"{side}_{kind}" for side in present}
            assert {deletion.id for deletion in update.deletions} == {
                f"{side.label}_{kind}" for side in Side if side.label not in present
            }
            for entity in update.entities:
                hand = present[entity.id.partition("_")[0]]
                assert entity.frame_id == "camera"
                if kind == "mesh":
                    (triangles,) = entity.triangles
                    np.testing.assert_allclose([xyz(p) for p in triangles.points], hand.vertices, atol=1e-9)
                    np.testing.assert_array_equal(np.reshape(triangles.indices, (-1, 3)), hand.faces)
                    colour = triangles.color
                    np.testing.assert_allclose(
                        [255 * c for c in (colour.r, colour.g, colour.b)], SIDE_COLOURS[hand.side]
                    )
                    assert triangles.pose.orientation.w == colour.a == 1
                else:
                    np.testing.assert_allclose([xyz(s.pose.position) for s in entity.spheres], hand.joints, atol=1e-9)
                    ends = np.reshape([xyz(p) for p in entity.lines[0].points], (-1, 2, 3))
                    assert len(ends) == 20
                    np.testing.assert_allclose(ends[[0, 4, 7]], hand.joints[[[0, 1], [0, 5], [7, 8]]], atol=1e-9)
        annotations = messages["/camera/joints"][k][1].points
        assert len(annotations) == len(present)
        for points, hand in zip(annotations, present.values()):
            np.testing.assert_allclose([[p.x, p.y] for p in points.points][1::2], hand.joints_2d[1:], atol=1e-9)


def test_relation_of_the_hands(recorded, frames):
    """The distance against the closest vertices, the transform against TF; the line has that length."""
    _, messages = recorded
    tf = [{t.child_frame_id: t for t in message.transforms} for _, message in messages["/tf"]]
    for (_, relation), k in zip(messages["/hands/inter_hand"], (0, 3)):
        right, left = frames[k].hands.hands
        upper = cKDTree(right.vertices).query(left.vertices)[0].min()
        assert 0.9 * upper - 0.003 < relation["distance"] <= upper
        closest = [[relation[f"closest_{side}"][axis] for axis in "xyz"] for side in ("right", "left")]
        assert np.linalg.norm(np.subtract(*closest)) == pytest.approx(relation["distance"], abs=1e-9)
        (line,) = messages["/hands/inter_hand/line"][k][1].entities
        np.testing.assert_allclose([xyz(point) for point in line.lines[0].points], closest)
        assert line.texts[0].text == f"{1000 * relation['distance']:.0f} mm"
        turns, positions = (
            {side: part(tf[k][f"hand_{side}"]) for side in ("right", "left")}
            for part in (
                lambda t: Rotation.from_quat([t.rotation.x, t.rotation.y, t.rotation.z, t.rotation.w]),
                lambda t: np.array(xyz(t.translation)),
            )
        )
        expected = turns["right"].inv() * turns["left"]
        found = Rotation.from_quat([relation["rotation"][axis] for axis in "xyzw"])
        assert (expected.inv() * found).magnitude() < 1e-6
        moved = turns["right"].inv().apply(positions["left"] - positions["right"])
        np.testing.assert_allclose([relation["translation"][axis] for axis in "xyz"], moved, atol=1e-9)
    for k in (1, 2):
        assert [deletion.id for deletion in messages["/hands/inter_hand/line"][k][1].deletions] == ["inter_hand"]


def test_transforms(recorded, frames, hand_model):
    """The camera looks along x of the world, with z up; each present hand has its frame."""
    _, messages = recorded
    hand_frames = HandFrames(hand_model)
    for (time, message), frame in zip(messages["/tf"], frames):
        world, *others = message.transforms
        assert (world.parent_frame_id, world.child_frame_id) == ("world", "camera")
        q = world.rotation
        axes = Rotation.from_quat([q.x, q.y, q.z, q.w]).apply(np.eye(3))  # of the camera, in the world
        np.testing.assert_allclose(axes, [[0, -1, 0], [0, 0, -1], [1, 0, 0]], atol=1e-12)
        assert [t.child_frame_id for t in others] == [f"hand_{hand.side.label}" for hand in frame.hands.hands]
        for transform, hand in zip(others, frame.hands.hands):
            assert (transform.parent_frame_id, transform.timestamp.ToNanoseconds()) == ("camera", time)
            np.testing.assert_allclose(xyz(transform.translation), hand.joints[0], atol=1e-9)
            turn = transform.rotation
            np.testing.assert_allclose([turn.x, turn.y, turn.z, turn.w], hand_frames.pose(hand).quaternion)


def test_without_a_camera_the_hands_are_in_the_frame_of_the_right_wrist(tmp_path, hand_model, frames):
    _, messages = record(tmp_path / "a.mcap", hand_model, moving_frames(hand_model, metric=False))
    assert not messages["/camera/calibration"]
    wrist = frames[0].hands.right.joints[0]
    (_, update), *_ = messages["/hands/mesh"]
    for entity, hand in zip(update.entities, frames[0].hands.hands):
        assert entity.frame_id == "wrist"
        np.testing.assert_allclose([xyz(p) for p in entity.triangles[0].points], hand.vertices - wrist, atol=1e-9)
    (_, first), *_ = messages["/tf"]
    assert [(t.parent_frame_id, t.child_frame_id) for t in first.transforms] == [
        ("world", "wrist"),
        ("wrist", "hand_right"),
        ("wrist", "hand_left"),
    ]


def test_an_interrupted_recording_is_complete_until_then(tmp_path, hand_model, frames):
    def interrupted():
        with McapRecording(tmp_path / "a.mcap", hand_model) as recording:
            for frame in frames[:2]:
                recording.add(frame)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(read(tmp_path / "a.mcap")[1]["/hands/mesh"]) == 2


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path, hand_model, frames, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def write():
        with McapRecording(tmp_path / "a.mcap", hand_model) as recording:
            recording.add(frames[0])
            monkeypatch.setattr("mcap.writer.Writer.add_message", fail)
            recording.add(frames[1])

    with pytest.raises(OutputError, match=r"cannot write .*a\.mcap: no space left on device; free some space"):
        write()
    assert not list(tmp_path.iterdir())


def test_the_layout_shows_topics_that_exist():
    """The exported layout of Foxglove in config/: its panels, and fields that they plot."""
    layout = json.loads((ROOT / "config" / "foxglove.json").read_text())
    panels = layout["configById"]

    def leaves(node):
        return [node] if isinstance(node, str) else leaves(node["first"]) + leaves(node["second"])

    assert sorted(leaves(layout["layout"])) == sorted(panels)
    named = {topic for panel in panels.values() for topic in panel.get("topics", {})}
    image = panels["Image!hands"]["imageMode"]
    assert TOPICS[image["imageTopic"]].__name__ == "CompressedImage"
    assert TOPICS[image["calibrationTopic"]].__name__ == "CameraCalibration"
    assert named | set(image["annotations"]) <= set(TOPICS)
    (path,) = panels["Plot!distance"]["paths"]
    topic, _, field = path["value"].partition(".")
    assert topic == INTER_HAND
    assert field in INTER_HAND_SCHEMA["properties"]
