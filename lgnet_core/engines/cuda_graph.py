"""GPU engine: half precision, channels-last layout, one CUDA graph per batch size."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor, nn

from lgnet_core.engines.base import Engine, require_cuda, resolve_device, unify_memory_errors
from lgnet_core.network.exportable import ExportableModule, input_shapes
from lgnet_core.network.prediction import Outputs
from lgnet_core.types import FloatArray

WARM_UP_RUNS = 3  # for cuDNN's algorithm selection and the allocator, before the capture


@dataclass(frozen=True, eq=False)
class _Capture(Generic[Outputs]):
    """A captured forward pass and its static input and output buffers."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    outputs: Outputs


class CudaGraphEngine(Engine[Outputs]):
    """Replays a captured forward pass: at batch size 1, launching thousands of kernels takes longer than running them.

    A graph is captured at the first call with each batch size and kept; the estimator's warm-up captures one for every
    possible number of crops per image. The network is copied to the device. The caller must serialise calls from
    several threads, since they share the static buffers.

    Args:
        network: with its weights.
        device: ``"auto"`` or ``"cuda[:index]"``.
        inputs: inputs with the shapes to run at; None for the network's ``example_inputs()``.

    Raises:
        RuntimeError: if there is no CUDA device; there is no silent fallback.
    """

    name = "cuda-graph"
    precision = "fp16"
    prepares_each_batch_size = True

    def __init__(
        self, network: ExportableModule[Outputs], device: str = "auto", inputs: tuple[Tensor, ...] | None = None
    ) -> None:
        require_cuda("engine 'cuda-graph'")
        self.device = resolve_device(device)
        if self.device == "cpu":
            raise RuntimeError("engine 'cuda-graph' needs a GPU; use device 'cuda', or engine 'onnx' or 'eager'")
        self.input_shapes = input_shapes(network, network.example_inputs() if inputs is None else inputs)
        self.network = copy.deepcopy(network).to(self.device).eval().requires_grad_(False)
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        self._captures: dict[int, _Capture[Outputs]] = {}

    @torch.inference_mode()
    def __call__(self, *inputs: FloatArray) -> Outputs:
        batch = len(inputs[0])
        with torch.cuda.device(self.device), unify_memory_errors(self.device):
            capture = self._captures.get(batch)
            if capture is None:
                capture = self._captures[batch] = self._capture(inputs)
            for static, array in zip(capture.inputs, inputs, strict=True):
                static.copy_(torch.from_numpy(array))
            capture.graph.replay()
            return self.network.OUTPUTS._make(field.cpu().numpy() for field in capture.outputs)

    def free_memory(self) -> None:
        self._captures.clear()
        super().free_memory()

    def _forward(self, inputs: tuple[Tensor, ...]) -> Outputs:
        # Autocast's cache of cast weights lies outside the graph's memory pool, so the graph must not use it.
        with torch.autocast("cuda", torch.float16, cache_enabled=False):
            outputs = self.network(*inputs)
        return self.network.OUTPUTS._make(field.float() for field in outputs)

    def _capture(self, inputs: tuple[FloatArray, ...]) -> _Capture[Outputs]:
        static_inputs = tuple(_to_device(torch.from_numpy(array), self.device) for array in inputs)
        warm_up_stream = torch.cuda.Stream()
        warm_up_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(warm_up_stream):
            for _ in range(WARM_UP_RUNS):
                self._forward(static_inputs)
        torch.cuda.current_stream().wait_stream(warm_up_stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._forward(static_inputs)
        return _Capture(graph, static_inputs, outputs)


def _to_device(tensor: Tensor, device: str) -> Tensor:
    """Copy to the device; images and maps in channels-last layout."""
    layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    return tensor.to(device, memory_format=layout, copy=True)
