"""``--data synthetic-full``: full synthetic images, each with its camera, of a seed that no training draws.

A reported hand is at its place if the box around it and that of a true hand have an intersection over union of
AT_ITS_PLACE. Counted are all hands, those longer than a tenth of the image's width, and those of them of which the
image shows a third of the joints: the others, behind things, sleeves or another hand, count neither as missed nor,
where one is reported, as wrong. Errors are means over the hands at their place on the right side; those between the
wrists over the images in which both are, placed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from lgnet_core.evaluation.end_to_end.boxes import AT_ITS_PLACE, iou, length, skin_box
from lgnet_core.evaluation.estimates import hand_errors
from lgnet_core.evaluation.metrics import MRRPE
from lgnet_core.evaluation.reported import ReportedHand
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.render.visibility import MIN_JOINTS
from lgnet_core.types import WRIST, Camera, FloatArray, Side

SEED = 20_262
COUNT = 200
LARGE = 0.1
"""Of the image's width: hands from this length on are large."""


class FullImage(NamedTuple):
    """A synthetic image and its truth.

    Args:
        joints: metres, camera frame.
        presence: which hands are there. shown: whether the image shows a third of their joints.

    Shapes:
        image: (H, W, 3) uint8 RGB; joints: (2, 21, 3); presence, shown: (2,) bool.
    """

    image: FloatArray
    camera: Camera
    joints: FloatArray
    presence: FloatArray
    shown: FloatArray


class _Hand(NamedTuple):
    """A true hand or a reported one, and whether there is one of the other kind at its place.

    Args:
        shown: there is none, or it is at the place of a hand that is shown.
        side_too: one of them has its side.
    """

    large: bool
    shown: bool
    there: bool
    side_too: bool


def draw(generator: SyntheticHands, index: int) -> FullImage:
    """One image of 640x480 pixels."""
    batch = generator.images(torch.tensor([index]))
    height, width = batch.image.shape[-2:]
    return FullImage(
        image=batch.image[0].permute(1, 2, 0).contiguous().numpy(),
        camera=Camera(batch.intrinsics[0].numpy(), width, height),
        joints=batch.labels(generator.hand_model).joints[0].double().numpy(),
        presence=batch.presence[0].numpy(),
        shown=(batch.visibility[0].sum(-1) >= MIN_JOINTS).numpy(),
    )


class FullImageFigures:
    """Of one program, image by image."""

    def __init__(self) -> None:
        self._true: list[_Hand] = []
        self._reported: list[_Hand] = []
        self._pixels: list[float] = []
        self._millimetres: list[float] = []
        self._between = MRRPE()

    def update(self, truth: FullImage, hands: Sequence[ReportedHand]) -> None:
        """Add an image and what was reported in it."""
        limit = LARGE * truth.image.shape[1]
        true_sides = [side for side in Side if truth.presence[side]]
        true_boxes = [skin_box(project_distorted(truth.joints[side], truth.camera)) for side in true_sides]
        boxes = [skin_box(hand.joints_2d) for hand in hands]
        there = np.array([[iou(box, true) >= AT_ITS_PLACE for true in true_boxes] for box in boxes], bool)
        there = there.reshape(len(boxes), len(true_boxes))
        same = np.array([[hand.side is side for side in true_sides] for hand in hands], bool).reshape(there.shape)
        for j, (side, box) in enumerate(zip(true_sides, true_boxes)):
            large = length(box) > limit
            hits, with_side = bool(there[:, j].any()), bool((there & same)[:, j].any())
            self._true.append(_Hand(large, bool(truth.shown[side]), hits, with_side))
        shown = truth.shown[true_sides]
        at_place: dict[Side, ReportedHand] = {}
        for i, (hand, box) in enumerate(zip(hands, boxes)):
            hits, with_side = bool(there[i].any()), bool((there & same)[i].any())
            counts = not hits or bool((there[i] & shown).any())
            self._reported.append(_Hand(length(box) > limit, counts, hits, with_side))
            if with_side:
                at_place.setdefault(hand.side, hand)
        for side, hand in at_place.items():
            errors = hand_errors(hand, truth.joints[side], truth.camera)
            self._pixels.append(float(errors.pixels.mean()))
            self._millimetres.append(float(errors.relative.mean()))
        if len(at_place) == len(Side) and all(hand.placed for hand in at_place.values()):
            wrists = torch.from_numpy(np.stack([at_place[side].joints[WRIST] for side in Side]))
            true_wrists = torch.from_numpy(truth.joints[:, WRIST])
            self._between.update(wrists.diff(dim=0), true_wrists.diff(dim=0), torch.ones(1, dtype=torch.bool))

    def compute(self) -> dict[str, float]:
        """By name; NaN of nothing."""
        figures: dict[str, float] = {}
        groups: dict[str, Callable[[_Hand], bool]] = {
            "all": lambda hand: True,
            "large": lambda hand: hand.large,
            "large and shown": lambda hand: hand.large and hand.shown,
        }
        for name, wanted in groups.items():
            true, reported = ([hand for hand in hands if wanted(hand)] for hands in (self._true, self._reported))
            figures |= {
                f"hands, {name}": len(true),
                f"recall, {name}": _mean([hand.there for hand in true]),
                f"precision, {name}": _mean([hand.there for hand in reported]),
                f"recall with side, {name}": _mean([hand.side_too for hand in true]),
                f"precision with side, {name}": _mean([hand.side_too for hand in reported]),
            }
        between = float(self._between.compute()) if self._between.update_called else float("nan")
        return figures | {
            "2D error, px": _mean(self._pixels),
            "error from the wrist, mm": _mean(self._millimetres),
            "error between the wrists, placed, mm": between,
        }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
