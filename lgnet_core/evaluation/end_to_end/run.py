"""The work of ``lgnet eval`` where whole programs are judged on full images, and all of it written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from lgnet_core import __version__
from lgnet_core.data.clip import read_clip, write_clip
from lgnet_core.evaluation.benchmark.busy import busy_processes
from lgnet_core.evaluation.benchmark.machine import machine_description
from lgnet_core.evaluation.clip_scores import Scores, measure
from lgnet_core.evaluation.end_to_end.clip_jitter import RATE, jitter_figures, measure_jitter
from lgnet_core.evaluation.end_to_end.frozen_reference import FrozenReference
from lgnet_core.evaluation.end_to_end.known_images import evaluate_testdata
from lgnet_core.evaluation.end_to_end.mediapipe_program import MediaPipeProgram, interpreter_with_mediapipe
from lgnet_core.evaluation.end_to_end.program_latency import latencies
from lgnet_core.evaluation.end_to_end.program_report import EndToEndReport, Figures, collect
from lgnet_core.evaluation.end_to_end.real_images import evaluate_realhands
from lgnet_core.evaluation.end_to_end.synthetic_full import COUNT, SEED, FullImageFigures, draw
from lgnet_core.evaluation.reported import Method, ReportedHand, reported
from lgnet_core.inference import HandEstimator, HandTracker
from lgnet_core.network.checkpoint import read_metadata, weights_digest
from lgnet_core.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.synthetic.script import draw_clip
from lgnet_core.types import Camera, FloatArray

OURS = "lgnet"


@dataclass(frozen=True)
class FullImages:
    """Which full images programs are judged on.

    Args:
        data: one of :data:`FULL_IMAGES`.
        root: folder of ``realhands`` or of ``testdata``. split: of ``realhands``.
        seed: of ``synthetic-full``.
        count: images of ``synthetic-full``, or so many of ``realhands``, spread evenly; None: 200, or all.
        mediapipe: a Python with mediapipe, whose program is judged on the same images; None: this one, if it has it.
        beside: processes that keep the machine busy while latency is measured a second time; 0: it is measured once.
    """

    data: str
    root: Path | None = None
    split: str = "dev"
    seed: int = SEED
    count: int | None = None
    mediapipe: Path | None = None
    beside: int = 0

    @property
    def folder(self) -> Path:
        """The root.

        Raises:
            ValueError: if none was given.
        """
        if self.root is None:
            raise ValueError(f"--data {self.data}: name the folder of the images with --root")
        return self.root


def run_programs(
    out: Path,
    choice: FullImages,
    estimator: HandEstimator,
    weights: Path | None = None,
    console: Console | None = None,
) -> EndToEndReport:
    """Judge the estimator, beside MediaPipe where that is at hand; write ``figures.json`` and contact sheets.

    Args:
        out: folder, which is made.
        weights: those of the estimator, for the report; None: the bundled ones.
        console: shows progress; None: quiet.

    Raises:
        ValueError: if there are no such images. RuntimeError: if the Python given for MediaPipe cannot run it.
        OSError: if something is not there or cannot be written.
    """
    started = time.perf_counter()
    judge = FULL_IMAGES[choice.data]
    python = interpreter_with_mediapipe(choice.mediapipe)
    out.mkdir(parents=True, exist_ok=True)
    job = _Job(out, choice, estimator, python, console or Console(quiet=True))
    figures, details = judge(job)
    notes = [] if python else ["MediaPipe is not installed here; judge it beside with --mediapipe PYTHON"]
    report = EndToEndReport(
        data=job.data,
        figures=figures,
        details=details,
        notes=notes,
        provenance={
            "weights": {
                "file": "bundled" if weights is None else str(weights),
                "sha256": weights_digest(weights),
                "metadata": read_metadata(weights),
            },
            "engines": {name: str(engine) for name, engine in estimator.engines.items()},
            "choice": {name: value if isinstance(value, int) else str(value) for name, value in asdict(choice).items()},
            "generator_version": GENERATOR_VERSION,
            "version": __version__,
            "machine": machine_description(),
            "seconds": round(time.perf_counter() - started, 1),
        },
    )
    report.write_json(out / "figures.json")
    return report


class _Job:
    """What every set needs to be judged."""

    def __init__(
        self, out: Path, choice: FullImages, estimator: HandEstimator, python: Path | None, console: Console
    ) -> None:
        self.out, self.choice, self.estimator, self.python, self.console = out, choice, estimator, python, console
        self.data = choice.data

    def ours(self, image: FloatArray, camera: Camera | None) -> list[ReportedHand]:
        """LGNet's hands of a single image."""
        return reported(self.estimator.estimate(image, camera))

    @contextmanager
    def programs(self) -> Iterator[dict[str, Method]]:
        """By name: LGNet, and MediaPipe's where it is at hand."""
        programs: dict[str, Method] = {OURS: self.ours}
        with ExitStack() as processes:
            if self.python is not None:
                theirs = processes.enter_context(MediaPipeProgram(self.python))
                programs[theirs.name] = theirs
            yield programs


