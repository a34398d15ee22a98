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

from lgnet_core.camera import virtual_intrinsics
from lgnet_core.hand_model import load_hand_model
from lgnet_core.inference.cuda_graph import CudaGraphEngine
from lgnet_core.network import PRESETS, HandsNetwork, HandsPrediction, build_network

SIZE = 256
TRAINING_BATCH = 32
TOLERANCE = 1e-2
"""Largest difference between the devices, relative to the field's largest value (TF32 convolutions differ by 1e-3)."""


def crops(batch: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Random pictures and a virtual camera."""
    image = torch.rand(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    intrinsics = torch.from_numpy(virtual_intrinsics(SIZE)).float().expand(batch, 3, 3)
    return image.to(device), intrinsics.to(device)


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
    """A forward and a backward pass in mixed precision on random pictures."""
    image, intrinsics = crops(batch, "cuda")
    image = image.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        network.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            prediction = network(image, intrinsics)
        sum(field.square().mean() for field in prediction).backward()

    return step


def check(preset: str) -> bool:
    """Measure one preset and print its row; False if the devices disagree."""
    torch.manual_seed(0)
    on_cpu = build_network(preset, load_hand_model()).eval()
    on_gpu = copy.deepcopy(on_cpu).cuda()
    with torch.inference_mode():
        difference, field = worst_difference(on_cpu(*crops(2)), on_gpu(*crops(2, "cuda")))
        eager = seconds(lambda: on_gpu(*crops(1, "cuda")), 30)
    engine = CudaGraphEngine(on_cpu)
    image, intrinsics = (x.numpy() for x in crops(1))
    graph = seconds(lambda: engine(image, intrinsics), 100)
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
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {SIZE}x{SIZE}, training batch {TRAINING_BATCH}")
    print(
        f"{'preset':15} {'same':>5} {'worst':>9} {'in':22} {'fp32 ms':>8} {'fp16 ms':>8} {'train im/s':>10} {'GiB':>6}"
    )
    agreements = [check(preset) for preset in PRESETS]
    return 0 if all(agreements) else 1


if __name__ == "__main__":
    sys.exit(main())
