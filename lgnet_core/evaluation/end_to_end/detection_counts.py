"""What is counted on real images whose hands have boxes, or of which is only known how many hands they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import yaml

from lgnet_core.data.realhands import RealImage
from lgnet_core.evaluation.end_to_end.boxes import AT_ITS_PLACE, iou, match, skin_box
from lgnet_core.evaluation.reported import ReportedHand
from lgnet_core.geometry.camera import box_of_points
from lgnet_core.types import Side

ONE_HAND_TWICE = 0.5
"""Intersection over union from which on two reported hands are taken for one that was reported twice."""

ON_THE_HAND = 0.5
"""Intersection over union with its own box from which on a hand that touches another lies on it: at AT_ITS_PLACE one
that was drawn over both could pass."""

BOXED_HANDS = ("subhih", "lebanese")
"""Sources with a box around each hand."""

HAND_COUNTS = ("no hand", "one hand", "two hands")

TOUCHING = Path(__file__).with_name("rf100_touching.yaml")


@dataclass(frozen=True)
class ImageCount:
    """One image and one program.

    Args:
        hands: that were reported. boxes: that were drawn; found: of these; extra: hands reported without a box.
        sides: different sides among the reported hands. twice: two reported hands lie on each other.
        touching: both hands lie on the two touching ones, with the right sides, and there is no other; None: the
            image is none of :data:`TOUCHING`.
    """

    file: str
    source: str
    hands: int
    boxes: int
    found: int
    extra: int
    sides: int
    twice: bool
    touching: bool | None

    @property
    def missed(self) -> int:
        """Boxes without a hand."""
        return self.boxes - self.found

    @property
    def fault(self) -> bool:
        """Whether anything is not as its source says it should be."""
        if self.source in BOXED_HANDS:
            return self.twice or bool(self.missed or self.extra)
        wanted = 1 if self.source == "asl" else len(Side)
        return self.twice or not self.hands == self.sides == wanted or self.touching is False


def touching_hands() -> dict[str, dict[Side, list[float]]]:
    """By file, the boxes of the two hands."""
    content = yaml.safe_load(TOUCHING.read_text())
    return {file: {side: boxes[side.label] for side in Side} for file, boxes in content.items()}


def count_hands(
    image: RealImage, hands: Sequence[ReportedHand], touching: Mapping[Side, Sequence[float]] | None = None
) -> ImageCount:
    """Count one image.

    Args:
        touching: boxes of the two hands that touch, if they do.
    """
    boxes = [box_of_points(hand.joints_2d) for hand in hands]
    found = len(match(boxes, list(image.boxes), AT_ITS_PLACE))
    return ImageCount(
        file=image.path.name,
        source=image.source,
        hands=len(hands),
        boxes=len(image.boxes),
        found=found,
        extra=len(hands) - found,
        sides=len({hand.side for hand in hands}),
        twice=any(iou(a, b) > ONE_HAND_TWICE for a, b in combinations(boxes, 2)),
        touching=None if touching is None else _on_both(hands, touching),
    )


def _on_both(hands: Sequence[ReportedHand], touching: Mapping[Side, Sequence[float]]) -> bool:
    def lies_on(hand: ReportedHand) -> bool:
        corners = np.reshape(touching[hand.side], (2, 2))
        return iou(skin_box(hand.joints_2d), skin_box(corners)) >= ON_THE_HAND

    return {hand.side for hand in hands} == set(Side) and len(hands) == len(Side) and all(map(lies_on, hands))


def figures_of(source: str, counts: Sequence[ImageCount]) -> dict[str, float]:
    """The figures of a source's images."""
    figures: dict[str, float] = {"images": len(counts)}
    if source in BOXED_HANDS:
        figures |= {
            "boxes": sum(c.boxes for c in counts),
            "boxes found": sum(c.found for c in counts),
            "boxes missed": sum(c.missed for c in counts),
            "extra hands": sum(c.extra for c in counts),
        }
    else:
        figures |= {f"images with {name}": sum(c.hands == n for c in counts) for n, name in enumerate(HAND_COUNTS)}
    if source == "rf100":
        touching = [c.touching for c in counts if c.touching is not None]
        figures |= {
            "images with hands of different sides": sum(c.sides == len(Side) for c in counts),
            "images with one side twice": sum(c.sides < c.hands for c in counts),
            "images of touching hands": len(touching),
            "of these both on the hands, sides right, none extra": sum(touching),
        }
    return figures | {"images with two hands on each other": sum(c.twice for c in counts)}
