"""Benchmark of the estimator and tracker on the demo clip, and of the networks by themselves."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lgnet_core.data.clip import Clip, ping_pong_indices, read_clip
from lgnet_core.engines.base import resolve_device
from lgnet_core.engines.cpu import available_cores
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.engines.factory import make_engine
from lgnet_core.evaluation.benchmark.background_load import background_load
from lgnet_core.evaluation.benchmark.machine import PeakMemory, machine_description
from lgnet_core.evaluation.benchmark.report import BenchmarkReport, Latency, NetworkCost, PipelineCost
from lgnet_core.hand_model import HandLayer
from lgnet_core.inference.estimator import HandEstimator
from lgnet_core.inference.tracking.tracker import HandTracker
from lgnet_core.network import build_network
from lgnet_core.network.exportable import ExportableModule
from lgnet_core.network.prediction import Outputs
from lgnet_core.types import ImageArray

WARM_UP = 3
BATCHES = (1, 2)
"""Batch sizes of the pipeline's engines: one hand, two hands."""


@dataclass(frozen=True)
class _Settings:
    """Measurement settings; see :func:`run_bench`."""

    device: str
    threads: int | None
    repetitions: int
    background_processes: int


def run_bench(
    hand_model: HandLayer,
    presets: Sequence[str] = (),
    engines: Sequence[str] | None = None,
    device: str = "auto",
    repetitions: int = 50,
    threads: int | None = None,
    size: int | None = None,
    weights: str | Path | None = None,
    background_processes: int = 0,
) -> BenchmarkReport:
    """Measure the pipeline and individual networks in the engines.

    Args:
        hand_model: of the reported hands.
        presets: names of networks to be measured individually.
        engines: names; None: eager torch and the device's default.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``.
        repetitions: timed calls of each.
        threads: CPU threads of the engines; None: :func:`available_cores`.
        size: side of the crops of networks with a variable input size, pixels; None: their default.
        weights: of the pipeline; None: the bundled ones.
        background_processes: busy processes during the measurement.

    Raises:
        ValueError, RuntimeError, ImportError, OSError: if an engine cannot run here, with the remedy.
    """
    device = resolve_device(device)
    if engines is None:
        engines = ("eager", "onnx" if device == "cpu" else "cuda-graph")
    clip = read_clip()
    settings = _Settings(device, threads, repetitions, background_processes)
    pipelines = [_pipeline_cost(clip, weights, hand_model, engine, settings) for engine in engines]
    networks = [cost for preset in presets for cost in _network_costs(preset, hand_model, size, engines, settings)]
    machine = machine_description() | {"threads": threads or available_cores()}
    return BenchmarkReport(machine, (clip.camera.width, clip.camera.height), background_processes, pipelines, networks)


def count_macs(network: ExportableModule[Outputs], inputs: tuple[Tensor, ...] | None = None) -> int:
    """Multiply-accumulates of convolutions and matrix products for one item.

    Args:
        inputs: with the shapes to be counted for; None: the network's ``example_inputs()``.
    """
    device = next(network.parameters()).device
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(*(tensor[:1].to(device) for tensor in (network.example_inputs() if inputs is None else inputs)))
    return counter.get_total_flops() // 2


