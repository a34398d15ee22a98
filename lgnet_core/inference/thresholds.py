"""Every threshold of the way from an image to its hands, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """What counts as a palm, as a hand, and as the same hand. Defaults suit MediaPipe's two networks.

    Those of palms, presence and duplicates were compared on the train split of the real images that README reports the
    dev split of (EXPERIMENTS.md); that a second, smaller image helps was first seen on images of the dev split.

    Args:
        dark: level, of 255, of an image's whites below which its contrast is stretched
            (:mod:`lgnet_core.inference.exposure`). Images that are well lit reach it (19 in 20 of the real ones).
        palm_score: probability from which on a palm is a candidate. Low, since the hand-landmark network judges every
            candidate anew, and palms of hands that touch, or that are cut off, score low.
        palm_distance: two palms are one if their keypoints are nearer than this part of the larger palm's side, in the
            mean. Boxes alone would merge crossed hands, whose palms lie on each other and point elsewhere.
        palm_count: candidates that get a crop, the best first: two hands, and some that turn out to be none.
        wide_margin: where no hand is found, the detector runs once more on the image scaled down by this factor, black
            around it: hands that fill the image are larger than those it was trained on.
        presence: probability, by the hand-landmark network, from which on a crop shows a hand.
        first_presence: the same in the first crop of a candidate, which is only roughly in place.
        same_hand: two hands are one if their joints are nearer than this part of the larger one's size, in the mean.
        size_ratio: least ratio of the sides of both hands' crops. One person's hands are about as far from the camera;
            a finger by itself, or a small thing in the room, is sometimes taken for a hand.
        velocity_limit: how far a track's next crop is moved on at most, in sides of the crop.
        side_memory: part of a track's earlier belief in its side that one image leaves.
    """

    dark: float = 180.0
    palm_score: float = 0.1
    palm_distance: float = 0.3
    palm_count: int = 4
    wide_margin: float = 1.5
    presence: float = 0.5
    first_presence: float = 0.05
    same_hand: float = 0.35
    size_ratio: float = 0.4
    velocity_limit: float = 0.5
    side_memory: float = 0.9

    def __post_init__(self) -> None:
        for name in ("palm_score", "presence", "first_presence"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ValueError(f"{name}: expected a probability between 0 and 1, got {value}")
