"""The GPU engine: half precision, channels-last, one CUDA graph per batch size."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor, nn

from lgnet_core.engines.base import Engine, memory_errors, require_cuda, resolve_device
from lgnet_core.network.exportable import ExportableModule, Outputs, input_shapes
from lgnet_core.types import FloatArray

WARM_UP_RUNS = 3  # cuDNN chooses its algorithms and the allocator its blocks before the capture


@dataclass(frozen=True, eq=False)
class _Capture(Generic[Outputs]):
    """A recorded forward pass and the memory it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    outputs: Outputs


class CudaGraphEngine(Engine[Outputs]):
    """Replays a recorded forward pass: at batch 1 the launches of some thousand kernels cost more than their work.

    A graph is recorded at the first call with a batch size and kept: the estimator's warm-up has one recorded for each
    number of crops that an image can have. The network is copied to the device. Calls from several threads must be
    serialised by the caller, since they share the recorded memory.

    Args:
        network: with its weights.
        device: ``"auto"`` (which must find a GPU) or ``"cuda[:index]"``.
        inputs: the shapes it is to run at; None: the network's ``example_inputs()``.

    Raises:
        RuntimeError: where there is no CUDA device; there is no silent fallback.
    """

    name = "cuda-graph"
    precision = "fp16"
    prepares_each_size = True

    def __init__(
        self, network: ExportableModule[Outputs], device: str = "auto", inputs: tuple[Tensor, ...] | None = None
    ) -> None:
        require_cuda("engine 'cuda-graph'")
        self.device = resolve_device(device)
        if self.device == "cpu":
            raise RuntimeError("engine 'cuda-graph' runs on a GPU; take device 'cuda', or engine 'onnx' or 'eager'")
        self.input_shapes = input_shapes(network, network.example_inputs() if inputs is None else inputs)
        self.network = copy.deepcopy(network).to(self.device).eval().requires_grad_(False)
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        self._captures: dict[int, _Capture[Outputs]] = {}

    @torch.inference_mode()
    def __call__(self, *inputs: FloatArray) -> Outputs:
        batch = len(inputs[0])
        with torch.cuda.device(self.device), memory_errors(self.device):
            capture = self._captures.get(batch)
            if capture is None:
                capture = self._captures[batch] = self._record(inputs)
            for recorded, array in zip(capture.inputs, inputs, strict=True):
                recorded.copy_(torch.from_numpy(array))
            capture.graph.replay()
            return self.network.OUTPUTS._make(field.cpu() for field in capture.outputs)

    def free_memory(self) -> None:
        self._captures.clear()
        super().free_memory()

    def _forward(self, inputs: tuple[Tensor, ...]) -> Outputs:
        # The cache of cast weights lives outside a graph's memory, so a replay must not rely on it.
        with torch.autocast("cuda", torch.float16, cache_enabled=False):
            outputs = self.network(*inputs)
        return self.network.OUTPUTS._make(field.float() for field in outputs)

    def _record(self, inputs: tuple[FloatArray, ...]) -> _Capture[Outputs]:
        on_device = tuple(_to_device(torch.from_numpy(array), self.device) for array in inputs)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_RUNS):
                self._forward(on_device)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._forward(on_device)
        return _Capture(graph, on_device, outputs)


def _to_device(tensor: Tensor, device: str) -> Tensor:
    """A copy of its own on the device; images and maps with their channels last."""
    layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    return tensor.to(device, memory_format=layout, copy=True)
