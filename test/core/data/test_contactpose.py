"""ContactPose reader on a small data set in its format: turned cameras, moving hands, missing and invalid files."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
import torch
from support.dotted_views import assert_dots_at
from support.stubs import save_untrained_network
from support.synthetic_contactpose import NUM_FRAMES, SyntheticContactPose, shown_at, write_contactpose

from lgnet_core.data.annotated_images import INTERACTING
from lgnet_core.data.contactpose import ContactPose
from lgnet_core.evaluation.datasets.factory import DatasetConfig
from lgnet_core.evaluation.evaluate import ALL
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.evaluation.scores import MetricKey
from lgnet_core.io.files import InputError
from lgnet_core.types import Side

SIZE = 200
VIEWS = [("full5_use/mug", camera) for camera in ("kinect2_left", "kinect2_middle", "kinect2_right")]
VIEWS += [("full15_handoff/bowl", camera) for camera in ("kinect2_left", "kinect2_middle")]


@pytest.fixture(scope="module")
def template(hand_model, tmp_path_factory) -> SyntheticContactPose:
    return write_contactpose(tmp_path_factory.mktemp("contactpose"), hand_model)


@pytest.fixture
def dataset(template, tmp_path) -> SyntheticContactPose:
    return template.copied(tmp_path / "contactpose_data")


def test_joints_are_seen_where_the_images_show_them(template):
    """In all cameras, of fixed and of moving hands; dots of a side have its colour."""
    images = ContactPose(template.root)
    assert len(images) == len(VIEWS) * NUM_FRAMES
    indices, batch, truth = images.read(range(len(images)), SIZE)
    assert indices == list(range(len(images)))
    assert_dots_at(batch, truth)
    for k in indices:
        folder, camera = VIEWS[k // NUM_FRAMES]
        in_camera = template.joints[folder, camera][k % NUM_FRAMES]
        pixels = torch.from_numpy(shown_at(in_camera, camera)).float()
        in_crop = pixels @ batch.affine[k, :, :2].T + batch.affine[k, :, 2]
        present = batch.presence[k]
        torch.testing.assert_close(truth.joints_2d[k][present], in_crop[present], atol=2e-2, rtol=0)
        distances = torch.from_numpy(np.linalg.norm(in_camera, axis=-1)).float()
        torch.testing.assert_close(truth.joints[k].norm(dim=-1)[present], distances[present])


def test_turned_cameras_do_not_mirror(template):
    """The joints in the camera of a turned image are rotated, by one and the same rotation."""
    truth = ContactPose(template.root).read(range(0, 9, NUM_FRAMES), SIZE).truth
    for k, (folder, camera) in enumerate(VIEWS[:3]):
        expected = template.joints[folder, camera][0].reshape(-1, 3)
        found = truth.joints[k].double().numpy().reshape(-1, 3)
        turn, *_ = np.linalg.lstsq(expected, found, rcond=None)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-4)
        assert np.linalg.det(turn) == pytest.approx(1, abs=1e-4)


def test_sides_and_sequences(template):
    images = ContactPose(template.root)
    order = range(len(images))
    assert images.hand_type(order).tolist() == [INTERACTING] * 9 + [int(Side.RIGHT)] * 6
    presence = images.read([0, 9], SIZE).batch.presence
    assert presence.tolist() == [[True, True], [True, False]]
    sequence, frame = images.sequence_and_frame(order)
    assert sequence.unique().tolist() == [0, 1, 2, 3, 4]
    assert frame.tolist() == [0, 1, 2] * 5


def test_splits_by_participant(template):
    assert len(ContactPose(template.root, "train")) == 3 * NUM_FRAMES
    with pytest.raises(InputError, match="unknown split 'val'; choose from train, test"):
        ContactPose(template.root, "val")


def test_incomplete_grasps_are_skipped_and_counted(dataset):
    """An unreadable annotation, a grasp without images, and images that are missing or of another size."""
    dataset.image("full15_handoff/bowl", "kinect2_left", 0).unlink()
    large = dataset.image("full15_handoff/bowl", "kinect2_left", 1)
    shutil.copy(dataset.image("full15_handoff/bowl", "kinect2_middle", 1), large)
    (dataset.root / "full5_use" / "mug" / "annotations.json").write_text('{"frames": [')
    for name in ("pan", "camera"):
        (dataset.root / "full5_use" / name).mkdir()
    content = dataset.annotations["full5_use/mug"]
    (dataset.root / "full5_use" / "pan" / "annotations.json").write_text(json.dumps(content))
    content = {**content, "hands": [{"valid": False}, {"valid": False}]}
    (dataset.root / "full5_use" / "camera" / "annotations.json").write_text(json.dumps(content))
    images = ContactPose(dataset.root)
    assert images.read(range(3), SIZE).indices == [2]
    assert images.skipped() == {
        "annotations are missing or invalid": 1,
        "grasp has no images": 1,
        "grasp has no annotated hand": 1,
        "image is missing": 1,
        "image size differs from its annotation": 1,
    }


def test_nothing_to_read_is_an_error_with_a_remedy(dataset, tmp_path):
    with pytest.raises(InputError, match=r"no sessions.*full1_use.*download"):
        ContactPose(tmp_path / "nowhere")
    for folder in ("full5_use/mug", "full15_handoff/bowl"):
        shutil.rmtree(dataset.root / folder / "images_full")
    with pytest.raises(InputError, match="'grasp has no images': 2"):
        ContactPose(dataset.root)
    del dataset.annotations["full5_use/mug"]["frames"][1]["oTw"]["rotation"]
    path = dataset.root / "full5_use" / "mug" / "annotations.json"
    path.write_text(json.dumps(dataset.annotations["full5_use/mug"]))
    with pytest.raises(InputError, match=r"mug/annotations\.json: truncated.*KeyError: 'rotation'"):
        ContactPose(dataset.root)


def test_complete_evaluation(template, tmp_path):
    """Joints under all protocols; no vertex errors; acceleration in the sequences of the cameras."""
    weights = save_untrained_network(tmp_path / "untrained.safetensors")
    config = DatasetConfig("contactpose", template.root)
    report = run_evaluation(tmp_path / "out", config, weights, device="cpu", batch_size=4)
    assert report.results[ALL].images == 15
    assert report.results["interacting"].images == 9
    assert report.results["single-hand"].images == 6
    metrics = report.results[ALL].weights.metrics
    assert metrics[MetricKey("mpjpe_mm", "wrist-raw")] > 0
    assert metrics[MetricKey("cs_mpjpe_mm", "camera")] > 0
    assert math.isnan(metrics[MetricKey("mpvpe_mm", "wrist-raw")])
    assert report.analyses.jitter["camera"]["joints"] == (3 * 2 + 2) * 21
    assert report.analyses.notes
