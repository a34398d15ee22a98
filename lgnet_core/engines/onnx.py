"""ONNX Runtime engine: the default on a CPU; uses the CUDA and TensorRT providers if they are installed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lgnet_core.engines.base import Engine, has_cuda, require_cuda, resolve_device, unify_memory_errors
from lgnet_core.engines.cpu import available_cores
from lgnet_core.network.prediction import Outputs
from lgnet_core.types import FloatArray

try:
    import onnxruntime
except ImportError as error:
    raise ImportError(
        "engine 'onnx' needs ONNX Runtime: pip install onnxruntime (or onnxruntime-gpu), or use engine 'eager'"
    ) from error

if TYPE_CHECKING:
    from torch import Tensor

    from lgnet_core.network.exportable import ExportableModule

log = logging.getLogger(__name__)

SPIN_MICROSECONDS = 20
"""How long an idle thread spins within a call before it sleeps.

Operators of these networks take 5 to 300 microseconds, and waking a thread takes about as long. Latency of the three
networks for two hands on two cores with a limit of 0, 20, 100 and infinitely many microseconds: 32, 26, 26, 25 ms; next
to two busy processes: 68, 57, 64, 70 ms."""

GPU_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")


class OnnxEngine(Engine[Outputs]):
    """Runs an exported network.

    Its threads sleep between calls, since spinning threads would take the cores from the next network of the same image
    and from other programs. Within a call they spin for :data:`SPIN_MICROSECONDS` before they sleep.

    Args:
        file: path or content of an ONNX file written by :func:`lgnet_core.engines.export.export_onnx`.
        outputs: return type of the network, ``OUTPUTS`` of its class.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``; ``"auto"`` selects a GPU only if onnxruntime has a provider
            for it.
        threads: CPU threads per call; None for :func:`available_cores`.
        weights: of a file without them (:mod:`lgnet_core.engines.graphs`), float32 by name; others are ignored.

    Raises:
        ValueError: if the file is damaged or not an export of such a network.
        RuntimeError: for a GPU without an onnxruntime provider.
    """

    name = "onnx"
    precision = "fp32"

    def __init__(
        self,
        file: str | Path | bytes,
        outputs: type[Outputs],
        device: str = "auto",
        threads: int | None = None,
        weights: Mapping[str, FloatArray] | None = None,
    ) -> None:
        path = "the export in memory" if isinstance(file, bytes) else str(file)
        self.device = _device(device)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.inter_op_num_threads = 1
        # By default, ONNX Runtime counts the host's cores instead of the available ones and pins a thread to each.
        options.intra_op_num_threads = threads or available_cores()
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_MICROSECONDS))
        options.add_session_config_entry("session.force_spinning_stop", "1")  # for versions without the option above
        # Kept, since the session uses their memory and does not own it.
        self._weights = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
            for name, array in (weights or {}).items()
        }
        if self._weights:
            options.add_external_initializers(list(self._weights), list(self._weights.values()))
        try:
            self.session = onnxruntime.InferenceSession(
                file if isinstance(file, bytes) else path, options, providers=_providers(self.device)
            )
        except Exception as error:  # onnxruntime's exceptions have no public base class
            raise ValueError(
                f"{path}: ONNX Runtime cannot load the file ({error}); delete it and export again with `lgnet export`"
            ) from error
        self.outputs = outputs
        self.metadata: dict[str, str] = dict(self.session.get_modelmeta().custom_metadata_map)
        shapes: dict[str, list[int]] = json.loads(self.metadata.get("inputs", "{}"))
        self.input_shapes = {name: tuple(shape) for name, shape in shapes.items()}
        # Unused inputs of the network are missing in the file.
        self._input_names = [value.name for value in self.session.get_inputs()]
        output_names = tuple(value.name for value in self.session.get_outputs())
        if not set(self._input_names) <= set(shapes) or output_names != outputs._fields:
            raise ValueError(
                f"{path}: not an export of a network with outputs {list(outputs._fields)} (inputs {self._input_names}, "
                f"outputs {list(output_names)}); run `lgnet export`"
            )

    @classmethod
    def from_network(
        cls,
        network: ExportableModule[Outputs],
        device: str = "auto",
        threads: int | None = None,
        inputs: tuple[Tensor, ...] | None = None,
    ) -> OnnxEngine[Outputs]:
        """Engine for the network's cached export, which is created if it is missing or damaged."""
        from lgnet_core.engines.export_cache import cached_onnx

        try:
            return cls(cached_onnx(network, inputs), network.OUTPUTS, device, threads)
        except ValueError as error:
            log.warning("exporting again, as the cached file is damaged: %s", error)
            return cls(cached_onnx(network, inputs, rebuild=True), network.OUTPUTS, device, threads)

    def __call__(self, *inputs: FloatArray) -> Outputs:
        named = dict(zip(self.input_shapes, inputs, strict=True))
        with unify_memory_errors(self.device):
            outputs = self.session.run(None, {name: named[name] for name in self._input_names})
        return self.outputs._make(outputs)


def _device(device: str) -> str:
    """Resolve the device; ``"auto"`` selects a GPU only if onnxruntime has a provider for it."""
    can_use_gpu = any(name in onnxruntime.get_available_providers() for name in GPU_PROVIDERS)
    if device == "auto":
        return "cuda" if can_use_gpu and has_cuda() else "cpu"
    if device != "cpu" and not can_use_gpu:
        require_cuda(f"device {device!r}")
        raise RuntimeError(
            f"device {device!r}: onnxruntime has only the providers {onnxruntime.get_available_providers()}; "
            "pip install onnxruntime-gpu, or use engine 'cuda-graph' or device 'cpu'"
        )
    return resolve_device(device)


def _providers(device: str) -> list[str | tuple[str, dict[str, str]]]:
    if device == "cpu":
        return ["CPUExecutionProvider"]
    index = device.partition(":")[2] or "0"
    available = [name for name in GPU_PROVIDERS if name in onnxruntime.get_available_providers()]
    return [*((name, {"device_id": index}) for name in available), "CPUExecutionProvider"]
