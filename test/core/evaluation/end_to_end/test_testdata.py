"""Images of the test data: annotations, and metrics of made-up hands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.paths import SHARED, requires
from support.reported_hands import hand_in_box

from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand
from lgnet_core.evaluation.end_to_end.testdata import (
    AnnotatedImage,
    evaluate_testdata,
    image_metrics,
    load_interhand_frames,
    load_test_images,
)
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.io.files import InputError
from lgnet_core.types import Camera, Side

DATA = SHARED / "testdata"
needs_test_data = requires(DATA)

CAMERA = Camera(np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]]), 640, 480)
IMAGE = np.zeros((480, 640, 3), np.uint8)


def annotated_image(name: str = "a") -> tuple[AnnotatedImage, ReportedHand]:
    """An image of a left hand with three joints not annotated, and that hand."""
    joints = np.full((2, 21, 3), np.nan)
    joints[Side.LEFT] = np.random.default_rng(0).uniform(-0.08, 0.08, (21, 3)) + np.array([0, 0, 0.5])
    hand = ReportedHand(Side.LEFT, project_distorted(joints[Side.LEFT], CAMERA), joints[Side.LEFT].copy(), True)
    joints[Side.LEFT, [3, 7, 20]] = np.nan
    return AnnotatedImage(name, IMAGE, CAMERA, (Side.LEFT,), joints), hand


def test_image_metrics_made_up_hands():
    """One hand displaced by 3 px, one with the wrong side, and a photograph without joints."""
    (first, hand), (second, _) = annotated_image("a"), annotated_image("b")
    photograph = AnnotatedImage("photograph", IMAGE, None, (Side.RIGHT,), None)
    displaced = hand._replace(joints_2d=hand.joints_2d + np.array([3.0, 0]))
    wrong_side = hand._replace(side=Side.RIGHT)
    metrics = image_metrics([first, second, photograph], [[displaced], [wrong_side], [hand_in_box((0, 0, 9, 9))]])
    assert metrics.pop("2D error, px: a, left") == pytest.approx(3)
    assert metrics.pop("error relative to the wrist, mm: a, left") == pytest.approx(0, abs=1e-9)
    assert np.isnan(metrics.pop("2D error, px: b, left"))
    assert np.isnan(metrics.pop("error relative to the wrist, mm: b, left"))
    assert metrics == {"hands": 3, "found with correct side": 2, "extra hands": 1}


def test_hand_without_annotated_wrist():
    image, hand = annotated_image()
    image.joints[Side.LEFT, 0] = np.nan
    metrics = image_metrics([image], [[hand]])
    assert metrics["2D error, px: a, left"] == pytest.approx(0, abs=1e-6)
    assert np.isnan(metrics["error relative to the wrist, mm: a, left"])


def test_folder_without_annotations(tmp_path):
    with pytest.raises(InputError, match=r"no \*_data\.json found"):
        load_interhand_frames(tmp_path)


@needs_test_data
def test_annotations_are_consistent():
    """Projected joints span the annotated boxes, and bones of middle fingers have plausible lengths."""
    data = json.loads((DATA / "interhand2.6m" / "test_interhand2.6m_data.json").read_text())
    boxes = {Path(row["file_name"]).stem: note["bbox"] for row, note in zip(data["images"], data["annotations"])}
    images = load_interhand_frames(DATA / "interhand2.6m")
    assert sorted(tuple(s.label for s in image.sides) for image in images) == [
        ("left",), ("right",), ("right", "left"), ("right", "left"),
    ]  # fmt: skip
    for image in images:
        assert image.image.shape == (image.camera.height, image.camera.width, 3)
        joints = image.joints[list(image.sides)]
        pixels = project_distorted(joints[np.isfinite(joints).all(-1)], image.camera)
        left, top, width, height = boxes[image.name]
        inside = (pixels > [left - 5, top - 5]) & (pixels < [left + width + 5, top + height + 5])
        assert inside.all()
        assert np.ptp(pixels, axis=0).max() > 0.6 * max(width, height)
        for side in image.sides:
            bones = np.linalg.norm(np.diff(image.joints[side][9:13], axis=0), axis=1)
            assert 0.12 > np.nansum(bones) > 0.05


@needs_test_data
def test_evaluation_of_an_oracle(tmp_path):
    """A method that returns the annotations finds all seven hands without an error."""
    images_in_order = iter(load_test_images(DATA))

    def oracle(image, camera):
        shown = next(images_in_order)
        if camera is None:
            return [hand_in_box((0, 0, 99, 99), side) for side in shown.sides]
        joints = np.nan_to_num(shown.joints, nan=1.0)
        return [ReportedHand(s, project_distorted(joints[s], camera), joints[s], True) for s in shown.sides]

    metrics = evaluate_testdata(tmp_path, DATA, {"oracle": oracle})["testdata"]
    assert {name: values["oracle"] for name, values in metrics.items() if "error" not in name} == {
        "hands": 7,
        "found with correct side": 7,
        "extra hands": 0,
    }
    errors = [values["oracle"] for name, values in metrics.items() if "2D error" in name]
    assert len(errors) == 6
    assert max(errors) < 1e-6
    assert (tmp_path / "testdata.png").exists()
