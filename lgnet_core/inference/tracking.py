"""Hands followed from picture to picture: regions from the last hands, track ids, smoothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from lgnet_core.inference.estimator import HandEstimator, check_picture
from lgnet_core.inference.regions import Region, around, box_of_hand, gap, overlap, share_crops
from lgnet_core.inference.smoothing import HandSmoother, Smoothing
from lgnet_core.inference.track import Track
from lgnet_core.types import WRIST, Camera, FloatArray, Hand, Side, TwoHands

STAGES = ("detect", "crop", "network", "place", "smooth")
"""What :attr:`HandTracker.last_stages` holds."""

AGREEMENT = 0.4
"""Overlap (intersection over union) of a followed and a detected region from which on they are of one hand in one size:
where the centres agree, sizes may differ by a factor of 1.6."""

USUAL_INTERVAL = 1 / 30
"""Seconds taken for the time between two pictures with the same stamp, as cameras send that stamp none."""


class HandTracker:
    """Follows at most one right and one left hand through the pictures of a camera.

    A picture's regions are where the last picture's hands were, somewhat larger than these, widened by how far they
    will have moved, never much smaller than the last regions, and exactly those while a hand stays about where it
    was; hands near each other share a crop. The detector looks at the whole picture when no hand is followed, every
    ``detection_interval`` pictures, and, in the same call, when a followed hand was not seen about where it was, so
    that a hand that jumped is missed in no picture; such a call takes the detector's time and a second pass of the
    network. What the detector finds is looked at for the sides that are not followed, and for both where it is clear
    of all hands that are; of several sightings :func:`~lgnet_core.inference.choose_hands.choose_hands` takes those
    that lie best where hands are expected. Where it finds a hand at another size or somewhat aside, its region
    replaces the followed one, since regions that depend on the last ones can drift. What the second pass does not show
    is reported as the first one showed it.

    Where a hand was lost is looked at until the detector's next turn, since the network may only have been unsure for a
    moment. Where a hand is seen where it was in the detector's region but not in that of the last hands, following does
    not help: for ``detection_interval`` pictures the detector is asked first, as :meth:`HandEstimator.estimate` does.

    With ``smoothing`` None a picture's hands are exactly those of ``estimator.estimate_regions`` on ``last_regions``,
    beside their track ids; with a ``detection_interval`` of 1 too, exactly those of ``estimator.estimate``.

    Everything is forgotten, so that the next picture is like the first one, when the clock jumps back, after more than
    ``max_gap`` without a picture, and when the camera or the size of the picture changes. After an error the hands are
    followed from the last picture that had none.

    :meth:`update` and :meth:`reset` belong to one thread. The settings may be assigned from any other; they hold from
    the next picture on.

    Args:
        estimator: finds the hands. Its ``presence_threshold`` and ``smallest_hand`` may be assigned as the settings
            may.
        smoothing: of the hands; None: none.
        detection_interval: pictures from one look at the whole picture to the next; 1: in each, nothing is followed.
        max_gap: seconds between two pictures from which on they have nothing to do with each other.

    Attributes:
        last_stages: seconds that each of ``STAGES`` took in the last update.
        last_regions: what the network looked at.

    Raises:
        ValueError: for a setting out of range.
    """

    def __init__(
        self,
        estimator: HandEstimator,
        smoothing: Smoothing | None = None,
        detection_interval: int = 10,
        max_gap: float = 0.5,
    ) -> None:
        if detection_interval < 1:
            raise ValueError(f"detection_interval: expected 1 picture or more, got {detection_interval}")
        if not max_gap > 0:
            raise ValueError(f"max_gap: expected a positive number of seconds, got {max_gap}")
        self.estimator = estimator
        self.smoothing = smoothing
        self.detection_interval = detection_interval
        self.max_gap = max_gap
        self.last_stages: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self.last_regions: list[Region] = []
        self._ids = dict.fromkeys(Side, 0)
        self.reset()

    def reset(self) -> None:
        """Forget the hands; track ids count on."""
        self._followed: dict[Side, Track] = {}
        self._lost: dict[Side, FloatArray] = {}  # their boxes
        self._last: _Picture | None = None
        self._since_detection = 0
        self._in_vain = 0  # pictures left in which the detector is asked first

    def update(self, image: FloatArray, camera: Camera | None, stamp_ns: int) -> TwoHands:
        """Both hands of the next picture.

        Args:
            image: (H, W, 3) RGB, uint8.
            camera: of this picture; None: as for :meth:`HandEstimator.estimate`.
            stamp_ns: when it was taken, nanoseconds on any clock.

        Raises:
            ValueError: as :meth:`HandEstimator.estimate`.
        """
        check_picture(image, camera)
        stages = dict.fromkeys(STAGES, 0.0)
        picture = _Picture(image.shape, camera, stamp_ns)
        if self._last is not None and not picture.follows(self._last, self.max_gap):
            self.reset()
        interval = picture.seconds_since(self._last)

        hands = self._look(image, camera, interval, stages)
        self._last = picture
        followed = {hand.side: self._track(hand, interval) for hand in hands.hands}
        gone = self._lost | {side: track.box for side, track in self._followed.items()}
        self._lost = {side: box for side, box in gone.items() if side not in followed}
        self._followed = followed
        with _timed(stages, "smooth"):
            hands = self._finish(hands, interval)
        self.last_stages = stages
        return hands

    def _look(self, image: FloatArray, camera: Camera | None, interval: float, stages: dict[str, float]) -> TwoHands:
        """The hands as they are seen."""
        every = self.detection_interval  # another thread may assign it meanwhile
        self._since_detection += 1
        boxes: dict[Side, FloatArray] = {}
        if every > 1 and self._in_vain == 0:
            self._followed = {side: track.goes_on(interval) for side, track in self._followed.items()}
            boxes = {side: track.region for side, track in self._followed.items()}
        self._in_vain = max(self._in_vain - 1, 0)
        detected = None
        if not boxes or self._since_detection >= every:
            self._lost = {}
            detected = self._detect(image, camera, stages)
            boxes = _not_drifted(boxes, detected)
        looked = self._lost | boxes
        hands = self._estimate(image, camera, _join(looked, detected or []), stages)
        seen = {hand.side: looked[hand.side] for hand in hands.hands if hand.side in looked}
        elsewhere = [region.box for region in detected or [] if _clear_of(region, boxes)]
        believed = {
            hand.side
            for hand in hands.hands
            if self._is_where_it_was(hand, interval)
            or any(gap(box, box_of_hand(hand.joints_image)) == 0 for box in elsewhere)
        }
        doubtful = boxes.keys() - believed
        if not doubtful:
            return hands
        sure = {side: box for side, box in seen.items() if side not in doubtful}
        again = _join(sure, self._detect(image, camera, stages) if detected is None else detected)
        if not any(side in region.sides for region in again for side in doubtful):
            return hands
        first = self.last_regions
        other = self._estimate(image, camera, again, stages)
        if not seen.keys() <= {hand.side for hand in other.hands}:
            self.last_regions = first
            return hands
        if any(hand.side in doubtful and self._is_where_it_was(hand, interval) for hand in other.hands):
            self._in_vain = every
        return other

    def _detect(self, image: FloatArray, camera: Camera | None, stages: dict[str, float]) -> list[Region]:
        with _timed(stages, "detect"):
            regions = self.estimator.detector.find(image, camera)
        self._since_detection = 0
        return regions

    def _estimate(
        self, image: FloatArray, camera: Camera | None, regions: list[Region], stages: dict[str, float]
    ) -> TwoHands:
        """:meth:`HandEstimator.estimate_regions`, timed step by step."""
        self.last_regions = regions
        if not regions:
            return TwoHands(None, None, None, metric=camera is not None)
        with _timed(stages, "crop"):
            crops = self.estimator.cut(image, camera, regions)
        with _timed(stages, "network"):
            prediction = self.estimator.engine(crops.images, crops.intrinsics)
        with _timed(stages, "place"):
            return self.estimator.assemble(regions, crops, prediction, camera)

    def _is_where_it_was(self, hand: Hand, interval: float) -> bool:
        """Whether the hand of its side that is followed, if any, can have come there."""
        before = self._followed.get(hand.side)
        return before is None or before.explains(box_of_hand(hand.joints_image), interval)

    def _continues(self, hand: Hand) -> bool:
        """Whether a hand can be the one of its side that is followed: where it was, at least in part."""
        before = self._followed.get(hand.side)
        return before is not None and gap(before.box, box_of_hand(hand.joints_image)) == 0

    def _track(self, hand: Hand, interval: float) -> Track:
        """The track that a hand continues, or a new one."""
        box = box_of_hand(hand.joints_image)
        if self._continues(hand):
            return self._followed[hand.side].went_on(box, interval)
        self._ids[hand.side] += 1
        return Track.of(self._ids[hand.side], box)

    def _finish(self, hands: TwoHands, interval: float) -> TwoHands:
        """Track ids, and smoothing if it is on."""
        settings = self.smoothing
        done: dict[Side, Hand] = {}
        for hand in hands.hands:
            track = self._followed.get(hand.side)
            if track is None:
                done[hand.side] = hand
                continue
            if settings is None:
                track.smoother = None  # begins anew where it is switched on
            else:
                track.smoother = track.smoother or HandSmoother()
                hand = track.smoother(hand, interval, settings, hands.metric)
            done[hand.side] = replace(hand, track_id=track.number)
        relative = hands.relative_translation
        if settings is not None and hands.metric and len(done) == 2:
            relative = done[Side.LEFT].joints[WRIST] - done[Side.RIGHT].joints[WRIST]
        return TwoHands(done.get(Side.RIGHT), done.get(Side.LEFT), relative, hands.metric)


@dataclass(frozen=True, eq=False)
class _Picture:
    """What must not change between two pictures for hands to be followed, and when the picture was taken."""

    shape: tuple[int, ...]
    camera: Camera | None
    stamp_ns: int

    def seconds_since(self, last: _Picture | None) -> float:
        return (
            USUAL_INTERVAL if last is None or last.stamp_ns == self.stamp_ns else (self.stamp_ns - last.stamp_ns) / 1e9
        )

    def follows(self, last: _Picture, max_gap: float) -> bool:
        return (
            self.shape == last.shape
            and 0 <= self.stamp_ns - last.stamp_ns <= max_gap * 1e9
            and _same_camera(self.camera, last.camera)
        )


def _same_camera(a: Camera | None, b: Camera | None) -> bool:
    """Sizes are the pictures' own, which are compared already."""
    if a is None or b is None:
        return a is b
    return a is b or (np.array_equal(a.matrix, b.matrix) and np.array_equal(a.distortion, b.distortion))


