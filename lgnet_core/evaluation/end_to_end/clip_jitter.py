"""``--data jitter``: jitter and lag of the hands in synthetic sequences at 30 Hz, still and moving.

The moving sequence is the demo clip's script drawn at 30 Hz; the still ones are single frames of it, shown again and
again. Every frame gets noise of its own, as a camera's do: else a still one would not jitter at all. Beside the
program's hands stand the true ones with noise of known size (:data:`MODEL`), which tell the filter from the network.

Jitter is the root mean square of the second differences of the joints' errors: a hand's true acceleration does not
count. Lag is the delay of the smoothed joints against those that were not smoothed. Errors are means over the hands
that are there and were found.
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
from lgnet_core.evaluation.end_to_end.program_report import Figures
from lgnet_core.evaluation.protocol import MILLIMETRES
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.inference import HandEstimator, HandTracker, Smoothing
from lgnet_core.inference.tracking.smoothing import HandSmoother
from lgnet_core.types import WRIST, FloatArray, Hand, Side, TwoHands

RATE = 30.0
NOISE = 2.5  # grey levels of 255, standard deviation: a webcam's in a room's light
STILL_SECONDS = 2.0
STILL_AT = (0.0, 1.4, 2.8)  # seconds of the clip: hands apart, palm on palm, pointing at a palm
MODEL = {"ray": 0.001, "depth": 0.006, "shape": 0.002}  # metres per frame, standard deviations, independent
SETTINGS = tuple(Smoothing(cutoff, beta) for cutoff, beta in product((0.5, 1.0, 2.0), (10.0, 30.0, 100.0)))
"""Of the filter, around its defaults: all stand in the JSON, the default in the table."""

_MEANS_OVER = 5  # frames: what lag is measured on is averaged over so many
_NO_FACES = np.zeros((0, 3), int)
_LAGS = np.arange(-0.05, 0.4001, 0.0025)  # seconds


@dataclass(frozen=True)
class JitterResult:
    """One way of estimating on one sequence.

    Args:
        source: ``program``, or ``model`` for true hands with noise of known size.
        jitter, jitter_relative: mm, of the joints in the camera frame and relative to their wrists.
        error, error_relative: mm.
        lag: ms; NaN for hands that stand still.
        seen: hands found; missed: there, not found; tracks: sides and track ids that were given.
    """

    sequence: str
    source: str
    way: str
    jitter: float
    jitter_relative: float
    error: float
    error_relative: float
    lag: float
    seen: int
    missed: int
    tracks: int


def sequences(clip: Clip) -> dict[str, Clip]:
    """The moving sequence, and a still one for each of :data:`STILL_AT`."""
    out = {"moving": replace(clip, frames=_noisy(clip.frames, seed=0))}
    for seconds in STILL_AT:
        k, count = round(seconds * RATE), round(STILL_SECONDS * RATE)
        frames = _noisy([clip.frames[k]] * count, seed=k + 1)
        joints, presence = (np.repeat(a[k : k + 1], count, 0) for a in (clip.joints, clip.presence))
        out[f"still at {seconds:.1f} s"] = replace(clip, frames=frames, joints=joints, presence=presence)
    return out


def measure_jitter(estimator: HandEstimator, clip: Clip, console: Console | None = None) -> list[JitterResult]:
    """Every sequence: each frame for itself, followed, and followed and smoothed with each of :data:`SETTINGS`."""
    results = []
    console = console or Console(quiet=True)
    for name, sequence in track(sequences(clip).items(), "following", console=console, transient=True):
        single = [estimator.estimate(frame, sequence.camera) for frame in sequence.frames]
        results.append(judge(name, "program", "each frame for itself", single, single, sequence))
        for source, plain in (("program", _follow(estimator, sequence)), ("model", modelled(sequence))):
            results.append(judge(name, source, "followed", plain, plain, sequence))
            for setting in SETTINGS:
                results.append(judge(name, source, _way(setting), smoothed(plain, setting), plain, sequence))
    return results


def jitter_figures(results: Sequence[JitterResult]) -> tuple[Figures, dict[str, Any]]:
    """For the table, by sequence and way, with the filter's default; and all results, for the JSON."""
    shown = {_way(Smoothing()): "followed, smoothed", "followed": "followed"}
    units = {"jitter": "mm", "jitter_relative": "mm", "error": "mm", "error_relative": "mm", "lag": "ms"}
    figures: Figures = {}
    for row in results:
        way = shown.get(row.way, row.way)
        if row.way.startswith("smoothed") and row.way not in shown:
            continue
        column = way if row.source == "program" else f"model: {way}"
        for name, value in list(asdict(row).items())[3:]:
            title = name.replace("_relative", " from the wrist") + (f", {units[name]}" if name in units else "")
            figures.setdefault(row.sequence, {}).setdefault(title, {})[column] = value
    about = {"rate": RATE, "noise": NOISE, "model": MODEL, "units": units}
    return figures, {"settings": about, "results": [asdict(row) for row in results]}


def modelled(clip: Clip, seed: int = 0) -> list[TwoHands]:
    """The true hands with noise: along the ray to the wrist, across it, and of every joint relative to the wrist."""
    rng = np.random.default_rng(seed)
    out = []
    for joints, presence in zip(clip.joints, clip.presence):
        hands: dict[Side, Hand] = {}
        for side in Side:
            wrist = joints[side, WRIST]
            off = rng.normal(0, 1, (len(joints[side]), 3)) * MODEL["shape"]
            off[WRIST] = rng.normal(0, 1, 3) * MODEL["ray"] + rng.normal() * MODEL["depth"] * wrist / wrist[2]
            off[1:] += off[WRIST]
            seen = joints[side] + off
            if presence[side]:
                pixels = project_distorted(seen, clip.camera)
                turns = np.tile(np.eye(3), (16, 1, 1))
                hands[side] = Hand(side, 1.0, seen, seen, _NO_FACES, pixels, off[:, 0], turns, np.zeros(10), 1)
        out.append(TwoHands(hands.get(Side.RIGHT), hands.get(Side.LEFT), None, metric=True))
    return out


