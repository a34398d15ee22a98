"""ONNX Runtime: the default engine on a CPU; its CUDA and TensorRT providers where they are installed."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import torch
from torch import Tensor

from lgnet_core.engines.base import Engine, memory_errors, require_cuda, resolve_device
from lgnet_core.engines.cpu import available_cores
from lgnet_core.engines.export import cached_onnx
from lgnet_core.network.exportable import ExportableModule, Outputs
from lgnet_core.types import FloatArray

try:
    import onnxruntime
except ImportError as error:
    raise ImportError(
        "engine 'onnx' needs ONNX Runtime: pip install onnxruntime (or onnxruntime-gpu), or take engine 'eager'"
    ) from error

log = logging.getLogger(__name__)

SPIN_MICROSECONDS = 20
"""How long a thread waits for the next operation of a call before it sleeps. Operations of these networks take 5 to 300
µs, and to wake a thread takes about as long. The three networks of two hands, one after the other, on two cores: 32 ms
with 0, 26 with 20, 26 with 100, 25 without a limit; beside two busy processes 68, 57, 64, 70."""

GPU_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")


class OnnxEngine(Engine[Outputs]):
    """Runs an exported network.

    Its threads sleep between calls: a thread that busy-waits takes the core from the next network of the same image and
    from every other program. Within a call they wait for the next operation for :data:`SPIN_MICROSECONDS` first.

    Args:
        path: ONNX file written by :func:`lgnet_core.engines.export.export_onnx`.
        outputs: type of what the network returns, ``OUTPUTS`` of its class.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``; ``"auto"`` is a GPU only if onnxruntime has a provider
            for it.
        threads: CPU threads for one call; None: :func:`available_cores`.

    Raises:
        ValueError: if the file is no export of such a network, or is damaged.
        RuntimeError: for a GPU that this onnxruntime cannot use.
    """

    name = "onnx"
    precision = "fp32"

    def __init__(
        self, path: str | Path, outputs: type[Outputs], device: str = "auto", threads: int | None = None
    ) -> None:
        self.device = _device(device)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.inter_op_num_threads = 1
        # Given explicitly: by its own choice ONNX Runtime counts the cores of the host, and pins a thread to each.
        options.intra_op_num_threads = threads or available_cores()
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_MICROSECONDS))
        options.add_session_config_entry("session.force_spinning_stop", "1")  # also where the first is not known yet
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=_providers(self.device))
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise ValueError(
                f"{path}: ONNX Runtime cannot load it ({error}); delete the file and export again with `lgnet export`"
            ) from error
        self.outputs = outputs
        self.metadata: dict[str, str] = dict(self.session.get_modelmeta().custom_metadata_map)
        shapes: dict[str, list[int]] = json.loads(self.metadata.get("inputs", "{}"))
        self.input_shapes = {name: tuple(shape) for name, shape in shapes.items()}
        # What the network does not use is no input of the file.
        self._used = [value.name for value in self.session.get_inputs()]
        found = tuple(value.name for value in self.session.get_outputs())
        if not set(self._used) <= set(shapes) or found != outputs._fields:
            raise ValueError(
                f"{path}: no export of a network with outputs {list(outputs._fields)} (inputs {self._used}, "
                f"outputs {list(found)}); run `lgnet export`"
            )

    @classmethod
    def from_network(
        cls,
        network: ExportableModule[Outputs],
        device: str = "auto",
        threads: int | None = None,
        inputs: tuple[Tensor, ...] | None = None,
    ) -> OnnxEngine[Outputs]:
        """Engine over the network's export in the user's cache; exported first if it is not there or is damaged."""
        try:
            return cls(cached_onnx(network, inputs), network.OUTPUTS, device, threads)
        except ValueError as error:
            log.warning("rebuilding a damaged cache entry: %s", error)
            return cls(cached_onnx(network, inputs, rebuild=True), network.OUTPUTS, device, threads)

    def __call__(self, *inputs: FloatArray) -> Outputs:
        given = dict(zip(self.input_shapes, inputs, strict=True))
        with memory_errors(self.device):
            found = self.session.run(None, {name: given[name] for name in self._used})
        return self.outputs._make(torch.from_numpy(field) for field in found)


def _device(device: str) -> str:
    """Where to run: a GPU needs onnxruntime's provider, and is only taken unasked if that is there."""
    can_use_gpu = any(name in onnxruntime.get_available_providers() for name in GPU_PROVIDERS)
    if device == "auto":
        return "cuda" if can_use_gpu and torch.cuda.is_available() else "cpu"
    if device != "cpu" and not can_use_gpu:
        require_cuda(f"device {device!r}")
        raise RuntimeError(
            f"device {device!r}: this onnxruntime has only {onnxruntime.get_available_providers()}; "
            "pip install onnxruntime-gpu, or take engine 'cuda-graph', or device 'cpu'"
        )
    return resolve_device(device)


def _providers(device: str) -> list[str | tuple[str, dict[str, str]]]:
    if device == "cpu":
        return ["CPUExecutionProvider"]
    index = device.partition(":")[2] or "0"
    available = [name for name in GPU_PROVIDERS if name in onnxruntime.get_available_providers()]
    return [*((name, {"device_id": index}) for name in available), "CPUExecutionProvider"]