def _pipeline_cost(
    clip: Clip, weights: str | Path | None, hand_model: HandLayer, engine: str, settings: _Settings
) -> PipelineCost:
    memory = PeakMemory(settings.device)
    estimator = HandEstimator.load(weights, settings.device, hand_model, engine, threads=settings.threads)
    tracker = HandTracker(estimator)
    frames, stamps = _ping_pong(clip.frames), itertools.count(0, round(1e9 / clip.frames_per_second))
    stages: dict[str, list[float]] = {}
    hands: list[int] = []

    def update() -> None:
        found = tracker.update(next(frames), clip.camera, next(stamps))
        hands.append(len(found.hands))
        for stage, seconds in tracker.last_stages.items():
            stages.setdefault(f"update/{stage}", []).append(seconds)

    with background_load(settings.background_processes):
        latency = {
            "estimate": _measure(lambda: estimator.estimate(next(frames), clip.camera), settings.repetitions),
            "update": _measure(update, settings.repetitions),
        }
        latency |= {stage: Latency.of(seconds[WARM_UP:]) for stage, seconds in stages.items()}
        for (name, runner), batch in itertools.product(estimator.engines.items(), BATCHES):
            inputs = [np.random.default_rng(0).random((batch, *s), np.float32) for s in runner.input_shapes.values()]
            latency[f"{name} x{batch}"] = _measure(partial(runner, *inputs), settings.repetitions)
    any_engine = next(iter(estimator.engines.values()))
    return PipelineCost(
        weights="bundled" if weights is None else str(weights),
        engine=any_engine.name,
        device=any_engine.device,
        hands=float(np.mean(hands[WARM_UP:])),
        latency=latency,
        images_per_second=1000 / latency["update"].p50,
        peak_memory_mb=memory.megabytes(),
    )


def _network_costs(
    preset: str, hand_model: HandLayer, size: int | None, engines: Sequence[str], settings: _Settings
) -> Iterator[NetworkCost]:
    """Costs of each engine module of a network in each engine."""
    torch.manual_seed(0)
    network = build_network(preset, hand_model).eval()
    for name, module in network.engine_parts().items():
        is_whole = module is network
        inputs = network.example_inputs(size) if is_whole and size is not None else module.example_inputs()
        for engine in engines:
            yield _module_cost(preset if is_whole else f"{preset} {name}", module, inputs, engine, settings)


def _module_cost(
    name: str, module: ExportableModule[Outputs], inputs: tuple[Tensor, ...], engine: str, settings: _Settings
) -> NetworkCost:
    memory = PeakMemory(settings.device)
    runner = make_engine(module, engine, settings.device, settings.threads, inputs)
    run = partial(runner, *(tensor[:1].numpy() for tensor in inputs))
    with background_load(settings.background_processes):
        latency = {"network": _measure(run, settings.repetitions)}
        peak = memory.megabytes()
        if isinstance(runner, EagerEngine):
            latency |= _module_latencies(runner, run, settings.repetitions)
    return NetworkCost(
        network=name,
        engine=runner.name,
        device=runner.device,
        precision=runner.precision,
        inputs=runner.input_shapes,
        parameters=sum(p.numel() for p in module.parameters()),
        macs=count_macs(module, inputs),
        latency=latency,
        peak_memory_mb=peak,
    )


def _ping_pong(frames: Sequence[ImageArray]) -> Iterator[ImageArray]:
    """Repeats the frames forwards and backwards forever."""
    return itertools.cycle([frames[k] for k in ping_pong_indices(len(frames))])


def _measure(run: Callable[[], object], repetitions: int) -> Latency:
    """Latency of single calls. Engines return data on the CPU, so a call includes all of its work."""
    for _ in range(WARM_UP):
        run()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return Latency.of(times)


def _module_latencies(runner: EagerEngine[Outputs], run: Callable[[], object], repetitions: int) -> dict[str, Latency]:
    """Latency of the network's modules, measured by hooks."""
    times: dict[str, list[float]] = {}
    starts: dict[str, float] = {}

    def now() -> float:
        if runner.device != "cpu":
            torch.cuda.synchronize(runner.device)
        return time.perf_counter()

    def begin(name: str) -> Callable[..., None]:
        return lambda *_: starts.update({name: now()})

    def end(name: str) -> Callable[..., None]:
        return lambda *_: times.setdefault(f"network/{name}", []).append(now() - starts[name])

    with ExitStack() as hooks:
        for name, module in runner.network.named_children():
            hooks.callback(module.register_forward_pre_hook(begin(name)).remove)
            hooks.callback(module.register_forward_hook(end(name)).remove)
        _measure(run, repetitions)
    return {
        name: Latency.of(values[WARM_UP:]) for name, values in times.items() if len(values) == repetitions + WARM_UP
    }