def _not_drifted(boxes: Mapping[Side, FloatArray], detected: Sequence[Region]) -> dict[Side, FloatArray]:
    """The followed boxes without those that overlap what the detector found, but none of it well.

    A detector that tells no sides may find two hands as one: all followed hands together may agree with it too.
    """
    kept = {}
    for side, box in boxes.items():
        together = around(list(boxes.values()))
        found = [region.box for region in detected if side in region.sides and gap(box, region.box) == 0]
        if not found or any(overlap(mine, other) >= AGREEMENT for mine in (box, together) for other in found):
            kept[side] = box
    return kept


def _clear_of(region: Region, boxes: Mapping[Side, FloatArray]) -> bool:
    """Whether a region touches none of the boxes."""
    return all(gap(box, region.box) > 0 for box in boxes.values())


def _join(boxes: Mapping[Side, FloatArray], detected: Sequence[Region]) -> list[Region]:
    """Regions of the hands that are followed, and of what the detector found that they do not explain."""
    if not boxes:
        return list(detected)
    regions = [Region(box, (side,)) for side, box in boxes.items()]
    for region in detected:
        sides = region.sides if _clear_of(region, boxes) else tuple(side for side in region.sides if side not in boxes)
        if sides:
            regions.append(replace(region, sides=sides))
    return share_crops(regions)


@contextmanager
def _timed(stages: dict[str, float], stage: str) -> Iterator[None]:
    """Add what the block takes, seconds."""
    start = time.perf_counter()
    try:
        yield
    finally:
        stages[stage] += time.perf_counter() - start
