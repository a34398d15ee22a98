"""Checkpoints: weights in safetensors files with metadata in the header. Nothing is unpickled or downloaded.

The header's ``lgnet`` entry is JSON: version (of this package), network (its kind; LGNet if missing), config (of the
network), hand_model (name, digest), and what the caller adds (preset, data, commit, steps, figures, ...). The hand
model itself is not stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from lgnet_core import __version__
from lgnet_core.hand_model import HandModel, load_hand_model
from lgnet_core.io.checkpoint_files import (
    BUNDLED_WEIGHTS,
    METADATA_KEY,
    CheckpointError,
    check_tensors,
    locate_weights,
    parse_metadata,
    unreadable,
)
from lgnet_core.io.output import make_folder, write_bytes
from lgnet_core.network import (
    CONFIGS,
    HandLGNet,
    HandsNetwork,
    LGNetConfig,
    NetworkConfig,
    build_network,
)
from lgnet_core.network.checkpoint_metadata import check_hand_model, current_settings, resolve_hand_model
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet


def save_network(path: str | Path, network: HandsNetwork, metadata: Mapping[str, Any], half: bool = False) -> None:
    """Save a network's parameters and buffers with the metadata needed to rebuild it.

    Args:
        path: ends in ``.safetensors``; missing folders are created. An existing file is replaced atomically.
        metadata: JSON-serialisable, e.g. preset, data, commit, steps, figures.
        half: store kernels and matrices in half precision. Vectors (biases, batch-norm statistics) stay in single
            precision: they are small, and a variance may exceed the range of half precision.

    Raises:
        CheckpointError: if a value is not finite, also in half precision.
    """
    description = {
        "network": network.config.kind,
        "config": asdict(network.config),
        "hand_model": {"name": network.hand_model.name, "digest": network.hand_model.digest},
    }
    _write(Path(path), network, {**metadata, **description}, half)


def load_averaged_network(
    paths: Sequence[str | Path], hand_model: HandModel | None = None
) -> tuple[HandsNetwork, dict[str, Any]]:
    """Average the parameters of several trainings ("model soup", Wortsman et al. 2022).

    Trainings fine-tuned from the same weights err in different directions; their average is mostly better than each of
    them, at the same inference cost.

    Args:
        paths: weights files. The first determines the network; a parameter that other files lack (trained without the
            refine stage) is averaged over the files that contain it.
        hand_model: as for :func:`load_network`.

    Returns:
        The network, and the first file's metadata with ``mean of``: ``commit``, ``steps`` and ``images`` of each file.

    Raises:
        CheckpointError: if a file contains parameters that the first one lacks or has in another shape.
    """
    loaded = [load_network(path, hand_model) for path in paths]
    network, metadata = loaded[0]
    states = [candidate.state_dict() for candidate, _ in loaded]
    for path, state in zip(paths, states):
        for name, value in state.items():
            if name not in states[0] or states[0][name].shape != value.shape:
                raise CheckpointError(f"{path}: {name} differs from {paths[0]}: only equal networks can be averaged")
    mean = {
        name: torch.stack([state[name].double() for state in states if name in state]).mean(0).to(value.dtype)
        for name, value in states[0].items()
    }
    network.load_state_dict(mean)
    sources = [{key: source.get(key) for key in ("commit", "steps", "images")} for _, source in loaded]
    return network, {**metadata, "mean of": sources} if len(paths) > 1 else metadata


def _write(path: Path, module: nn.Module, header: Mapping[str, Any], half: bool) -> None:
    tensors = {}
    for name, tensor in module.state_dict().items():
        to_half = half and tensor.ndim > 1 and tensor.is_floating_point()
        stored = tensor.detach().to("cpu", torch.float16 if to_half else tensor.dtype).contiguous()
        if not torch.isfinite(stored).all():
            reason = "out of range in half precision: save with half=False" if to_half else "the training diverged"
            raise CheckpointError(f"{path}: {name} is not finite; {reason}")
        tensors[name] = stored
    make_folder(path.parent)
    write_bytes(path, save(tensors, {METADATA_KEY: json.dumps({**header, "version": __version__})}))


def load_network(
    path: str | Path | None = None,
    hand_model: HandModel | None = None,
    device: torch.device | str = "cpu",
) -> tuple[HandsNetwork, dict[str, Any]]:
    """Build the network that a file describes and load its weights, in single precision and evaluation mode.

    Args:
        path: None for the bundled weights.
        hand_model: the hand model that the network was trained with; None for the bundled one.
        device: of the network.

    Returns:
        The network and the file's metadata.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is not a weights file of this project, does not match the network, or was trained with
            another hand model.
    """
    path = locate_weights(path)
    metadata, tensors = _read(path)
    hand_model = load_hand_model() if hand_model is None else hand_model
    check_hand_model(path, metadata, hand_model)
    network = build_network(_config(path, metadata), hand_model)
    check_tensors(path, {name: tuple(value.shape) for name, value in network.state_dict().items()}, tensors)
    network.load_state_dict(tensors)
    return network.to(device).eval(), metadata


def load_bundled_landmarker() -> HandLandmarkNet:
    """The hand-landmark network of the bundled weights.

    Raises: as :func:`load_network`.
    """
    network, _ = load_network()
    if not isinstance(network, HandLGNet):
        raise CheckpointError(
            f"{BUNDLED_WEIGHTS}: the bundled weights have no hand-landmark network; reinstall lgnet_ros"
        )
    return network.landmarker


def load_network_for(path: str | Path | None, requested: HandModel) -> tuple[HandsNetwork, dict[str, Any]]:
    """:func:`load_network` with the hand model from :func:`resolve_hand_model`, which is ``network.hand_model``."""
    return load_network(path, resolve_hand_model(path, requested))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            metadata = parse_metadata(path, file.metadata())
        return metadata, load(path.read_bytes())  # safe_open of safetensors 0.8 leaks memory for every tensor read
    except (SafetensorError, OSError) as error:
        raise CheckpointError(unreadable(path, error)) from error


def _config(path: Path, metadata: Mapping[str, Any]) -> NetworkConfig:
    config_class = CONFIGS.get(metadata.get("network", LGNetConfig.kind))
    if config_class is None:
        raise CheckpointError(
            f"{path}: contains a network of kind {metadata['network']!r}, which is unknown to this version "
            f"({__version__}); use the version that wrote it ({metadata.get('version')})"
        )
    stored, known = current_settings(metadata), {f.name for f in fields(config_class)}
    mismatched = sorted(known.symmetric_difference(stored))
    if mismatched:
        raise CheckpointError(
            f"{path}: its network configuration does not match this version's ({', '.join(mismatched)}); it was "
            f"written by lgnet_ros {metadata.get('version')}, this is {__version__}: use that version, or train again"
        )
    try:
        return config_class(**stored)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: invalid network configuration: {error}") from error
