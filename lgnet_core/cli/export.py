"""``lgnet export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.options import CropSize, HandModelPath, Weights, console, print_line


def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="ONNX file to write.")],
    weights: Weights = None,
    hand_model: HandModelPath = None,
    size: CropSize = None,
) -> None:
    """Export the network to ONNX; it predicts parameters and meshes of the hand model that it was trained with.

    A network with one crop per hand gives two files, OUT_landmarks.onnx and OUT_stages.onnx.
    """
    from lgnet_core.engines.export import export_onnx
    from lgnet_core.hand_model import load_hand_model
    from lgnet_core.io.output import check_output_file
    from lgnet_core.network.checkpoint import load_network_for
    from lgnet_core.network.checkpoint_metadata import crop_size
    from lgnet_core.network.exportable import input_shapes

    check_output_file(out)
    requested = load_hand_model(hand_model)
    network, metadata = load_network_for(weights, requested)
    for name, part in network.engine_parts().items():
        whole = part is network
        path = out if whole else out.with_stem(f"{out.stem}_{name}")
        inputs = network.example_inputs(size or crop_size(metadata)) if whole else part.example_inputs()
        with console.status("exporting"):
            export_onnx(part, path, inputs)
        shapes = ", ".join(f"{key} {'x'.join(map(str, shape))}" for key, shape in input_shapes(part, inputs).items())
        print_line(f"{path}: {path.stat().st_size / 1e6:.1f} MB, inputs {shapes}")
    own = network.hand_model
    if own.digest != requested.digest:
        note = (
            f"note: the exported network predicts hands of {own.name!r}, the hand model that it was trained with; "
            f"lgnet_core.inference.retarget converts them to {requested.name!r}"
        )
        print_line(note, "yellow")
