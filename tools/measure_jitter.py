"""Jitter and lag of the hands in synthetic sequences at 30 Hz, still and moving, with and without smoothing.

    python tools/measure_jitter.py [-o DIR] [--weights FILE] [--threads 1] [--min-cutoff 0.5 1 2] [--beta 2 10 50]

The moving sequence is the demo clip's script drawn at 30 Hz; the still ones are single frames of it, shown again and
again. Every picture gets noise of its own, as a camera's do: else a still one would not jitter at all. Beside the
network's hands stand the true ones with noise of known size (MODEL), which tell the filter from the network.

Jitter is the root mean square of the second differences of the joints' errors, millimetres: a hand's true acceleration
does not count. Lag is the delay of the smoothed joints against the unsmoothed ones, milliseconds. Errors are means over
the hands that are there and were found. Prints a table, and writes DIR/jitter.json; the drawn clip is kept in DIR and
used again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_demo_clip import make_clip
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lgnet_core.camera import project_distorted
from lgnet_core.checkpoint import weights_digest
from lgnet_core.demo import Clip, read_clip, write_clip
from lgnet_core.inference import HandEstimator, HandTracker, Smoothing
from lgnet_core.inference.bench import machine_description
from lgnet_core.inference.smoothing import HandSmoother
from lgnet_core.types import WRIST, FloatArray, Hand, Side, TwoHands

RATE = 30.0
NOISE = 2.5  # grey levels of 255, standard deviation: a webcam's in a room's light
STILL_SECONDS = 2.0
STILL_AT = (0.0, 1.4, 2.8)  # seconds of the clip: hands apart, palm on palm, pointing at a palm
APPEARANCE = 15  # the demo clip's
MODEL = {"ray": 0.001, "depth": 0.006, "shape": 0.002}  # metres per picture, standard deviations, independent
MEANS_OVER = 5  # pictures: what lag is measured on is averaged over so many
NO_FACES = np.zeros((0, 3), int)
LAGS = np.arange(-0.05, 0.4001, 0.0025)  # seconds


@dataclass(frozen=True)
class Result:
    """One way of estimating on one sequence.

    Args:
        source: "network", or "model" for true hands with noise of known size.
        jitter, jitter_relative: mm, of the joints in the camera frame and relative to their wrists.
        error, error_relative: mm.
        lag: ms; NaN for hands that stand still.
        seen: hands found; missed: there, not found; tracks: track ids that were given.
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


def noisy(frames: Sequence[FloatArray], seed: int = 0) -> list[FloatArray]:
    """Pictures with independent noise."""
    rng = np.random.default_rng(seed)
    return [np.clip(f + rng.normal(0, NOISE, f.shape).round(), 0, 255).astype(np.uint8) for f in frames]


def sequences(clip: Clip) -> dict[str, Clip]:
    """The moving sequence, and a still one for each of STILL_AT."""
    out = {"moving": replace(clip, frames=noisy(clip.frames))}
    for seconds in STILL_AT:
        k, count = round(seconds * RATE), round(STILL_SECONDS * RATE)
        frames = noisy([clip.frames[k]] * count, seed=k + 1)
        joints, presence = (np.repeat(a[k : k + 1], count, 0) for a in (clip.joints, clip.presence))
        out[f"still at {seconds:.1f} s"] = replace(clip, frames=frames, joints=joints, presence=presence)
    return out


def follow(estimator: HandEstimator, clip: Clip, detection_interval: int) -> list[TwoHands]:
    """The hands of every picture, not smoothed."""
    tracker = HandTracker(estimator, detection_interval=detection_interval)
    return [
        tracker.update(frame, clip.camera, round(k / RATE * 1e9))
        for k, frame in enumerate(track(clip.frames, "estimating", transient=True))
    ]


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
                hands[side] = Hand(side, 1.0, seen, seen, NO_FACES, pixels, off[:, 0], turns, np.zeros(10), 1)
        out.append(TwoHands(hands.get(Side.RIGHT), hands.get(Side.LEFT), None, metric=True))
    return out


def smoothed(found: Sequence[TwoHands], settings: Smoothing) -> list[TwoHands]:
    """What the tracker makes of the same hands with smoothing: it never looks at smoothed hands itself."""
    smoothers: dict[tuple[Side, int], HandSmoother] = {}
    out = []
    for hands in found:
        done = {
            hand.side: smoothers.setdefault((hand.side, hand.track_id), HandSmoother())(hand, 1 / RATE, settings, True)
            for hand in hands.hands
        }
        out.append(replace(hands, right=done.get(Side.RIGHT), left=done.get(Side.LEFT)))
    return out


def tracks_of(found: Sequence[TwoHands]) -> dict[tuple[Side, int], tuple[list[int], FloatArray]]:
    """Pictures and joints (T, 21, 3) of every track: a track has no holes."""
    rows: dict[tuple[Side, int], tuple[list[int], list[FloatArray]]] = {}
    for k, hands in enumerate(found):
        for hand in hands.hands:
            pictures, joints = rows.setdefault((hand.side, hand.track_id), ([], []))
            pictures.append(k)
            joints.append(hand.joints)
    return {key: (pictures, np.stack(joints)) for key, (pictures, joints) in rows.items()}


