"""Overlap and matching of boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.evaluation.end_to_end.boxes import SKIN_MARGIN, iou, longer_side, match, skin_box

coordinates = st.floats(-50, 50)


@st.composite
def boxes(draw) -> np.ndarray:
    unmatched, top = draw(coordinates), draw(coordinates)
    return np.array([unmatched, top, unmatched + draw(st.floats(0.5, 60)), top + draw(st.floats(0.5, 60))])


@pytest.mark.parametrize(
    ("other", "expected"),
    [([0, 0, 10, 10], 1.0), ([5, 0, 15, 10], 1 / 3), ([0, 0, 5, 10], 0.5), ([10, 0, 20, 10], 0.0), ([3, 3, 3, 3], 0.0)],
)
def test_iou_of_known_boxes(other, expected):
    assert iou(np.array([0.0, 0, 10, 10]), np.array(other, float)) == pytest.approx(expected)


@given(a=boxes(), b=boxes(), scale=st.floats(0.1, 10))
def test_iou_is_symmetric_and_scale_invariant(a, b, scale):
    assert iou(a, b) == pytest.approx(iou(b, a))
    assert iou(scale * a, scale * b) == pytest.approx(iou(a, b), abs=1e-9)
    assert 0 <= iou(a, b) <= 1 + 1e-12


def test_iou_of_empty_boxes_is_zero():
    point = np.zeros(4)
    assert iou(point, point) == 0


def test_best_pair_is_matched_first():
    """The first box overlaps both others, the second box only the better one: greedy matching leaves it unmatched."""
    first = [np.array([0.0, 0, 10, 10]), np.array([0.0, 4, 10, 14])]
    second = [np.array([0.0, 1, 10, 11]), np.array([0.0, -6, 10, 4])]
    assert match(first, second, 0.2) == [(0, 0)]
    assert match(first, second[::-1], 0.2) == [(0, 1)]
    assert match(first, second, 0.9) == []
    assert match([], second, 0.1) == match(first, [], 0.1) == []


@given(first=st.lists(boxes(), max_size=4), second=st.lists(boxes(), max_size=4))
def test_matching_is_one_to_one_and_maximal(first, second):
    pairs = match(first, second, 0.1)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(iou(first[i], second[j]) >= 0.1 for i, j in pairs)
    unmatched = [
        (a, b) for i, a in enumerate(first) for j, b in enumerate(second) if not any(i == p or j == q for p, q in pairs)
    ]
    assert all(iou(a, b) < 0.1 for a, b in unmatched)  # no further match is possible


def test_skin_box_exceeds_joints():
    joints = np.array([[0.0, 0], [100, 40]])
    assert skin_box(joints) == pytest.approx(
        [-100 * SKIN_MARGIN, -100 * SKIN_MARGIN, 100 + 100 * SKIN_MARGIN, 40 + 100 * SKIN_MARGIN]
    )
    assert longer_side(skin_box(joints)) == pytest.approx(100 * (1 + 2 * SKIN_MARGIN))
