"""Hands followed from image to image: crops from the last joints, track ids, smoothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lgnet_core.inference.association import same_hand, suppress_duplicates
from lgnet_core.inference.crops import image_camera
from lgnet_core.inference.estimator import HandEstimator, check_image
from lgnet_core.inference.exposure import normalise_exposure
from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.timing import STAGES, Stopwatch
from lgnet_core.inference.tracking.smoothing import HandSmoother, Smoothing
from lgnet_core.inference.tracking.track import Track, next_crops
from lgnet_core.types import WRIST, Camera, FloatArray, Hand, Side, TwoHands

USUAL_INTERVAL = 1 / 30
"""Seconds taken for the time between two images with the same stamp, as cameras send that stamp none."""


class HandTracker:
    """Follows at most one right and one left hand through the images of a camera.

    A hand that was seen gets its next crop from its last joints, moved on at constant velocity, so that it costs one
    pass of the landmark network and no detection. Where its presence falls below the threshold the track ends. The
    detector runs on the whole image when fewer than two hands are followed, and every ``detection_interval`` images;
    hands that it finds and that are not followed yet join those that are, and the sides are assigned anew
    (:func:`~lgnet_core.inference.association.assign_sides`), where followed hands bring the belief in their side that
    they gathered. With a ``detection_interval`` of 1 nothing is followed: each image's hands are those of
    ``estimator.estimate``, with track ids.

    Everything is forgotten, so that the next image is like the first one, when the clock jumps back, after more than
    ``max_gap`` without an image, and when the camera or the size of the image changes. After an error the hands are
    followed from the last image that had none.

    :meth:`update` and :meth:`reset` belong to one thread. The settings may be assigned from any other; they hold from
    the next image on.

    Args:
        estimator: finds the hands. Its ``presence_threshold`` may be assigned as the settings may.
        smoothing: of the hands; None: none.
        detection_interval: images from one detection to the next while two hands are followed; 1: in each.
        max_gap: seconds between two images from which on they have nothing to do with each other.

    Attributes:
        last_stages: seconds that each of :data:`~lgnet_core.inference.timing.STAGES` took in the last update.

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
            raise ValueError(f"detection_interval: expected 1 image or more, got {detection_interval}")
        if not max_gap > 0:
            raise ValueError(f"max_gap: expected a positive number of seconds, got {max_gap}")
        self.estimator = estimator
        self.smoothing = smoothing
        self.detection_interval = detection_interval
        self.max_gap = max_gap
        self.last_stages: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self._count = 0
        self.reset()

    def reset(self) -> None:
        """Forget the hands; track ids count on."""
        self._tracks: dict[Side, Track] = {}
        self._last: _Frame | None = None
        self._since_detection = 0

    def update(self, image: FloatArray, camera: Camera | None, stamp_ns: int) -> TwoHands:
        """Both hands of the next image.

        Args:
            image: (H, W, 3) RGB, uint8.
            camera: of this image; None: as for :meth:`HandEstimator.estimate`.
            stamp_ns: when it was taken, nanoseconds on any clock.

        Raises:
            ValueError: as :meth:`HandEstimator.estimate`.
        """
        check_image(image, camera)
        watch = Stopwatch()
        frame = _Frame(image.shape, camera, stamp_ns)
        if self._last is not None and not frame.follows(self._last, self.max_gap):
            self.reset()
        interval = frame.seconds_since(self._last)
        view = image_camera(image, camera)
        image = normalise_exposure(image, self.estimator.thresholds)

        tracked = self._follow(image, view, interval, watch)
        seen = list(tracked)
        detected = len(seen) < len(Side) or self._since_detection + 1 >= self.detection_interval
        if detected:
            seen += self.estimator.detector.detect(image, view, self.estimator.thresholds, watch, seen)
        hands = self.estimator.associate(image, view, seen, watch)
        found = self.estimator.reconstruct(image, camera, hands, watch)

        self._since_detection = 0 if detected else self._since_detection + 1
        self._last = frame
        self._tracks = {side: self._track(side, hand, tracked, interval) for side, hand in hands.items()}
        with watch("smooth"):
            found = self._finish(found, interval)
        self.last_stages = watch.seconds
        return found

    def _follow(
        self, image: FloatArray, view: Camera, interval: float, watch: Stopwatch
    ) -> dict[HandObservation, Track]:
        """The followed hands that are still seen, each hand once, with their tracks."""
        thresholds = self.estimator.thresholds
        tracks = list(self._tracks.values())
        if not tracks or self.detection_interval == 1:
            return {}
        crops = next_crops(tracks, interval, thresholds)
        seen = self.estimator.detector.observer.observe(image, view, crops, watch)
        believed = {
            track.believe(hand, thresholds): track for hand, track in zip(seen, tracks, strict=True) if hand is not None
        }
        kept = suppress_duplicates(list(believed), thresholds, thresholds.presence)
        return {hand: believed[hand] for hand in kept}

    def _track(
        self, side: Side, hand: HandObservation, tracked: dict[HandObservation, Track], interval: float
    ) -> Track:
        """The track of its side that a hand continues, or a new one."""
        thresholds = self.estimator.thresholds
        for before, track in tracked.items():
            if track.side is side and same_hand(before, hand, thresholds):
                track.update(hand, interval)
                return track
        last = self._tracks.get(side)
        if self.detection_interval == 1 and last is not None and same_hand(last.observation, hand, thresholds):
            last.update(hand, interval)
            return last
        self._count += 1
        return Track(self._count, side, hand)

    def _finish(self, hands: TwoHands, interval: float) -> TwoHands:
        """Track ids, and smoothing if it is on."""
        settings = self.smoothing
        done: dict[Side, Hand] = {}
        for hand in hands.hands:
            track = self._tracks[hand.side]
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
class _Frame:
    """What must not change between two images for hands to be followed, and when the image was taken."""

    shape: tuple[int, ...]
    camera: Camera | None
    stamp_ns: int

    def seconds_since(self, last: _Frame | None) -> float:
        return (
            USUAL_INTERVAL if last is None or last.stamp_ns == self.stamp_ns else (self.stamp_ns - last.stamp_ns) / 1e9
        )

    def follows(self, last: _Frame, max_gap: float) -> bool:
        return (
            self.shape == last.shape
            and 0 <= self.stamp_ns - last.stamp_ns <= max_gap * 1e9
            and _same_camera(self.camera, last.camera)
        )


def _same_camera(a: Camera | None, b: Camera | None) -> bool:
    """Sizes are the images' own, which are compared already."""
    if a is None or b is None:
        return a is b
    return a is b or (np.array_equal(a.matrix, b.matrix) and np.array_equal(a.distortion, b.distortion))
