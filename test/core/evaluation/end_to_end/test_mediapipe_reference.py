"""MediaPipe reference on an image with a known hand, and agreement of made-up hands with a reference."""

from __future__ import annotations

import numpy as np
import pytest
from support.paths import SHARED, requires
from support.reported_hands import hand_in_box

from lgnet_core.evaluation.end_to_end.mediapipe_reference import (
    Agreement,
    MediaPipeReference,
    Reference,
    agreement_metrics,
    compare_with_reference,
)
from lgnet_core.io.images import load_image
from lgnet_core.types import Side

DATA = SHARED / "testdata"


def test_agreement_of_displaced_hand():
    reference = Reference(Side.LEFT, hand_in_box((0, 0, 50, 100)).joints_2d)
    moved = hand_in_box((6, 8, 56, 108), Side.LEFT)
    assert compare_with_reference([moved], reference) == (True, pytest.approx(0.1))
    assert compare_with_reference([moved._replace(side=Side.RIGHT)], reference) == (False, pytest.approx(0.1))


def test_best_matching_hand_is_compared():
    reference = Reference(Side.LEFT, hand_in_box((0, 0, 50, 100)).joints_2d)
    right, matching = hand_in_box((0, 0, 50, 60), Side.RIGHT), hand_in_box((0, 0, 50, 100), Side.LEFT)
    assert compare_with_reference([right, matching], reference) == (True, 0)
    assert compare_with_reference([hand_in_box((200, 0, 250, 100), Side.LEFT)], reference) is None
    assert compare_with_reference([], reference) is None


def test_metrics():
    metrics = agreement_metrics([Agreement(True, 0.02), None, Agreement(False, 0.04)])
    assert metrics == {
        "images with a reference": 3,
        "of these with a matching hand": 2,
        "correct side, %": 50,
        "2D difference, % of the hand size": pytest.approx(3),
    }
    assert np.isnan(agreement_metrics([None])["correct side, %"])


def test_image_without_hands():
    noise = np.random.default_rng(0).integers(0, 60, (120, 160, 3), np.uint8)
    assert MediaPipeReference()(noise) is None


@requires(DATA)
def test_photograph_of_a_left_hand():
    """The mirrored image shows a right hand at the mirrored position; the result is robust to half the resolution."""
    image, reference = load_image(DATA / "hands" / "one_thumb.jpg").image, MediaPipeReference()
    detected = reference(image)
    mirrored, half = reference(np.ascontiguousarray(image[:, ::-1])), reference(image[::2, ::2].copy())
    assert detected is not None
    assert mirrored is not None
    assert half is not None
    assert (detected.side, mirrored.side, half.side) == (Side.LEFT, Side.RIGHT, Side.LEFT)
    size = np.ptp(detected.joints_2d, axis=0).max()
    flipped = mirrored.joints_2d * [-1, 1] + [image.shape[1] - 1, 0]
    assert np.linalg.norm(flipped - detected.joints_2d, axis=1).mean() < 0.04 * size
    assert np.linalg.norm(2 * half.joints_2d - detected.joints_2d, axis=1).mean() < 0.04 * size
