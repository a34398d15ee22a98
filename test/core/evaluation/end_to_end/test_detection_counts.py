"""Detection counts of made-up hands on made-up boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.reported_hands import hand_in_box

from lgnet_core.data.realhands import RealImage
from lgnet_core.evaluation.end_to_end.detection_counts import ImageCount, count_hands, count_metrics, touching_hands
from lgnet_core.types import Side

LEFT, RIGHT = Side.LEFT, Side.RIGHT
BOX, FAR = (10, 10, 50, 50), (100, 100, 150, 150)
PAIR = {RIGHT: [0.0, 0, 40, 40], LEFT: [35.0, 0, 75, 40]}


def count(source: str, hands, boxes=(), touching=None) -> ImageCount:
    image = RealImage(Path("x.jpg"), source, np.array(boxes, float).reshape(-1, 4))
    return count_hands(image, hands, touching)


def test_matched_missed_and_extra():
    """One hand loosely on the first box, one without a box, and the second box without a hand."""
    row = count("subhih", [hand_in_box((15, 15, 50, 60)), hand_in_box((60, 60, 99, 99), LEFT)], [BOX, FAR])
    assert (row.hands, row.boxes, row.matched, row.missed, row.extra) == (2, 2, 1, 1, 1)
    assert row.is_faulty
    assert not row.duplicates
    assert not count("subhih", [hand_in_box(BOX)], [BOX]).is_faulty


def test_box_is_matched_once():
    """Two hands on one box: one is extra, and they are duplicates."""
    row = count("lebanese", [hand_in_box(BOX), hand_in_box((12, 10, 50, 50), LEFT)], [BOX])
    assert (row.matched, row.missed, row.extra, row.duplicates) == (1, 0, 1, True)


def test_images_of_one_hand_without_boxes():
    rows = [count("asl", [hand_in_box(BOX)] * n) for n in (0, 1, 1, 2)]
    assert [row.is_faulty for row in rows] == [True, False, False, True]
    assert count_metrics("asl", rows) == {
        "images": 4,
        "images with no hand": 1,
        "images with one hand": 2,
        "images with two hands": 1,
        "images with duplicate hands": 1,
    }


def test_images_of_two_hands():
    both, same_side = [hand_in_box(BOX), hand_in_box(FAR, LEFT)], [hand_in_box(BOX), hand_in_box(FAR)]
    rows = [count("rf100", hands, [(0, 0, 160, 160)]) for hands in (both, same_side, both[:1], [])]
    assert [row.is_faulty for row in rows] == [False, True, True, True]
    assert count_metrics("rf100", rows) == {
        "images": 4,
        "images with no hand": 1,
        "images with one hand": 1,
        "images with two hands": 2,
        "images with hands of different sides": 1,
        "images with one side twice": 1,
        "images of touching hands": 0,
        "of these with exactly both hands and correct sides": 0,
        "images with duplicate hands": 0,
    }


@pytest.mark.parametrize(
    ("hands", "expected"),
    [
        ([hand_in_box(PAIR[RIGHT]), hand_in_box(PAIR[LEFT], LEFT)], True),
        ([hand_in_box((4, 2, 42, 44)), hand_in_box(PAIR[LEFT], LEFT)], True),
        ([hand_in_box(PAIR[RIGHT], LEFT), hand_in_box(PAIR[LEFT])], False),  # sides swapped
        ([hand_in_box(PAIR[RIGHT]), hand_in_box((0, 0, 75, 40), LEFT)], False),  # the left one spans both
        ([hand_in_box(PAIR[RIGHT])], False),
        ([hand_in_box(PAIR[RIGHT]), hand_in_box(PAIR[LEFT], LEFT), hand_in_box(FAR)], False),
        ([hand_in_box(PAIR[RIGHT]), hand_in_box(PAIR[LEFT])], False),
    ],
)
def test_touching_hands(hands, expected):
    row = count("rf100", hands, [(0, 0, 75, 40)], PAIR)
    assert row.touching is expected
    assert count_metrics("rf100", [row])["of these with exactly both hands and correct sides"] == expected


def test_touching_hands_file():
    """Boxes are valid, inside the images (720x404), and close to each other."""
    touching_pairs = touching_hands()
    assert len(touching_pairs) == 61
    for file, pair in touching_pairs.items():
        boxes = np.array([pair[side] for side in Side])
        assert (boxes[:, 2:] > boxes[:, :2]).all(), file
        assert (boxes >= 0).all(), file
        assert (boxes <= [720, 404, 720, 404]).all(), file
        gap = np.maximum(boxes[0, :2] - boxes[1, 2:], boxes[1, :2] - boxes[0, 2:]).max()
        assert gap < 20, file  # hands extend beyond their joints
