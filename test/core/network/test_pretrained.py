"""Weights files of MediaPipe's networks: strict loading, half precision, error messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from torch import nn

from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.network.detector.palm_detector import load_mediapipe_palm_detector, load_palm_detector
from lgnet_core.network.pretrained import (
    HAND_LANDMARK,
    MEDIAPIPE_PALM_DETECTOR,
    PALM_DETECTOR,
    WEIGHTS_FOLDER,
    read_weights,
    save_half_precision,
    weights_filename,
)

NETWORKS = [(HAND_LANDMARK, load_hand_landmark_net), (MEDIAPIPE_PALM_DETECTOR, load_mediapipe_palm_detector)]
Load = Callable[..., nn.Module]


@pytest.mark.parametrize(("name", "load"), NETWORKS)
def test_missing_and_unexpected_parameters_are_listed(name: str, load: Load, tmp_path: Path) -> None:
    state = load_file(WEIGHTS_FOLDER / weights_filename(name, "full"))
    last, path = sorted(state)[-1], tmp_path / "changed.safetensors"
    save_file({key: value for key, value in state.items() if key != last}, path)
    with pytest.raises(ValueError, match=f"(?s)changed.*{last}.*read_mediapipe"):
        load(path=path)
    save_file(state | {"surplus": state[last].clone()}, path)
    with pytest.raises(ValueError, match=r"(?s)changed.*surplus"):
        load(path=path)


@pytest.mark.parametrize(("name", "load"), NETWORKS)
def test_weights_of_another_variant_raise(name: str, load: Load) -> None:
    with pytest.raises(ValueError, match=f"not the weights of the lite {name}"):
        load("lite", WEIGHTS_FOLDER / weights_filename(name, "full"))


@pytest.mark.parametrize(("name", "load"), NETWORKS)
def test_missing_lite_weights_raise_with_remedy(name: str, load: Load) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{name}_lite\.safetensors.*--variant lite --out"):
        load("lite")


def test_half_precision_round_trip(tmp_path: Path) -> None:
    """Kernels that are half precision already are restored exactly; no temporary file remains."""
    detector, path = load_palm_detector(), tmp_path / "palms.safetensors"
    save_half_precision(detector, path, {"source": "here"})
    bundled = load_file(WEIGHTS_FOLDER / weights_filename(PALM_DETECTOR, "full"))
    written = load_file(path)
    assert {key: value.dtype for key, value in written.items()} == {key: value.dtype for key, value in bundled.items()}
    for key, value in load_palm_detector(path).state_dict().items():
        assert (value == detector.state_dict()[key]).all(), key
    assert list(tmp_path.iterdir()) == [path]


def test_other_weights_for_the_fine_tuned_detector_raise(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="lgnet train-palms"):
        load_palm_detector(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match=r"(?s)not the weights of the full palm_detector.*lgnet train-palms"):
        load_palm_detector(WEIGHTS_FOLDER / weights_filename(HAND_LANDMARK, "full"))


def test_damaged_file_and_missing_submodule_raise(tmp_path: Path) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"damaged\.safetensors: not a readable safetensors file"):
        read_weights(HAND_LANDMARK, "full", tmp_path / "damaged.safetensors")
    with pytest.raises(ValueError, match="contains no encoder"):
        read_weights(HAND_LANDMARK, "full", WEIGHTS_FOLDER / weights_filename(PALM_DETECTOR, "full"), "encoder")


def test_submodule_weights_equal_those_of_the_whole_network() -> None:
    part, whole = read_weights(PALM_DETECTOR, "full", submodule="body"), load_palm_detector().body.state_dict()
    assert set(part) == set(whole)
    assert all((part[name].float() == whole[name]).all() for name in part)
