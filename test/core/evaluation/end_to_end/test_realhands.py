"""Evaluation of a made-up data set of real images."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.reported_hands import hand_in_box

from lgnet_core.evaluation.end_to_end.mediapipe_reference import Reference
from lgnet_core.evaluation.end_to_end.realhands import evaluate_realhands
from lgnet_core.types import Side

BOX, OTHER_BOX = [10.0, 10, 30, 40], [60.0, 10, 80, 40]
ROWS = [
    ("subhih_1.png", "subhih", [BOX]),
    ("subhih_2.png", "subhih", [BOX, OTHER_BOX]),
    ("lebanese_1.png", "lebanese", [OTHER_BOX]),
    ("asl_1.png", "asl", None),
    ("rf100_0012.png", "rf100", [BOX]),
    ("rf100_0012.jpg", "rf100", [BOX]),
]
COMPARISON = "compared with MediaPipe's frozen networks"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("realhands")
    (folder / "images").mkdir()
    for file, _, _ in ROWS:
        cv2.imwrite(str(folder / "images" / file), np.full((60, 100, 3), 90, np.uint8))
    rows = [{"file": f, "width": 100, "height": 60, "source": s, "split": "dev", "boxes": b} for f, s, b in ROWS]
    (folder / "index.json").write_text(json.dumps(rows))
    return folder


def report_one_hand(image, camera):
    assert camera is None
    return [hand_in_box(BOX)]


def report_nothing(image, camera):
    return []


def test_metrics(root, tmp_path):
    calls = []

    def reference(image):
        calls.append(image)
        return Reference(Side.LEFT, hand_in_box(BOX).joints_2d) if len(calls) < 3 else None

    methods = {"one": report_one_hand, "none": report_nothing}
    metrics, details = evaluate_realhands(tmp_path, root, "dev", methods, reference)
    assert metrics["subhih"]["boxes found"] == {"one": 2, "none": 0}
    assert metrics["subhih"]["boxes missed"] == {"one": 1, "none": 3}
    assert metrics["lebanese"]["extra hands"] == {"one": 1, "none": 0}
    assert metrics["asl"]["images with one hand"] == {"one": 1, "none": 0}
    assert metrics["rf100"]["images of touching hands"] == {"one": 1, "none": 1}  # listed by its name
    assert len(calls) == 3  # images of single hands only: asl, lebanese, subhih_1
    assert metrics[f"single hands {COMPARISON}"]["images with a reference"] == {"one": 2, "none": 2}
    assert metrics[f"asl {COMPARISON}"]["correct side, %"]["one"] == 0
    assert metrics[f"asl {COMPARISON}"]["2D difference, % of the hand size"]["one"] == pytest.approx(0)
    assert f"subhih {COMPARISON}" not in metrics
    assert [row["file"] for row in details["images"]["one"]] == sorted(file for file, _, _ in ROWS)
    sheets = {path.name for path in tmp_path.glob("*.png")}
    assert sheets == {"asl.png", "lebanese.png", "rf100.png", "rf100_touching.png", "subhih.png"}


def test_limited_count(root, tmp_path):
    metrics, details = evaluate_realhands(tmp_path, root, "dev", {"none": report_nothing}, lambda image: None, count=3)
    assert len(details["images"]["none"]) == 3
    assert not any("frozen" in group for group in metrics)
