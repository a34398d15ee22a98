"""``--data palms``: the palm detector alone, on full synthetic images, by kind of hand.

A candidate matches a true palm if the mean distance of their seven keypoints is below :data:`MATCH_DISTANCE` of the
palm's side. Only present hands that are longer than a tenth of the image width count; candidates on smaller ones count
neither as correct nor as false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from lgnet_core.data.sample import inside_image
from lgnet_core.evaluation.end_to_end.boxes import longer_side, skin_box
from lgnet_core.evaluation.end_to_end.synthetic_full import LARGE_HAND_FRACTION, FullImage, generate_image
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.geometry.hand_crops import PALM_JOINTS
from lgnet_core.inference.palms import Palms
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.scene.interactions import SceneKind
from lgnet_core.types import NUM_KEYPOINTS, FloatArray, Side

MATCH_DISTANCE = 0.5
MIN_GLOVED_IMAGES = 40
"""Gloves are rare, so images with gloves are added until there are so many of them."""
MIN_OUTSIDE = 0.25
"""Minimum fraction of the joints of a truncated hand outside the image."""
MAX_VISIBLE = 0.5
"""Maximum fraction of the joints of a hidden hand that are visible, where the hand is not truncated."""
_SEARCHED = 256  # image indices per call in the search for gloves

_BY_SCENE = {
    "touching": (SceneKind.PALM_TO_PALM, SceneKind.CROSSED, SceneKind.HOLDING),
    "interlaced": (SceneKind.INTERLACED,),
}


class TrueHand(NamedTuple):
    """A hand of a synthetic image. Shapes: joints_2d: (21, 2) pixels; visible: (21,) bool."""

    joints_2d: FloatArray
    visible: FloatArray
    scene: SceneKind
    gloved: bool
    size: tuple[int, int]

    @property
    def palm(self) -> FloatArray:
        """(7, 2) keypoints of the palm."""
        return self.joints_2d[list(PALM_JOINTS)]

    @property
    def large(self) -> bool:
        return longer_side(skin_box(self.joints_2d)) > LARGE_HAND_FRACTION * self.size[0]

    @property
    def truncated(self) -> bool:
        outside = ~inside_image(torch.from_numpy(self.joints_2d), *self.size)
        return float(outside.double().mean()) >= MIN_OUTSIDE

    @property
    def hidden(self) -> bool:
        return not self.truncated and self.visible.sum() <= MAX_VISIBLE * NUM_KEYPOINTS


KINDS: dict[str, Callable[[TrueHand], bool]] = {
    "all": lambda hand: True,
    **{name: (lambda hand, kinds=kinds: hand.scene in kinds) for name, kinds in _BY_SCENE.items()},  # type: ignore[misc]
    "gloved": lambda hand: hand.gloved,
    "truncated": lambda hand: hand.truncated,
    "hidden": lambda hand: hand.hidden,
}
"""Kinds of hands by name; a hand may be of several."""


class PalmScores:
    """Recall by kind and precision of one palm detector, accumulated over images."""

    def __init__(self) -> None:
        self._found: dict[str, list[bool]] = {name: [] for name in KINDS}
        self._correct: list[bool] = []
        self._images = 0

    def update(self, hands: list[TrueHand], palms: Palms) -> None:
        """Add an image's true hands and the palms detected in it."""
        self._images += 1
        matched = np.array([[_matches(hand, keypoints) for hand in hands] for keypoints in palms.keypoints], bool)
        matched = matched.reshape(len(palms), len(hands))
        for k, hand in enumerate(hands):
            for name, is_kind in KINDS.items():
                if hand.large and is_kind(hand):
                    self._found[name].append(bool(matched[:, k].any()))
        small = np.array([not hand.large for hand in hands], bool)
        self._correct += [bool(row.any()) for row in matched if not row[small].any()]

    def compute(self) -> dict[str, float]:
        """Metrics by name; NaN without data."""
        metrics: dict[str, float] = {"images": self._images}
        for name, found in self._found.items():
            metrics |= {f"palms, {name}": len(found), f"recall, {name}": _mean(found)}
        false = len(self._correct) - sum(self._correct)
        return metrics | {"precision": _mean(self._correct), "false candidates per image": false / max(self._images, 1)}


def palm_images(generator: SyntheticHands, count: int) -> Iterator[tuple[FullImage, list[TrueHand]]]:
    """The first ``count`` images, and the next ones with gloves until there are :data:`MIN_GLOVED_IMAGES`."""
    gloved = _gloved_indices(generator)
    first = [index for index in (next(gloved) for _ in range(MIN_GLOVED_IMAGES)) if index >= count]
    for index in [*range(count), *first]:
        yield _image(generator, index)


def _gloved_indices(generator: SyntheticHands) -> Iterator[int]:
    start = 0
    while True:
        worn = generator.gloves_worn(torch.arange(start, start + _SEARCHED)).any(1)
        yield from (start + worn.nonzero()[:, 0]).tolist()
        start += _SEARCHED


def _image(generator: SyntheticHands, index: int) -> tuple[FullImage, list[TrueHand]]:
    image = generate_image(generator, index)
    indices = torch.tensor([index])
    scene = SceneKind(int(generator.scene_kinds(indices)))
    worn = generator.gloves_worn(indices)[0]
    height, width = image.image.shape[:2]
    hands = [
        TrueHand(
            project_distorted(image.joints[side], image.camera),
            image.visibility[side],
            scene,
            bool(worn[side]),
            (width, height),
        )
        for side in Side
        if image.presence[side]
    ]
    return image, hands


def _matches(hand: TrueHand, keypoints: FloatArray) -> bool:
    side = float(np.ptp(hand.palm, axis=0).max())
    return float(np.linalg.norm(hand.palm - keypoints, axis=-1).mean()) < MATCH_DISTANCE * side


def _mean(values: list[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")
