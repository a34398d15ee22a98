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
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import lgnet_core
from lgnet_core.io.cache import CACHE_VARIABLE, cache_directory
from lgnet_core.network.exportable import ExportableModule, Outputs, input_shapes

log = logging.getLogger(__name__)

OPSET = 17

CACHE_BYTES = 2 << 30
"""Of exports that are kept: they have 4 to 230 MB each, and an estimator has several."""


def export_onnx(network: ExportableModule[Outputs], path: str | Path, inputs: tuple[Tensor, ...] | None = None) -> None:
    """Write a network as one ONNX file, for inputs of fixed sizes and batches of any.

    Inputs and outputs have the network's names for them. The file carries its own description: version, class of the
    network, shapes of the inputs, weights' digest, and what the network says of itself.

    Args:
        network: with its weights, on any device; it is exported as on the CPU, in evaluation.
        path: written atomically; its folder must exist.
        inputs: a batch of 2 of the shapes wanted, on the CPU; None: the network's ``example_inputs()``.

    Raises:
        ImportError: if onnx is not installed.
        ValueError: if an input and an output have the same name.
        OSError: if the file cannot be written.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f"exporting needs onnx ({error}): pip install onnx") from error
    path = Path(path)
    inputs = network.example_inputs() if inputs is None else inputs
    model = onnx.load_model_from_string(_trace(network, inputs))
    onnx.helper.set_model_props(model, description(network, inputs))
    onnx.checker.check_model(model)
    _write_atomically(path, model.SerializeToString())


def description(network: ExportableModule[Outputs], inputs: tuple[Tensor, ...]) -> dict[str, str]:
    """What an exported file says about itself."""
    return {
        "producer": "lgnet_core",
        "version": lgnet_core.__version__,
        "torch": torch.__version__,
        "network": type(network).__name__,
        "inputs": json.dumps(input_shapes(network, inputs)),
        "weights": network_digest(network),
        **network.description(),
    }


def network_digest(network: ExportableModule[Outputs]) -> str:
    """sha256 (hex) of a network's class and description, weights and buffers: a hand model's arrays are among them."""
    digest = hashlib.sha256(f"{type(network).__name__} {sorted(network.description().items())}".encode())
    for name, tensor in sorted([*network.named_parameters(), *network.named_buffers()], key=lambda pair: pair[0]):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def cached_onnx(
    network: ExportableModule[Outputs], inputs: tuple[Tensor, ...] | None = None, rebuild: bool = False
) -> Path:
    """Path of the network's ONNX file in the user's cache, exported now if it is not there.

    An entry is named by the digest of everything it follows from: weights, hand model, our code, and the versions of
    torch and onnx; beside it stands its checksum, and an entry that does not match is exported again. When the entries
    grow beyond :data:`CACHE_BYTES`, those that were not used for longest are deleted. Where the cache cannot be
    written, a temporary file serves for this process, with one warning.

    Args:
        network: with its weights.
        inputs: of the shapes wanted; None: the network's ``example_inputs()``.
        rebuild: export even if an entry is there.
    """
    inputs = network.example_inputs() if inputs is None else inputs
    name = f"{_cache_key(network, inputs)}.onnx"
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
    log.info("exporting %s to %s (once)", type(network).__name__, path)
    export_onnx(network, path, inputs)
    _write_atomically(_checksum_path(path), _file_digest(path).encode())
    _forget_oldest(path.parent)
    return path


def _forget_oldest(folder: Path) -> None:
    """Another process that has such an entry open keeps what it reads; one that would open it exports it again."""
    with contextlib.suppress(OSError):
        newest, *older = sorted(folder.glob("*.onnx"), key=lambda path: path.stat().st_mtime, reverse=True)
        kept = newest.stat().st_size
        for path in older:
            kept += path.stat().st_size
            if kept > CACHE_BYTES:
                _checksum_path(path).unlink(missing_ok=True)
                path.unlink(missing_ok=True)


def _trace(network: ExportableModule[Outputs], inputs: tuple[Tensor, ...]) -> bytes:
    """The network as ONNX, undescribed.

    By torch's tracing exporter: it takes 5 s of one core where the newer one takes 45 s, and users wait for it.
    """
    names, outputs = network.INPUTS, network.OUTPUTS._fields
    if both := set(names) & set(outputs):
        raise ValueError(f"{type(network).__name__}: {sorted(both)} name inputs and outputs; a file holds a name once")
    device, training = next(network.parameters()).device, network.training
    network.to("cpu").eval()
    torch.onnx.register_custom_op_symbolic("aten::prelu", _prelu, OPSET)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of shape checks that tracing takes as constant, which they are
            torch.onnx.export(
                network,
                inputs,
                f"{folder}/network.onnx",
                dynamo=False,
                opset_version=OPSET,
                input_names=list(names),
                output_names=list(outputs),
                dynamic_axes={name: {0: "batch"} for name in (*names, *outputs)},
            )
            return Path(folder, "network.onnx").read_bytes()
    finally:
        torch.onnx.unregister_custom_op_symbolic("aten::prelu", OPSET)
        network.to(device).train(training)


def _prelu(graph: Any, x: Any, slope: Any) -> Any:
    """PReLU of maps as slope * x + (1 - slope) * relu(x), its products as 1x1 convolutions of single channels.

    ONNX Runtime (1.31) keeps maps in its own blocked layout from one convolution to the next, and adds, scales and
    clips them there. It has no PRelu for that layout: MediaPipe's palm detector, of 31 of them, then takes twice as
    long.
    """
    (channels,) = torch.onnx.symbolic_helper._get_tensor_sizes(slope)
    if channels == 1 or torch.onnx.symbolic_helper._get_tensor_rank(x) != 4:
        return torch.onnx.symbolic_opset9.prelu(graph, x, slope)
    shape = graph.op("Constant", value_t=torch.tensor([channels, 1, 1, 1]))
    one = graph.op("Constant", value_t=torch.ones(1))
    below, bend = (graph.op("Reshape", factor, shape) for factor in (slope, graph.op("Sub", one, slope)))
    scaled = [
        graph.op("Conv", value, factor, group_i=channels, kernel_shape_i=[1, 1])
        for value, factor in ((x, below), (graph.op("Relu", x), bend))
    ]
    return graph.op("Add", *scaled)


def _cache_key(network: ExportableModule[Outputs], inputs: tuple[Tensor, ...]) -> str:
    versions = f"{torch.__version__} {importlib.metadata.version('onnx')}"
    shapes = input_shapes(network, inputs)
    digest = hashlib.sha256(f"{network_digest(network)} {shapes} {versions}".encode())
    root = Path(lgnet_core.__file__).parent
    sources = [*(root / "network").rglob("*.py"), *(root / "hand_model").rglob("*.py")]
    for source in sorted([root / "types.py", root / "camera.py", root / "export.py", *sources]):
        digest.update(source.read_bytes())
    return f"{type(network).__name__}-{digest.hexdigest()[:24]}"


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
