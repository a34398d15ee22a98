"""Files of MediaPipe's networks: strict, and errors that say the cure."""

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
    file_name,
    read_weights,
    save_half_precision,
)

NETWORKS = [(HAND_LANDMARK, load_hand_landmark_net), (MEDIAPIPE_PALM_DETECTOR, load_mediapipe_palm_detector)]
Load = Callable[..., nn.Module]


@pytest.mark.parametrize(("name", "load"), NETWORKS)
def test_a_value_that_is_missing_or_too_many_is_named(name: str, load: Load, tmp_path: Path) -> None:
    state = load_file(WEIGHTS_FOLDER / file_name(name, "full"))
    last, path = sorted(state)[-1], tmp_path / "changed.safetensors"
    save_file({key: value for key, value in state.items() if key != last}, path)
    with pytest.raises(ValueError, match=f"(?s)changed.*{last}.*read_mediapipe"):
        load(path=path)
    save_file(state | {"surplus": state[last].clone()}, path)
    with pytest.raises(ValueError, match=r"(?s)changed.*surplus"):
        load(path=path)


@pytest.mark.parametrize(("name", "load"), NETWORKS)
def test_the_other_variant_is_refused(name: str, load: Load) -> None:
    with pytest.raises(ValueError, match=f"not the weights of the lite {name}"):
        load("lite", WEIGHTS_FOLDER / file_name(name, "full"))


@pytest.mark.parametrize(("name", "load"), NETWORKS)
def test_the_lite_variant_is_not_brought_and_the_error_says_how_to_get_it(name: str, load: Load) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{name}_lite\.safetensors.*--variant lite --out"):
        load("lite")


def test_written_weights_are_read_back_with_their_kernels_in_half_precision(tmp_path: Path) -> None:
    """What is in half precision already comes back as it was, and nothing else is left in the folder."""
    detector, path = load_palm_detector(), tmp_path / "palms.safetensors"
    save_half_precision(detector, path, {"source": "here"})
    bundled = load_file(WEIGHTS_FOLDER / file_name(PALM_DETECTOR, "full"))
    written = load_file(path)
    assert {key: value.dtype for key, value in written.items()} == {key: value.dtype for key, value in bundled.items()}
    for key, value in load_palm_detector(path).state_dict().items():
        assert (value == detector.state_dict()[key]).all(), key
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_fine_tuned_detector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="lgnet train-palms"):
        load_palm_detector(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match=r"(?s)not the weights of the full palm_detector.*lgnet train-palms"):
        load_palm_detector(WEIGHTS_FOLDER / file_name(HAND_LANDMARK, "full"))


def test_a_damaged_file_and_one_of_another_network_are_refused(tmp_path: Path) -> None:
    (tmp_path / "torn.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"torn\.safetensors: not a readable safetensors file"):
        read_weights(HAND_LANDMARK, "full", tmp_path / "torn.safetensors")
    with pytest.raises(ValueError, match="holds no encoder"):
        read_weights(HAND_LANDMARK, "full", WEIGHTS_FOLDER / file_name(PALM_DETECTOR, "full"), "encoder")


def test_a_part_is_what_the_whole_network_has() -> None:
    part, whole = read_weights(PALM_DETECTOR, "full", part="body"), load_palm_detector().body.state_dict()
    assert set(part) == set(whole)
    assert all((part[name].float() == whole[name]).all() for name in part)
