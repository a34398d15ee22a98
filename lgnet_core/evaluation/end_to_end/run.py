"""Implementation of ``lgnet eval`` for complete methods on full images; writes all results."""

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
from lgnet_core.engines.factory import make_engine
from lgnet_core.evaluation.benchmark.background_load import background_load
from lgnet_core.evaluation.benchmark.machine import machine_description
from lgnet_core.evaluation.end_to_end.clip_jitter import RATE, jitter_metrics, measure_jitter
from lgnet_core.evaluation.end_to_end.clip_scores import ClipScores, score_clip
from lgnet_core.evaluation.end_to_end.depth_scores import score_moving_hands, score_still_hands
from lgnet_core.evaluation.end_to_end.latency import measure_latencies
from lgnet_core.evaluation.end_to_end.mediapipe_process import MediaPipeProcess, interpreter_with_mediapipe
from lgnet_core.evaluation.end_to_end.mediapipe_reference import MediaPipeReference
from lgnet_core.evaluation.end_to_end.palm_scores import PalmScores, palm_images
from lgnet_core.evaluation.end_to_end.realhands import evaluate_realhands
from lgnet_core.evaluation.end_to_end.report import EndToEndReport, MetricTable, collect
from lgnet_core.evaluation.end_to_end.reported_hand import Method, ReportedHand, to_reported_hands
from lgnet_core.evaluation.end_to_end.synthetic_full import COUNT, SEED, DetectionScores, generate_image
from lgnet_core.evaluation.end_to_end.testdata import evaluate_testdata
from lgnet_core.hand_model import HandLayer
from lgnet_core.inference import HandEstimator, HandTracker
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.palms import PalmDetection
from lgnet_core.io.checkpoint_files import read_metadata, weights_digest
from lgnet_core.io.output import make_folder
from lgnet_core.network.detector.palm_detector import load_mediapipe_palm_detector
from lgnet_core.synthetic.demo_animation import render_clip
from lgnet_core.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.types import Camera, ImageArray

LGNET = "lgnet"


@dataclass(frozen=True)
class EndToEndConfig:
    """Full images and settings of an end-to-end evaluation.

    Args:
        data: one of :data:`END_TO_END_DATASETS`.
        root: folder of ``realhands`` or of ``testdata``. split: of ``realhands``.
        seed: of ``synthetic-full``, ``palms`` and ``depth``.
        count: number of images of these, or of ``realhands``, spread evenly; None: 200, or all.
        mediapipe: a Python with mediapipe, to evaluate MediaPipe on the same images; None: this one, if it has it.
        background_processes: busy processes during a second measurement of the latency; 0: it is measured once.
    """

    data: str
    root: Path | None = None
    split: str = "dev"
    seed: int = SEED
    count: int | None = None
    mediapipe: Path | None = None
    background_processes: int = 0

    @property
    def folder(self) -> Path:
        """The root.

        Raises:
            ValueError: if there is none.
        """
        if self.root is None:
            raise ValueError(f"--data {self.data}: pass the folder of the images with --root")
        return self.root


def run_end_to_end(
    out: Path,
    config: EndToEndConfig,
    estimator: HandEstimator,
    weights: Path | None = None,
    console: Console | None = None,
) -> EndToEndReport:
    """Evaluate the estimator, and MediaPipe if available; write ``figures.json`` and contact sheets.

    Args:
        out: output folder, created if missing.
        weights: those of the estimator, for the report; None: the bundled ones.
        console: shows progress; None: quiet.

    Raises:
        ValueError: if a required setting is missing. RuntimeError: if MediaPipe cannot be run.
        OSError: if a file is missing or cannot be written.
    """
    started = time.perf_counter()
    run_dataset = END_TO_END_DATASETS[config.data]
    python = interpreter_with_mediapipe(config.mediapipe)
    make_folder(out)
    evaluation = _Evaluation(out, config, estimator, python, console or Console(quiet=True))
    metrics, details = run_dataset(evaluation)
    report = EndToEndReport(
        data=evaluation.data,
        metrics=metrics,
        details=details,
        notes=evaluation.notes,
        provenance={
            "weights": {
                "file": "bundled" if weights is None else str(weights),
                "sha256": weights_digest(weights),
                "metadata": read_metadata(weights),
            },
            "engines": {name: str(engine) for name, engine in estimator.engines.items()},
            "config": {name: value if isinstance(value, int) else str(value) for name, value in asdict(config).items()},
            "generator_version": GENERATOR_VERSION,
            "version": __version__,
            "machine": machine_description(),
            "seconds": round(time.perf_counter() - started, 1),
        },
    )
    report.write_json(out / "figures.json")
    return report


class _Evaluation:
    """State shared by the evaluations of all data sets."""

    def __init__(
        self, out: Path, config: EndToEndConfig, estimator: HandEstimator, python: Path | None, console: Console
    ) -> None:
        self.out, self.config, self.estimator, self.python, self.console = out, config, estimator, python, console
        self.data = config.data
        self.notes: list[str] = []

    def estimate(self, image: ImageArray, camera: Camera | None) -> list[ReportedHand]:
        """LGNet's hands in a single image."""
        return to_reported_hands(self.estimator.estimate(image, camera))

    @contextmanager
    def methods(self) -> Iterator[dict[str, Method]]:
        """Methods by name: LGNet, and MediaPipe if available."""
        methods: dict[str, Method] = {LGNET: self.estimate}
        if self.python is None:
            self.notes.append("MediaPipe is not installed; evaluate it too with --mediapipe PYTHON")
        with ExitStack() as processes:
            if self.python is not None:
                mediapipe = processes.enter_context(MediaPipeProcess(self.python))
                methods[mediapipe.name] = mediapipe
            yield methods


