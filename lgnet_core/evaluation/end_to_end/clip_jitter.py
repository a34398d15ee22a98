"""``--data jitter``: jitter and lag of the hands in static and moving synthetic sequences at 30 Hz.

The moving sequence is the script of the demo clip rendered at 30 Hz; static sequences repeat single frames of it. Every
frame gets independent noise, as in a real camera: otherwise static sequences would have no jitter. The pipeline's hands
are compared with true hands with noise of known size (:data:`NOISE_MODEL`), which separates the effect of the filter
from that of the network.

Jitter is the root mean square of the second differences of the joint errors, so the true acceleration of a hand does
not count. Lag is the delay of the smoothed joints relative to the unsmoothed ones. Errors are means over the present
hands that were found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from lgnet_core.data.clip import Clip
from lgnet_core.evaluation.end_to_end.report import MetricTable
from lgnet_core.evaluation.metrics.alignment import MILLIMETRES
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.inference import HandEstimator, HandTracker, Smoothing
from lgnet_core.inference.tracking.smoothing import HandSmoother
from lgnet_core.types import WRIST, FloatArray, Hand, ImageArray, Side, TwoHands

RATE = 30.0
NOISE_STD = 2.5  # grey levels of 255: a webcam indoors
STATIC_SECONDS = 2.0
STATIC_TIMES = (0.0, 1.4, 2.8)  # seconds of the clip: hands apart, palm on palm, pointing at a palm
NOISE_MODEL = {"ray": 0.001, "depth": 0.006, "shape": 0.002}  # metres per frame, standard deviations, independent
SETTINGS = tuple(Smoothing(cutoff, beta) for cutoff, beta in product((0.5, 1.0, 2.0), (10.0, 30.0, 100.0)))
"""Filter settings around the defaults: all are in the JSON, the default also in the table."""

_AVERAGING_WINDOW = 5  # frames, moving average before the lag is measured
_NO_FACES = np.zeros((0, 3), int)
_LAGS = np.arange(-0.05, 0.4001, 0.0025)  # seconds


@dataclass(frozen=True)
class JitterResult:
    """Result of one configuration on one sequence.

    Args:
        source: ``pipeline``, or ``model`` for true hands with noise of known size.
        configuration: how hands are estimated: per frame, tracked, or tracked and smoothed.
        jitter, jitter_relative: mm, of the joints in the camera frame and relative to their wrists.
        error, error_relative: mm.
        lag: ms; NaN for static hands.
        found: hands found; missed: present hands that were not found; tracks: different pairs of side and track id.
    """

    sequence: str
    source: str
    configuration: str
    jitter: float
    jitter_relative: float
    error: float
    error_relative: float
    lag: float
    found: int
    missed: int
    tracks: int


def make_sequences(clip: Clip) -> dict[str, Clip]:
    """The moving sequence, and a static one for each of :data:`STATIC_TIMES`."""
    result = {"moving": replace(clip, frames=_noisy(clip.frames, seed=0))}
    for seconds in STATIC_TIMES:
        k, count = round(seconds * RATE), round(STATIC_SECONDS * RATE)
        frames = _noisy([clip.frames[k]] * count, seed=k + 1)
        joints, presence = (np.repeat(a[k : k + 1], count, 0) for a in (clip.joints, clip.presence))
        result[f"static at {seconds:.1f} s"] = replace(clip, frames=frames, joints=joints, presence=presence)
    return result


def measure_jitter(estimator: HandEstimator, clip: Clip, console: Console | None = None) -> list[JitterResult]:
    """All sequences and configurations: per frame, tracked, and tracked and smoothed with each of :data:`SETTINGS`."""
    results = []
    console = console or Console(quiet=True)
    for name, sequence in track(make_sequences(clip).items(), "tracking", console=console, transient=True):
        per_frame = [estimator.estimate(frame, sequence.camera) for frame in sequence.frames]
        results.append(score_estimates(name, "pipeline", "per frame", per_frame, per_frame, sequence))
        for source, unsmoothed in (("pipeline", _track(estimator, sequence)), ("model", simulate_estimates(sequence))):
            results.append(score_estimates(name, source, "tracked", unsmoothed, unsmoothed, sequence))
            for settings in SETTINGS:
                smoothed = smooth_estimates(unsmoothed, settings)
                results.append(score_estimates(name, source, _smoothing_name(settings), smoothed, unsmoothed, sequence))
    return results


def jitter_metrics(results: Sequence[JitterResult]) -> tuple[MetricTable, dict[str, Any]]:
    """Metrics for the table, by sequence and configuration, with the default filter; and all results, for the JSON."""
    shown = {_smoothing_name(Smoothing()): "tracked, smoothed", "tracked": "tracked"}
    units = {"jitter": "mm", "jitter_relative": "mm", "error": "mm", "error_relative": "mm", "lag": "ms"}
    metrics: MetricTable = {}
    for row in results:
        configuration = shown.get(row.configuration, row.configuration)
        if row.configuration.startswith("smoothed") and row.configuration not in shown:
            continue
        column = configuration if row.source == "pipeline" else f"model: {configuration}"
        for name, value in list(asdict(row).items())[3:]:
            title = name.replace("_relative", " relative to the wrist") + (f", {units[name]}" if name in units else "")
            metrics.setdefault(row.sequence, {}).setdefault(title, {})[column] = value
    settings = {"rate": RATE, "noise": NOISE_STD, "model": NOISE_MODEL, "units": units}
    return metrics, {"settings": settings, "results": [asdict(row) for row in results]}


def simulate_estimates(clip: Clip, seed: int = 0) -> list[TwoHands]:
    """True hands with noise: of the wrist along and across its ray, and of every joint relative to the wrist."""
    rng = np.random.default_rng(seed)
    result = []
    for joints, presence in zip(clip.joints, clip.presence):
        hands: dict[Side, Hand] = {}
        for side in Side:
            wrist = joints[side, WRIST]
            noise = rng.normal(0, 1, (len(joints[side]), 3)) * NOISE_MODEL["shape"]
            ray = wrist / wrist[2]
            noise[WRIST] = rng.normal(0, 1, 3) * NOISE_MODEL["ray"] + rng.normal() * NOISE_MODEL["depth"] * ray
            noise[1:] += noise[WRIST]
            joints_with_noise = joints[side] + noise
            if presence[side]:
                pixels = project_distorted(joints_with_noise, clip.camera)
                hands[side] = Hand(
                    side=side,
                    presence=1.0,
                    joints=joints_with_noise,
                    vertices=joints_with_noise,
                    faces=_NO_FACES,
                    joints_2d=pixels,
                    joint_std=noise[:, 0],
                    rotations=np.tile(np.eye(3), (16, 1, 1)),
                    shape=np.zeros(10),
                    track_id=1,
                )
        result.append(TwoHands(hands.get(Side.RIGHT), hands.get(Side.LEFT), None, metric=True))
    return result


def smooth_estimates(estimates: Sequence[TwoHands], settings: Smoothing) -> list[TwoHands]:
    """Apply the tracker's smoothing to the same hands; tracking itself never uses smoothed hands."""
    smoothers: dict[tuple[Side, int], HandSmoother] = {}
    result = []
    for hands in estimates:
        smoothed_hands = {
            hand.side: smoothers.setdefault((hand.side, hand.track_id), HandSmoother())(hand, 1 / RATE, settings, True)
            for hand in hands.hands
        }
        result.append(replace(hands, right=smoothed_hands.get(Side.RIGHT), left=smoothed_hands.get(Side.LEFT)))
    return result


