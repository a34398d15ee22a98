"""Scale of a hand from depth maps with what real ones have: holes, edges, objects and other hands in front."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import roma
import torch
from support.depth_renderer import render_depth

from lgnet_core.geometry.depth_scale import DepthScale, measure_scale
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Camera, Hand, Side

CAMERA = Camera(np.array([[400.0, 0, 159.5], [0, 400, 119.5], [0, 0, 1]]), 320, 240)
FACTOR = 1.12
"""True size over predicted size."""


@pytest.fixture(scope="module")
def hand(hand_model: HandModel) -> Hand:
    """A right hand whose palm faces the camera, half a metre away, as predicted."""
    rotations = hand_model.pose_to_rotations(torch.zeros(2, 48))
    mesh = hand_model(rotations[None], torch.zeros(1, 2, 10)).wrist_relative()
    vertices, joints = (x[0, Side.RIGHT].double().numpy() for x in mesh)
    axes = np.linalg.svd(joints - joints.mean(0))[2]  # along the fingers, across them, out of the palm
    axes[2] *= np.sign(np.linalg.det(axes))
    to_camera = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])
    vertices, joints = ((x - joints.mean(0)) @ axes.T @ to_camera.T + [0, 0, 0.5] for x in (vertices, joints))
    pixels = joints @ CAMERA.matrix.T
    faces = hand_model.faces.numpy()[Side.RIGHT]
    std = np.full(21, 0.01)
    return Hand(
        Side.RIGHT, 1.0, joints, vertices, faces, pixels[:, :2] / pixels[:, 2:], std, np.eye(3)[None], np.zeros(10)
    )


@pytest.fixture(scope="module")
def depth(hand: Hand) -> np.ndarray:
    """What a perfect sensor sees of the true hand before a wall."""
    rendered = render_depth([(hand.vertices * FACTOR, hand.faces)], CAMERA)
    return np.where(rendered > 0, rendered, 1.5)


def measure(hand: Hand, depth: np.ndarray, others=()) -> DepthScale:
    return measure_scale(hand, others, depth, CAMERA)


def test_perfect_depth(hand, depth):
    result = measure(hand, depth)
    assert result.factor == pytest.approx(FACTOR, rel=0.003)
    assert result.agreeing > 0.8 * result.measured > 100
    assert result.problem == ""


def test_hand_of_the_right_size_stays(hand):
    assert measure(hand, render_depth([(hand.vertices, hand.faces)], CAMERA)).factor == pytest.approx(1, rel=0.003)


@pytest.mark.parametrize("missing", [0.0, np.nan, np.inf])
def test_holes(hand, depth, missing):
    """Four of ten blocks of 16 pixels."""
    holes = np.random.default_rng(0).random((15, 20)) < 0.4
    holey = np.where(np.kron(holes, np.ones((16, 16))) > 0, missing, depth)
    assert measure(hand, holey).factor == pytest.approx(FACTOR, rel=0.005)


def test_flying_pixels_at_edges(hand, depth):
    """Along the silhouette, depths lie between the hand and the wall."""
    skin = depth < 1.4
    near_edge = skin.copy()
    for axis in (0, 1):
        for shift in (-2, -1, 1, 2):
            near_edge &= np.roll(skin, shift, axis)
    mixed = np.where(skin & ~near_edge, np.random.default_rng(1).uniform(depth, 1.5), depth)
    assert measure(hand, mixed).factor == pytest.approx(FACTOR, rel=0.005)


@pytest.mark.parametrize(("fraction", "factor"), [(0.45, 1.0), (0.3, FACTOR)])
def test_object_in_front_of_the_hand(hand, fraction, factor):
    """A plate 6 cm before the palm that hides a part of the hand."""
    depth = render_depth([(hand.vertices * factor, hand.faces)], CAMERA)
    columns = np.flatnonzero((depth > 0).any(0))
    covered = slice(columns[0], columns[0] + round(fraction * len(columns)))
    depth[:, covered] = np.where(depth[:, covered] > 0, 0.5 * factor - 0.06, 0)
    assert measure(hand, depth).factor == pytest.approx(factor, rel=0.01)


def test_other_hand_in_front(hand):
    """Its skin is not taken for this hand's: with and without knowing that it is there."""
    other = hand.vertices + np.array([0.04, 0.0, -0.05])
    seen = render_depth([(hand.vertices * FACTOR, hand.faces), (other * FACTOR, hand.faces)], CAMERA)
    assert measure(hand, seen, [other]).factor == pytest.approx(FACTOR, rel=0.01)


def test_quantised_and_noisy_depth(hand, depth):
    noisy = depth + np.random.default_rng(2).normal(0, 0.003, depth.shape)
    assert measure(hand, np.round(noisy / 0.005) * 0.005).factor == pytest.approx(FACTOR, rel=0.005)


@pytest.mark.parametrize("axis", [0, 1])
def test_error_of_the_predicted_orientation(hand, depth, axis):
    """A hand predicted 15 degrees off about its wrist still gets the wrist's depth right to one per cent."""
    angle = torch.zeros(3, dtype=torch.float64)
    angle[axis] = np.radians(15)
    rotation = roma.rotvec_to_rotmat(angle).numpy()
    wrist = hand.joints[0]
    turned = replace(
        hand, vertices=(hand.vertices - wrist) @ rotation.T + wrist, joints=(hand.joints - wrist) @ rotation.T + wrist
    )
    assert measure(turned, depth).factor == pytest.approx(FACTOR, rel=0.015)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda depth: np.zeros_like(depth), "too little of the hand has a depth"),
        (lambda depth: np.full_like(depth, 1.5), "too little of the hand has a depth"),
        (
            lambda depth: np.random.default_rng(3).uniform(0.35, 0.75, (30, 40)).repeat(8, 0).repeat(8, 1),
            "the depths on the hand contradict each other",
        ),
    ],
    ids=["no depth", "only the wall", "noise"],
)
def test_depth_that_tells_nothing(hand, depth, change, problem):
    result = measure(hand, change(depth))
    assert (result.factor, result.problem) == (None, problem)


def test_hand_behind_the_camera(hand, depth):
    behind = replace(hand, vertices=hand.vertices - [0, 0, 0.5])
    assert measure(behind, depth).problem == "the hand reaches behind the camera"
