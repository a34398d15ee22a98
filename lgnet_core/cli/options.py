"""Options and console output that several commands share."""

from __future__ import annotations

import math
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from lgnet_core.recording.formats import RecordingFormat

if TYPE_CHECKING:
    from lgnet_core.io.assumed_camera import AssumedCamera
    from lgnet_core.types import Camera

console = Console()


class EngineName(str, Enum):
    """Inference engines."""

    auto = "auto"
    eager = "eager"
    cuda_graph = "cuda-graph"
    onnx = "onnx"


Weights = Annotated[
    Path | None, typer.Option("--weights", "-w", help="Checkpoint (.safetensors). Default: the bundled weights.")
]
Preset = Annotated[
    str,
    typer.Option(
        help="lgnet, lgnet-light, lgnet-hand, lgnet-mini, eanet, eanet-mini, intershape or intershape-mini. The suffix "
        "-paper selects the published geometry; for LGNet, -without-PART removes a part (lgblock, refine-stage, ...)."
    ),
]
Backbone = Annotated[
    str | None, typer.Option(help="resnet50, efficientnet_lite0 or hand_landmark. Default: the preset's.")
]
HandModelPath = Annotated[
    Path | None,
    typer.Option("--hand-model", help="Folder written by `lgnet mano convert`. Default: the bundled hand model."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")]
CropSize = Annotated[
    int | None,
    typer.Option("--size", min=32, help="Side of the crops, a multiple of 32. Default: the size used in training."),
]
EngineOption = Annotated[
    EngineName, typer.Option("--engine", help="auto: CUDA graphs on a GPU, ONNX Runtime on a CPU.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option("--root", help="Root folder of the dataset: the manual's page on datasets says what it holds."),
]
AnnotationOption = Annotated[str, typer.Option("--annotation", help="InterHand2.6M annotation set: H, M or H+M.")]
SubsetOption = Annotated[
    str, typer.Option("--subset", help="InterHand2.6M subset: all, SH, IH, or lgnet (as LGNet and IntagHand filter).")
]
Threshold = Annotated[
    float | None, typer.Option("--threshold", help="Minimum presence probability of a reported hand. Default: 0.5.")
]
HandLength = Annotated[
    float | None,
    typer.Option(
        "--hand-length", help="Length of the user's flat hand, wrist to middle fingertip, metres: fixes the scale."
    ),
]
FieldOfView = Annotated[
    float | None, typer.Option("--fov", help="Instead of a calibration: horizontal field of view, degrees.")
]
FocalLength = Annotated[
    float | None, typer.Option("--focal", help="Instead of a calibration: focal length, pixels of the image.")
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads. Default: one per core available to the process.")
]


def wide_console() -> Console:
    """Console for tables; wider than 80 columns when the output is not a terminal."""
    return console if console.is_terminal else Console(width=150)


RecordOption = Annotated[
    list[RecordingFormat] | None,
    typer.Option(
        "--record", help="Also record as moving meshes (glb), for Foxglove (mcap) or for rerun (rrd). Repeatable."
    ),
]


def print_line(text: str, style: str = "") -> None:
    """Print one line unwrapped, without interpreting brackets as markup."""
    console.print(Text(text, style), soft_wrap=True)


def choose_camera(
    option: str, file: Path | None, fov: float | None, focal: float | None
) -> Camera | AssumedCamera | None:
    """The camera that the options describe; None without any of them.

    Args:
        option: name of the one that gives the calibration ``file``.

    Raises:
        ValueError: if there are several, or one is invalid.
    """
    from lgnet_core.io.assumed_camera import AssumedCamera
    from lgnet_core.io.calibration import read_camera

    if sum(value is not None for value in (file, fov, focal)) > 1:
        raise ValueError(f"{option}, --fov, --focal: give only one of them")
    if file is not None:
        return read_camera(file)
    if fov is not None or focal is not None:
        return AssumedCamera(None if fov is None else math.radians(fov), focal)
    return None


def describe_checkpoint(path: Path) -> str:
    """What an interrupted training leaves, and how to resume it."""
    if path.exists():
        return f"the same command resumes from {path}"
    return f"there is no checkpoint yet in {path.parent}; the same command starts again"
