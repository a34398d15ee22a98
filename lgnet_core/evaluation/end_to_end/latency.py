"""Latency of complete methods per image: with hand detection, and while tracking two hands.

Methods alternate on the same frames within one run, so that background load affects all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from lgnet_core.data.clip import Clip, ping_pong_indices
from lgnet_core.evaluation.end_to_end.mediapipe_process import MediaPipeProcess
from lgnet_core.inference import HandEstimator, HandTracker
from lgnet_core.types import ImageArray, Side

ROUNDS = 3
"""Repetitions for each method."""

DETECTION, TRACKING = "image with detection, p50, ms", "image with two tracked hands, p50, ms"


def measure_latencies(
    estimator: HandEstimator, clip: Clip, name: str, mediapipe: Path | None = None
) -> dict[str, dict[str, float]]:
    """Median times of :data:`DETECTION` and :data:`TRACKING` by method.

    A hand counts as tracked if it was also reported in the previous frame, with the same track id. Missing if no frame
    counts.

    Args:
        name: of the estimator in the result.
        mediapipe: a Python with mediapipe; None: without MediaPipe. Its own processing time counts, without the pipe.
    """
    frames = [clip.frames[k] for k in ping_pong_indices(len(clip.frames))]
    samples: dict[str, dict[str, list[float]]] = {name: {DETECTION: [], TRACKING: []}}
    with ExitStack() as exit_stack:
        mediapipe_processes = {}
        if mediapipe is not None:
            mediapipe_processes = {
                metric: exit_stack.enter_context(MediaPipeProcess(mediapipe, video=metric == TRACKING))
                for metric in (DETECTION, TRACKING)
            }
            samples[mediapipe_processes[DETECTION].name] = {DETECTION: [], TRACKING: []}
        estimator.warm_up()
        for _ in range(ROUNDS):
            samples[name][DETECTION] += _time_detection(estimator, clip, frames)
            samples[name][TRACKING] += _time_tracking(estimator, clip, frames)
            for metric, mediapipe_process in mediapipe_processes.items():
                hand_counts = [len(mediapipe_process(frame)) for frame in frames]
                seconds = mediapipe_process.seconds[-len(frames) :]
                pairs = zip(hand_counts, [0, *hand_counts], seconds)
                samples[mediapipe_process.name][metric] += [
                    s for current, previous, s in pairs if metric == DETECTION or current == previous == len(Side)
                ]
    return {
        method: {metric: 1000 * float(np.median(seconds)) for metric, seconds in by_metric.items() if seconds}
        for method, by_metric in samples.items()
    }


def _time_detection(estimator: HandEstimator, clip: Clip, frames: Sequence[ImageArray]) -> list[float]:
    samples = []
    for frame in frames:
        start = time.perf_counter()
        estimator.estimate(frame, clip.camera)
        samples.append(time.perf_counter() - start)
    return samples


def _time_tracking(estimator: HandEstimator, clip: Clip, frames: Sequence[ImageArray]) -> list[float]:
    tracker, previous, samples = HandTracker(estimator), dict[Side, int](), []
    for k, frame in enumerate(frames):
        start = time.perf_counter()
        hands = tracker.update(frame, clip.camera, round(k / clip.frames_per_second * 1e9))
        seconds = time.perf_counter() - start
        current = {hand.side: hand.track_id for hand in hands.hands}
        if len(current) == len(Side) and current == previous:
            samples.append(seconds)
        previous = current
    return samples
