"""Networks in files: safetensors with a description in the header; nothing is unpickled, nothing is downloaded.

The header's ``lgnet`` entry is JSON: version (of this package), network (its kind; LGNet where there is none), config
(the network's), hand_model (name, digest), and whatever the saver adds (preset, data, commit, steps, figures, ...). The
hand model itself is not in the file.
"""

from __future__ import annotations

import hashlib
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
from lgnet_core.network import CONFIGS, HandsNetwork, LGNetConfig, NetworkConfig, build_network

BUNDLED_WEIGHTS = Path(__file__).parents[1] / "weights" / "lgnet-hand.safetensors"
CROP_SIZE = 256
"""Side of the crops of weights that do not say theirs, pixels."""
_ENTRY = "lgnet"


class CheckpointError(ValueError):
    """A weights file that cannot be used; the message says why and what to do."""


def save_network(path: str | Path, network: HandsNetwork, metadata: Mapping[str, Any], half: bool = False) -> None:
    """Write a network's parameters and statistics with what is needed to build it again.

    Args:
        path: ends in ``.safetensors``; missing folders are made. An existing file is replaced in one step.
        metadata: JSON-able, e.g. preset, data, commit, steps, figures.
        half: store kernels and matrices in half precision. Vectors (biases, statistics of the normalisations) stay in
            single precision: they are few, and a variance may not fit.

    Raises:
        CheckpointError: if a value is not finite, or does not fit half precision.
    """
    described = {
        "network": network.config.kind,
        "config": asdict(network.config),
        "hand_model": {"name": network.hand_model.name, "digest": network.hand_model.digest},
    }
    _write(Path(path), network, {**metadata, **described}, half)


def load_mean_network(
    paths: Sequence[str | Path], hand_model: HandModel | None = None
) -> tuple[HandsNetwork, dict[str, Any]]:
    """The network whose parameters are the means of several trainings' of it.

    Trainings that went on from the same weights are each off in another direction; their mean is mostly better than
    any of them and costs nothing to run (Wortsman et al. 2022, "Model soups").

    Args:
        paths: of weights files; the network is the first one's, and a parameter of it that others lack (they were
            trained without the refine stage) is the mean of those that have it.
        hand_model: as for :func:`load_network`.

    Returns:
        The network, and the first file's metadata with ``mean of``, what ``steps`` and ``images`` each file saw.

    Raises:
        CheckpointError: if a file holds parameters that the first has not, or of another shape.
    """
    loaded = [load_network(path, hand_model) for path in paths]
    network, metadata = loaded[0]
    states = [one.state_dict() for one, _ in loaded]
    for path, state in zip(paths, states):
        for name, value in state.items():
            if name not in states[0] or states[0][name].shape != value.shape:
                raise CheckpointError(f"{path}: {name} is not as in {paths[0]}: two networks have no mean")
    mean = {
        name: torch.stack([state[name].double() for state in states if name in state]).mean(0).to(value.dtype)
        for name, value in states[0].items()
    }
    network.load_state_dict(mean)
    parts = [{key: about.get(key) for key in ("commit", "steps", "images")} for _, about in loaded]
    return network, {**metadata, "mean of": parts} if len(paths) > 1 else metadata


def _write(path: Path, module: nn.Module, header: Mapping[str, Any], half: bool) -> None:
    tensors = {}
    for name, tensor in module.state_dict().items():
        shrink = half and tensor.ndim > 1 and tensor.is_floating_point()
        stored = tensor.detach().to("cpu", torch.float16 if shrink else tensor.dtype).contiguous()
        if not torch.isfinite(stored).all():
            reason = "it does not fit half precision: save with half=False" if shrink else "the training diverged"
            raise CheckpointError(f"{path}: {name} is not finite; {reason}")
        tensors[name] = stored
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(save(tensors, {_ENTRY: json.dumps({**header, "version": __version__})}))
    unfinished.replace(path)


