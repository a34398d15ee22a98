"""Real pictures go through everything: annotation, camera, network, overlay. Accuracy is reported, not asserted."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from stubs import save_untrained_network

from lgnet_core.camera import project_distorted
from lgnet_core.data.images import PictureSource
from lgnet_core.inference import HandEstimator, Region, RegionDetector
from lgnet_core.predict import predict
from lgnet_core.types import Side

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "../shared/testdata"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real pictures are not here (../shared/testdata)")


@pytest.fixture(scope="module")
def real_report() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        yield importlib.import_module("real_report")


class Everywhere(RegionDetector):
    """The whole picture, for both hands."""

    def find(self, image, camera):
        return [Region(np.array([0, 0, image.shape[1], image.shape[0]]), tuple(Side))]


@pytest.fixture(scope="module")
def estimator(tmp_path_factory) -> HandEstimator:
    """Untrained, looking at the whole picture, and credulous: both hands are reported everywhere."""
    weights = save_untrained_network(tmp_path_factory.mktemp("weights") / "w.safetensors")
    return HandEstimator.load(
        weights, "cpu", engine="eager", detector=Everywhere(), presence_threshold=0.01, smallest_hand=0.0
    )


def test_annotations_lie_in_their_boxes(real_report):
    """The projected joints span the annotated box, and a middle finger's bones are a hand's."""
    data = json.loads((DATA / "interhand2.6m" / "test_interhand2.6m_data.json").read_text())
    boxes = {Path(row["file_name"]).stem: note["bbox"] for row, note in zip(data["images"], data["annotations"])}
    pictures = real_report.read_interhand(DATA / "interhand2.6m")
    assert sorted(tuple(s.label for s in p.sides) for p in pictures) == [
        ("left",), ("right",), ("right", "left"), ("right", "left"),
    ]  # fmt: skip
    for picture in pictures:
        assert picture.image.shape == (picture.camera.height, picture.camera.width, 3)
        joints = picture.joints[list(picture.sides)]
        pixels = project_distorted(joints[np.isfinite(joints).all(-1)], picture.camera)
        left, top, width, height = boxes[picture.name]
        inside = (pixels > [left - 5, top - 5]) & (pixels < [left + width + 5, top + height + 5])
        assert inside.all()
        assert np.ptp(pixels, axis=0).max() > 0.6 * max(width, height)
        for side in picture.sides:
            bones = np.linalg.norm(np.diff(picture.joints[side][9:13], axis=0), axis=1)
            assert 0.12 > np.nansum(bones) > 0.05


def test_report_finishes(real_report, estimator, tmp_path):
    rows = real_report.report(estimator, DATA, tmp_path)
    assert len(rows) == 5
    for row in rows:
        assert (tmp_path / f"{row['picture']}_overlay.png").exists()
        assert (tmp_path / f"{row['picture']}_view.png").exists()
        assert "right" in row["found"]
        assert "left" in row["found"]


def test_predict_gives_valid_numbers(estimator, tmp_path):
    for folder, count in (("interhand2.6m", 4), ("hands", 1)):
        done = predict(estimator, PictureSource(DATA / folder), tmp_path)
        assert (done.pictures, done.failures) == (count, [])
        assert done.hands[Side.LEFT] == count
    for path in tmp_path.glob("*.npz"):
        with np.load(path, allow_pickle=False) as file:
            for key in ("right_joints", "left_vertices", "right_joints_image", "left_rotations"):
                assert np.isfinite(file[key]).all()
            spread = np.ptp(file["left_vertices"], axis=0)
            assert (spread < 0.4).all()
