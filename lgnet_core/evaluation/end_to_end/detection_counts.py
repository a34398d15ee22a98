"""Detection counts on real images with hand boxes, or with a known number of hands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import yaml

from lgnet_core.data.realhands import RealImage
from lgnet_core.evaluation.end_to_end.boxes import MATCH_IOU, iou, match, skin_box
from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand
from lgnet_core.geometry.crops import bounding_box
from lgnet_core.types import Side

DUPLICATE_IOU = 0.5
"""Minimum IoU of two reported hands that count as duplicates of one hand."""

TOUCHING_HAND_IOU = 0.5
"""Minimum IoU of a reported hand with its own box where hands touch; at MATCH_IOU a hand spanning both would pass."""

BOXED_HANDS = ("subhih", "lebanese")
"""Sources with a box around each hand."""

HAND_COUNTS = ("no hand", "one hand", "two hands")

TOUCHING_HANDS_FILE = Path(__file__).with_name("rf100_touching.yaml")


@dataclass(frozen=True)
class ImageCount:
    """Counts of one image and one method.

    Args:
        hands: number of reported hands. boxes: number of annotated boxes; matched: matched boxes; extra: reported hands
            without a box.
        sides: number of different sides among the reported hands. duplicates: two reported hands are duplicates.
        touching: exactly the two touching hands are reported, with the right sides; None: the image is not in
            :data:`TOUCHING_HANDS_FILE`.
    """

    file: str
    source: str
    hands: int
    boxes: int
    matched: int
    extra: int
    sides: int
    duplicates: bool
    touching: bool | None

    @property
    def missed(self) -> int:
        """Boxes without a reported hand."""
        return self.boxes - self.matched

    @property
    def is_faulty(self) -> bool:
        """Whether the counts deviate from what the image shows according to its source."""
        if self.source in BOXED_HANDS:
            return self.duplicates or bool(self.missed or self.extra)
        expected = 1 if self.source == "asl" else len(Side)
        return self.duplicates or not self.hands == self.sides == expected or self.touching is False


def touching_hands() -> dict[str, dict[Side, list[float]]]:
    """Boxes of the two touching hands, by file name."""
    content = yaml.safe_load(TOUCHING_HANDS_FILE.read_text())
    return {file: {side: boxes[side.label] for side in Side} for file, boxes in content.items()}


def count_hands(
    image: RealImage, hands: Sequence[ReportedHand], touching: Mapping[Side, Sequence[float]] | None = None
) -> ImageCount:
    """Count the hands of one image.

    Args:
        touching: boxes of the two hands if they touch.
    """
    boxes = [bounding_box(hand.joints_2d) for hand in hands]
    matched = len(match(boxes, list(image.boxes), MATCH_IOU))
    return ImageCount(
        file=image.path.name,
        source=image.source,
        hands=len(hands),
        boxes=len(image.boxes),
        matched=matched,
        extra=len(hands) - matched,
        sides=len({hand.side for hand in hands}),
        duplicates=any(iou(a, b) > DUPLICATE_IOU for a, b in combinations(boxes, 2)),
        touching=None if touching is None else _match_touching_hands(hands, touching),
    )


def _match_touching_hands(hands: Sequence[ReportedHand], touching: Mapping[Side, Sequence[float]]) -> bool:
    def matches_own_box(hand: ReportedHand) -> bool:
        corners = np.reshape(touching[hand.side], (2, 2))
        return iou(skin_box(hand.joints_2d), skin_box(corners)) >= TOUCHING_HAND_IOU

    return {hand.side for hand in hands} == set(Side) and len(hands) == len(Side) and all(map(matches_own_box, hands))


def count_metrics(source: str, counts: Sequence[ImageCount]) -> dict[str, float]:
    """Counts over all images of a source."""
    metrics: dict[str, float] = {"images": len(counts)}
    if source in BOXED_HANDS:
        metrics |= {
            "boxes": sum(c.boxes for c in counts),
            "boxes found": sum(c.matched for c in counts),
            "boxes missed": sum(c.missed for c in counts),
            "extra hands": sum(c.extra for c in counts),
        }
    else:
        metrics |= {f"images with {name}": sum(c.hands == n for c in counts) for n, name in enumerate(HAND_COUNTS)}
    if source == "rf100":
        touching = [c.touching for c in counts if c.touching is not None]
        metrics |= {
            "images with hands of different sides": sum(c.sides == len(Side) for c in counts),
            "images with one side twice": sum(c.sides < c.hands for c in counts),
            "images of touching hands": len(touching),
            "of these with exactly both hands and correct sides": sum(touching),
        }
    return metrics | {"images with duplicate hands": sum(c.duplicates for c in counts)}