def evaluate(
    name: str, source: str, way: str, found: Sequence[TwoHands], plain: Sequence[TwoHands], clip: Clip
) -> Result:
    """Figures of one way; ``plain``: the same hands, not smoothed."""
    tracks, raw = tracks_of(found), tracks_of(plain)
    absolute: list[FloatArray] = []
    relative: list[FloatArray] = []
    seconds: list[list[FloatArray]] = [[], []]
    for (side, _), (pictures, joints) in tracks.items():
        there = clip.presence[pictures, side]
        errors = joints - clip.joints[pictures, side]  # (T, 21, 3)
        absolute.append(errors[there])
        relative.append((errors - errors[:, [WRIST]])[there])
        for out, values in zip(seconds, (errors, errors - errors[:, [WRIST]])):
            out.append(np.diff(values, 2, axis=0))
    return Result(
        sequence=name,
        source=source,
        way=way,
        jitter=1000 * _rms(seconds[0]),
        jitter_relative=1000 * _rms(seconds[1]),
        error=1000 * _mean_length(absolute),
        error_relative=1000 * _mean_length(relative),
        lag=1000 * lag([(tracks[key][1], raw[key][1]) for key in tracks]) if clip.joints.std(0).any() else float("nan"),
        seen=sum(len(hands.hands) for hands in found),
        missed=int(
            sum(clip.presence[k, s] and (h.right, h.left)[s] is None for k, h in enumerate(found) for s in Side)
        ),
        tracks=len(tracks),
    )


def lag(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> float:
    """Seconds by which the first of each pair (T, 21, 3) comes after the second, by least squares; NaN if too short."""
    costs = np.zeros(len(LAGS))
    kernel = np.ones(MEANS_OVER) / MEANS_OVER
    for late, plain in pairs:
        if len(late) < 4 * MEANS_OVER:
            continue
        late, plain = (
            np.stack([np.convolve(column, kernel, "valid") for column in x.reshape(len(x), -1).T], 1)
            for x in (late, plain)
        )
        times = np.arange(len(late)) / RATE
        inside = (times >= LAGS.max()) & (times <= times[-1] + LAGS.min())
        for k, delay in enumerate(LAGS):
            moved = np.stack([np.interp(times[inside] - delay, times, column) for column in plain.T], 1)
            costs[k] += ((late[inside] - moved) ** 2).sum()
    return float(LAGS[costs.argmin()]) if costs.any() else float("nan")


def _rms(values: Sequence[FloatArray]) -> float:
    """Of the lengths of vectors (..., 3); NaN for none."""
    flat = np.concatenate([v.reshape(-1, 3) for v in values]) if values else np.zeros((0, 3))
    return float(np.sqrt((flat**2).sum(-1).mean())) if len(flat) else float("nan")


def _mean_length(values: Sequence[FloatArray]) -> float:
    flat = np.concatenate([v.reshape(-1, 3) for v in values]) if values else np.zeros((0, 3))
    return float(np.linalg.norm(flat, axis=-1).mean()) if len(flat) else float("nan")


def measure(estimator: HandEstimator, clip: Clip, settings: Sequence[Smoothing]) -> list[Result]:
    """Every sequence: each picture for itself, followed, and followed and smoothed in several ways."""
    results = []
    for name, sequence in sequences(clip).items():
        single = follow(estimator, sequence, detection_interval=1)
        results.append(evaluate(name, "network", "each picture for itself", single, single, sequence))
        for source, plain in (("network", follow(estimator, sequence, 10)), ("model", modelled(sequence))):
            results.append(evaluate(name, source, "followed", plain, plain, sequence))
            for setting in settings:
                way = f"smoothed {setting.min_cutoff:g} Hz, {setting.beta:g}/m"
                results.append(evaluate(name, source, way, smoothed(plain, setting), plain, sequence))
    return results


def table(results: Sequence[Result]) -> Table:
    """For a terminal."""
    out = Table(title="Jitter (RMS of second differences), error and lag at 30 Hz; relative: to the wrist")
    words = ("sequence", "hands from", "way")
    heads = (*words, "jitter mm", "relative", "error mm", "relative", "lag ms", "seen", "missed", "tracks")
    for head in heads:
        out.add_column(head, justify="left" if head in words else "right", no_wrap=True)
    for row in results:
        out.add_row(*(f"{v:.2f}" if isinstance(v, float) else str(v) for v in asdict(row).values()))
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/jitter"))
    parser.add_argument("--weights", type=Path, help="a checkpoint; the bundled weights if not given")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--min-cutoff", type=float, nargs="+", default=[Smoothing.min_cutoff], help="Hz")
    parser.add_argument("--beta", type=float, nargs="+", default=[Smoothing.beta], help="Hz per m/s")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    drawn = args.out / "clip_30hz.npz"
    if not drawn.is_file():
        write_clip(drawn, make_clip(APPEARANCE, RATE), quality=95)
    estimator = HandEstimator.load(args.weights, threads=args.threads)
    settings = [Smoothing(cutoff, beta) for cutoff in args.min_cutoff for beta in args.beta]
    results = measure(estimator, read_clip(drawn), settings)
    Console(width=140).print(table(results))
    document: dict[str, Any] = {
        "machine": machine_description(),
        "weights": weights_digest(args.weights),
        "engine": str(estimator.engine),
        "detector": type(estimator.detector).__name__,
        "units": "mm, ms",
        "noise": NOISE,
        "model": MODEL,
        "rate": RATE,
        "results": [asdict(row) for row in results],
    }
    (args.out / "jitter.json").write_text(json.dumps(document, indent=2) + "\n")
    print(args.out / "jitter.json")


if __name__ == "__main__":
    main()
