"""Regions and which hands share a crop."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.camera import transform_points
from lgnet_core.data.synthetic.cameras import hands_apart
from lgnet_core.inference.regions import (
    CROP_MARGIN,
    UNSURE,
    Detected,
    Region,
    box_to_follow,
    gap,
    hand_width,
    overlap,
    share_crops,
)
from lgnet_core.types import Side

BOX = np.array([100.0, 100, 180, 160])


def test_a_crop_holds_its_box_with_a_margin():
    corners = transform_points(Region(BOX, (Side.LEFT,)).crop(256), BOX.reshape(2, 2))
    np.testing.assert_allclose(corners[:, 0], [127.5 - 128 / 1.25, 127.5 + 128 / 1.25])
    np.testing.assert_allclose(corners.mean(0), [127.5, 127.5])


def test_a_box_without_extent_still_makes_a_crop():
    affine = Region(np.array([50.0, 60, 50, 60]), (Side.LEFT,)).crop(256)
    np.testing.assert_allclose(transform_points(affine, np.array([50.0, 60])), [127.5, 127.5])
    assert np.isfinite(affine).all()


def test_gap_is_along_the_axis_that_parts():
    assert gap(BOX, BOX + np.array([100, 20, 100, 20])) == 20
    assert gap(BOX, BOX + 30) == 0
    assert gap(BOX, BOX + np.array([0, 90, 0, 90])) == 30


def test_overlap_is_intersection_over_union():
    assert overlap(BOX, BOX) == 1
    assert overlap(BOX, BOX + 200) == 0
    assert overlap(BOX, BOX + np.array([40, 0, 40, 0])) == 40 / 120  # half of each
    assert overlap(BOX, np.array([120.0, 115, 160, 145])) == 0.25  # inside, half as long


@given(shift=st.floats(0, 400), side=st.sampled_from(Side))
def test_hands_share_a_crop_up_to_a_hands_width(shift, side):
    first, second = Region(BOX, (side,)), Region(BOX + np.array([shift, 0, shift, 0]), (side.other,))
    shared = share_crops([first, second])
    if shift - 80 > hand_width(BOX):
        assert shared == [first, second]
    else:
        (region,) = shared
        assert set(region.sides) == set(Side)
        np.testing.assert_allclose(region.box, [100, 100, 180 + shift, 160])


def test_a_hand_is_followed_in_a_larger_box_with_the_same_middle():
    box = box_to_follow(np.array([10.0, 20, 50, 30]))
    np.testing.assert_allclose(box, [30 - 20 * UNSURE, 25 - 5 * UNSURE, 30 + 20 * UNSURE, 25 + 5 * UNSURE])


def boxes() -> st.SearchStrategy[list[float]]:
    """Left, top, right, bottom of a box, pixels."""
    place, extent = st.floats(0, 300), st.floats(10, 200)
    return st.builds(lambda u, v, w, h: [u, v, u + w, v + h], place, place, extent, extent)


@given(first=boxes(), second=boxes())
def test_crops_are_shared_by_the_rule_that_training_cuts_them_by(first, second):
    """As detected, with open sides; the rule of the synthetic crops is written a second time, for tensors."""
    both = torch.tensor([[first, second]], dtype=torch.float64)
    apart = bool(hands_apart(both[..., :2], both[..., 2:]))
    assert len(share_crops([Region(np.array(box), tuple(Side)) for box in (first, second)])) == 1 + apart


def test_a_shared_region_is_looked_at_as_each_of_the_two_is():
    hands = Detected(BOX, 0.9), Detected(BOX + 20, 0.4)
    twice, once = (
        Region(hand.box, tuple(Side), looks=looks, detected=(hand,)) for hand, looks in zip(hands, ((1.0, 1.2), (1.0,)))
    )
    (shared,) = share_crops([twice, once])
    assert shared.looks == (1.0, 1.2)
    assert shared.detected == hands


def test_several_detected_hands_are_also_looked_at_one_by_one():
    """In the larger crop that a hand alone is followed in; one hand has its looks only."""
    hands = Detected(BOX, 0.9), Detected(BOX + 20, 0.4)
    single = Region(BOX, (Side.LEFT,), 0.3, (1.0, 1.2), hands[:1])
    assert single.views == [(single, 1.0), (single, 1.2)]
    looks = [single.crop(256, CROP_MARGIN), single.crop(256, 1.2 * CROP_MARGIN)]
    np.testing.assert_array_equal(single.crops(256), looks)
    shared = Region(BOX, (Side.LEFT,), 0.3, (1.0, 1.2), hands)
    alone = [Region(box_to_follow(hand.box), (Side.LEFT,), 0.3).crop(256) for hand in hands]
    np.testing.assert_allclose(shared.crops(256), [*looks, *alone], atol=1e-9)
    for (part, _), hand in zip(shared.views[2:], hands, strict=True):
        assert part.detected == (hand,)
        assert part.sides == shared.sides


def test_hands_are_expected_where_the_detector_saw_them_or_anywhere_in_the_region():
    hands = Detected(BOX, 0.9), Detected(BOX + 20, 0.4)
    assert Region(BOX - 20, tuple(Side), detected=hands).expected == (hands[0].box, hands[1].box)
    (box,) = Region(BOX, tuple(Side)).expected
    assert box is BOX


def test_a_region_without_anything_to_look_for_is_refused():
    with pytest.raises(ValueError, match=r"sides.*leave the region out"):
        Region(BOX, ())
    for looks in ((), (1.0, 0.0)):
        with pytest.raises(ValueError, match="looks: expected at least one size"):
            Region(BOX, tuple(Side), looks=looks)


@pytest.mark.parametrize("sides", [[(Side.RIGHT,)], [(Side.RIGHT,), (Side.RIGHT,)], [(Side.RIGHT, Side.LEFT)], []])
def test_what_is_no_pair_stays_as_it_is(sides):
    regions = [Region(BOX, s) for s in sides]
    assert share_crops(regions) == regions
