"""Which engine runs a network where."""

from __future__ import annotations

import importlib.util
import logging

from lgnet_core.inference.eager import EagerEngine
from lgnet_core.inference.engine import ENGINES, Engine, require_cuda, resolve_device
from lgnet_core.network import HandsNetwork

log = logging.getLogger(__name__)


def make_engine(
    network: HandsNetwork, engine: str = "auto", device: str = "auto", image_size: int = 256, threads: int | None = None
) -> Engine:
    """An engine for a network.

    ``"auto"`` takes ``"cuda-graph"`` on a GPU and ``"onnx"`` on a CPU, or ``"eager"`` with one warning where ONNX
    Runtime is not installed.

    Args:
        network: with its weights.
        engine: one of ``ENGINES``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``.
        image_size: side of the crops, pixels.
        threads: CPU threads of ONNX Runtime for one call; None: one for each physical core.

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
        from lgnet_core.inference.cuda_graph import CudaGraphEngine

        return CudaGraphEngine(network, device, image_size)
    if engine == "onnx":
        from lgnet_core.inference.onnx_engine import OnnxEngine

        return OnnxEngine.from_network(network, device, image_size, threads)
    return EagerEngine(network, device, image_size)
