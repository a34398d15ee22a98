"""The files of MediaPipe's two networks, which tools/read_mediapipe.py reads from the wheel of MediaPipe 0.10.21.

The package brings the full variants. The lite ones are for comparisons: who wants them writes the files and gives
their paths.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

Variant = Literal["full", "lite"]
WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
HAND_LANDMARK, PALM_DETECTOR = "hand_landmark", "palm_detector"


def file_name(network: str, variant: Variant) -> str:
    """Of :data:`HAND_LANDMARK` or :data:`PALM_DETECTOR`, in the folder that the tool writes to."""
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
            f"{path}: no such weights file; tools/read_mediapipe.py --variant {variant} --out FOLDER "
            "writes it from MediaPipe's wheel, then give its path"
        )
    try:
        state = load(path.read_bytes())  # safetensors 0.8 loses memory with every tensor that it reads from a file
    except SafetensorError as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error}); copy or write it again") from error
    if part:
        prefix = f"{part}."
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if not state:
            raise ValueError(
                f"{path}: holds no {part} of MediaPipe's {network}; give a file of tools/read_mediapipe.py"
            )
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
            "give the file that tools/read_mediapipe.py writes for this variant"
        ) from error