def score_estimates(
    name: str,
    source: str,
    configuration: str,
    estimates: Sequence[TwoHands],
    unsmoothed: Sequence[TwoHands],
    clip: Clip,
) -> JitterResult:
    """Metrics of one configuration; ``unsmoothed``: the same hands without smoothing."""
    tracks, raw = _tracks(estimates), _tracks(unsmoothed)
    absolute: list[FloatArray] = []
    relative: list[FloatArray] = []
    absolute_jitter: list[FloatArray] = []
    relative_jitter: list[FloatArray] = []
    for (side, _, start), joints in tracks.items():
        frames = slice(start, start + len(joints))
        present = clip.presence[frames, side]
        errors = joints - clip.joints[frames, side]  # (T, 21, 3)
        relative_errors = errors - errors[:, [WRIST]]
        absolute.append(errors[present])
        relative.append(relative_errors[present])
        absolute_jitter.append(np.diff(errors, 2, axis=0))
        relative_jitter.append(np.diff(relative_errors, 2, axis=0))
    return JitterResult(
        sequence=name,
        source=source,
        configuration=configuration,
        jitter=MILLIMETRES * _rms(absolute_jitter),
        jitter_relative=MILLIMETRES * _rms(relative_jitter),
        error=MILLIMETRES * _mean_length(absolute),
        error_relative=MILLIMETRES * _mean_length(relative),
        lag=1000 * lag([(tracks[key], raw[key]) for key in tracks]) if clip.joints.std(0).any() else float("nan"),
        found=sum(len(hands.hands) for hands in estimates),
        missed=int(
            sum(clip.presence[k, s] and (h.right, h.left)[s] is None for k, h in enumerate(estimates) for s in Side)
        ),
        tracks=len({(side, number) for side, number, _ in tracks}),
    )


