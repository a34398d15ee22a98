"""A network as an ONNX file: writing it, and keeping it in the user's cache."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib.metadata
import json
import logging
import os
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

import torch

import lgnet_core
from lgnet_core.cache import CACHE_VARIABLE, cache_directory
from lgnet_core.camera import virtual_intrinsics
from lgnet_core.network import HandsNetwork, HandsPrediction, find_config, preset_names

log = logging.getLogger(__name__)

INPUT_NAMES = ("image", "intrinsics")
OPSET = 17

CACHE_ENTRIES = 16
"""Exports that are kept; of 25 to 230 MB each."""


def export_onnx(network: HandsNetwork, path: str | Path, size: int = 256) -> None:
    """Write a network as one ONNX file, for crops of a fixed size and any number of them.

    Inputs are ``image`` (N, 3, S, S) float32 RGB in [0, 1] and ``intrinsics`` (N, 3, 3) float32, pixels of the crop;
    outputs are the fields of :class:`~lgnet_core.network.HandsPrediction`. The file carries its own description:
    version, preset, configuration, weights' digest.

    Args:
        network: with its weights, on any device; it is exported as on the CPU, in evaluation.
        path: written atomically; its folder must exist.
        size: S, pixels, a multiple of 32.

    Raises:
        ImportError: if onnx is not installed.
        OSError: if the file cannot be written.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f"exporting needs onnx ({error}): pip install onnx") from error
    path = Path(path)
    model = onnx.load_model_from_string(_trace(network, size))
    onnx.helper.set_model_props(model, description(network, size))
    onnx.checker.check_model(model)
    _write_atomically(path, model.SerializeToString())


def description(network: HandsNetwork, size: int) -> dict[str, str]:
    """What an exported file says about itself."""
    return {
        "producer": "lgnet_core",
        "version": lgnet_core.__version__,
        "torch": torch.__version__,
        "preset": preset_name(network),
        "config": json.dumps(asdict(network.config), sort_keys=True),
        "hand_model": network.hand_model.digest,
        "weights": network_digest(network),
        "image_size": str(size),
    }


def preset_name(network: HandsNetwork) -> str:
    """Name of the preset that a network's configuration is, or ``"custom"``."""
    return next((name for name in preset_names() if find_config(name) == network.config), "custom")


def network_digest(network: HandsNetwork) -> str:
    """sha256 (hex) of a network's configuration, weights and buffers: the hand model's arrays are among them."""
    digest = hashlib.sha256(repr(network.config).encode())
    for name, tensor in sorted([*network.named_parameters(), *network.named_buffers()], key=lambda pair: pair[0]):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def cached_onnx(network: HandsNetwork, size: int = 256, rebuild: bool = False) -> Path:
    """Path of the network's ONNX file in the user's cache, exported now if it is not there.

    An entry is named by the digest of everything it follows from: weights, hand model, our code, and the versions of
    torch and onnx; beside it stands its checksum, and an entry that does not match is exported again. Of more than
    :data:`CACHE_ENTRIES` those that were not used for longest are deleted. Where the cache cannot be written, a
    temporary file serves for this process, with one warning.

    Args:
        network: with its weights.
        size: side of the crops, pixels.
        rebuild: export even if an entry is there.
    """
    name = f"{_cache_key(network, size)}.onnx"
    path = cache_directory() / name
    if not rebuild and _is_intact(path):
        with contextlib.suppress(OSError):
            os.utime(path)  # it was used
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe, probe_name = tempfile.mkstemp(dir=path.parent)  # exporting takes seconds: find out first
        os.close(probe)
        os.unlink(probe_name)
    except OSError as error:
        path = _temporary_directory(error) / name
        if not rebuild and _is_intact(path):
            return path
    log.info("exporting the network to %s (once)", path)
    export_onnx(network, path, size)
    _write_atomically(_checksum_path(path), _file_digest(path).encode())
    _forget_oldest(path.parent)
    return path


def _forget_oldest(folder: Path) -> None:
    """Another process that has such an entry open keeps what it reads; one that would open it exports it again."""
    with contextlib.suppress(OSError):
        for path in sorted(folder.glob("*.onnx"), key=lambda path: path.stat().st_mtime)[:-CACHE_ENTRIES]:
            _checksum_path(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def _trace(network: HandsNetwork, size: int) -> bytes:
    """The network as ONNX, undescribed.

    By torch's tracing exporter: it takes 5 s of one core where the newer one takes 45 s, and users wait for it.
    """
    device, training = next(network.parameters()).device, network.training
    network.to("cpu").eval()
    intrinsics = torch.tensor(virtual_intrinsics(size), dtype=torch.float32).repeat(2, 1, 1)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of shape checks that tracing takes as constant, which they are
            torch.onnx.export(
                network,
                (torch.rand(2, 3, size, size), intrinsics),  # a batch of one would be folded into constants
                f"{folder}/network.onnx",
                dynamo=False,
                opset_version=OPSET,
                input_names=list(INPUT_NAMES),
                output_names=list(HandsPrediction._fields),
                dynamic_axes={name: {0: "batch"} for name in (*INPUT_NAMES, *HandsPrediction._fields)},
            )
            return Path(folder, "network.onnx").read_bytes()
    finally:
        network.to(device).train(training)


def _cache_key(network: HandsNetwork, size: int) -> str:
    versions = f"{torch.__version__} {importlib.metadata.version('onnx')}"
    digest = hashlib.sha256(f"{network_digest(network)} {size} {versions}".encode())
    root = Path(lgnet_core.__file__).parent
    for source in [root / "camera.py", root / "export.py", *sorted((root / "network").glob("*.py"))]:
        digest.update(source.read_bytes())
    digest.update((root / "hand_model" / "layer.py").read_bytes())
    return f"{preset_name(network)}-{digest.hexdigest()[:24]}"


def _checksum_path(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _is_intact(path: Path) -> bool:
    try:
        return _checksum_path(path).read_text() == _file_digest(path)
    except (OSError, UnicodeDecodeError):
        return False


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, then rename: readers see the old file or the new one, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


_temporary: tempfile.TemporaryDirectory[str] | None = None


def _temporary_directory(reason: OSError) -> Path:
    """One folder for this process, removed at its end; the first call warns."""
    global _temporary
    if _temporary is None:
        _temporary = tempfile.TemporaryDirectory(prefix="lgnet_ros_")
        atexit.register(_temporary.cleanup)
        log.warning(
            "cannot write the cache %s (%s): the network is exported again in every process; "
            "make the folder writable or set %s",
            cache_directory(),
            reason.strerror,
            CACHE_VARIABLE,
        )
    return Path(_temporary.name)
