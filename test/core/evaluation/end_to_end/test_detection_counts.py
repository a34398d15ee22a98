"""Counts of made-up hands on made-up boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.reported_hands import hand_in

from lgnet_core.data.realhands import RealImage
from lgnet_core.evaluation.end_to_end.hand_counts import ImageCount, count_hands, figures_of, touching_hands
from lgnet_core.types import Side

LEFT, RIGHT = Side.LEFT, Side.RIGHT
BOX, FAR = (10, 10, 50, 50), (100, 100, 150, 150)
PAIR = {RIGHT: [0.0, 0, 40, 40], LEFT: [35.0, 0, 75, 40]}


def count(source: str, hands, boxes=(), touching=None) -> ImageCount:
    image = RealImage(Path("x.jpg"), source, np.array(boxes, float).reshape(-1, 4))
    return count_hands(image, hands, touching)


def test_found_missed_extra():
    """One hand on the first box, though loosely; one where there is none; the second box without a hand."""
    row = count("subhih", [hand_in((15, 15, 50, 60)), hand_in((60, 60, 99, 99), LEFT)], [BOX, FAR])
    assert (row.hands, row.boxes, row.found, row.missed, row.extra) == (2, 2, 1, 1, 1)
    assert row.fault
    assert not row.twice
    assert not count("subhih", [hand_in(BOX)], [BOX]).fault


def test_a_box_is_found_once():
    """Two hands on one box: one is extra, and they lie on each other."""
    row = count("lebanese", [hand_in(BOX), hand_in((12, 10, 50, 50), LEFT)], [BOX])
    assert (row.found, row.missed, row.extra, row.twice) == (1, 0, 1, True)


def test_images_of_one_hand_without_boxes():
    rows = [count("asl", [hand_in(BOX)] * n) for n in (0, 1, 1, 2)]
    assert [row.fault for row in rows] == [True, False, False, True]
    assert figures_of("asl", rows) == {
        "images": 4,
        "images with no hand": 1,
        "images with one hand": 2,
        "images with two hands": 1,
        "images with two hands on each other": 1,
    }


def test_signs_of_two_hands():
    both, same = [hand_in(BOX), hand_in(FAR, LEFT)], [hand_in(BOX), hand_in(FAR)]
    rows = [count("rf100", hands, [(0, 0, 160, 160)]) for hands in (both, same, both[:1], [])]
    assert [row.fault for row in rows] == [False, True, True, True]
    assert figures_of("rf100", rows) == {
        "images": 4,
        "images with no hand": 1,
        "images with one hand": 1,
        "images with two hands": 2,
        "images with hands of different sides": 1,
        "images with one side twice": 1,
        "images of touching hands": 0,
        "of these both on the hands, sides right, none extra": 0,
        "images with two hands on each other": 0,
    }


@pytest.mark.parametrize(
    ("hands", "right"),
    [
        ([hand_in(PAIR[RIGHT]), hand_in(PAIR[LEFT], LEFT)], True),
        ([hand_in((4, 2, 42, 44)), hand_in(PAIR[LEFT], LEFT)], True),
        ([hand_in(PAIR[RIGHT], LEFT), hand_in(PAIR[LEFT])], False),  # sides turned around
        ([hand_in(PAIR[RIGHT]), hand_in((0, 0, 75, 40), LEFT)], False),  # the left one spans both
        ([hand_in(PAIR[RIGHT])], False),
        ([hand_in(PAIR[RIGHT]), hand_in(PAIR[LEFT], LEFT), hand_in(FAR)], False),
        ([hand_in(PAIR[RIGHT]), hand_in(PAIR[LEFT])], False),
    ],
)
def test_touching_hands(hands, right):
    row = count("rf100", hands, [(0, 0, 75, 40)], PAIR)
    assert row.touching is right
    assert figures_of("rf100", [row])["of these both on the hands, sides right, none extra"] == right


def test_the_chosen_images():
    """Every pair of boxes has a size and lies in the images (720x404), and the hands are near each other."""
    chosen = touching_hands()
    assert len(chosen) == 61
    for file, pair in chosen.items():
        boxes = np.array([pair[side] for side in Side])
        assert (boxes[:, 2:] > boxes[:, :2]).all(), file
        assert (boxes >= 0).all(), file
        assert (boxes <= [720, 404, 720, 404]).all(), file
        gap = np.maximum(boxes[0, :2] - boxes[1, 2:], boxes[1, :2] - boxes[0, 2:]).max()
        assert gap < 20, file  # tips and knuckles reach beyond the joints
