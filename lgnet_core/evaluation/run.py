"""Implementation of ``lgnet eval`` on crops: evaluates a weights file on a data set and writes all results."""

from __future__ import annotations

import copy
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lgnet_core import __version__
from lgnet_core.engines.base import resolve_device
from lgnet_core.evaluation.analysis import AnalysisObservers
from lgnet_core.evaluation.baselines import RandomHands
from lgnet_core.evaluation.benchmark.machine import machine_description
from lgnet_core.evaluation.datasets.factory import DatasetConfig, open_images
from lgnet_core.evaluation.evaluate import ALL, evaluate, evenly_spaced
from lgnet_core.evaluation.report.charts import write_asymmetry, write_pck, write_reliability
from lgnet_core.evaluation.report.prediction_sheet import WorstImages, write_sheet
from lgnet_core.evaluation.report.report import EvaluationReport
from lgnet_core.hand_model import HandLayer, load_hand_layer
from lgnet_core.io.checkpoint_files import weights_digest
from lgnet_core.io.output import make_folder
from lgnet_core.network import HandLGNet
from lgnet_core.network.checkpoint import load_network_for
from lgnet_core.network.checkpoint_metadata import crop_size

_SHEET_CANDIDATES = 200  # images from which the prediction sheet is drawn


def run_evaluation(
    out: Path,
    dataset: DatasetConfig,
    weights: Path | None = None,
    hand_model: HandLayer | None = None,
    count: int | None = None,
    device: str = "auto",
    batch_size: int = 32,
    console: Console | None = None,
    workers: int = 0,
) -> EvaluationReport:
    """Evaluate a weights file, and write ``figures.json``, ``figures.csv``, charts and contact sheets.

    Charts show PCK, reliability and errors by asymmetry; contact sheets show predictions and the worst of them.

    Args:
        out: output folder, created if missing. dataset: the images to evaluate on.
        weights: a file; None: the bundled ones. hand_model: the user's MANO; None: the bundled hand.
        count: evaluate only this many images, spread evenly over the data set.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``. batch_size: images per batch.
        console: shows messages and a progress bar; None: quiet.
        workers: processes that load images; 0: load in this process.

    Raises:
        ValueError: if weights, data and hand model are incompatible.
        OSError: if a file is missing or cannot be written.
    """
    started = time.perf_counter()
    console = console or Console(quiet=True)
    mano = copy.deepcopy(hand_model)  # the network's copy moves to its device; the data set's stays on the CPU
    network, metadata = load_network_for(weights, hand_model or load_hand_layer())
    network = network.to(resolve_device(device))
    images = open_images(dataset, network.hand_model, mano, console)
    make_folder(out)
    size = crop_size(metadata)
    if isinstance(network, HandLGNet) and images.size is not None:
        size = images.size  # its crops are cut from the images at their own resolution
    weights_name, num_images = "bundled" if weights is None else str(weights), len(evenly_spaced(len(images), count))
    # Printed in addition to the progress bar, which is not shown without a terminal.
    console.print(Text(f"evaluating weights {weights_name} on {num_images} images of {images.name}"), soft_wrap=True)
    analysis = AnalysisObservers(network, images, dataset, num_images)
    worst_images = WorstImages()
    results = evaluate(network, images, size, count, batch_size, console, [*analysis.observers, worst_images], workers)
    analyses = analysis.compute()
    if not results[ALL].images:
        reasons = ", ".join(f"{number} x {reason}" for reason, number in analyses.skipped.items())
        raise ValueError(f"{images.name}: none of its images could be read ({reasons}); check the images below --root")
    report = EvaluationReport(
        results=results,
        analyses=analyses,
        data=f"{images.name} ({results[ALL].images} images)",
        weights=weights_name,
        provenance={
            "weights": {
                "file": weights_name,
                "sha256": weights_digest(weights),
                "metadata": metadata,
            },
            "data": {
                "name": images.name,
                "metadata": images.metadata,
                "evaluated": results[ALL].images,
                "total": len(images),
            },
            "random_hands_sha256": RandomHands(network.hand_model).digest,
            "size": size,
            "device": str(next(network.parameters()).device),
            "batch_size": batch_size,
            "version": __version__,
            "machine": machine_description(),
            "seconds": round(time.perf_counter() - started, 1),
        },
    )
    report.write_json(out / "figures.json")
    report.write_csv(out / "figures.csv")
    with console.status("drawing"):
        write_pck(out / "pck.png", report)
        write_reliability(out / "reliability.png", report)
        write_asymmetry(out / "asymmetry.png", report)
        candidates = evenly_spaced(len(images), min(count or _SHEET_CANDIDATES, _SHEET_CANDIDATES))
        write_sheet(out / "predictions.png", network, images, size, candidates)
        worst_images.write(out / "worst.png", network, size)
    return report
