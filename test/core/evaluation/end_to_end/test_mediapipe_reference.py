"""The reference on an image whose hand is known, and agreement with it on made-up hands."""

from __future__ import annotations

import numpy as np
import pytest
from support.paths import SHARED
from support.reported_hands import hand_in

from lgnet_core.evaluation.end_to_end.frozen_reference import (
    Agreement,
    FrozenReference,
    Reference,
    agreement_figures,
    compare,
)
from lgnet_core.io.images import load_image
from lgnet_core.types import Side

DATA = SHARED / "testdata"


def test_a_hand_moved_by_a_tenth_of_its_size():
    reference = Reference(Side.LEFT, hand_in((0, 0, 50, 100)).joints_2d)
    moved = hand_in((6, 8, 56, 108), Side.LEFT)
    assert compare([moved], reference) == (True, pytest.approx(0.1))
    assert compare([moved._replace(side=Side.RIGHT)], reference) == (False, pytest.approx(0.1))


def test_the_hand_that_lies_best_counts():
    reference = Reference(Side.LEFT, hand_in((0, 0, 50, 100)).joints_2d)
    right, near = hand_in((0, 0, 50, 60), Side.RIGHT), hand_in((0, 0, 50, 100), Side.LEFT)
    assert compare([right, near], reference) == (True, 0)
    assert compare([hand_in((200, 0, 250, 100), Side.LEFT)], reference) is None
    assert compare([], reference) is None


def test_figures():
    figures = agreement_figures([Agreement(True, 0.02), None, Agreement(False, 0.04)])
    assert figures == {
        "images where the reference is sure": 3,
        "of these reported there": 2,
        "side right, %": 50,
        "2D difference, % of the hand": pytest.approx(3),
    }
    assert np.isnan(agreement_figures([None])["side right, %"])


def test_an_image_without_a_hand():
    noise = np.random.default_rng(0).integers(0, 60, (120, 160, 3), np.uint8)
    assert FrozenReference()(noise) is None


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images are not here (LGNET_TEST_DATA/testdata)")
def test_the_photograph_of_a_left_hand():
    """Its mirror image is a right hand at the mirrored place; half as many pixels change little."""
    image, reference = load_image(DATA / "hands" / "one_thumb.jpg").image, FrozenReference()
    found = reference(image)
    mirrored, half = reference(np.ascontiguousarray(image[:, ::-1])), reference(image[::2, ::2].copy())
    assert found is not None
    assert mirrored is not None
    assert half is not None
    assert (found.side, mirrored.side, half.side) == (Side.LEFT, Side.RIGHT, Side.LEFT)
    size = np.ptp(found.joints_2d, axis=0).max()
    flipped = mirrored.joints_2d * [-1, 1] + [image.shape[1] - 1, 0]
    assert np.linalg.norm(flipped - found.joints_2d, axis=1).mean() < 0.04 * size
    assert np.linalg.norm(2 * half.joints_2d - found.joints_2d, axis=1).mean() < 0.04 * size
