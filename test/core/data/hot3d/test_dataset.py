"""HOT3D reader on small clips in its format: pinhole views, visibility, missing and invalid files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from support.dotted_views import assert_dots_at
from support.stubs import save_untrained_network
from support.synthetic_hot3d import KNOWN, NUM_FRAMES, STREAMS, SyntheticHOT3D, write_hot3d

from lgnet_core.data.annotated_images import INTERACTING
from lgnet_core.data.hot3d import HOT3D
from lgnet_core.evaluation.datasets.factory import DatasetConfig
from lgnet_core.evaluation.evaluate import ALL
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.evaluation.scores import MetricKey
from lgnet_core.io.files import InputError
from lgnet_core.types import Side

SIZE = 240
ORDER = [(clip, stream, frame) for clip in (7, 12) for stream in STREAMS for frame in range(NUM_FRAMES)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> SyntheticHOT3D:
    return write_hot3d(tmp_path_factory.mktemp("hot3d"))


@pytest.fixture
def changeable(tmp_path) -> SyntheticHOT3D:
    return write_hot3d(tmp_path, clips=(7,))


def test_joints_are_seen_where_the_images_show_them(clips):
    """The pinhole views show the dots of the fisheye images at the projected joints, on the right side."""
    images = HOT3D(clips.root, clips.split)
    indices, batch, truth = images.read(range(len(images)), SIZE)
    assert indices == list(range(len(ORDER)))
    assert_dots_at(batch, truth)


def test_joints_are_those_of_the_camera_turned_towards_the_hands(clips):
    """Distances from the camera, and between the joints, are unchanged; the turn is a rotation."""
    truth = HOT3D(clips.root, clips.split).read(range(len(ORDER)), SIZE).truth
    for k, key in enumerate(ORDER):
        for side in Side:
            if not truth.joints_known[k, side].any():
                continue
            expected = clips.joints[key][side][KNOWN]
            found = truth.joints[k, side][KNOWN].double().numpy()
            turn, *_ = np.linalg.lstsq(expected, found, rcond=None)
            np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-4)
            assert np.linalg.det(turn) == pytest.approx(1, abs=1e-4)


def test_views_are_upright(clips):
    """Right of the stored image is down in the view, since the cameras are mounted turned."""
    images = HOT3D(clips.root, clips.split)
    truth = images.read([0], SIZE).truth
    stored, shown = clips.joints[ORDER[0]][Side.RIGHT][KNOWN], truth.joints_2d[0, Side.RIGHT][KNOWN].numpy()
    across = stored[:, 0] / stored[:, 2]
    assert np.corrcoef(across, shown[:, 1])[0, 1] > 0.95


def test_presence_follows_visibility(clips):
    """The left hand is hidden in the last frame; the first joint of the thumb is never known."""
    images = HOT3D(clips.root, clips.split)
    order = range(len(ORDER))
    batch, truth = images.read(order, SIZE)[1:]
    last = torch.tensor([frame == NUM_FRAMES - 1 for *_, frame in ORDER])
    assert torch.equal(batch.presence, torch.stack([torch.ones_like(last), ~last], 1))
    assert not truth.joints_known[..., 1].any()
    assert torch.equal(truth.joints_known[:, :, KNOWN].all(-1), batch.presence)
    types = images.hand_type(order)
    assert types[last.numpy()].tolist() == [int(Side.RIGHT)] * int(last.sum())
    assert (types[~last.numpy()] == INTERACTING).all()


def test_a_sequence_is_a_clip_in_one_stream(clips):
    sequence, frame = HOT3D(clips.root, clips.split).sequence_and_frame(range(len(ORDER)))
    assert len(set(zip((key[:2] for key in ORDER), sequence.tolist()))) == len(sequence.unique()) == 4
    assert frame.tolist() == [key[2] for key in ORDER]


def test_images_that_cannot_be_used_are_skipped_and_counted(changeable):
    files = changeable.files[7]
    hidden, apart = (json.loads(files[f"{frame}.hands.json"]) for frame in ("000000", "000001"))
    for hand in hidden.values():
        hand["visibilities_modeled"] = {STREAMS[0]: 0.5}
    apart["left"]["umetrack_pose"]["T_world_from_wrist"]["translation_xyz"] = [0, 0, -2]
    changeable.write(
        7,
        {
            "000000.hands.json": json.dumps(hidden).encode(),
            "000001.hands.json": json.dumps(apart).encode(),
            "000002.image_214-1.jpg": files["000002.image_214-1.jpg"][:100],
        },
    )
    images = HOT3D(changeable.root, changeable.split)
    assert images.read(range(6), SIZE).indices == [0, 2]
    assert images.skipped() == {
        "image is damaged": 1,
        "no hand is visible": 1,
        "hands are too far apart for one view": 2,
    }


def test_damaged_clips_are_counted(clips, tmp_path):
    dataset = write_hot3d(tmp_path, clips=(7, 8, 9))
    dataset.write(8, {"__hand_shapes.json__": None})
    dataset.path(9).write_bytes(b"no archive")
    images = HOT3D(tmp_path, dataset.split)
    assert len(images) == NUM_FRAMES * len(STREAMS)
    assert images.skipped() == {"clip is damaged": 1, "clip has no labels": 1}


def test_invalid_annotations_are_named(changeable):
    cameras = json.loads(changeable.files[7]["000000.cameras.json"])
    cameras[STREAMS[0]]["calibration"]["projection_model_type"] = "Linear"
    changeable.write(7, {"000000.cameras.json": json.dumps(cameras).encode()})
    with pytest.raises(InputError, match=r"clip-000007\.tar: .*000000\.cameras\.json.*camera model Linear"):
        HOT3D(changeable.root, changeable.split).read([0], SIZE)
    changeable.write(7, {"000000.hands.json": b'{"left": {'})
    with pytest.raises(InputError, match=r"clip-000007\.tar: .*000000\.hands\.json"):
        HOT3D(changeable.root, changeable.split).read([0], SIZE)
    changeable.write(7, {"000000.hands.json": b'{"left": {"visibilities_modeled": {"1201-1": 1}}}'})
    with pytest.raises(InputError, match="KeyError: 'umetrack_pose'"):
        HOT3D(changeable.root, changeable.split).read([0], SIZE)


def test_splits(clips, tmp_path):
    for split in ("test", "test_aria"):
        with pytest.raises(InputError, match="not public; use --split train_aria"):
            HOT3D(clips.root, split)
    with pytest.raises(InputError, match="unknown split 'val'; choose from train_aria, train_quest3"):
        HOT3D(clips.root, "val")
    with pytest.raises(InputError, match=r"no labelled clips .*train_quest3.*--root must be the folder"):
        HOT3D(clips.root, "train_quest3")


def test_complete_evaluation(clips, tmp_path):
    """Joints under all protocols without MANO, and acceleration in the sequences."""
    weights = save_untrained_network(tmp_path / "untrained.safetensors")
    config = DatasetConfig("hot3d", clips.root, clips.split)
    report = run_evaluation(tmp_path / "out", config, weights, device="cpu", batch_size=4, workers=1)
    assert report.results["interacting"].images == 8
    assert report.results["single-hand"].images == 4
    metrics = report.results[ALL].weights.metrics
    assert metrics[MetricKey("mpjpe_mm", "wrist-raw")] > 0
    assert math.isnan(metrics[MetricKey("mpvpe_mm", "wrist-raw")])
    assert report.analyses.jitter["camera"]["joints"] == 4 * 20
    assert "UmeTrack" in report.analyses.notes[0]
