"""How long whole programs take for an image: where hands are detected, and where two are followed.

Programs take turns on the same frames in one run, so that a busy machine is busy for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from lgnet_core.data.clip import Clip
from lgnet_core.evaluation.end_to_end.mediapipe_program import MediaPipeProgram
from lgnet_core.inference import HandEstimator, HandTracker
from lgnet_core.types import FloatArray, Side

ROUNDS = 3
"""Turns that each program takes."""

DETECTION, FOLLOWING = "image with detection, p50, ms", "image with two followed hands, p50, ms"


def latencies(
    estimator: HandEstimator, clip: Clip, name: str, mediapipe: Path | None = None
) -> dict[str, dict[str, float]]:
    """By program, the median times of :data:`DETECTION` and :data:`FOLLOWING`.

    A hand counts as followed if the frame before reported it too, with the same track id. NaN where no frame counts.

    Args:
        name: of the estimator's program.
        mediapipe: a Python that has it; None: it is left out. What counts is its own time, without the pipe.
    """
    frames = [clip.frames[k] for k in ping_pong(len(clip.frames))]
    times: dict[str, dict[str, list[float]]] = {name: {DETECTION: [], FOLLOWING: []}}
    with ExitStack() as processes:
        programs = {}
        if mediapipe is not None:
            programs = {
                figure: processes.enter_context(MediaPipeProgram(mediapipe, video=figure == FOLLOWING))
                for figure in (DETECTION, FOLLOWING)
            }
            times[programs[DETECTION].name] = {DETECTION: [], FOLLOWING: []}
        estimator.warm_up()
        for _ in range(ROUNDS):
            times[name][DETECTION] += _detecting(estimator, clip, frames)
            times[name][FOLLOWING] += _following(estimator, clip, frames)
            for figure, program in programs.items():
                found = [len(program(frame)) for frame in frames]
                seconds = program.seconds[-len(frames) :]
                pairs = zip(found, [0, *found], seconds)
                times[program.name][figure] += [
                    s for now, before, s in pairs if figure == DETECTION or now == before == len(Side)
                ]
    return {
        program: {figure: 1000 * float(np.median(seconds)) for figure, seconds in of_program.items() if seconds}
        for program, of_program in times.items()
    }


def ping_pong(count: int) -> list[int]:
    """Places of a film's frames, played forwards and backwards, so that no hand jumps where it begins anew."""
    return [*range(count), *range(count - 2, 0, -1)]


def _detecting(estimator: HandEstimator, clip: Clip, frames: Sequence[FloatArray]) -> list[float]:
    times = []
    for frame in frames:
        start = time.perf_counter()
        estimator.estimate(frame, clip.camera)
        times.append(time.perf_counter() - start)
    return times


def _following(estimator: HandEstimator, clip: Clip, frames: Sequence[FloatArray]) -> list[float]:
    tracker, before, times = HandTracker(estimator), dict[Side, int](), []
    for k, frame in enumerate(frames):
        start = time.perf_counter()
        hands = tracker.update(frame, clip.camera, round(k / clip.frames_per_second * 1e9))
        seconds = time.perf_counter() - start
        now = {hand.side: hand.track_id for hand in hands.hands}
        if len(now) == len(Side) and now == before:
            times.append(seconds)
        before = now
    return times
