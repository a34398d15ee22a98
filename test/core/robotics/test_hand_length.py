"""Measured hand lengths: of flat hands of known length at known distances, and every reason to refuse one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.depth_renderer import render_depth
from support.posed_hands import SIDES, facing, posed

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.inference.depth_alignment import scale_hand
from lgnet_core.robotics.hand_length import MIN_IMAGES, HandLengthError, HandLengthMeter
from lgnet_core.types import Camera, Hand, Side, SizeSource, TwoHands

HAND_MODEL = load_hand_layer()
CAMERA = Camera(np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]]), 640, 480)
WRIST = (0.02, 0.06, 0.5)
NONE = TwoHands(None, None, None, metric=True)


def flat_hand(side: Side = Side.RIGHT, pose: str = "flat", away: float = 0.0, at=WRIST) -> Hand:
    hand = posed(HAND_MODEL, side, pose, facing(HAND_MODEL, side, away), at)
    return replace(hand, joints_2d=project_distorted(hand.joints, CAMERA), track_id=1)


def only(hand: Hand, source: SizeSource = SizeSource.DEPTH) -> TwoHands:
    hand = replace(hand, size_source=source)
    return TwoHands(*(hand if side is hand.side else None for side in Side), None, metric=True)


def model_length() -> float:
    rest = HAND_MODEL.joints_from_vertices(HAND_MODEL.v_template)[0].numpy()
    return float(np.linalg.norm(rest[12] - rest[0]))


def measured(meter: HandLengthMeter, *images: TwoHands) -> float:
    for k in range(2 * MIN_IMAGES):
        meter.add(images[k % len(images)], CAMERA)
    return meter.result().metres


def distance_to_skin(hand: Hand) -> float:
    """What a person measures: to the skin that is seen midway between the wrist and the knuckles."""
    camera = Camera(np.array([[125.0, 0, 79.5], [0, 125, 59.5], [0, 0, 1]]), 160, 120)  # rendering is slow
    middle = (hand.joints[0] + hand.joints[[5, 9, 13, 17]].mean(0)) / 2
    u, v = np.rint(project_distorted(middle[None], camera)[0]).astype(int)
    return float(render_depth([(hand.vertices, hand.faces)], camera)[v, u])


@settings(max_examples=20)
@given(SIDES, st.floats(0.9, 1.1), st.floats(0.7, 1.4), st.sampled_from(["flat", "open", "spread"]))
def test_length_follows_from_the_distance(side: Side, size: float, error: float, pose: str) -> None:
    """A hand of any size, whose size is predicted wrongly: scaled about the camera's centre, its image is the same."""
    hand = flat_hand(side, pose)
    true = replace(hand, joints=hand.joints * size, vertices=hand.vertices * size)
    predicted = scale_hand(true, error, SizeSource.PREDICTED)
    length = measured(HandLengthMeter(HAND_MODEL, distance_to_skin(true)), only(predicted, SizeSource.PREDICTED))
    assert length == pytest.approx(size * model_length(), rel=0.012)  # the palm is not a plane


def test_back_of_the_hand_serves_as_well() -> None:
    hand = flat_hand(away=np.pi)
    meter = HandLengthMeter(HAND_MODEL, distance_to_skin(hand))
    assert measured(meter, only(hand)) == pytest.approx(model_length(), rel=0.012)


@given(SIDES, st.floats(0.8, 1.2))
def test_length_of_hands_that_are_scaled_to_depth_maps(side: Side, size: float) -> None:
    hand = scale_hand(flat_hand(side), size, SizeSource.DEPTH)
    assert measured(HandLengthMeter(HAND_MODEL), only(hand)) == pytest.approx(size * model_length(), rel=1e-3)


def test_single_outliers_do_not_count() -> None:
    """The median of the images; in a few of them the hand is missed."""
    hand = flat_hand()
    images = [only(scale_hand(hand, factor, SizeSource.DEPTH)) for factor in (0.99, 1.0, 1.0, 1.0, 1.01, 1.5)]
    length = measured(HandLengthMeter(HAND_MODEL), *images, NONE)
    assert length == pytest.approx(model_length(), rel=1e-3)


def test_spread_is_the_robust_standard_deviation() -> None:
    factors = np.random.default_rng(0).normal(1, 0.02, 400)
    meter = HandLengthMeter(HAND_MODEL)
    for factor in factors:
        meter.add(only(scale_hand(flat_hand(), float(factor), SizeSource.DEPTH)), CAMERA)
    result = meter.result()
    assert result.spread / result.metres == pytest.approx(0.02, rel=0.15)
    assert result.images == 400


def two() -> TwoHands:
    return TwoHands(flat_hand(), flat_hand(Side.LEFT, at=(-0.1, 0.05, 0.5)), np.zeros(3), metric=True)


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([NONE], "no hand is in the image; show one"),
        ([two()], "more than one hand is in the image; show one"),
        ([only(flat_hand(pose="fist"))], "the hand is not flat; stretch all fingers"),
        ([only(flat_hand(pose="point"))], "the hand is not flat"),
        ([only(flat_hand(away=0.9))], "the hand does not face the camera; turn the palm"),
        ([only(flat_hand(at=(0.0, -0.15, 0.4)))], "the hand is partly outside the image; move it to the centre"),
        ([only(flat_hand(), SizeSource.PREDICTED)], "the depth image does not show the skin of the hand"),
        ([only(flat_hand(), SizeSource.EARLIER_DEPTH)], "the depth image does not show the skin of the hand"),
        ([replace(only(flat_hand()), metric=False)], "the camera is not calibrated"),
        ([only(flat_hand()), NONE], r"no hand is in the image; show one \(10 of 20 images\)"),
        ([only(flat_hand()), only(replace(flat_hand(), track_id=2))], "lost and found again"),
        ([only(scale_hand(flat_hand(), f, SizeSource.DEPTH)) for f in (0.8, 1, 1.2)], "varies too much"),
        (
            [only(scale_hand(flat_hand(), 2.0, SizeSource.DEPTH))],
            "is not the length of a hand .* depth images and their",
        ),
    ],
)
def test_images_that_do_not_determine_the_length(images: list[TwoHands], reason: str) -> None:
    with pytest.raises(HandLengthError, match=reason):
        measured(HandLengthMeter(HAND_MODEL), *images)


def test_why_there_is_no_depth_is_reported() -> None:
    meter = HandLengthMeter(HAND_MODEL)
    for k in range(MIN_IMAGES):
        meter.add(only(flat_hand(), SizeSource.PREDICTED), CAMERA, f"Depth is not used: it is {k} ms late")
    with pytest.raises(HandLengthError, match=r"Depth is not used: it is 9 ms late \(10 of 10 images\)"):
        meter.result()


def test_no_calibration_is_reported() -> None:
    meter = HandLengthMeter(HAND_MODEL, 0.5)
    for _ in range(MIN_IMAGES):
        meter.add(NONE, None)
    with pytest.raises(HandLengthError, match="the camera is not calibrated; publish its camera_info"):
        meter.result()


def test_too_few_images_are_reported() -> None:
    meter = HandLengthMeter(HAND_MODEL)
    for _ in range(MIN_IMAGES - 1):
        meter.add(only(flat_hand()), CAMERA)
    with pytest.raises(HandLengthError, match=f"too few images .{MIN_IMAGES - 1}, at least {MIN_IMAGES}"):
        meter.result()