def load_network(
    path: str | Path | None = None,
    hand_model: HandModel | None = None,
    device: torch.device | str = "cpu",
) -> tuple[HandsNetwork, dict[str, Any]]:
    """Build the network that a file describes and give it the file's weights, in single precision and eval mode.

    Args:
        path: None for the bundled weights.
        hand_model: the one that the network was trained with; None for the bundled hand.
        device: where the network goes.

    Returns:
        The network and the header's metadata.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is no weights file of ours, does not fit the network, or was trained with another hand
            model.
    """
    path = _existing(path, BUNDLED_WEIGHTS)
    metadata, tensors = _read(path)
    hand_model = load_hand_model() if hand_model is None else hand_model
    _check_hand_model(path, metadata, hand_model)
    network = build_network(_config(path, metadata), hand_model)
    _check_tensors(path, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return network.to(device).eval(), metadata


def load_own_network(path: str | Path | None, wanted: HandModel) -> tuple[HandsNetwork, dict[str, Any]]:
    """As :func:`load_network`, with :func:`own_hand_model`; the network's ``hand_model`` says which that is."""
    return load_network(path, own_hand_model(path, wanted))


def own_hand_model(path: str | Path | None, wanted: HandModel) -> HandModel:
    """The hand model that weights were trained with: the one that hands are wanted of, or else the bundled one.

    Raises: as :func:`load_network`; also if it is neither of them.
    """
    path = _existing(path, BUNDLED_WEIGHTS)
    metadata = read_metadata(path)
    trained = (metadata.get("hand_model") or {}).get("digest")
    if trained != wanted.digest and trained == (bundled := load_hand_model()).digest:
        return bundled
    _check_hand_model(path, metadata, wanted)
    return wanted


def read_metadata(path: str | Path | None = None) -> dict[str, Any]:
    """The header's description alone, without the weights. Raises as :func:`load_network`."""
    path = _existing(path, BUNDLED_WEIGHTS)
    try:
        with safe_open(path, "pt") as file:
            return _metadata(path, file.metadata())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(_unreadable(path, error)) from error


def crop_size(metadata: Mapping[str, Any]) -> int:
    """Side of the crops, pixels, that weights with this description are to see: those they were trained on. At another
    size a network runs too, and sees badly. Of a network of one crop per hand: of the images its crops are cut from.
    """
    return int(metadata.get("size", CROP_SIZE))


def weights_digest(path: str | Path | None = None) -> str:
    """sha256 (hex) of a weights file; None for the bundled one."""
    digest = hashlib.sha256()
    with _existing(path, BUNDLED_WEIGHTS).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _existing(path: str | Path | None, bundled: Path) -> Path:
    if path is None:
        if not bundled.is_file():
            raise FileNotFoundError(
                f"{bundled}: the bundled weights are not installed; reinstall lgnet_ros, or name a weights "
                "file (one of your own comes from `lgnet train`)"
            )
        return bundled
    path = Path(path)
    if not path.is_file():
        what = "is a folder; name the .safetensors file in it" if path.is_dir() else "no such weights file"
        raise FileNotFoundError(f"{path}: {what}")
    return path


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            metadata = _metadata(path, file.metadata())
        return metadata, load(path.read_bytes())  # safetensors 0.8 loses memory with every tensor it reads from a file
    except (SafetensorError, OSError) as error:
        raise CheckpointError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> str:
    if path.suffix == ".safetensors":
        return f"{path}: not a readable safetensors file ({error}); it is damaged or cut off: copy or export it again"
    return (
        f"{path}: not a safetensors file ({error}); pickled weights (.pth, .pt, .ckpt) are never opened here: "
        "give the .safetensors file that training writes beside its .ckpt"
    )


def _metadata(path: Path, header: Mapping[str, str] | None) -> dict[str, Any]:
    foreign = f"{path}: a safetensors file, but not of an LGNet (its header has no usable {_ENTRY!r} entry)"
    try:
        metadata = json.loads((header or {})[_ENTRY])
    except (KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{foreign}; give a file that `lgnet train` wrote") from error
    if not (isinstance(metadata, dict) and isinstance(metadata.get("config"), dict)):
        raise CheckpointError(f"{foreign}; give a file that `lgnet train` wrote")
    return metadata


def _config(path: Path, metadata: Mapping[str, Any]) -> NetworkConfig:
    kind = CONFIGS.get(metadata.get("network", LGNetConfig.kind))
    if kind is None:
        raise CheckpointError(
            f"{path}: holds a network of the kind {metadata['network']!r}, which this version ({__version__}) does not "
            f"know; use the version that wrote it ({metadata.get('version')})"
        )
    given, known = metadata["config"], {f.name for f in fields(kind)}
    other = sorted(known.symmetric_difference(given))
    if other:
        raise CheckpointError(
            f"{path}: its network has settings that differ from this version's ({', '.join(other)}); it was written by "
            f"lgnet_ros {metadata.get('version')}, this is {__version__}: use that version, or train again"
        )
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its network's settings are not valid: {error}") from error


def _check_hand_model(path: Path, metadata: Mapping[str, Any], hand_model: HandModel) -> None:
    trained = metadata.get("hand_model") or {}
    if trained.get("digest") != hand_model.digest:
        raise CheckpointError(
            f"{path}: trained with the hand model {trained.get('name')!r} ({str(trained.get('digest'))[:12]}), but "
            f"{hand_model.name!r} ({hand_model.digest[:12]}) is given; pass the one it was trained with "
            "(--hand-model DIR, or none for the bundled hand), or weights trained with yours"
        )


def _check_tensors(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Name everything that does not fit, and the cure."""
    problems = []
    for what, names in (
        ("missing", [n for n in expected if n not in found]),
        ("unexpected", [n for n in found if n not in expected]),
        (
            "of another shape",
            [
                f"{n} {tuple(found[n].shape)} instead of {tuple(expected[n].shape)}"
                for n in expected
                if n in found and found[n].shape != expected[n].shape
            ],
        ),
        ("not finite", [n for n in found if not torch.isfinite(found[n]).all()]),
    ):
        if names:
            more = f" and {len(names) - 8} more" if len(names) > 8 else ""
            problems.append(f"{len(names)} {what}: {', '.join(names[:8])}{more}")
    if problems:
        raise CheckpointError(
            f"{path}: its weights do not fit the network it describes; {'; '.join(problems)}. The file was edited or "
            "written by another version: export it again with this one, or use the version named in its metadata"
        )
