"""The GPU engine: half precision, channels-last, one CUDA graph per batch size."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lgnet_core.inference.engine import Engine, memory_errors, require_cuda, resolve_device
from lgnet_core.network import HandsNetwork, HandsPrediction
from lgnet_core.types import FloatArray

WARM_UP_RUNS = 3  # cuDNN chooses its algorithms and the allocator its blocks before the capture


@dataclass(frozen=True, eq=False)
class _Capture:
    """A recorded forward pass and the memory it reads and writes."""

    graph: torch.cuda.CUDAGraph
    images: Tensor
    intrinsics: Tensor
    outputs: HandsPrediction


class CudaGraphEngine(Engine):
    """Replays a recorded forward pass: at batch 1 the launches of some thousand kernels cost more than their work.

    A graph is recorded at the first call with a batch size and kept: the estimator's warm-up has one recorded for each
    number of crops that a picture can have. The network is copied to the device. Calls from several threads must be
    serialised by the caller, since they share the recorded memory.

    Args:
        network: with its weights.
        device: ``"auto"`` (which must find a GPU) or ``"cuda[:index]"``.
        image_size: side of the crops, pixels.

    Raises:
        RuntimeError: where there is no CUDA device; there is no silent fallback.
    """

    name = "cuda-graph"
    precision = "fp16"
    prepares_each_size = True

    def __init__(self, network: HandsNetwork, device: str = "auto", image_size: int = 256) -> None:
        require_cuda("engine 'cuda-graph'")
        self.device = resolve_device(device)
        if self.device == "cpu":
            raise RuntimeError("engine 'cuda-graph' runs on a GPU; take device 'cuda', or engine 'onnx' or 'eager'")
        self.image_size = image_size
        self.network = copy.deepcopy(network).to(self.device).eval().requires_grad_(False)
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        self._captures: dict[int, _Capture] = {}

    @torch.inference_mode()
    def __call__(self, images: FloatArray, intrinsics: FloatArray) -> HandsPrediction:
        with torch.cuda.device(self.device), memory_errors(self.device):
            capture = self._captures.get(len(images))
            if capture is None:
                capture = self._captures[len(images)] = self._record(len(images))
            capture.images.copy_(torch.from_numpy(images))
            capture.intrinsics.copy_(torch.from_numpy(intrinsics))
            capture.graph.replay()
            return HandsPrediction(*(field.cpu() for field in capture.outputs))

    def free_memory(self) -> None:
        self._captures.clear()
        super().free_memory()

    def _forward(self, images: Tensor, intrinsics: Tensor) -> HandsPrediction:
        # The cache of cast weights lives outside a graph's memory, so a replay must not rely on it.
        with torch.autocast("cuda", torch.float16, cache_enabled=False):
            outputs = self.network(images, intrinsics)
        return HandsPrediction(*(field.float() for field in outputs))

    def _record(self, batch: int) -> _Capture:
        size = self.image_size
        images = torch.zeros(batch, 3, size, size, device=self.device).to(memory_format=torch.channels_last)
        intrinsics = torch.tensor([[2.5 * size, 0, size / 2], [0, 2.5 * size, size / 2], [0, 0, 1]])
        intrinsics = intrinsics.repeat(batch, 1, 1).to(self.device)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_RUNS):
                self._forward(images, intrinsics)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._forward(images, intrinsics)
        return _Capture(graph, images, intrinsics, outputs)
