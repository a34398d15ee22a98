"""A made-up set of real images, judged and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.reported_hands import hand_in

from lgnet_core.evaluation.end_to_end.frozen_reference import Reference
from lgnet_core.evaluation.end_to_end.real_images import evaluate_realhands
from lgnet_core.types import Side

BOX, OTHER = [10.0, 10, 30, 40], [60.0, 10, 80, 40]
ROWS = [
    ("subhih_1.png", "subhih", [BOX]),
    ("subhih_2.png", "subhih", [BOX, OTHER]),
    ("lebanese_1.png", "lebanese", [OTHER]),
    ("asl_1.png", "asl", None),
    ("rf100_0012.png", "rf100", [BOX]),
    ("rf100_0012.jpg", "rf100", [BOX]),
]
FROZEN = "against MediaPipe's frozen networks"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("realhands")
    (folder / "images").mkdir()
    for file, _, _ in ROWS:
        cv2.imwrite(str(folder / "images" / file), np.full((60, 100, 3), 90, np.uint8))
    rows = [{"file": f, "width": 100, "height": 60, "source": s, "split": "dev", "boxes": b} for f, s, b in ROWS]
    (folder / "index.json").write_text(json.dumps(rows))
    return folder


def always_one(image, camera):
    assert camera is None
    return [hand_in(BOX)]


def nothing(image, camera):
    return []


def test_figures(root, tmp_path):
    attention_maps = []

    def reference(image):
        attention_maps.append(image)
        return Reference(Side.LEFT, hand_in(BOX).joints_2d) if len(attention_maps) < 3 else None

    programs = {"one": always_one, "none": nothing}
    figures, details = evaluate_realhands(tmp_path, root, "dev", programs, reference)
    assert figures["subhih"]["boxes found"] == {"one": 2, "none": 0}
    assert figures["subhih"]["boxes missed"] == {"one": 1, "none": 3}
    assert figures["lebanese"]["extra hands"] == {"one": 1, "none": 0}
    assert figures["asl"]["images with one hand"] == {"one": 1, "none": 0}
    assert figures["rf100"]["images of touching hands"] == {"one": 1, "none": 1}  # of the name that was chosen
    assert len(attention_maps) == 3  # single hands only: asl, lebanese, subhih_1, in the order of their names
    assert figures[f"single hands {FROZEN}"]["images where the reference is sure"] == {"one": 2, "none": 2}
    assert figures[f"asl {FROZEN}"]["side right, %"]["one"] == 0
    assert figures[f"asl {FROZEN}"]["2D difference, % of the hand"]["one"] == pytest.approx(0)
    assert f"subhih {FROZEN}" not in figures
    assert [row["file"] for row in details["images"]["one"]] == sorted(file for file, _, _ in ROWS)
    sheets = {path.name for path in tmp_path.glob("*.png")}
    assert sheets == {"asl.png", "lebanese.png", "rf100.png", "rf100_touching.png", "subhih.png"}


def test_some_of_the_images(root, tmp_path):
    figures, details = evaluate_realhands(tmp_path, root, "dev", {"none": nothing}, lambda image: None, count=3)
    assert len(details["images"]["none"]) == 3
    assert not any("frozen" in group for group in figures)
