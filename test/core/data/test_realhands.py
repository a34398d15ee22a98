"""Index of realhands: a made-up one, and the real data set where available."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.paths import SHARED, requires

from lgnet_core.data.realhands import RealImage, read_index
from lgnet_core.io.files import InputError

ROOT = SHARED / "realhands"


def row(file: str, split: str = "dev", source: str = "subhih", boxes: list[list[float]] | None = None) -> dict:
    return {"file": file, "width": 32, "height": 24, "source": source, "split": split, "boxes": boxes, "original": ""}


def test_index_of_a_split(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((24, 32, 3), (255, 0, 0), np.uint8))  # BGR
    rows = [row("b.png", boxes=[[1, 2, 3, 4], [5, 6, 7, 8]]), row("c.png", "train"), row("a.png", source="asl")]
    (tmp_path / "index.json").write_text(json.dumps(rows))
    first, second = read_index(tmp_path, "dev")
    assert [first.path.name, second.path.name] == ["a.png", "b.png"]
    assert first.boxes.shape == (0, 4)
    np.testing.assert_array_equal(second.boxes, [[1, 2, 3, 4], [5, 6, 7, 8]])
    assert first.read()[0, 0].tolist() == [0, 0, 255]
    assert (first.source, second.source) == ("asl", "subhih")
    assert [image.path.name for image in read_index(tmp_path, "train")] == ["c.png"]
    with pytest.raises(InputError, match="no images of the split 'test'; the splits are dev, train"):
        read_index(tmp_path, "test")


@pytest.mark.parametrize(
    ("source", "boxes", "count"), [("asl", 0, 1), ("lebanese", 1, 1), ("subhih", 2, 2), ("rf100", 1, None)]
)
def test_number_of_hands(source, boxes, count):
    assert RealImage(Path("x.jpg"), source, np.zeros((boxes, 4))).hand_count == count


@pytest.mark.parametrize("content", [None, "{", "[1]", '[{"file": "a"}]'])
def test_invalid_index_is_rejected(tmp_path, content):
    if content is not None:
        (tmp_path / "index.json").write_text(content)
    with pytest.raises(InputError, match=r"index\.json: missing, or not an index of realhands"):
        read_index(tmp_path, "dev")


@requires(ROOT)
def test_real_data_set():
    """Counts as documented; boxes lie in their images."""
    images = read_index(ROOT, "dev")
    counts = {source: sum(i.source == source for i in images) for source in ("subhih", "lebanese", "asl", "rf100")}
    assert counts == {"subhih": 108, "lebanese": 82, "asl": 84, "rf100": 114}
    assert sum(len(i.boxes) for i in images if i.source == "subhih") == 143
    for image in images[::40]:
        height, width = image.read().shape[:2]
        assert (image.boxes >= -1).all()
        assert (image.boxes <= np.tile([width, height], 2) + 1).all()
