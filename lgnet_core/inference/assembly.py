"""Assembly of the pipeline's output: reconstructed hands scaled to the user's hand and placed in the camera frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lgnet_core.geometry.placement import place_in_camera
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.reconstruction import ReconstructedHand, Reconstruction
from lgnet_core.types import MIDDLE_FINGER_CHAIN, FloatArray, Hand, Side, SizeSource, TwoHands

HAND_LENGTH_RANGE = (0.08, 0.30)
"""Metres, wrist to middle fingertip: from a child's hand to the longest on record, rounded."""


class HandAssembler:
    """Scales reconstructed hands to a known hand length and places them in the camera frame.

    Args:
        hand_model: of the network.
        hand_length: metres from the wrist to the tip of the middle finger of the user's flat hand; None: no scaling.
            May be reassigned at any time, by ``HandEstimator.hand_length``, which checks it.

    Raises:
        ValueError: if the length is outside :data:`HAND_LENGTH_RANGE`.
    """

    def __init__(self, hand_model: HandModel, hand_length: float | None = None) -> None:
        check_hand_length(hand_length)
        self.hand_length = hand_length
        self._faces = np.asarray(hand_model.faces)
        self._flat_length = FlatLength(hand_model)

    def __call__(
        self,
        context: ImageContext,
        reconstruction: Reconstruction,
        observations: Mapping[Side, HandObservation],
        person: int,
    ) -> TwoHands:
        """The output for one person: in the camera frame if ``context.metric``, else relative to each hand's wrist.

        Args:
            observations: from which the hands were reconstructed.
            person: index of the person.
        """
        hands = reconstruction.hands
        scales = {side: self._scale(hand) for side, hand in hands.items()}
        relative = reconstruction.relative_translation
        if relative is not None:
            relative = relative * np.mean(list(scales.values()))
        wrists = dict.fromkeys(hands, np.zeros(3))
        if context.metric and hands:
            positions = place_in_camera(
                np.stack([hand.joints * scales[side] for side, hand in hands.items()]),
                np.stack([hand.joints_2d for hand in hands.values()]),
                np.stack([hand.joint_std * scales[side] for side, hand in hands.items()]),
                context.camera,
                relative,
            )
            wrists = dict(zip(hands, positions))
            relative = wrists[Side.LEFT] - wrists[Side.RIGHT] if len(hands) == len(Side) else None
        assembled = {
            side: Hand(
                side=side,
                presence=observations[side].presence,
                joints=hand.joints * scales[side] + wrists[side],
                vertices=hand.vertices * scales[side] + wrists[side],
                faces=self._faces[side],
                joints_2d=hand.joints_2d,
                joint_std=hand.joint_std * scales[side],
                rotations=hand.rotations,
                shape=hand.shape,
                person=person,
                size_source=SizeSource.PREDICTED if self.hand_length is None else SizeSource.HAND_LENGTH,
            )
            for side, hand in hands.items()
        }
        return TwoHands(assembled.get(Side.RIGHT), assembled.get(Side.LEFT), relative, metric=context.metric)

    def _scale(self, hand: ReconstructedHand) -> float:
        """Factor from the predicted to the user's hand size."""
        if self.hand_length is None:
            return 1.0
        return self.hand_length / self._flat_length(hand.joints)


class FlatLength:
    """The length of a hand from the wrist to the tip of the middle finger as if it were flat, whatever its pose.

    Args:
        hand_model: of the hands.
    """

    def __init__(self, hand_model: HandModel) -> None:
        rest = np.asarray(hand_model.joints_from_vertices(hand_model.v_template))[Side.RIGHT]
        length = np.linalg.norm(rest[MIDDLE_FINGER_CHAIN[-1]] - rest[MIDDLE_FINGER_CHAIN[0]])
        self._ratio = float(length / chain_length(rest))  # the chain of a flat hand is not exactly straight

    def __call__(self, joints: FloatArray) -> float:
        """Metres; joints: (21, 3)."""
        return chain_length(joints) * self._ratio


def check_hand_length(hand_length: float | None) -> None:
    """Check that a hand length, if given, is plausible.

    Raises:
        ValueError: it is outside :data:`HAND_LENGTH_RANGE`.
    """
    low, high = HAND_LENGTH_RANGE
    if hand_length is not None and not low <= hand_length <= high:
        raise ValueError(
            f"hand_length: expected metres from wrist to middle fingertip, {low} to {high}, "
            f"got {hand_length}; an adult's is about 0.18"
        )


def chain_length(joints: FloatArray) -> float:
    """Metres along the bones from the wrist to the tip of the middle finger: independent of the pose."""
    return float(np.linalg.norm(np.diff(joints[list(MIDDLE_FINGER_CHAIN)], axis=0), axis=-1).sum())
