"""Evaluate trained weights on the frozen held-out set, and bundle them with the results.

    python tools/builders/ship_weights.py runs/lgnet-hand/weights.safetensors \
        --data "description of the training data" --calibration-set SET [--ship]

Several weights files are averaged (:func:`lgnet_core.network.checkpoint.load_averaged_network`). The predicted standard
deviations are calibrated on a stored set of ``lgnet synth`` with a seed that is neither used for training nor for
evaluation. The script evaluates the network in half precision, as it is shipped, prints the table of ``lgnet eval`` and
writes its files to ``--out``. With ``--ship``, the weights replace the bundled ones, with metrics and provenance in the
file's metadata. If their architecture is another one, run ``build_graphs.py`` afterwards.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from lgnet_core.cli.options import wide_console
from lgnet_core.evaluation.datasets.factory import DatasetConfig
from lgnet_core.evaluation.evaluate import ALL
from lgnet_core.evaluation.metrics.calibration import best_temperature
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.io.checkpoint_files import BUNDLED_WEIGHTS
from lgnet_core.network.checkpoint import load_averaged_network, save_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--data", required=True, help="description of the training data, stored in the file's metadata")
    parser.add_argument("--calibration-set", type=Path, required=True, help="folder written by `lgnet synth`")
    parser.add_argument("--count", type=int, help="evaluate on this number of images only")
    parser.add_argument("--out", type=Path, default=Path("out/eval"))
    parser.add_argument("--ship", action="store_true")
    arguments = parser.parse_args()

    if arguments.ship and arguments.count:
        parser.error("--ship needs the metrics of the whole set: omit --count")

    console = wide_console()
    network, metadata = load_averaged_network(arguments.weights)
    half_precision = arguments.out / "weights.safetensors"
    save_network(half_precision, network, metadata, half=True)
    dataset = DatasetConfig(data=str(arguments.calibration_set))
    uncalibrated = run_evaluation(arguments.out / "calibration", dataset, half_precision, console=console)
    temperature = best_temperature(torch.tensor(uncalibrated.results[ALL].weights.reliability))
    network.scale_joint_std(temperature)
    calibration = {"set": arguments.calibration_set.name, "factor": temperature}
    print(f"standard deviations: multiplied by {temperature:.3f}")
    save_network(half_precision, network, metadata, half=True)
    report = run_evaluation(arguments.out, DatasetConfig(), half_precision, count=arguments.count, console=console)
    console.print(report.table())
    if arguments.ship:
        provenance = {
            "data": arguments.data,
            "std_calibration": calibration,
            "figures": {"data": report.provenance["data"], "values": report.metrics()},
        }
        save_network(BUNDLED_WEIGHTS, network, {**metadata, **provenance}, half=True)
        print(f"{BUNDLED_WEIGHTS}: {BUNDLED_WEIGHTS.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
