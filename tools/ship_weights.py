"""Judge a training's weights on the frozen held-out set, and bundle them with the figures.

    python tools/ship_weights.py runs/lgnet-mini/weights.safetensors --data "what it was trained on" [--ship]

Of several weights files the mean is taken (:func:`lgnet_core.network.checkpoint.load_mean_network`). Prints what
``lgnet eval`` prints of it in half precision, as it is shipped, and writes its files to ``--out``. With ``--ship`` it
goes to lgnet_core/weights/lgnet-mini.safetensors, figures and provenance in the file's header.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lgnet_core.cli.options import wide_console
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.evaluation.sets import Choice
from lgnet_core.network.checkpoint import BUNDLED_WEIGHTS, load_mean_network, save_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--data", required=True, help="what the weights were trained on, for the file's header")
    parser.add_argument("--count", type=int, help="judge by this many images only")
    parser.add_argument("--out", type=Path, default=Path("out/eval"))
    parser.add_argument("--ship", action="store_true")
    arguments = parser.parse_args()

    if arguments.ship and arguments.count:
        parser.error("--ship needs the figures of the whole set: leave out --count")

    console = wide_console()
    network, metadata = load_mean_network(arguments.weights)
    halved = arguments.out / "weights.safetensors"
    save_network(halved, network, metadata, half=True)
    report = run_evaluation(arguments.out, Choice(), halved, count=arguments.count, console=console)
    console.print(report.table())
    if arguments.ship:
        about = {
            "data": arguments.data,
            "figures": {"data": report.provenance["data"], "values": report.figures()},
        }
        save_network(BUNDLED_WEIGHTS, network, {**metadata, **about}, half=True)
        print(f"{BUNDLED_WEIGHTS}: {BUNDLED_WEIGHTS.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
