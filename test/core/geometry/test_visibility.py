"""Visibility of joints, against an independent renderer of the same meshes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from support.depth_renderer import render_depth
from support.posed_hands import POSES, SEEDS, SIDES, facing, posed, turn

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.geometry.visibility import JointVisibility, joint_visibility, surface_depth
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.types import Camera, Hand, ImageHands, Side, TwoHands

HAND_MODEL = load_hand_layer()
CAMERA = Camera(np.array([[140.0, 0, 79.5], [0, 140, 59.5], [0, 0, 1]]), 160, 120)


def hand_at(side: Side, pose: str, root: np.ndarray, wrist) -> Hand:
    hand = posed(HAND_MODEL, side, pose, root, wrist)
    return replace(hand, joints_2d=project_distorted(hand.joints, CAMERA))


def only(hand: Hand) -> TwoHands:
    return TwoHands(*(hand if side is hand.side else None for side in Side), None, metric=True)


def pair(right: Hand, left: Hand) -> TwoHands:
    return TwoHands(right, left, left.joints[0] - right.joints[0], metric=True)


def renderings_at_joints(hand: Hand, *surfaces: Hand) -> np.ndarray:
    """(21,) depth of rendered surfaces at the joints' pixels, 0 for background; NaN at edges and outside the image."""
    depth = render_depth([(surface.vertices, surface.faces) for surface in surfaces], CAMERA)
    u, v = np.rint(hand.joints_2d).astype(int).T
    inside = (u >= 1) & (u < CAMERA.width - 1) & (v >= 1) & (v < CAMERA.height - 1)
    u, v = np.where(inside, u, 1), np.where(inside, v, 1)
    around = np.stack([depth[v + dv, u + du] for dv in (-1, 0, 1) for du in (-1, 0, 1)])
    return np.where(inside & (np.ptp(around, axis=0) < 0.01), depth[v, u], np.nan)


@settings(max_examples=25)
@given(SIDES, POSES, SEEDS)
def test_own_surface_hides_joints(side: Side, pose: str, seed: int) -> None:
    """Except for the tissue around a joint, 3 to 20 mm."""
    hand = hand_at(side, pose, turn(seed), (0.0, 0.02, 0.5))
    state = joint_visibility(only(hand), CAMERA)[hand.key]
    behind = hand.joints[:, 2] - renderings_at_joints(hand, hand)
    assert (state[behind > 0.035] == JointVisibility.HIDDEN_BY_HAND).all()
    assert (state[behind < 0.005] == JointVisibility.VISIBLE).all()


@settings(max_examples=25)
@given(SIDES, SEEDS)
def test_other_hand_hides_joints(side: Side, seed: int) -> None:
    """The other hand, in front, covers a part of this one."""
    rng = np.random.default_rng(seed)
    behind = hand_at(side, "open", facing(HAND_MODEL, side), (0.0, 0.05, 0.75))
    front = hand_at(side.other, "flat", turn(seed), (*rng.uniform(-0.06, 0.06, 2), 0.4))
    states = joint_visibility(pair(*sorted((behind, front), key=lambda hand: hand.side)), CAMERA)
    rendered = renderings_at_joints(behind, front)
    assert (states[behind.key][rendered > 0] == JointVisibility.HIDDEN_BY_OTHER_HAND).all()
    assert (states[behind.key][rendered == 0] == JointVisibility.VISIBLE).all()
    assert JointVisibility.HIDDEN_BY_OTHER_HAND not in states[front.key]


def test_hands_of_another_person_hide_joints_too() -> None:
    behind = hand_at(Side.RIGHT, "open", facing(HAND_MODEL, Side.RIGHT), (0.0, 0.05, 0.75))
    front = hand_at(Side.RIGHT, "flat", facing(HAND_MODEL, Side.RIGHT), (0.0, 0.02, 0.4))
    front = replace(front, person=1)
    hands = ImageHands([only(behind), only(front)], metric=True)
    states = joint_visibility(hands, CAMERA)
    assert (states[behind.key] == JointVisibility.HIDDEN_BY_OTHER_HAND).sum() > 10
    assert (states[front.key] == JointVisibility.VISIBLE).all()


@settings(max_examples=10)
@given(SIDES, POSES, SEEDS)
def test_depth_of_the_surface_is_the_rendered_one(side: Side, pose: str, seed: int) -> None:
    """At the rays of pixels, which the renderer samples."""
    hand = hand_at(side, pose, turn(seed), (0.0, 0.0, 0.5))
    depth = render_depth([(hand.vertices, hand.faces)], CAMERA)
    v, u = np.nonzero(depth)
    rays = np.column_stack([u, v, np.ones(len(u))]) @ np.linalg.inv(CAMERA.matrix).T
    found = surface_depth(rays, hand.vertices, hand.faces)
    np.testing.assert_allclose(found, depth[v, u], atol=1e-9)
    missed = np.array([[0.9, 0.9, 1.0], [0.0, 0.0, -1.0]])  # beside the hand, and behind the camera
    assert np.isinf(surface_depth(missed, hand.vertices, hand.faces)).all()


@given(SIDES)
def test_open_hand_that_faces_the_camera_is_visible(side: Side) -> None:
    for away in (0.0, np.pi):
        hand = hand_at(side, "open", facing(HAND_MODEL, side, away), (0.0, 0.05, 0.5))
        assert (joint_visibility(only(hand), CAMERA)[hand.key] == JointVisibility.VISIBLE).all()


def test_fingers_of_a_fist_hide_each_other_from_the_side() -> None:
    hand = hand_at(Side.RIGHT, "fist", facing(HAND_MODEL, Side.RIGHT, np.pi / 2), (0.0, 0.02, 0.5))
    state = joint_visibility(only(hand), CAMERA)[hand.key]
    hidden = (state == JointVisibility.HIDDEN_BY_HAND).sum()
    assert 4 <= hidden <= 17


@given(SIDES, SEEDS)
def test_joints_outside_the_image(side: Side, seed: int) -> None:
    shift = np.random.default_rng(seed).uniform(-0.35, 0.35, 2)
    hand = hand_at(side, "open", facing(HAND_MODEL, side), (*shift, 0.5))
    state = joint_visibility(only(hand), CAMERA)[hand.key]
    u, v = hand.joints_2d.T
    outside = (u < -0.5) | (u >= 159.5) | (v < -0.5) | (v >= 119.5)
    np.testing.assert_array_equal(state == JointVisibility.OUTSIDE_IMAGE, outside)


@given(SIDES, POSES, SEEDS)
def test_mirrored_scenes_have_the_same_visibility(side: Side, pose: str, seed: int) -> None:
    flip = np.array([-1.0, 1, 1])
    hand = hand_at(side, pose, turn(seed), (0.02, 0.02, 0.5))
    mirrored = replace(hand, side=side.other, joints=hand.joints * flip, vertices=hand.vertices * flip)
    mirrored = replace(mirrored, joints_2d=project_distorted(mirrored.joints, CAMERA))
    states = [joint_visibility(only(each), CAMERA)[each.key] for each in (hand, mirrored)]
    np.testing.assert_array_equal(*states)
