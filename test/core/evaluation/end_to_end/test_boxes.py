"""Overlap and matching of boxes, on hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.evaluation.end_to_end.boxes import SKIN, iou, length, match, skin_box

numbers = st.floats(-50, 50)


@st.composite
def boxes(draw) -> np.ndarray:
    left, top = draw(numbers), draw(numbers)
    return np.array([left, top, left + draw(st.floats(0.5, 60)), top + draw(st.floats(0.5, 60))])


@pytest.mark.parametrize(
    ("other", "expected"),
    [([0, 0, 10, 10], 1.0), ([5, 0, 15, 10], 1 / 3), ([0, 0, 5, 10], 0.5), ([10, 0, 20, 10], 0.0), ([3, 3, 3, 3], 0.0)],
)
def test_overlap_of_known_boxes(other, expected):
    assert iou(np.array([0.0, 0, 10, 10]), np.array(other, float)) == pytest.approx(expected)


@given(a=boxes(), b=boxes(), scale=st.floats(0.1, 10))
def test_overlap_is_symmetric_and_has_no_scale(a, b, scale):
    assert iou(a, b) == pytest.approx(iou(b, a))
    assert iou(scale * a, scale * b) == pytest.approx(iou(a, b), abs=1e-9)
    assert 0 <= iou(a, b) <= 1 + 1e-12


def test_boxes_without_a_size_do_not_overlap():
    point = np.zeros(4)
    assert iou(point, point) == 0


def test_the_best_pair_comes_first():
    """The first box overlaps both others, the second one only the better of them: greedy leaves it without."""
    mine = [np.array([0.0, 0, 10, 10]), np.array([0.0, 4, 10, 14])]
    others = [np.array([0.0, 1, 10, 11]), np.array([0.0, -6, 10, 4])]
    assert match(mine, others, 0.2) == [(0, 0)]
    assert match(mine, others[::-1], 0.2) == [(0, 1)]
    assert match(mine, others, 0.9) == []
    assert match([], others, 0.1) == match(mine, [], 0.1) == []


@given(mine=st.lists(boxes(), max_size=4), others=st.lists(boxes(), max_size=4))
def test_pairs_are_one_to_one(mine, others):
    pairs = match(mine, others, 0.1)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(iou(mine[i], others[j]) >= 0.1 for i, j in pairs)
    left = [
        (a, b) for i, a in enumerate(mine) for j, b in enumerate(others) if not any(i == p or j == q for p, q in pairs)
    ]
    assert all(iou(a, b) < 0.1 for a, b in left)  # nobody is left who could be matched


def test_a_hand_reaches_beyond_its_joints():
    joints = np.array([[0.0, 0], [100, 40]])
    assert skin_box(joints) == pytest.approx([-100 * SKIN, -100 * SKIN, 100 + 100 * SKIN, 40 + 100 * SKIN])
    assert length(skin_box(joints)) == pytest.approx(100 * (1 + 2 * SKIN))
