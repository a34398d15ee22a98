"""What estimation costs on this machine: the estimator and tracker on the bundled clip, and each preset's network."""

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

from lgnet_core.data.clip import Clip, read_clip
from lgnet_core.engines.base import resolve_device
from lgnet_core.engines.cpu import available_cores
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.engines.factory import make_engine
from lgnet_core.evaluation.benchmark.busy import busy_processes
from lgnet_core.evaluation.benchmark.machine import PeakMemory, machine_description
from lgnet_core.evaluation.benchmark.report import Latency, NetworkCost, PipelineCost, Report
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.estimator import HandEstimator
from lgnet_core.inference.tracking.tracker import HandTracker
from lgnet_core.network import build_network
from lgnet_core.network.exportable import ExportableModule, Outputs
from lgnet_core.types import FloatArray

WARM_UP = 3
BATCHES = (1, 2)
"""Of a pipeline's engines: one hand, two hands."""


@dataclass(frozen=True)
class _Way:
    """How everything is measured; see :func:`run_bench`."""

    device: str
    threads: int | None
    repetitions: int
    beside: int


def run_bench(
    hand_model: HandModel,
    presets: Sequence[str] = (),
    engines: Sequence[str] | None = None,
    device: str = "auto",
    repetitions: int = 50,
    threads: int | None = None,
    size: int | None = None,
    weights: str | Path | None = None,
    beside: int = 0,
) -> Report:
    """Measure the pipeline, and networks by themselves, in engines.

    Args:
        hand_model: whose hands are wanted.
        presets: names of networks to measure by themselves.
        engines: names; None: eager torch and the device's default.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``.
        repetitions: timed calls of each.
        threads: CPU threads of the engines; None: :func:`available_cores`.
        size: side of the crops of networks that take any, pixels; None: their own default.
        weights: of the pipeline; None: the bundled ones.
        beside: busy processes that run while a time is taken.

    Raises:
        ValueError, RuntimeError, ImportError, OSError: from the engine that cannot run here, with the cure.
    """
    device = resolve_device(device)
    if engines is None:
        engines = ("eager", "onnx" if device == "cpu" else "cuda-graph")
    clip = read_clip()
    way = _Way(device, threads, repetitions, beside)
    pipelines = [_pipeline(clip, weights, hand_model, engine, way) for engine in engines]
    networks = [cost for preset in presets for cost in _network(preset, hand_model, size, engines, way)]
    machine = machine_description() | {"threads": threads or available_cores()}
    return Report(machine, (clip.camera.width, clip.camera.height), beside, pipelines, networks)


def count_macs(network: ExportableModule[Outputs], inputs: tuple[Tensor, ...] | None = None) -> int:
    """Multiply-accumulates of convolutions and matrix products for one item.

    Args:
        inputs: of the shapes wanted; None: the network's ``example_inputs()``.
    """
    device = next(network.parameters()).device
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(*(tensor[:1].to(device) for tensor in (network.example_inputs() if inputs is None else inputs)))
    return counter.get_total_flops() // 2


def _pipeline(clip: Clip, weights: str | Path | None, hand_model: HandModel, engine: str, way: _Way) -> PipelineCost:
    memory = PeakMemory(way.device)
    estimator = HandEstimator.load(weights, way.device, hand_model, engine, threads=way.threads)
    tracker = HandTracker(estimator)
    frames, stamps = _to_and_fro(clip.frames), itertools.count(0, round(1e9 / clip.frames_per_second))
    stages: dict[str, list[float]] = {}
    hands: list[int] = []

    def update() -> None:
        found = tracker.update(next(frames), clip.camera, next(stamps))
        hands.append(len(found.hands))
        for stage, seconds in tracker.last_stages.items():
            stages.setdefault(f"update/{stage}", []).append(seconds)

    with busy_processes(way.beside):
        latency = {
            "estimate": _time(lambda: estimator.estimate(next(frames), clip.camera), way.repetitions),
            "update": _time(update, way.repetitions),
        }
        latency |= {stage: Latency.of(seconds[WARM_UP:]) for stage, seconds in stages.items()}
        for (name, runner), batch in itertools.product(estimator.engines.items(), BATCHES):
            inputs = [np.random.default_rng(0).random((batch, *s), np.float32) for s in runner.input_shapes.values()]
            latency[f"{name} x{batch}"] = _time(partial(runner, *inputs), way.repetitions)
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


def _network(
    preset: str, hand_model: HandModel, size: int | None, engines: Sequence[str], way: _Way
) -> Iterator[NetworkCost]:
    """Of each part of a network that engines run, in each engine."""
    torch.manual_seed(0)
    network = build_network(preset, hand_model).eval()
    for name, part in network.engine_parts().items():
        whole = part is network
        inputs = network.example_inputs(size) if whole and size is not None else part.example_inputs()
        for engine in engines:
            yield _part(preset if whole else f"{preset} {name}", part, inputs, engine, way)


def _part(
    name: str, part: ExportableModule[Outputs], inputs: tuple[Tensor, ...], engine: str, way: _Way
) -> NetworkCost:
    memory = PeakMemory(way.device)
    runner = make_engine(part, engine, way.device, way.threads, inputs)
    run = partial(runner, *(tensor[:1].numpy() for tensor in inputs))
    with busy_processes(way.beside):
        latency = {"network": _time(run, way.repetitions)}
        peak = memory.megabytes()
        if isinstance(runner, EagerEngine):
            latency |= _modules(runner, run, way.repetitions)
    return NetworkCost(
        network=name,
        engine=runner.name,
        device=runner.device,
        precision=runner.precision,
        inputs=runner.input_shapes,
        parameters=sum(p.numel() for p in part.parameters()),
        macs=count_macs(part, inputs),
        latency=latency,
        peak_memory_mb=peak,
    )


def _to_and_fro(frames: Sequence[FloatArray]) -> Iterator[FloatArray]:
    """Endlessly, with no jump at the clip's ends."""
    return itertools.cycle([*frames, *frames[-2:0:-1]])


def _time(run: Callable[[], object], repetitions: int) -> Latency:
    """Of single calls. Engines return data on the CPU, so a call is over when its work is."""
    for _ in range(WARM_UP):
        run()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return Latency.of(times)


def _modules(runner: EagerEngine[Outputs], run: Callable[[], object], repetitions: int) -> dict[str, Latency]:
    """Latency of the network's modules, by hooks around each."""
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
        _time(run, repetitions)
    return {
        name: Latency.of(values[WARM_UP:]) for name, values in times.items() if len(values) == repetitions + WARM_UP
    }
