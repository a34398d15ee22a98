"""Which engine runs a network where."""

from __future__ import annotations

import importlib.util
import logging

from torch import Tensor

from lgnet_core.engines.base import ENGINES, Engine, require_cuda, resolve_device
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.network.exportable import ExportableModule, Outputs

log = logging.getLogger(__name__)


def make_engine(
    network: ExportableModule[Outputs],
    engine: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    inputs: tuple[Tensor, ...] | None = None,
) -> Engine[Outputs]:
    """An engine for a network.

    ``"auto"`` takes ``"cuda-graph"`` on a GPU and ``"onnx"`` on a CPU, or ``"eager"`` with one warning where ONNX
    Runtime is not installed.

    Args:
        network: with its weights.
        engine: one of ``ENGINES``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``.
        threads: CPU threads for one call; None: :func:`lgnet_core.engines.cpu.available_cores`. In engine ``"eager"``
            they are those of torch in the whole process.
        inputs: the shapes it is to run at, without the batch; None: the network's ``example_inputs()``.

    Raises:
        ValueError: for an unknown engine or device.
        RuntimeError: for CUDA where there is none.
        ImportError: for engine ``"onnx"`` without onnxruntime.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine {engine!r} is not known; take one of {', '.join(ENGINES)}")
    if engine == "cuda-graph":
        require_cuda("engine 'cuda-graph'")
    device = resolve_device(device)
    if engine == "auto":
        engine = "cuda-graph" if device != "cpu" else "onnx"
        missing = [name for name in ("onnxruntime", "onnx") if importlib.util.find_spec(name) is None]
        if engine == "onnx" and missing:
            names = " ".join(missing)
            log.warning("running eager torch, several times slower, for want of %s: pip install %s", names, names)
            engine = "eager"
    if engine == "cuda-graph":
        from lgnet_core.engines.cuda_graph import CudaGraphEngine

        return CudaGraphEngine(network, device, inputs)
    if engine == "onnx":
        from lgnet_core.engines.onnx import OnnxEngine

        return OnnxEngine.from_network(network, device, threads, inputs)
    return EagerEngine(network, device, threads, inputs)
