"""Trackers with a fixed output instead of networks: the same two hands in every image, and errors on demand."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.hand_model import HandLayer, load_hand_layer
from lgnet_core.inference import DepthSource, OutOfMemoryError, Smoothing, Thresholds
from lgnet_core.inference.depth_alignment import scale_hands
from lgnet_core.types import WRIST, Camera, FloatArray, Hand, ImageHands, Side, SizeSource, TwoHands
from support.posed_hands import facing, posed
from support.scene import make_scene

CAMERA = Camera(np.array([[560.0, 0, 319.5], [0, 560, 239.5], [0, 0, 1]]), 640, 480)
WRISTS = np.array([[-0.07, 0.03, 0.5], [0.08, 0.02, 0.55]])  # right, left; metres, camera frame


def two_hands(hand_model: HandLayer, track_id: int = 1) -> TwoHands:
    """A right and a left hand half a metre in front of a VGA camera, a few centimetres apart."""
    scene = make_scene(hand_model, CAMERA, WRISTS, (True, True))
    faces = hand_model.faces.cpu().numpy()
    right, left = (
        Hand(
            side=side,
            presence=0.9 - 0.1 * side,
            joints=scene.joints[side],
            vertices=scene.vertices[side],
            faces=faces[side],
            joints_2d=scene.pixels[side],
            joint_std=np.full(21, 0.01),
            rotations=scene.rotations[side],
            shape=scene.shape[side],
            track_id=track_id,
        )
        for side in Side
    )
    return TwoHands(right, left, WRISTS[Side.LEFT] - WRISTS[Side.RIGHT], metric=True)


def flat_hand(hand_model: HandLayer) -> TwoHands:
    """A flat right hand, alone, that faces a VGA camera from half a metre."""
    hand = posed(hand_model, Side.RIGHT, "flat", facing(hand_model, Side.RIGHT), (0.0, 0.05, 0.5))
    pixels = project_distorted(hand.joints, CAMERA)
    return TwoHands(replace(hand, joints_2d=pixels, track_id=1), None, None, metric=True)


def wrist_relative(hands: TwoHands) -> TwoHands:
    """The same hands as for an uncalibrated camera: each relative to its own wrist."""
    right, left = (
        replace(hand, joints=hand.joints - hand.joints[0], vertices=hand.vertices - hand.joints[0])
        for hand in hands.hands
    )
    return TwoHands(right, left, hands.relative_translation, metric=False)


class FixedEngine:
    """An engine without a network."""

    name, device, precision = "fixed", "cpu", "fp32"


class FixedEstimator:
    """The part of an estimator that the node uses."""

    engines: ClassVar = {"hands": FixedEngine()}
    hand_length: float | None = None

    def __init__(self) -> None:
        self.thresholds = Thresholds()
        self.hand_model = load_hand_layer()
        self.freed = 0

    def warm_up(self) -> None:
        pass

    def free_memory(self) -> None:
        self.freed += 1


class FixedTracker:
    """Returns :func:`two_hands` for every image, unless its first pixel says otherwise.

    If there is a depth map, the hands are scaled so that the right wrist is at its median depth.

    0: no hands; 1: inference fails; 2: out of memory until some is freed; 3: out of memory in any case;
    4: :func:`flat_hand`.
    """

    smoothing: Smoothing | None = None
    detection_interval = 10
    max_gap = 0.5

    def __init__(self) -> None:
        self.estimator = FixedEstimator()
        self.resets = 0
        self.last_stages: dict[str, float] = {"network": 0.0}
        self._metric = two_hands(self.estimator.hand_model)
        self._relative = wrist_relative(self._metric)
        self._flat = flat_hand(self.estimator.hand_model)

    def reset(self) -> None:
        self.resets += 1

    def update_people(
        self, image: FloatArray, camera: Camera | None, stamp_ns: int, depth: DepthSource | None = None
    ) -> ImageHands:
        code = int(image[0, 0, 0])
        if code == 0:
            return ImageHands([], metric=camera is not None)
        if code == 1:
            raise RuntimeError("no hand at all fits this image")
        if code == 3 or (code == 2 and not self.estimator.freed):
            raise OutOfMemoryError("the memory of cuda:0 is full")
        hands = self._flat if code == 4 else self._metric
        if depth is not None and (depth_map := depth()) is not None:
            factor = float(np.median(depth_map.metres)) / hands.right.joints[WRIST, 2]
            return _only(scale_hands(hands, dict.fromkeys(Side, factor), SizeSource.DEPTH))
        return _only(self._relative if camera is None else hands)


def _only(hands: TwoHands) -> ImageHands:
    return ImageHands([hands], hands.metric)
