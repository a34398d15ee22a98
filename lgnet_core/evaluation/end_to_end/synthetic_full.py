"""``--data synthetic-full``: full synthetic images with their cameras, from a seed that is not used for training.

A reported hand matches a true one if their boxes have an IoU of at least MATCH_IOU. Three groups are counted: all
hands, large hands (longer than a tenth of the image width), and large visible hands (at least a third of the joints
visible). Occluded hands (behind objects, sleeves or the other hand) of the last group count neither as missed nor, if
reported, as false positives. Errors are means over matched hands with the correct side; those between the wrists are
means over images in which both hands are matched and placed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from lgnet_core.evaluation.end_to_end.boxes import MATCH_IOU, iou, longer_side, skin_box
from lgnet_core.evaluation.end_to_end.hand_errors import hand_errors
from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand
from lgnet_core.evaluation.metrics.errors import MRRPE
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.render.visibility import MIN_JOINTS
from lgnet_core.types import WRIST, Camera, FloatArray, ImageArray, Side

SEED = 20_262
COUNT = 200
LARGE_HAND_FRACTION = 0.1
"""Minimum length of a large hand, as a fraction of the image width."""


class FullImage(NamedTuple):
    """A synthetic image and its ground truth.

    Args:
        joints: metres, camera frame.
        roots: rotations of the hand model's roots, camera axes.
        presence: which hands are present. visibility: which of their joints are visible.

    Shapes:
        image: (H, W, 3) uint8 RGB; joints: (2, 21, 3); roots: (2, 3, 3); presence: (2,) bool; visibility: (2, 21) bool.
    """

    image: ImageArray
    camera: Camera
    joints: FloatArray
    roots: FloatArray
    presence: FloatArray
    visibility: FloatArray

    @property
    def visible(self) -> FloatArray:
        """(2,) bool: whether a third of the joints is visible."""
        enough: FloatArray = self.visibility.sum(-1) >= MIN_JOINTS
        return enough


class _Hand(NamedTuple):
    """A true or reported hand, and whether it is matched.

    Args:
        visible: a true hand is visible; a reported hand is unmatched, or matches a visible one.
        side_matched: one of the matches has its side.
    """

    large: bool
    visible: bool
    matched: bool
    side_matched: bool


def generate_image(generator: SyntheticHands, index: int) -> FullImage:
    """Generate one image of 640x480 pixels."""
    return generate_depth_image(generator, index)[0]


def generate_depth_image(generator: SyntheticHands, index: int) -> tuple[FullImage, FloatArray]:
    """The image of :func:`generate_image`, and its exact depth: (480, 640) metres, 0 where the background is."""
    batch, depth = generator.depth_images(torch.tensor([index]))
    height, width = batch.image.shape[-2:]
    image = FullImage(
        image=batch.image[0].permute(1, 2, 0).contiguous().numpy(),
        camera=Camera(batch.intrinsics[0].numpy(), width, height),
        joints=batch.labels(generator.hand_model).joints[0].double().numpy(),
        roots=batch.rotations[0, :, 0].double().numpy(),
        presence=batch.presence[0].numpy(),
        visibility=batch.visibility[0].numpy(),
    )
    return image, depth[0].numpy()


class DetectionScores:
    """Detection rates and errors of one method, accumulated over images."""

    def __init__(self) -> None:
        self._true_hands: list[_Hand] = []
        self._reported_hands: list[_Hand] = []
        self._pixels: list[float] = []
        self._millimetres: list[float] = []
        self._between = MRRPE()

    def update(self, truth: FullImage, hands: Sequence[ReportedHand]) -> None:
        """Add an image and the hands reported in it."""
        limit = LARGE_HAND_FRACTION * truth.image.shape[1]
        true_sides = [side for side in Side if truth.presence[side]]
        true_boxes = [skin_box(project_distorted(truth.joints[side], truth.camera)) for side in true_sides]
        boxes = [skin_box(hand.joints_2d) for hand in hands]
        shape = (len(boxes), len(true_boxes))
        matched = np.array([[iou(box, true) >= MATCH_IOU for true in true_boxes] for box in boxes], bool)
        same_side = np.array([[hand.side is side for side in true_sides] for hand in hands], bool)
        matched, same_side = matched.reshape(shape), same_side.reshape(shape)
        for j, (side, box) in enumerate(zip(true_sides, true_boxes)):
            large = longer_side(box) > limit
            is_matched, has_side = bool(matched[:, j].any()), bool((matched & same_side)[:, j].any())
            self._true_hands.append(_Hand(large, bool(truth.visible[side]), is_matched, has_side))
        visible = truth.visible[true_sides]
        matched_hands: dict[Side, ReportedHand] = {}
        for i, (hand, box) in enumerate(zip(hands, boxes)):
            is_matched, has_side = bool(matched[i].any()), bool((matched & same_side)[i].any())
            counted = not is_matched or bool((matched[i] & visible).any())
            self._reported_hands.append(_Hand(longer_side(box) > limit, counted, is_matched, has_side))
            if has_side:
                matched_hands.setdefault(hand.side, hand)
        for side, hand in matched_hands.items():
            errors = hand_errors(hand, truth.joints[side], truth.camera)
            self._pixels.append(float(errors.pixels.mean()))
            self._millimetres.append(float(errors.relative.mean()))
        if len(matched_hands) == len(Side) and all(hand.placed for hand in matched_hands.values()):
            wrists = torch.from_numpy(np.stack([matched_hands[side].joints[WRIST] for side in Side]))
            true_wrists = torch.from_numpy(truth.joints[:, WRIST])
            self._between.update(wrists.diff(dim=0), true_wrists.diff(dim=0), torch.ones(1, dtype=torch.bool))

    def compute(self) -> dict[str, float]:
        """Metrics by name; NaN without data."""
        metrics: dict[str, float] = {}
        groups: dict[str, Callable[[_Hand], bool]] = {
            "all": lambda hand: True,
            "large": lambda hand: hand.large,
            "large and visible": lambda hand: hand.large and hand.visible,
        }
        for name, selects in groups.items():
            true = [hand for hand in self._true_hands if selects(hand)]
            reported = [hand for hand in self._reported_hands if selects(hand)]
            metrics |= {
                f"hands, {name}": len(true),
                f"recall, {name}": _mean([hand.matched for hand in true]),
                f"precision, {name}": _mean([hand.matched for hand in reported]),
                f"recall with side, {name}": _mean([hand.side_matched for hand in true]),
                f"precision with side, {name}": _mean([hand.side_matched for hand in reported]),
            }
        between = float(self._between.compute()) if self._between.update_called else float("nan")
        return metrics | {
            "2D error, px": _mean(self._pixels),
            "error relative to the wrist, mm": _mean(self._millimetres),
            "error between the wrists, placed, mm": between,
        }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
