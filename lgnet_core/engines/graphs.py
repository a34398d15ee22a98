"""Engines of the bundled networks from ONNX graphs in the package, without torch.

A graph is an ONNX file without weights, 1 MB for all three networks. When it is loaded, its initialisers are filled by
name from a weights file, and from constants of the hand model. So weights are stored once, and a graph serves all
weights of its architecture, also those that users train. ``tools/builders/build_graphs.py`` writes the graphs; it must
be run after a change to the code of a network, and a test compares them with the networks.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from lgnet_core.engines.base import Engine, check_engine, require_torch, resolve_device
from lgnet_core.hand_model import HandModel, load_hand_model
from lgnet_core.hand_model.fairing import fairing_matrix, mesh_edges
from lgnet_core.io.checkpoint_files import (
    BUNDLED_WEIGHTS,
    WEIGHTS_FOLDER,
    CheckpointError,
    check_tensors,
    locate_weights,
    read_metadata,
    tensor_shapes,
    unreadable,
)
from lgnet_core.network.checkpoint_metadata import current_settings
from lgnet_core.network.prediction import HandLandmarks, PalmCandidates, StackedHands
from lgnet_core.types import FloatArray, Side

GRAPHS_FOLDER = Path(__file__).parent / "graphs"

PALM_WEIGHTS = WEIGHTS_FOLDER / "palm_detector.safetensors"

NETWORK, CONFIG, HAND_MODEL = "network", "config", "hand_model"
"""Entries of the metadata of the graphs ``landmarks`` and ``stages``: the kind and the configuration (JSON) of the
network, as in its weights file, and the digest of its hand model."""


@dataclass(frozen=True)
class GraphEngines:
    """The three engines of the pipeline."""

    palms: Engine[PalmCandidates]
    landmarks: Engine[HandLandmarks]
    stages: Engine[StackedHands]


def graph_path(name: str) -> Path:
    """File of the graph ``palms``, ``landmarks`` or ``stages``."""
    return GRAPHS_FOLDER / f"{name}.onnx"


def runs_graphs(weights: str | Path | None, engine: str, device: str) -> bool:
    """Whether the graphs are to be run for a weights file, engine and device; otherwise its network, which needs torch.

    Args:
        weights: a checkpoint; None: the bundled weights. The graphs serve it if its architecture and its hand model are
            those of the bundled one.
        engine, device: as for :func:`lgnet_core.engines.factory.make_engine`.

    Raises:
        ValueError, RuntimeError: as ``make_engine``, for an unknown or unavailable engine or device.
        FileNotFoundError, CheckpointError: see :func:`lgnet_core.io.checkpoint_files.read_metadata`.
        ImportError: if torch is needed, but is not installed.
    """
    check_engine(engine)
    if engine == "onnx":
        reason = ""
    elif engine == "auto" and importlib.util.find_spec("onnxruntime") is None:
        reason = "onnxruntime is not installed"
    elif engine == "auto":
        reason = "" if resolve_device(device) == "cpu" else f"device {device!r}"
    else:
        reason = f"engine {engine!r}"
    if not reason and architecture(read_metadata(weights)) != architecture(read_metadata()):
        reason = f"{weights}: a network of another architecture or hand model than the bundled one"
    if reason:
        require_torch(reason)
    return not reason


def architecture(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The part of a checkpoint's metadata that determines its graphs, as their metadata."""
    return {
        NETWORK: str(metadata.get("network")),
        CONFIG: json.dumps(current_settings(metadata), sort_keys=True),
        HAND_MODEL: str((metadata.get("hand_model") or {}).get("digest")),
    }


def load_graph_engines(weights: str | Path | None, device: str = "cpu", threads: int | None = None) -> GraphEngines:
    """The engines of a weights file for which :func:`runs_graphs`, and of the bundled palm detector.

    Args:
        weights: a checkpoint; None: the bundled weights.
        device, threads: see :class:`~lgnet_core.engines.onnx.OnnxEngine`.

    Raises:
        FileNotFoundError: if a file is missing.
        CheckpointError: if the weights do not match the network that the file describes.
    """
    from lgnet_core.engines.onnx import OnnxEngine

    path = locate_weights(weights)
    tensors = _read(path)
    check_tensors(path, tensor_shapes(BUNDLED_WEIGHTS), tensors)
    stages = {**_part(tensors, "stages"), **constants(load_hand_model(), read_metadata(path)["config"])}
    return GraphEngines(
        OnnxEngine(graph_path("palms"), PalmCandidates, device, threads, _read(PALM_WEIGHTS)),
        OnnxEngine(graph_path("landmarks"), HandLandmarks, device, threads, _part(tensors, "landmarker")),
        OnnxEngine(graph_path("stages"), StackedHands, device, threads, stages),
    )


def constants(hand_model: HandModel, config: Mapping[str, Any]) -> dict[str, FloatArray]:
    """Large constants of the graph ``stages`` by name: they depend on the hand model and the network's configuration.

    Args:
        config: as in a checkpoint's metadata.
    """
    edges, count = mesh_edges(hand_model.assets[Side.RIGHT].faces), hand_model.v_template.shape[1]
    return {
        "basis": hand_model.basis[Side.RIGHT],
        "fair": fairing_matrix(edges, count, config["refine_smoothing"]),
    }


def _part(tensors: Mapping[str, FloatArray], module: str) -> dict[str, FloatArray]:
    """The tensors of a submodule, under their names in it."""
    prefix = f"{module}."
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}


def _read(path: Path) -> dict[str, FloatArray]:
    """The tensors of a file in single precision; counters of training steps are left out."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such weights file; reinstall lgnet_ros")
    try:
        tensors = load(path.read_bytes())
    except SafetensorError as error:
        raise CheckpointError(unreadable(path, error)) from error
    return {name: array.astype(np.float32) for name, array in tensors.items() if array.dtype.kind == "f"}
