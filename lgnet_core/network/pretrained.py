"""Weights files of MediaPipe's palm detector and hand-landmark network.

``tools/builders/read_mediapipe.py`` converts them from the wheel of MediaPipe 0.10.21. The palm detector comes in two
versions: as published, and fine-tuned by this project. The package contains the full variants; the lite variants serve
comparisons and have to be converted by the user, who passes their paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from lgnet_core.io.checkpoint_files import WEIGHTS_FOLDER
from lgnet_core.io.evaluation_data import locate_evaluation_data
from lgnet_core.io.output import reason_of, replacing

Variant = Literal["full", "lite"]
HAND_LANDMARK, MEDIAPIPE_PALM_DETECTOR = "hand_landmark", "palm_detector_mediapipe"
"""As published."""
PALM_DETECTOR = "palm_detector"
"""Fine-tuned by ``lgnet train-palms``."""


def weights_filename(network: str, variant: Variant) -> str:
    """File name of the weights of one of the three networks above."""
    return f"{network}.safetensors" if variant == "full" else f"{network}_{variant}.safetensors"


def read_weights(
    network: str, variant: Variant, path: str | Path | None = None, submodule: str = ""
) -> dict[str, Tensor]:
    """Read a state dict; kernels are in half precision, as in the wheel.

    Args:
        path: None for the package's own file.
        submodule: read only the parameters of this submodule, e.g. ``encoder``, under their names in it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read or contains no such submodule.
    """
    bundled = WEIGHTS_FOLDER / weights_filename(network, variant)
    path = bundled if path is None else Path(path)
    if path == bundled and variant == "full" and network != PALM_DETECTOR:
        locate_evaluation_data(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such weights file; create it with {_converter(network, variant)} and pass its path"
        )
    try:
        state = load(path.read_bytes())  # safe_open of safetensors 0.8 leaks memory for every tensor read
    except SafetensorError as error:
        raise ValueError(
            f"{path}: not a readable safetensors file ({reason_of(error)}); copy or create it again"
        ) from error
    if submodule:
        prefix = f"{submodule}."
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if not state:
            raise ValueError(
                f"{path}: contains no {submodule} of the {network}; pass a file of {_converter(network, variant)}"
            )
    return state


Network = TypeVar("Network", bound=nn.Module)


def load_weights(module: Network, network: str, variant: Variant, path: str | Path | None = None) -> Network:
    """Load weights strictly, in place; returns the module in evaluation mode. Arguments and errors: see
    :func:`read_weights`.

    Raises:
        ValueError: if names or shapes do not match the module's; the message lists them.
    """
    state = read_weights(network, variant, path)
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ValueError(
            f"{path or weights_filename(network, variant)}: not the weights of the {variant} {network}: {error}; "
            f"pass a file of {_converter(network, variant)}"
        ) from error
    return module.eval()


def _converter(network: str, variant: Variant) -> str:
    """The command that writes the file."""
    if network == PALM_DETECTOR:
        return "`lgnet train-palms`"
    return f"tools/builders/read_mediapipe.py --variant {variant} --out FOLDER (from MediaPipe's wheel)"


def kernel_weights(network: nn.Module) -> list[Tensor]:
    """Weights of convolutions and dense layers, which files hold in half precision."""
    return [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def save_half_precision(network: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a network's weights atomically, with its kernels in half precision."""
    half = {id(kernel) for kernel in kernel_weights(network)}
    state = network.state_dict(keep_vars=True)
    state = {key: (v.half() if id(v) in half else v).detach().contiguous() for key, v in state.items()}
    with replacing(path) as partial:
        save_file(state, partial, dict(metadata))
