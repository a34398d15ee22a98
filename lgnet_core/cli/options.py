"""What several commands share: their options, the console, and the word about what is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console()


class EngineName(str, Enum):
    """How the network is run."""

    auto = "auto"
    eager = "eager"
    cuda_graph = "cuda-graph"
    onnx = "onnx"


Weights = Annotated[Path | None, typer.Option("--weights", "-w", help="Weights file (.safetensors). Default: bundled.")]
Preset = Annotated[
    str,
    typer.Option(
        help="lgnet, lgnet-light, lgnet-hand, lgnet-mini, eanet, eanet-mini, intershape, intershape-mini; with -paper "
        "the geometry as printed; of LGNet -without-PART leaves a part out (lgblock, refine-stage, ...)."
    ),
]
Backbone = Annotated[
    str | None, typer.Option(help="resnet50, efficientnet_lite0 or hand_landmark. Default: the preset's.")
]
HandModelPath = Annotated[
    Path | None, typer.Option("--hand-model", help="Folder that `lgnet mano convert` wrote. Default: the bundled hand.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")]
CropSize = Annotated[
    int | None,
    typer.Option("--size", min=32, help="Side of the crops, a multiple of 32. Default: that of the weights' training."),
]
EngineOption = Annotated[
    EngineName, typer.Option("--engine", help="auto: CUDA graphs on a GPU, ONNX Runtime on a CPU.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option("--root", help="Folder of the set: InterHand2.6M (annotations/, images/), HIC (HIC.json), ..."),
]
AnnotationOption = Annotated[str, typer.Option("--annotation", help="Of InterHand2.6M: H, M or H+M.")]
SubsetOption = Annotated[
    str, typer.Option("--subset", help="Of InterHand2.6M: all, SH, IH, or lgnet: the rule of LGNet and IntagHand.")
]
Threshold = Annotated[
    float | None, typer.Option("--threshold", help="Probability from which on a hand is reported. Default: 0.5.")
]
HandLength = Annotated[
    float | None,
    typer.Option(
        "--hand-length", help="Metres from wrist to middle fingertip of the user's flat hand: fixes the scale."
    ),
]


def wide_console() -> Console:
    """For tables: a file is not folded at 80 columns."""
    return console if console.is_terminal else Console(width=150)


@contextmanager
def needs_training_extra(what: str) -> Iterator[None]:
    """Say how to install what an import inside lacks; ``what`` needs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{what} needs {error.name}, which is not installed: pip install 'lgnet_ros[train]'"
        ) from error
