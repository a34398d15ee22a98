"""Files of rerun, read back by its library: entities, times and values."""

from __future__ import annotations

import sys
from collections import defaultdict

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from support.disks import free_space
from support.recorded_frames import CAMERA, TIMES, moving_frames

from lgnet_core.io.output import OutputError

if sys.version_info < (3, 11):
    pytest.skip("rerun is for Python 3.11 and newer", allow_module_level=True)
from rerun.chunk import RrdReader

from lgnet_core.recording.rrd_recording import MIN_FREE, RrdRecording

SECONDS = list(TIMES)


def record(path, hand_model, frames):
    with RrdRecording(path, hand_model) as recording:
        for frame in frames:
            recording.add(frame)
    return read(path)


def read(path):
    """Columns by entity: time in seconds (None: static), and values by component."""
    rows = defaultdict(list)
    for chunk in RrdReader(path).stream():
        batch = chunk.to_record_batch()
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        times = [None] * batch.num_rows if chunk.is_static else batch.column("time").cast("int64").to_pylist()
        for row, time in enumerate(times):
            values = {name: column[row] for name, column in columns.items()}
            rows[chunk.entity_path].append((None if time is None else time / 1e9, values))
    return rows


def column(rows, component):
    """(time, value) of the rows of an entity that have a component."""
    return [(time, values[component]) for time, values in rows if values.get(component) is not None]


@pytest.fixture(scope="module")
def frames(hand_model):
    return moving_frames(hand_model)


@pytest.fixture(scope="module")
def rows(hand_model, frames, tmp_path_factory):
    return record(tmp_path_factory.mktemp("rrd") / "wave.rrd", hand_model, frames)


def test_image_and_camera(rows, frames):
    image = "/world/camera/image"
    blobs = column(rows[image], "EncodedImage:blob")
    assert [time for time, _ in blobs] == pytest.approx(SECONDS)
    assert [values["frame"] for _, values in rows[image] if values.get("EncodedImage:blob")] == [10, 12, 14, 16]
    for (_, blob), frame in zip(blobs, frames):
        decoded = cv2.imdecode(np.array(blob[0], np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_allclose(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), frame.image, atol=3)
    ((time, (matrix,)),) = column(rows[image], "Pinhole:image_from_camera")
    assert time == 0
    np.testing.assert_allclose(np.reshape(matrix, (3, 3)).T, CAMERA.matrix)  # column by column
    ((_, (quaternion,)),) = column(rows["/world/camera"], "Transform3D:quaternion")
    axes = Rotation.from_quat(quaternion).apply(np.eye(3))
    np.testing.assert_allclose(axes, [[0, -1, 0], [0, 0, -1], [1, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("side", ["right", "left"])
def test_hands(rows, frames, side):
    """In the camera frame, at the times at which they are there; cleared when they go."""
    hand_path = f"/world/camera/hands/{side}"
    expected = {time: getattr(frame.hands, side) for time, frame in zip(SECONDS, frames)}
    expected = {time: hand for time, hand in expected.items() if hand is not None}
    for component, attribute in (
        ("mesh|Mesh3D:vertex_positions", "vertices"),
        ("joints|Points3D:positions", "joints"),
    ):
        entity, name = component.split("|")
        found = dict(column(rows[f"{hand_path}/{entity}"], name))
        assert list(found) == pytest.approx(list(expected))
        for (_, values), hand in zip(found.items(), expected.values()):
            np.testing.assert_allclose(values, getattr(hand, attribute), atol=1e-6)
    ((time, triangles),) = column(rows[f"{hand_path}/mesh"], "Mesh3D:triangle_indices")
    assert time is None, "stored once"
    np.testing.assert_array_equal(triangles, next(iter(expected.values())).faces)
    gone = [time for time, _ in column(rows[hand_path], "Clear:is_recursive")]
    assert gone == pytest.approx([time for time in SECONDS if time not in expected])
    positions = [value[0] for _, value in column(rows[f"{hand_path}/frame"], "Transform3D:translation")]
    np.testing.assert_allclose(positions, [hand.joints[0] for hand in expected.values()], atol=1e-6)
    strips = [value for _, value in column(rows[f"/world/camera/image/{side}"], "LineStrips2D:strips")]
    for strip, hand in zip(strips, expected.values()):
        np.testing.assert_allclose(np.array(strip)[:, 1], hand.joints_2d[1:], atol=1e-3)


def test_distance_of_the_hands(rows, frames):
    found = dict(column(rows["/inter_hand/distance"], "Scalars:scalars"))
    assert list(found) == pytest.approx([SECONDS[0], SECONDS[3]])
    for k, (value,) in zip((0, 3), found.values()):
        right, left = frames[k].hands.hands
        upper = cKDTree(right.vertices).query(left.vertices)[0].min()
        assert 0.9 * upper - 0.003 < value <= upper
    assert [time for time, _ in column(rows["/inter_hand/distance"], "Clear:is_recursive")] == pytest.approx(
        SECONDS[1:3]
    )


def test_the_views_are_in_the_file(tmp_path, hand_model, frames):
    record(tmp_path / "a.rrd", hand_model, frames[:1])
    reader = RrdReader(tmp_path / "a.rrd")
    assert [entry.application_id for entry in (*reader.recordings(), *reader.blueprints())] == ["lgnet_ros"] * 2


def test_without_a_camera_there_is_no_calibration(tmp_path, hand_model, frames):
    rows = record(tmp_path / "a.rrd", hand_model, moving_frames(hand_model, metric=False))
    assert not column(rows["/world/camera/image"], "Pinhole:image_from_camera")
    (_, vertices), *_ = column(rows["/world/camera/hands/left/mesh"], "Mesh3D:vertex_positions")
    np.testing.assert_allclose(vertices, frames[0].hands.left.vertices - frames[0].hands.right.joints[0], atol=1e-6)


def test_an_interrupted_recording_is_complete_until_then(tmp_path, hand_model, frames):
    def interrupted():
        with RrdRecording(tmp_path / "a.rrd", hand_model) as recording:
            for frame in frames[:2]:
                recording.add(frame)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(column(read(tmp_path / "a.rrd")["/world/camera/image"], "EncodedImage:blob")) == 2


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path, hand_model, frames, monkeypatch):
    def fail(*_):
        raise RuntimeError("File-writer thread shut down prematurely")

    def write():
        with RrdRecording(tmp_path / "a.rrd", hand_model) as recording:
            recording.add(frames[0])
            monkeypatch.setattr("rerun.RecordingStream.flush", fail)
            recording.add(frames[1])

    with pytest.raises(OutputError, match=r"a\.rrd: rerun cannot write the file \(.*free some space"):
        write()
    assert not list(tmp_path.iterdir())


def test_a_recording_ends_before_the_disk_is_full(tmp_path, hand_model, frames, monkeypatch):
    """The library may wait for ever on a full one."""

    def write():
        with RrdRecording(tmp_path / "a.rrd", hand_model) as recording:
            recording.add(frames[0])
            free_space(monkeypatch, MIN_FREE - 1, tmp_path)
            recording.add(frames[1])

    with pytest.raises(OutputError, match=r"cannot write .*a\.rrd: no space left on device; free some space"):
        write()
    assert not list(tmp_path.iterdir())
