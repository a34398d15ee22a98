"""Tracking of both hands through an image stream: crops predicted from the last joints, track ids, smoothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from lgnet_core.inference.association import associate, is_same_hand, suppress_duplicates
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.depth_alignment import measure_scales, scale_hands
from lgnet_core.inference.estimator import HandEstimator
from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.timing import STAGES
from lgnet_core.inference.tracking.smoothing import HandSmoother, Smoothing
from lgnet_core.inference.tracking.track import Track, predict_crops
from lgnet_core.types import WRIST, Camera, DepthMap, Hand, HandKey, ImageArray, ImageHands, Side, SizeSource, TwoHands

DepthSource = Callable[[], DepthMap | None]
"""Returns a depth map registered to the image, or None if there is none."""

NOMINAL_INTERVAL = 1 / 30
"""Seconds assumed between two images if it is unknown: for the first image, and for drivers that do not set stamps."""


class HandTracker:
    """Tracks at most one right and one left hand of each person through the images of a camera.

    The next crop of a tracked hand follows from its last joints at constant velocity, so a tracked hand costs one pass
    of the hand-landmark network and no detection. A track ends when its presence falls below the threshold. Detection
    runs on the whole image while no hand is tracked, when a track ends, every ``search_period`` of
    :class:`~lgnet_core.inference.thresholds.Thresholds` while fewer than two hands per person are tracked, and every
    ``detection_interval`` images. Hands that it adds are associated together with the tracked ones
    (:func:`~lgnet_core.inference.association.associate`); tracked hands stay with their person and contribute the
    handedness averaged over their track. With a ``detection_interval`` of 1 nothing is tracked: the hands of each image
    are those of ``estimator.estimate``, with track ids.

    The tracker resets itself, so that the next image is processed like the first one, if the clock jumps back, after
    more than ``max_gap`` without an image, and if the camera or the image size changes. After an exception tracking
    continues from the last image that was processed.

    :meth:`update` and :meth:`reset` must be called from one thread. The settings may be assigned from any thread; they
    apply from the next image on.

    With a depth map the hands are scaled to the depth on their visible skin
    (:mod:`lgnet_core.geometry.depth_scale`). Where an image has none, or where it does not determine a hand's size, the
    hand keeps the average size that earlier depth maps gave its track. :attr:`Hand.size_source` states which.

    Args:
        estimator: of single images. Its ``presence_threshold`` may be assigned like the settings.
        smoothing: of the hands; None: off.
        detection_interval: images from one detection to the next while two hands are tracked; 1: detect in every image.
        max_gap: maximum seconds between two images of a track.

    Attributes:
        last_stages: seconds spent in each of :data:`~lgnet_core.inference.timing.STAGES` in the last update.

    Raises:
        ValueError: if a setting is out of range.
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
        self._track_count = 0
        self.reset()

    def reset(self) -> None:
        """Drop all tracks. Track ids continue to count."""
        self._tracks: dict[HandKey, Track] = {}
        self._last_frame: _FrameInfo | None = None
        self._images_since_detection = 0
        self._seconds_since_detection = 0.0

    def update(
        self, image: ImageArray, camera: Camera | None, stamp_ns: int, depth: DepthSource | None = None
    ) -> TwoHands:
        """Process the next image and return both hands; of several people's, those of the first.

        With several people (``estimator.thresholds.max_people``) the first may change: :meth:`update_people`.

        Args:
            image: (H, W, 3) RGB, uint8.
            camera: of this image; None: as for :meth:`HandEstimator.estimate`.
            stamp_ns: acquisition time, nanoseconds on any clock.
            depth: returns the depth map to which the hands are scaled; None: without. It may be older than the image
                and is called after the networks, so that one that is late may still arrive.

        Raises:
            ValueError: as :meth:`HandEstimator.estimate`.
        """
        return self.update_people(image, camera, stamp_ns, depth).first

    def update_people(
        self, image: ImageArray, camera: Camera | None, stamp_ns: int, depth: DepthSource | None = None
    ) -> ImageHands:
        """Process the next image and return the hands of each person.

        A person whose hands are lost is absent; the index is then given to the next new person. Arguments and
        exceptions as for :meth:`update`.
        """
        context = self.estimator.preprocess(image, camera)
        frame = _FrameInfo(image.shape, context.camera, context.metric, stamp_ns)
        if self._last_frame is not None and not frame.continues(self._last_frame, self.max_gap):
            self.reset()
        interval = frame.interval_since(self._last_frame)
        detector = self.estimator.detector

        tracked = self._observe_tracks(context, interval)
        observations = list(tracked)
        seconds = self._seconds_since_detection + interval
        detect = self._is_detection_due(context, len(tracked), seconds)
        if detect:
            observations += detector.detect(context, known=observations)
        known = {hand: track.person for hand, track in tracked.items()}
        people = associate(context, observations, detector.observer, known)
        placed = [self.estimator.reconstruct(context, pair, person) for person, pair in people.items()]

        self._images_since_detection = 0 if detect else self._images_since_detection + 1
        self._seconds_since_detection = 0.0 if detect else seconds
        self._last_frame = frame
        self._tracks = {
            (person, side): self._continue_track(context, person, side, hand, tracked, interval)
            for person, pair in people.items()
            for side, hand in pair.items()
        }
        output = []
        depth_map = None if depth is None else cache(depth)  # the same for all people
        for hands in placed:
            hands = self.estimator.retarget(context, self._scale_to_depth(context, hands, stamp_ns, depth_map))
            with context.stopwatch("smooth"):
                output.append(self._smooth(hands, interval))
        self.last_stages = context.stopwatch.seconds
        return ImageHands([hands for hands in output if hands.hands], context.metric)

    def _observe_tracks(self, context: ImageContext, interval: float) -> dict[HandObservation, Track]:
        """Observe the tracked hands in their predicted crops; lost tracks and duplicates are dropped."""
        tracks = list(self._tracks.values())
        if not tracks or self.detection_interval == 1:
            return {}
        thresholds = context.thresholds
        crops = predict_crops(tracks, interval, thresholds)
        observations = self.estimator.detector.observer.observe(context, crops)
        by_observation = {
            track.filter_handedness(hand, thresholds): track
            for hand, track in zip(observations, tracks, strict=True)
            if hand is not None
        }
        kept = suppress_duplicates(list(by_observation), thresholds, thresholds.presence)
        return {hand: by_observation[hand] for hand in kept}

    def _is_detection_due(self, context: ImageContext, num_tracked: int, seconds: float) -> bool:
        """Whether an image is searched for further hands, ``seconds`` after the last one that was."""
        missing = num_tracked < len(Side) * context.thresholds.max_people
        return (
            num_tracked == 0
            or num_tracked < len(self._tracks)
            or (missing and seconds >= context.thresholds.search_period)
            or self._images_since_detection + 1 >= self.detection_interval
        )

    def _continue_track(
        self,
        context: ImageContext,
        person: int,
        side: Side,
        hand: HandObservation,
        tracked: dict[HandObservation, Track],
        interval: float,
    ) -> Track:
        """The updated track of a hand, or a new one."""
        for observation, track in tracked.items():
            if track.side is side and is_same_hand(observation, hand, context.thresholds):
                track.update(hand, interval)
                track.person = person
                return track
        last = self._tracks.get((person, side))
        if (
            self.detection_interval == 1
            and last is not None
            and is_same_hand(last.observation, hand, context.thresholds)
        ):
            last.update(hand, interval)
            return last
        self._track_count += 1
        return Track(self._track_count, person, side, hand)

    def _scale_to_depth(
        self, context: ImageContext, placed: TwoHands, stamp_ns: int, source: DepthSource | None
    ) -> TwoHands:
        """Scale the hands to the depth map, or to the size that earlier ones gave their tracks."""
        if not placed.metric or not placed.hands:
            return placed
        with context.stopwatch("depth"):
            sizes = {hand.side: self._tracks[hand.key].size for hand in placed.hands}
            factors: dict[Side, float] = {}
            if source is not None:
                for hand in placed.hands:
                    sizes[hand.side].add(stamp_ns, hand)
                depth = source()
                if depth is not None:
                    hands_then = {side: size.hand_at(depth.stamp_ns) for side, size in sizes.items()}
                    for side, factor in measure_scales(hands_then, depth, context.camera).items():
                        sizes[side].update(hands_then[side], factor)
                        wrist_depth = factor * float(hands_then[side].joints[WRIST, 2])
                        factors[side] = sizes[side].continued(depth.stamp_ns, wrist_depth)
            remembered = {hand.side: sizes[hand.side].factor(hand) for hand in placed.hands}
            earlier = {side: f for side, f in remembered.items() if f is not None and side not in factors}
            scaled = scale_hands(placed, factors, SizeSource.DEPTH)
            return scale_hands(scaled, earlier, SizeSource.EARLIER_DEPTH)

    def _smooth(self, hands: TwoHands, interval: float) -> TwoHands:
        """Set the track ids, and smooth the hands if smoothing is on."""
        smoothing = self.smoothing
        output: dict[Side, Hand] = {}
        for hand in hands.hands:
            track = self._tracks[hand.key]
            if smoothing is None:
                track.smoother = None  # restarts when smoothing is switched on again
            else:
                track.smoother = track.smoother or HandSmoother()
                hand = track.smoother(hand, interval, smoothing, hands.metric)
            output[hand.side] = replace(hand, track_id=track.track_id)
        relative = hands.relative_translation
        if smoothing is not None and hands.metric and len(output) == 2:
            relative = output[Side.LEFT].joints[WRIST] - output[Side.RIGHT].joints[WRIST]
        return replace(hands, right=output.get(Side.RIGHT), left=output.get(Side.LEFT), relative_translation=relative)


@dataclass(frozen=True, eq=False)
class _FrameInfo:
    """What must be constant within a track, and the acquisition time."""

    shape: tuple[int, ...]
    camera: Camera
    metric: bool
    stamp_ns: int

    def interval_since(self, last: _FrameInfo | None) -> float:
        """Seconds since the last image, positive."""
        if last is None or last.stamp_ns == self.stamp_ns:
            return NOMINAL_INTERVAL
        return (self.stamp_ns - last.stamp_ns) / 1e9

    def continues(self, last: _FrameInfo, max_gap: float) -> bool:
        """Whether tracks of the last image may be continued in this one."""
        return (
            self.shape == last.shape
            and self.metric == last.metric
            and 0 <= self.stamp_ns - last.stamp_ns <= max_gap * 1e9
            and np.array_equal(self.camera.matrix, last.camera.matrix)
            and np.array_equal(self.camera.distortion, last.camera.distortion)
        )