Result = tuple[MetricTable, dict[str, Any]]


def _realhands(evaluation: _Evaluation) -> Result:
    config = evaluation.config
    evaluation.data = f"realhands, {config.split}"
    with evaluation.methods() as methods:
        return evaluate_realhands(
            evaluation.out, config.folder, config.split, methods, MediaPipeReference(), config.count, evaluation.console
        )


def _testdata(evaluation: _Evaluation) -> Result:
    with evaluation.methods() as methods:
        return evaluate_testdata(evaluation.out, evaluation.config.folder, methods), {}


def _synthetic_full(evaluation: _Evaluation) -> Result:
    count, seed = evaluation.config.count or COUNT, evaluation.config.seed
    evaluation.data = f"{count} full synthetic images of seed {seed}"
    generator = SyntheticHands(seed, HandLayer.of(evaluation.estimator.hand_model))
    with evaluation.methods() as methods:
        scores_by_method = {name: DetectionScores() for name in methods}
        for index in track(range(count), "evaluating", console=evaluation.console, transient=True):
            truth = generate_image(generator, index)
            for name, method in methods.items():
                scores_by_method[name].update(truth, method(truth.image, truth.camera))
    return collect({"synthetic-full": {name: scores.compute() for name, scores in scores_by_method.items()}}), {}


def _palms(evaluation: _Evaluation) -> Result:
    count, seed = evaluation.config.count or COUNT, evaluation.config.seed
    evaluation.data = f"{count} full synthetic images of seed {seed}, and images with gloves"
    detectors = {
        LGNET: evaluation.estimator.detector.palms,
        "MediaPipe's palm detector": PalmDetection(make_engine(load_mediapipe_palm_detector(), "auto", "cpu")),
    }
    scores = {name: PalmScores() for name in detectors}
    images = palm_images(SyntheticHands(seed, HandLayer.of(evaluation.estimator.hand_model)), count)
    for image, hands in track(images, "evaluating", total=count, console=evaluation.console, transient=True):
        context = ImageContext.from_image(image.image, image.camera, evaluation.estimator.thresholds)
        for name, detector in detectors.items():
            scores[name].update(hands, detector.detect(context))
    return collect({"palm detector": {name: values.compute() for name, values in scores.items()}}), {}


def _clip(evaluation: _Evaluation) -> Result:
    clip = read_clip()
    with evaluation.methods() as methods:
        hands_by_method = {
            name: [method(frame, clip.camera) for frame in clip.frames]
            for name, method in track(methods.items(), "evaluating", console=evaluation.console, transient=True)
        }
    tracker = HandTracker(evaluation.estimator)
    hands_by_method[f"{LGNET}, tracked"] = [
        to_reported_hands(tracker.update(frame, clip.camera, round(k / clip.frames_per_second * 1e9)))
        for k, frame in enumerate(clip.frames)
    ]
    groups: dict[str, Mapping[str, Mapping[str, float]]] = {
        "demo clip": {name: _score_metrics(score_clip(hands, clip)) for name, hands in hands_by_method.items()},
        "latency": measure_latencies(evaluation.estimator, clip, LGNET, evaluation.python),
    }
    if evaluation.config.background_processes:
        with background_load(evaluation.config.background_processes):
            loaded = measure_latencies(evaluation.estimator, clip, LGNET, evaluation.python)
        groups[f"latency with {evaluation.config.background_processes} background processes"] = loaded
    return collect(groups), {}


def _score_metrics(scores: ClipScores) -> dict[str, float]:
    return {
        "hands": scores.found + scores.missed,
        "hands found": scores.found,
        "extra hands": scores.extra,
        "2D error, px": scores.error_pixels,
        "error relative to the wrist, mm": scores.error_relative,
        "error of the wrist position, mm": scores.error_wrist,
        "error between the wrists, placed, mm": scores.error_between,
        "acceleration error, placed, mm/s²": scores.error_acceleration,
        "acceleration error relative to the wrist, mm/s²": scores.error_acceleration_relative,
    }


def _jitter(evaluation: _Evaluation) -> Result:
    sequence_file = evaluation.out / "clip_30hz.npz"
    if not sequence_file.is_file():  # rendering takes a minute
        write_clip(sequence_file, render_clip(frames_per_second=RATE), quality=95)
    return jitter_metrics(measure_jitter(evaluation.estimator, read_clip(sequence_file), evaluation.console))


def _depth(evaluation: _Evaluation) -> Result:
    count, seed = evaluation.config.count or COUNT, evaluation.config.seed
    evaluation.data = f"{count} full synthetic images of seed {seed} and a synthetic clip, with depth maps"
    generator = SyntheticHands(seed, HandLayer.of(evaluation.estimator.hand_model))
    scores = score_still_hands(evaluation.estimator, generator, count, evaluation.console)
    scores |= score_moving_hands(evaluation.estimator, evaluation.console)
    return collect(scores), {}


END_TO_END_DATASETS: dict[str, Callable[[_Evaluation], Result]] = {
    "realhands": _realhands,
    "synthetic-full": _synthetic_full,
    "palms": _palms,
    "clip": _clip,
    "testdata": _testdata,
    "jitter": _jitter,
    "depth": _depth,
}
"""Data sets of ``lgnet eval --data`` on which complete methods are evaluated, by name."""
