"""Compare CPU and CUDA for every preset: numerical agreement, latency, training throughput. Run by ``make gpu-check``.

Without a CUDA device, it prints a note and succeeds, since the project does not require one.
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
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.network import PRESETS, HandsNetwork, HandsPrediction, build_network
from lgnet_core.network.per_hand.lgnet import HandLGNet

TRAINING_BATCH = 32
TOLERANCE = 1e-2
"""Maximum difference between the devices, relative to the field's largest value (1e-3 is typical for TF32)."""


def repeated_inputs(network: HandsNetwork, batch: int, device: str = "cpu") -> tuple[Tensor, ...]:
    """The first example input, repeated to a batch."""
    return tuple(tensor[:1].repeat(batch, *[1] * (tensor.ndim - 1)).to(device) for tensor in network.example_inputs())


def measure_seconds(run: Callable[[], object], repeats: int) -> float:
    """Median duration of a call, synchronised with the device, after three warm-up calls."""
    times = []
    for k in range(repeats + 3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        if k >= 3:
            times.append(time.perf_counter() - start)
    return float(np.median(times))


def max_difference(expected: HandsPrediction, actual: HandsPrediction) -> tuple[float, str]:
    """Maximum relative difference, and the field with it."""
    return max(
        (((a - b.cpu()).abs().max() / a.abs().max().clamp_min(1e-6)).item(), name)
        for name, a, b in zip(HandsPrediction._fields, expected, actual)
    )


def training_step(network: HandsNetwork, batch: int) -> Callable[[], None]:
    """Forward and backward pass in mixed precision on random images."""
    batch_inputs = [
        tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
        for tensor in repeated_inputs(network, batch, "cuda")
    ]

    def step() -> None:
        network.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            prediction = network(*batch_inputs)
        sum(field.square().mean() for field in prediction).backward()

    return step


def graph_seconds(network: HandsNetwork) -> float:
    """Latency for one image in the CUDA graph engine; per-hand networks run as two parts, as in the estimator."""
    parts = ((network.landmarker, 2), (network.stages, 2)) if isinstance(network, HandLGNet) else ((network, 1),)
    total = 0.0
    for part, batch in parts:
        engine = CudaGraphEngine(part)
        arrays = [tensor[:batch].numpy() for tensor in part.example_inputs()]
        total += measure_seconds(lambda engine=engine, arrays=arrays: engine(*arrays), 100)
    return total


def check(preset: str) -> bool:
    """Measure a preset and print its row; returns whether the devices agree."""
    torch.manual_seed(0)
    on_cpu = build_network(preset, load_hand_layer()).eval()
    on_gpu = copy.deepcopy(on_cpu).cuda()
    with torch.inference_mode():
        difference, field = max_difference(
            on_cpu(*repeated_inputs(on_cpu, 2)), on_gpu(*repeated_inputs(on_cpu, 2, "cuda"))
        )
        single = repeated_inputs(on_cpu, 1, "cuda")
        eager = measure_seconds(lambda: on_gpu(*single), 30)
    graph = graph_seconds(on_cpu)
    trained = on_gpu.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    torch.cuda.reset_peak_memory_stats()
    throughput = TRAINING_BATCH / measure_seconds(training_step(trained, TRAINING_BATCH), 10)
    memory = torch.cuda.max_memory_allocated() / 2**30
    agrees = difference <= TOLERANCE
    print(f"{preset:15} {'yes' if agrees else 'NO':>6} {difference:9.1e} {field:22}", end=" ")
    print(f"{eager * 1e3:8.1f} {graph * 1e3:8.1f} {throughput:10.0f} {memory:6.1f}")
    return agrees


def main() -> int:
    if not torch.cuda.is_available():
        print("gpu-check: no CUDA device (or a CPU build of torch): skipped.")
        return 0
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, training batch {TRAINING_BATCH}")
    header = f"{'preset':15} {'agrees':>6} {'max diff':>9} {'field':22}"
    print(f"{header} {'fp32 ms':>8} {'fp16 ms':>8} {'train im/s':>10} {'GiB':>6}")
    agreements = [check(preset) for preset in PRESETS]
    return 0 if all(agreements) else 1


if __name__ == "__main__":
    sys.exit(main())
