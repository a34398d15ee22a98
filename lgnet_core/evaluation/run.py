"""The work of ``lgnet eval``: a weights file judged on a set of images, and all of it written down."""

from __future__ import annotations

import copy
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lgnet_core import __version__
from lgnet_core.engines.base import resolve_device
from lgnet_core.evaluation.analyses import AnalysisScores
from lgnet_core.evaluation.baselines import RandomHands
from lgnet_core.evaluation.benchmark.bench import machine_description
from lgnet_core.evaluation.charts import write_asymmetry, write_pck, write_reliability
from lgnet_core.evaluation.evaluate import ALL, chosen, evaluate
from lgnet_core.evaluation.prediction_sheet import WorstImages, write_sheet
from lgnet_core.evaluation.report import Report
from lgnet_core.evaluation.sets import Choice, open_images
from lgnet_core.hand_model import HandModel, load_hand_model
from lgnet_core.network import HandLGNet
from lgnet_core.network.checkpoint import crop_size, load_own_network, weights_digest

_LOOKED_AT = 200  # images among which those of the sheet are taken


def run_evaluation(
    out: Path,
    choice: Choice,
    weights: Path | None = None,
    hand_model: HandModel | None = None,
    count: int | None = None,
    device: str = "auto",
    batch_size: int = 32,
    console: Console | None = None,
    workers: int = 0,
) -> Report:
    """Evaluate, and write ``figures.json``, ``figures.csv``, and images.

    These are charts of PCK, reliability and asymmetry, and sheets of predictions and of the worst of them.

    Args:
        out: folder, which is made. choice: of the images.
        weights: a file; None: the bundled ones. hand_model: the user's MANO; None: the bundled hand.
        count: evaluate this many images only, spread evenly over the set.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``. batch_size: images at a time.
        console: says what is judged, and shows a progress bar; None: quiet.
        workers: processes that read images; 0: this one does.

    Raises:
        ValueError: if weights, data and hand model do not go together.
        OSError: if something is not there or cannot be written.
    """
    started = time.perf_counter()
    console = console or Console(quiet=True)
    mano = copy.deepcopy(hand_model)  # the network's goes to its device, that of the images stays where they are read
    network, metadata = load_own_network(weights, hand_model or load_hand_model())
    network = network.to(resolve_device(device))
    images = open_images(choice, network.hand_model, mano, console)
    out.mkdir(parents=True, exist_ok=True)
    size = crop_size(metadata)
    if isinstance(network, HandLGNet) and images.size is not None:
        size = images.size  # its crops are cut from the images as they are
    judged, judged_on = "bundled" if weights is None else str(weights), len(chosen(len(images), count))
    # Also where there is no terminal, and thus no bar.
    console.print(Text(f"judging weights {judged} on {judged_on} images of {images.name}"), soft_wrap=True)
    scores = AnalysisScores(network, images, choice, judged_on)
    worst = WorstImages()
    results = evaluate(network, images, size, count, batch_size, console, [*scores.observers, worst], workers)
    studies = scores.found()
    if not results[ALL].images:
        reasons = ", ".join(f"{number} x {reason}" for reason, number in studies.skipped.items())
        raise ValueError(f"{images.name}: none of its images could be read ({reasons}); see to its images at --root")
    report = Report(
        results=results,
        studies=studies,
        data=f"{images.name} ({results[ALL].images} images)",
        weights=judged,
        provenance={
            "weights": {
                "file": judged,
                "sha256": weights_digest(weights),
                "metadata": metadata,
            },
            "data": {
                "name": images.name,
                "metadata": images.metadata,
                "evaluated": results[ALL].images,
                "of": len(images),
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
        attention_maps = chosen(len(images), min(count or _LOOKED_AT, _LOOKED_AT))
        write_sheet(out / "predictions.png", network, images, size, attention_maps)
        worst.write(out / "worst.png", network, size)
    return report
