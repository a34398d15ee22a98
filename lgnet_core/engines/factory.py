"""Selection and construction of inference engines."""

from __future__ import annotations

import importlib.util
import logging
from typing import TYPE_CHECKING

from lgnet_core.engines.base import Engine, check_engine, require_cuda, resolve_device
from lgnet_core.network.prediction import Outputs

if TYPE_CHECKING:
    from torch import Tensor

    from lgnet_core.network.exportable import ExportableModule

log = logging.getLogger(__name__)


def make_engine(
    network: ExportableModule[Outputs],
    engine: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    inputs: tuple[Tensor, ...] | None = None,
) -> Engine[Outputs]:
    """Build an engine for a network.

    ``"auto"`` selects ``"cuda-graph"`` on a GPU and ``"onnx"`` on a CPU, or ``"eager"`` with a warning if ONNX Runtime
    is not installed.

    Args:
        network: with its weights.
        engine: one of ``ENGINES``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``.
        threads: CPU threads per call; None for :func:`lgnet_core.engines.cpu.available_cores`. Engine ``"eager"`` sets
            torch's number of threads for the whole process.
        inputs: inputs with the shapes to run at; None for the network's ``example_inputs()``.

    Raises:
        ValueError: for an unknown engine or device.
        RuntimeError: if CUDA is requested but not available.
        ImportError: for engine ``"onnx"`` if onnxruntime is not installed.
    """
    check_engine(engine)
    if engine == "cuda-graph":
        require_cuda("engine 'cuda-graph'")
    device = resolve_device(device)
    if engine == "auto":
        engine = "cuda-graph" if device != "cpu" else "onnx"
        missing = [name for name in ("onnxruntime", "onnx") if importlib.util.find_spec(name) is None]
        if engine == "onnx" and missing:
            names = " ".join(missing)
            log.warning(
                "%s not installed: using eager torch, which is several times slower; pip install %s", names, names
            )
            engine = "eager"
    if engine == "cuda-graph":
        from lgnet_core.engines.cuda_graph import CudaGraphEngine

        return CudaGraphEngine(network, device, inputs)
    if engine == "onnx":
        from lgnet_core.engines.onnx import OnnxEngine

        return OnnxEngine.from_network(network, device, threads, inputs)
    from lgnet_core.engines.eager import EagerEngine

    return EagerEngine(network, device, threads, inputs)