def smoothed(found: Sequence[TwoHands], settings: Smoothing) -> list[TwoHands]:
    """What the tracker makes of the same hands with smoothing: it never follows smoothed hands itself."""
    smoothers: dict[tuple[Side, int], HandSmoother] = {}
    out = []
    for hands in found:
        done = {
            hand.side: smoothers.setdefault((hand.side, hand.track_id), HandSmoother())(hand, 1 / RATE, settings, True)
            for hand in hands.hands
        }
        out.append(replace(hands, right=done.get(Side.RIGHT), left=done.get(Side.LEFT)))
    return out


def judge(
    name: str, source: str, way: str, found: Sequence[TwoHands], plain: Sequence[TwoHands], clip: Clip
) -> JitterResult:
    """Figures of one way; ``plain``: the same hands, not smoothed."""
    tracks, raw = _tracks(found), _tracks(plain)
    absolute: list[FloatArray] = []
    relative: list[FloatArray] = []
    seconds: list[list[FloatArray]] = [[], []]
    for (side, _, first), joints in tracks.items():
        frames = slice(first, first + len(joints))
        there = clip.presence[frames, side]
        errors = joints - clip.joints[frames, side]  # (T, 21, 3)
        absolute.append(errors[there])
        relative.append((errors - errors[:, [WRIST]])[there])
        for out, values in zip(seconds, (errors, errors - errors[:, [WRIST]])):
            out.append(np.diff(values, 2, axis=0))
    return JitterResult(
        sequence=name,
        source=source,
        way=way,
        jitter=MILLIMETRES * _rms(seconds[0]),
        jitter_relative=MILLIMETRES * _rms(seconds[1]),
        error=MILLIMETRES * _mean_length(absolute),
        error_relative=MILLIMETRES * _mean_length(relative),
        lag=1000 * lag([(tracks[key], raw[key]) for key in tracks]) if clip.joints.std(0).any() else float("nan"),
        seen=sum(len(hands.hands) for hands in found),
        missed=int(
            sum(clip.presence[k, s] and (h.right, h.left)[s] is None for k, h in enumerate(found) for s in Side)
        ),
        tracks=len({(side, number) for side, number, _ in tracks}),
    )


def lag(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> float:
    """Seconds by which the first of each pair (T, 21, 3) comes after the second, by least squares; NaN if too short."""
    costs = np.zeros(len(_LAGS))
    kernel = np.ones(_MEANS_OVER) / _MEANS_OVER
    for late, plain in pairs:
        if len(late) < 4 * _MEANS_OVER:
            continue
        late, plain = (
            np.stack([np.convolve(column, kernel, "valid") for column in x.reshape(len(x), -1).T], 1)
            for x in (late, plain)
        )
        times = np.arange(len(late)) / RATE
        inside = (times >= _LAGS.max()) & (times <= times[-1] + _LAGS.min())
        for k, delay in enumerate(_LAGS):
            moved = np.stack([np.interp(times[inside] - delay, times, column) for column in plain.T], 1)
            costs[k] += ((late[inside] - moved) ** 2).sum()
    return float(_LAGS[costs.argmin()]) if costs.any() else float("nan")


def _noisy(frames: Sequence[FloatArray], seed: int) -> list[FloatArray]:
    """Frames with independent noise."""
    rng = np.random.default_rng(seed)
    return [np.clip(f + rng.normal(0, NOISE, f.shape).round(), 0, 255).astype(np.uint8) for f in frames]


def _follow(estimator: HandEstimator, clip: Clip) -> list[TwoHands]:
    """The hands of every frame, not smoothed."""
    tracker = HandTracker(estimator)
    return [tracker.update(frame, clip.camera, round(k / RATE * 1e9)) for k, frame in enumerate(clip.frames)]


def _way(setting: Smoothing) -> str:
    return f"smoothed {setting.min_cutoff:g} Hz, {setting.beta:g}/m"


def _tracks(found: Sequence[TwoHands]) -> dict[tuple[Side, int, int], FloatArray]:
    """Joints (T, 21, 3) of every run of frames without a hole, by side, track id and first frame."""
    runs: dict[tuple[Side, int, int], list[FloatArray]] = {}
    going_on: dict[tuple[Side, int], int] = {}
    for k, hands in enumerate(found):
        going_on = {(hand.side, hand.track_id): going_on.get((hand.side, hand.track_id), k) for hand in hands.hands}
        for hand in hands.hands:
            runs.setdefault((hand.side, hand.track_id, going_on[hand.side, hand.track_id]), []).append(hand.joints)
    return {key: np.stack(joints) for key, joints in runs.items()}


def _rms(values: Sequence[FloatArray]) -> float:
    """Of the lengths of vectors (..., 3); NaN for none."""
    flat = np.concatenate([v.reshape(-1, 3) for v in values]) if values else np.zeros((0, 3))
    return float(np.sqrt((flat**2).sum(-1).mean())) if len(flat) else float("nan")


def _mean_length(values: Sequence[FloatArray]) -> float:
    flat = np.concatenate([v.reshape(-1, 3) for v in values]) if values else np.zeros((0, 3))
    return float(np.linalg.norm(flat, axis=-1).mean()) if len(flat) else float("nan")