Judged = tuple[Figures, dict[str, Any]]


def _realhands(job: _Job) -> Judged:
    choice = job.choice
    job.data = f"realhands, {choice.split}"
    with job.programs() as programs:
        return evaluate_realhands(
            job.out, choice.folder, choice.split, programs, FrozenReference(), choice.count, job.console
        )


def _testdata(job: _Job) -> Judged:
    with job.programs() as programs:
        return evaluate_testdata(job.out, job.choice.folder, programs), {}


def _synthetic_full(job: _Job) -> Judged:
    count, seed = job.choice.count or COUNT, job.choice.seed
    job.data = f"{count} full synthetic images of seed {seed}"
    generator = SyntheticHands(seed, job.estimator.hand_model)
    with job.programs() as programs:
        figures = {name: FullImageFigures() for name in programs}
        for index in track(range(count), "judging", console=job.console, transient=True):
            truth = draw(generator, index)
            for name, program in programs.items():
                figures[name].update(truth, program(truth.image, truth.camera))
    return collect({"synthetic-full": {name: of_program.compute() for name, of_program in figures.items()}}), {}


def _clip(job: _Job) -> Judged:
    clip = read_clip()
    with job.programs() as programs:
        found = {
            name: [program(frame, clip.camera) for frame in clip.frames]
            for name, program in track(programs.items(), "judging", console=job.console, transient=True)
        }
    tracker = HandTracker(job.estimator)
    found[f"{OURS}, followed"] = [
        reported(tracker.update(frame, clip.camera, round(k / clip.frames_per_second * 1e9)))
        for k, frame in enumerate(clip.frames)
    ]
    groups: dict[str, Mapping[str, Mapping[str, float]]] = {
        "demo clip": {name: _score_figures(measure(hands, clip)) for name, hands in found.items()},
        "latency": latencies(job.estimator, clip, OURS, job.python),
    }
    if job.choice.beside:
        with busy_processes(job.choice.beside):
            busy = latencies(job.estimator, clip, OURS, job.python)
        groups[f"latency beside {job.choice.beside} busy processes"] = busy
    return collect(groups), {}


def _score_figures(scores: Scores) -> dict[str, float]:
    return {
        "hands": scores.found + scores.missed,
        "hands found": scores.found,
        "extra hands": scores.extra,
        "2D error, px": scores.error_pixels,
        "error from the wrist, mm": scores.error_relative,
        "error of the wrist's place, mm": scores.error_wrist,
        "error between the wrists, placed, mm": scores.error_between,
    }


def _jitter(job: _Job) -> Judged:
    drawn = job.out / "clip_30hz.npz"
    if not drawn.is_file():  # takes a minute
        write_clip(drawn, draw_clip(frames_per_second=RATE), quality=95)
    return jitter_figures(measure_jitter(job.estimator, read_clip(drawn), job.console))


FULL_IMAGES: dict[str, Callable[[_Job], Judged]] = {
    "realhands": _realhands,
    "synthetic-full": _synthetic_full,
    "clip": _clip,
    "testdata": _testdata,
    "jitter": _jitter,
}
"""What ``lgnet eval --data`` judges whole programs on, by name."""
