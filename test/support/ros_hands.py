"""Randomly posed hands for tests of the node's outputs."""

from __future__ import annotations

import numpy as np
import roma
import torch

from lgnet_core.hand_model import HandModel
from lgnet_core.types import Hand, ImageHands, Side, TwoHands
from lgnet_ros.output.messages import Quality

QUALITIES = {
    (person, side): Quality(
        np.arange(36.0).reshape(6, 6) + side + 2 * person, ((np.arange(21) + side + person) % 4).astype(np.uint8)
    )
    for person in range(4)
    for side in Side
}
"""A covariance and visibilities of each hand of four people, all different."""


def make_hand(hand_model: HandModel, side: Side, seed: int = 0, person: int = 0) -> Hand:
    """Rest pose with random rotations, half a metre in front of the camera."""
    generator = np.random.default_rng([seed, side])
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(generator.normal(size=(16, 3)))).numpy()
    position = generator.normal(size=3) * 0.1 + [0, 0, 0.5]
    vertices = hand_model.v_template[side].double().numpy() @ rotations[0].T + position
    joints = generator.normal(size=(21, 3)) * 0.05 + position
    return Hand(
        side=side,
        presence=float(generator.uniform(0.5, 1)),
        joints=joints,
        vertices=vertices,
        faces=hand_model.faces[side].numpy(),
        joints_2d=generator.uniform(0, 480, (21, 2)),
        joint_std=generator.uniform(0.001, 0.01, 21),
        rotations=rotations,
        shape=np.zeros(10),
        track_id=int(generator.integers(1, 2**32)),
        person=person,
    )


def two_hands(hand_model: HandModel, sides: tuple[Side, ...] = tuple(Side), seed: int = 0, person: int = 0) -> TwoHands:
    """Metric hands; only ``sides`` are present."""
    right, left = (make_hand(hand_model, side, seed, person) if side in sides else None for side in Side)
    relative = None if right is None or left is None else left.joints[0] - right.joints[0]
    return TwoHands(right, left, relative, metric=True)


def three_people(hand_model: HandModel, seed: int = 0) -> ImageHands:
    """Both hands of the first person, and one hand each of two others."""
    sides = (tuple(Side), (Side.RIGHT,), (Side.LEFT,))
    return ImageHands([two_hands(hand_model, each, seed + k, k) for k, each in enumerate(sides)], metric=True)


def no_hands() -> TwoHands:
    """Result of a calibrated camera without hands."""
    return TwoHands(None, None, None, metric=True)


def uncalibrated_hands() -> TwoHands:
    """Result of an uncalibrated camera."""
    return TwoHands(None, None, None, metric=False)
