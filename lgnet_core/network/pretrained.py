"""The files of MediaPipe's two networks, which tools/read_mediapipe.py reads from the wheel of MediaPipe 0.10.21.

The palm detector is there twice: as published, and as this package fine-tuned it.

The package brings the full variants. The lite ones are for comparisons: who wants them writes the files and gives
their paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

Variant = Literal["full", "lite"]
WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
HAND_LANDMARK, MEDIAPIPE_PALM_DETECTOR = "hand_landmark", "palm_detector_mediapipe"
"""As published."""
PALM_DETECTOR = "palm_detector"
"""Fine-tuned by ``lgnet train-palms``."""


def file_name(network: str, variant: Variant) -> str:
    """Of one of the three networks above, in the folder that the tool writes to."""
    return f"{network}.safetensors" if variant == "full" else f"{network}_{variant}.safetensors"


def read_weights(network: str, variant: Variant, path: str | Path | None = None, part: str = "") -> dict[str, Tensor]:
    """A file's state dict; kernels are in half precision, as the wheel has them.

    Args:
        path: None is the package's own file.
        part: only what stands under this name, for example ``encoder``, without it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, or holds nothing of the part.
    """
    path = WEIGHTS_FOLDER / file_name(network, variant) if path is None else Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such weights file; {_origin(network, variant)} writes it, then give its path"
        )
    try:
        state = load(path.read_bytes())  # safetensors 0.8 loses memory with every tensor that it reads from a file
    except SafetensorError as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error}); copy or write it again") from error
    if part:
        prefix = f"{part}."
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if not state:
            raise ValueError(f"{path}: holds no {part} of the {network}; give a file of {_origin(network, variant)}")
    return state


def load_strictly(module: nn.Module, network: str, variant: Variant, path: str | Path | None = None) -> None:
    """Load a file, in place. Arguments and errors: :func:`read_weights`.

    Raises:
        ValueError: if names or shapes are not the module's; it lists them.
    """
    state = read_weights(network, variant, path)
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ValueError(
            f"{path or file_name(network, variant)}: not the weights of the {variant} {network}: {error}; "
            f"give the file that {_origin(network, variant)} writes"
        ) from error


def _origin(network: str, variant: Variant) -> str:
    """What writes such a file."""
    if network == PALM_DETECTOR:
        return "`lgnet train-palms`"
    return f"tools/read_mediapipe.py --variant {variant} --out FOLDER, from MediaPipe's wheel,"


def kernels(network: nn.Module) -> list[Tensor]:
    """The weights of convolutions and of dense layers, which files hold in half precision."""
    return [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def save_half_precision(network: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a network's weights, its kernels in half precision; whole, or not at all."""
    half = {id(kernel) for kernel in kernels(network)}
    state = network.state_dict(keep_vars=True)
    state = {key: (v.half() if id(v) in half else v).detach().contiguous() for key, v in state.items()}
    partial = path.with_suffix(".partial")
    save_file(state, partial, dict(metadata))
    partial.replace(path)