def lag(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> float:
    """Delay of the first of each pair (T, 21, 3) relative to the second, seconds, by least squares; NaN if short."""
    costs = np.zeros(len(_LAGS))
    kernel = np.ones(_AVERAGING_WINDOW) / _AVERAGING_WINDOW
    for delayed, unsmoothed in pairs:
        if len(delayed) < 4 * _AVERAGING_WINDOW:
            continue
        delayed, unsmoothed = (
            np.stack([np.convolve(column, kernel, "valid") for column in x.reshape(len(x), -1).T], 1)
            for x in (delayed, unsmoothed)
        )
        times = np.arange(len(delayed)) / RATE
        inside = (times >= _LAGS.max()) & (times <= times[-1] + _LAGS.min())
        for k, delay in enumerate(_LAGS):
            shifted = np.stack([np.interp(times[inside] - delay, times, column) for column in unsmoothed.T], 1)
            costs[k] += ((delayed[inside] - shifted) ** 2).sum()
    return float(_LAGS[costs.argmin()]) if costs.any() else float("nan")


def _noisy(frames: Sequence[ImageArray], seed: int) -> list[ImageArray]:
    """Frames with independent noise."""
    rng = np.random.default_rng(seed)
    return [np.clip(f + rng.normal(0, NOISE_STD, f.shape).round(), 0, 255).astype(np.uint8) for f in frames]


def _track(estimator: HandEstimator, clip: Clip) -> list[TwoHands]:
    """Tracked hands of every frame, without smoothing."""
    tracker = HandTracker(estimator)
    return [tracker.update(frame, clip.camera, round(k / RATE * 1e9)) for k, frame in enumerate(clip.frames)]


def _smoothing_name(settings: Smoothing) -> str:
    return f"smoothed {settings.min_cutoff:g} Hz, {settings.beta:g}/m"


def _tracks(estimates: Sequence[TwoHands]) -> dict[tuple[Side, int, int], FloatArray]:
    """Joints (T, 21, 3) of every run of consecutive frames, by side, track id and first frame."""
    runs: dict[tuple[Side, int, int], list[FloatArray]] = {}
    run_starts: dict[tuple[Side, int], int] = {}
    for k, hands in enumerate(estimates):
        run_starts = {(hand.side, hand.track_id): run_starts.get((hand.side, hand.track_id), k) for hand in hands.hands}
        for hand in hands.hands:
            runs.setdefault((hand.side, hand.track_id, run_starts[hand.side, hand.track_id]), []).append(hand.joints)
    return {key: np.stack(joints) for key, joints in runs.items()}


def _rms(values: Sequence[FloatArray]) -> float:
    """Root mean square length of vectors (..., 3); NaN without vectors."""
    flat = np.concatenate([v.reshape(-1, 3) for v in values]) if values else np.zeros((0, 3))
    return float(np.sqrt((flat**2).sum(-1).mean())) if len(flat) else float("nan")


def _mean_length(values: Sequence[FloatArray]) -> float:
    flat = np.concatenate([v.reshape(-1, 3) for v in values]) if values else np.zeros((0, 3))
    return float(np.linalg.norm(flat, axis=-1).mean()) if len(flat) else float("nan")
