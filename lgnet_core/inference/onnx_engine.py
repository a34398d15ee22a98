"""ONNX Runtime: the default engine on a CPU; its CUDA and TensorRT providers where they are installed."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from lgnet_core.export import INPUT_NAMES, cached_onnx
from lgnet_core.inference.engine import Engine, memory_errors, require_cuda, resolve_device
from lgnet_core.network import HandsNetwork, HandsPrediction
from lgnet_core.types import FloatArray

try:
    import onnxruntime
except ImportError as error:
    raise ImportError(
        "engine 'onnx' needs ONNX Runtime: pip install onnxruntime (or onnxruntime-gpu), or take engine 'eager'"
    ) from error

log = logging.getLogger(__name__)

GPU_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")

SPIN_MICROSECONDS = 50
"""How long an idle thread waits for work before it sleeps.

ONNX Runtime's own milliseconds are no faster, and take the cores from whatever else runs: at 10 pictures a second
lgnet-mini on 2 threads then uses 67 to 78 ms of CPU for each instead of 30 to 41.
"""


class OnnxEngine(Engine):
    """Runs an exported network.

    Args:
        path: ONNX file written by :func:`lgnet_core.export.export_onnx`.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``; ``"auto"`` is a GPU only if onnxruntime has a provider
            for it.
        threads: CPU threads for one call; None: ONNX Runtime's choice, one for each physical core.

    Raises:
        ValueError: if the file is no LGNet export, or is damaged.
        RuntimeError: for a GPU that this onnxruntime cannot use.
    """

    name = "onnx"
    precision = "fp32"

    def __init__(self, path: str | Path, device: str = "auto", threads: int | None = None) -> None:
        self.device = _device(device)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.inter_op_num_threads = 1
        # Versions that do not know the entry ignore it.
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_MICROSECONDS))
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=_providers(self.device))
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise ValueError(
                f"{path}: ONNX Runtime cannot load it ({error}); delete the file and export again with `lgnet export`"
            ) from error
        inputs = {value.name: value.shape for value in self.session.get_inputs()}
        outputs = tuple(value.name for value in self.session.get_outputs())
        # Without a refine stage nothing asks for the intrinsics, and the export leaves them out.
        if tuple(inputs) not in (INPUT_NAMES, INPUT_NAMES[:1]) or outputs != HandsPrediction._fields:
            raise ValueError(
                f"{path}: not an LGNet export (inputs {list(inputs)}, outputs {list(outputs)}); run `lgnet export`"
            )
        self.image_size = int(inputs[INPUT_NAMES[0]][-1])
        self.metadata: dict[str, str] = dict(self.session.get_modelmeta().custom_metadata_map)

    @classmethod
    def from_network(
        cls, network: HandsNetwork, device: str = "auto", image_size: int = 256, threads: int | None = None
    ) -> OnnxEngine:
        """Engine over the network's export in the user's cache; exported first if it is not there or is damaged."""
        try:
            return cls(cached_onnx(network, image_size), device, threads)
        except ValueError as error:
            log.warning("rebuilding a damaged cache entry: %s", error)
            return cls(cached_onnx(network, image_size, rebuild=True), device, threads)

    def __call__(self, images: FloatArray, intrinsics: FloatArray) -> HandsPrediction:
        given = dict(zip(INPUT_NAMES, (images, np.asarray(intrinsics, np.float32))))
        feed = {value.name: given[value.name] for value in self.session.get_inputs()}
        with memory_errors(self.device):
            return HandsPrediction(*(torch.from_numpy(field) for field in self.session.run(None, feed)))


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
