"""CPU against CUDA for every preset: the same result, latency, training throughput. ``make gpu-check`` runs it.

Where there is no CUDA device it says so and succeeds: the rest of the project does not need one.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lgnet_core.engines.cuda_graph import CudaGraphEngine
from lgnet_core.hand_model import load_hand_model
from lgnet_core.network import PRESETS, HandsNetwork, HandsPrediction, build_network
from lgnet_core.network.per_hand.lgnet import HandLGNet

TRAINING_BATCH = 32
TOLERANCE = 1e-2
"""Largest difference between the devices, relative to the field's largest value (TF32 convolutions differ by 1e-3)."""


def inputs(network: HandsNetwork, batch: int, device: str = "cpu") -> tuple[Tensor, ...]:
    """The network's example, repeated."""
    return tuple(tensor[:1].repeat(batch, *[1] * (tensor.ndim - 1)).to(device) for tensor in network.example_inputs())


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Median time of one call, the device waited for, after three to warm up."""
    times = []
    for k in range(repeats + 3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        if k >= 3:
            times.append(time.perf_counter() - start)
    return float(np.median(times))


def worst_difference(expected: HandsPrediction, got: HandsPrediction) -> tuple[float, str]:
    """The largest relative difference and the field it is in."""
    return max(
        (((a - b.cpu()).abs().max() / a.abs().max().clamp_min(1e-6)).item(), name)
        for name, a, b in zip(HandsPrediction._fields, expected, got)
    )


def training_step(network: HandsNetwork, batch: int) -> Callable[[], None]:
    """A forward and a backward pass in mixed precision on random images."""
    given = [
        tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
        for tensor in inputs(network, batch, "cuda")
    ]

    def step() -> None:
        network.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            prediction = network(*given)
        sum(field.square().mean() for field in prediction).backward()

    return step


def graph_seconds(network: HandsNetwork) -> float:
    """One image in the CUDA graph engine: of a network of one crop per hand its two parts, as in the estimator."""
    parts = ((network.landmarker, 2), (network.stages, 2)) if isinstance(network, HandLGNet) else ((network, 1),)
    total = 0.0
    for part, batch in parts:
        engine = CudaGraphEngine(part)
        given = [tensor[:batch].numpy() for tensor in part.example_inputs()]
        total += seconds(lambda engine=engine, given=given: engine(*given), 100)
    return total


def check(preset: str) -> bool:
    """Measure one preset and print its row; False if the devices disagree."""
    torch.manual_seed(0)
    on_cpu = build_network(preset, load_hand_model()).eval()
    on_gpu = copy.deepcopy(on_cpu).cuda()
    with torch.inference_mode():
        difference, field = worst_difference(on_cpu(*inputs(on_cpu, 2)), on_gpu(*inputs(on_cpu, 2, "cuda")))
        one = inputs(on_cpu, 1, "cuda")
        eager = seconds(lambda: on_gpu(*one), 30)
    graph = graph_seconds(on_cpu)
    trained = on_gpu.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    torch.cuda.reset_peak_memory_stats()
    throughput = TRAINING_BATCH / seconds(training_step(trained, TRAINING_BATCH), 10)
    memory = torch.cuda.max_memory_allocated() / 2**30
    agrees = difference <= TOLERANCE
    same = "yes" if agrees else "NO"
    print(f"{preset:15} {same:>5} {difference:9.1e} {field:22}", end=" ")
    print(f"{eager * 1e3:8.1f} {graph * 1e3:8.1f} {throughput:10.0f} {memory:6.1f}")
    return agrees


def main() -> int:
    if not torch.cuda.is_available():
        print("gpu-check: no CUDA device here (or a CPU build of torch): nothing to compare, nothing measured.")
        return 0
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, training batch {TRAINING_BATCH}")
    print(
        f"{'preset':15} {'same':>5} {'worst':>9} {'in':22} {'fp32 ms':>8} {'fp16 ms':>8} {'train im/s':>10} {'GiB':>6}"
    )
    agreements = [check(preset) for preset in PRESETS]
    return 0 if all(agreements) else 1


if __name__ == "__main__":
    sys.exit(main())
