"""Run-time thresholds of detection, association and tracking."""

from __future__ import annotations

from dataclasses import dataclass

PEOPLE_RANGE = (1, 4)
"""Numbers of people: association tries all pairings of their hands."""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the pipeline from an image to its hands. The defaults suit MediaPipe's two networks.

    Those of palms, presence and duplicates were selected on the train split of the real images whose dev split README
    reports (EXPERIMENTS.md); the benefit of the second, downscaled detection was first observed on the dev split.

    Args:
        min_white_level: exposure: white level (of 255) below which an image's contrast is stretched
            (:mod:`lgnet_core.inference.exposure`). 19 of 20 well-lit real images reach it.
        white_percentile, black_percentile: exposure: percentiles of the brightest channel that count as white and
            black. Not 100 and 0, which a single hot or dead pixel would decide.
        palm_score: detection: minimum score of a palm candidate. Low, because the hand-landmark network verifies every
            candidate and because palms that touch or are truncated score low.
        palm_nms_distance: detection: two palms are merged if the mean distance of their keypoints is below this
            fraction of the larger palm's side. Box IoU would merge crossed hands, whose palms overlap but point in
            different directions.
        max_palms: detection: candidates that get a crop, best first: two hands and a margin for false positives.
            Each further person adds two (:attr:`palm_count`).
        retry_margin: detection: if no hand is found, the detector runs again on the image downscaled by this factor and
            padded with black: hands that fill the image are larger than those that the detector was trained on.
        min_crop_side: observation: minimum side of a hand crop, pixels of the image. Smaller ones hold no detail.
        presence: observation: minimum probability, by the hand-landmark network, that a crop shows a hand.
        first_pass_presence: detection: the same for the first crop of a candidate, whose alignment is only rough.
        duplicate_distance: association: two observations are the same hand if the mean distance of their joints is
            below this fraction of the larger hand's size. In the single-hand images of the train split all duplicates
            are closer than 0.3; palms that face each other are 0.35 apart.
        min_size_ratio: association: minimum ratio of the crop sides of both hands. One person's hands are at similar
            distances from the camera; isolated fingers and small objects are sometimes taken for a hand.
        max_people: association: people whose hands are reported. With 1, of two hands that look like right hands the
            less probable becomes the left one; with more, they are two persons'.
        max_hand_distance: association: with several people, maximum distance of the centres of one person's hands, in
            sides of their crops. A side is about twice the palm, 0.2 m: the limit is about the span of the arms.
        max_crop_shift: tracking: maximum motion-compensating shift of a track's next crop, in sides of the crop.
        search_period: tracking: minimum seconds between two detections while some, but not all hands are tracked. At
            30 Hz every second image is searched: detection doubles the time of an image, and a new hand can wait 33 ms.
        handedness_momentum: tracking: weight of a track's previous handedness in its moving average.

    Raises:
        ValueError: if a probability is not between 0 and 1, or ``max_people`` is not in :data:`PEOPLE_RANGE`.
    """

    min_white_level: float = 180.0
    white_percentile: float = 99.0
    black_percentile: float = 1.0
    palm_score: float = 0.1
    palm_nms_distance: float = 0.3
    max_palms: int = 4
    retry_margin: float = 1.5
    min_crop_side: float = 8.0
    presence: float = 0.5
    first_pass_presence: float = 0.05
    duplicate_distance: float = 0.3
    min_size_ratio: float = 0.4
    max_people: int = 1
    max_hand_distance: float = 7.0
    max_crop_shift: float = 0.5
    search_period: float = 0.045
    handedness_momentum: float = 0.9

    def __post_init__(self) -> None:
        for name in ("palm_score", "presence", "first_pass_presence"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ValueError(f"{name}: expected a probability between 0 and 1, got {value}")
        low, high = PEOPLE_RANGE
        if not low <= self.max_people <= high:
            raise ValueError(f"max_people: expected {low} to {high}, got {self.max_people}")

    @property
    def palm_count(self) -> int:
        """Maximum number of palm candidates in an image."""
        return self.max_palms + 2 * (self.max_people - 1)
