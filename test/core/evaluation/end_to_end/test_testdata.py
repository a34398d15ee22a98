"""The test data's images: annotations lie on their hands, and figures of made-up hands are what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.paths import SHARED
from support.reported_hands import hand_in

from lgnet_core.evaluation.end_to_end.known_images import (
    KnownImage,
    evaluate_testdata,
    figures_of,
    known_images,
    read_interhand,
)
from lgnet_core.evaluation.reported import ReportedHand
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.io.images import InputError
from lgnet_core.types import Camera, Side

DATA = SHARED / "testdata"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real images are not here (LGNET_TEST_DATA/testdata)")

CAMERA = Camera(np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]]), 640, 480)
IMAGE = np.zeros((480, 640, 3), np.uint8)


def known(name: str = "a") -> tuple[KnownImage, ReportedHand]:
    """An image of a left hand of which three joints are not annotated, and that hand."""
    joints = np.full((2, 21, 3), np.nan)
    joints[Side.LEFT] = np.random.default_rng(0).uniform(-0.08, 0.08, (21, 3)) + np.array([0, 0, 0.5])
    hand = ReportedHand(Side.LEFT, project_distorted(joints[Side.LEFT], CAMERA), joints[Side.LEFT].copy(), True)
    joints[Side.LEFT, [3, 7, 20]] = np.nan
    return KnownImage(name, IMAGE, CAMERA, (Side.LEFT,), joints), hand


def test_figures_of_made_up_hands():
    """One hand 3 px aside, one taken for the other, and a photograph without joints."""
    (first, hand), (second, _) = known("a"), known("b")
    photograph = KnownImage("photograph", IMAGE, None, (Side.RIGHT,), None)
    aside = hand._replace(joints_2d=hand.joints_2d + np.array([3.0, 0]))
    wrong = hand._replace(side=Side.RIGHT)
    figures = figures_of([first, second, photograph], [[aside], [wrong], [hand_in((0, 0, 9, 9))]])
    assert figures.pop("2D error, px: a, left") == pytest.approx(3)
    assert figures.pop("error from the wrist, mm: a, left") == pytest.approx(0, abs=1e-9)
    assert np.isnan(figures.pop("2D error, px: b, left"))
    assert np.isnan(figures.pop("error from the wrist, mm: b, left"))
    assert figures == {"hands": 3, "found with their side": 2, "extra hands": 1}


def test_a_hand_without_its_wrist():
    image, hand = known()
    image.joints[Side.LEFT, 0] = np.nan
    figures = figures_of([image], [[hand]])
    assert figures["2D error, px: a, left"] == pytest.approx(0, abs=1e-6)
    assert np.isnan(figures["error from the wrist, mm: a, left"])


def test_a_folder_without_annotations(tmp_path):
    with pytest.raises(InputError, match=r"has no \*_data\.json"):
        read_interhand(tmp_path)


@real
def test_annotations_lie_in_their_boxes():
    """The projected joints span the annotated box, and a middle finger's bones are a hand's."""
    data = json.loads((DATA / "interhand2.6m" / "test_interhand2.6m_data.json").read_text())
    boxes = {Path(row["file_name"]).stem: note["bbox"] for row, note in zip(data["images"], data["annotations"])}
    images = read_interhand(DATA / "interhand2.6m")
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


@real
def test_the_real_images_are_judged(tmp_path):
    """A program that knows the annotated joints finds the seven hands, the photograph's by its side alone."""
    true = iter(known_images(DATA))

    def knowing(image, camera):
        shown = next(true)
        if camera is None:
            return [hand_in((0, 0, 99, 99), side) for side in shown.sides]
        joints = np.nan_to_num(shown.joints, nan=1.0)
        return [ReportedHand(s, project_distorted(joints[s], camera), joints[s], True) for s in shown.sides]

    figures = evaluate_testdata(tmp_path, DATA, {"knowing": knowing})["testdata"]
    assert {name: values["knowing"] for name, values in figures.items() if "error" not in name} == {
        "hands": 7,
        "found with their side": 7,
        "extra hands": 0,
    }
    errors = [values["knowing"] for name, values in figures.items() if "2D error" in name]
    assert len(errors) == 6
    assert max(errors) < 1e-6
    assert (tmp_path / "testdata.png").exists()
