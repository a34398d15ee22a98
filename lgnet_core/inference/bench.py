"""What estimation costs: size, latency by stage, rate and memory of each preset, on this machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from lgnet_core.camera import virtual_intrinsics
from lgnet_core.checkpoint import BUNDLED_WEIGHTS, crop_size, load_own_network
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.eager import EagerEngine
from lgnet_core.inference.engine import resolve_device
from lgnet_core.inference.engine_choice import make_engine
from lgnet_core.inference.estimator import HandEstimator
from lgnet_core.inference.regions import Region
from lgnet_core.network import HandsNetwork, build_network
from lgnet_core.network.config import preset_name
from lgnet_core.types import Camera, Side

PICTURE = (640, 480)
WARM_UP = 3


class Latency(NamedTuple):
    """Percentiles over single calls, milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Measurement:
    """One network in one engine.

    Args:
        weights: ``"bundled"`` or ``"random"``; the cost is the same.
        size: side of the crop, pixels.
        parameters, macs: of the network; multiply-accumulates of one crop, without what is no matrix product.
        latency: by stage, one crop with both hands: ``crop``, ``network``, ``placement``, ``estimate`` (the three
            together), and the parts of the network where the engine runs them one by one.
        pictures_per_second: of ``estimate`` at its median.
        peak_memory_mb: of the GPU, else of the whole process, while loading and running.
    """

    preset: str
    weights: str
    size: int
    engine: str
    device: str
    precision: str
    parameters: int
    macs: int
    latency: dict[str, Latency]
    pictures_per_second: float
    peak_memory_mb: float


@dataclass(frozen=True)
class Report:
    """Measurements, and where they were made."""

    machine: dict[str, Any]
    measurements: list[Measurement]

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        rows = [
            asdict(m) | {"latency": {stage: value._asdict() for stage, value in m.latency.items()}}
            for m in self.measurements
        ]
        document = {"machine": self.machine, "picture": list(PICTURE), "unit": "ms", "measurements": rows}
        Path(path).write_text(json.dumps(document, indent=2) + "\n")

    def table(self) -> Table:
        """For a terminal."""
        machine = self.machine
        caption = f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}"
        if any(m.weights == "random" for m in self.measurements):
            caption += "; random weights where none are shipped, which cost the same"
        table = Table(title="lgnet bench: one picture, both hands in one crop; p50 / p95 / p99 in ms", caption=caption)
        stages = ("crop", "network", "placement", "estimate")
        for name in ("preset", "pixels", "engine", "M params", "GMAC", *stages, "1/s", "MB"):
            table.add_column(
                name, justify="left" if name in ("preset", "engine") else "right", no_wrap=name == "preset"
            )
        for m in self.measurements:
            times = (_times(m.latency[stage]) for stage in stages)
            engine = f"{m.engine} {m.device} {m.precision}"
            size = (f"{m.parameters / 1e6:.1f}", f"{m.macs / 1e9:.2f}")
            rate_and_memory = (f"{m.pictures_per_second:.1f}", f"{m.peak_memory_mb:.0f}")
            table.add_row(m.preset, str(m.size), engine, *size, *times, *rate_and_memory)
            inner = {stage: value for stage, value in m.latency.items() if stage.startswith("network/")}
            for stage, value in inner.items():
                table.add_row(f"  {stage}", *[""] * 5, _times(value), *[""] * 4, style="dim")
        return table


def run_bench(
    hand_model: HandModel,
    presets: Sequence[str] = ("lgnet-mini", "lgnet-light", "lgnet"),
    engines: Sequence[str] | None = None,
    device: str = "auto",
    repetitions: int = 50,
    threads: int | None = None,
    size: int | None = None,
) -> Report:
    """Measure presets in engines.

    Args:
        hand_model: the bundled one, or the user's; where the bundled weights are of another one than this, turning
            their hands into this one's (:mod:`lgnet_core.inference.retarget`) counts as placement.
        presets: names; the bundled weights are used for the preset that they are of, random ones for the others.
        engines: names; None: eager torch and the device's default.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``.
        repetitions: timed calls of each stage.
        threads: CPU threads of torch and ONNX Runtime; None: their choice.
        size: side of the crop, pixels; None: that of the bundled weights, or that of weights that do not say theirs.

    Raises:
        ValueError, RuntimeError, ImportError: from the engine that cannot run here, with the cure.
    """
    device = resolve_device(device)
    if engines is None:
        engines = ("eager", "onnx" if device == "cpu" else "cuda-graph")
    if threads is not None:
        torch.set_num_threads(threads)
    measurements = [
        _measure(preset, engine, device, hand_model, repetitions, threads, size)
        for preset in presets
        for engine in engines
    ]
    return Report(machine_description(), measurements)


def count_macs(network: HandsNetwork, size: int = 256) -> int:
    """Multiply-accumulates of convolutions and matrix products for one crop."""
    device = next(network.parameters()).device
    intrinsics = torch.tensor(virtual_intrinsics(size), dtype=torch.float32, device=device)[None]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, 3, size, size, device=device), intrinsics)
    return counter.get_total_flops() // 2


def machine_description() -> dict[str, Any]:
    """What a figure depends on: hardware, versions, commit, command, and how busy the machine was."""
    versions = {}
    for package in ("torch", "onnxruntime", "onnx", "numpy", "opencv-python-headless"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        **versions,
        "commit": _commit(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _measure(
    preset: str,
    engine: str,
    device: str,
    hand_model: HandModel,
    repetitions: int,
    threads: int | None,
    size: int | None,
) -> Measurement:
    memory = _PeakMemory(device)
    network, weights, own_size = _network(preset, hand_model)
    runner = make_engine(network, engine, device, threads, network.example_inputs(size or own_size))
    # Random weights know no hands: the lowest thresholds make sure that both are placed.
    estimator = HandEstimator(runner, network.hand_model, presence_threshold=1e-9, target=hand_model, smallest_hand=0.0)
    width, height = PICTURE
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    camera = Camera(np.array([[600.0, 0, width / 2], [0, 600.0, height / 2], [0, 0, 1]]), width, height)
    regions = [Region(np.array([200.0, 120, 440, 360]), (Side.RIGHT, Side.LEFT))]
    crops = estimator.cut(image, camera, regions)
    prediction = runner(crops.images, crops.intrinsics)

    stages: dict[str, Callable[[], object]] = {
        "crop": lambda: estimator.cut(image, camera, regions),
        "network": lambda: runner(crops.images, crops.intrinsics),
        "placement": lambda: estimator.assemble(regions, crops, prediction, camera),
        "estimate": lambda: estimator.estimate_regions(image, camera, regions),
    }
    latency = {stage: _latency(_time(run, repetitions)) for stage, run in stages.items()}
    peak = memory.megabytes()
    if isinstance(runner, EagerEngine):
        latency |= _parts(runner, lambda: runner(crops.images, crops.intrinsics), repetitions)
    return Measurement(
        preset=preset_name(network.config),
        weights=weights,
        size=runner.image_size,
        engine=runner.name,
        device=runner.device,
        precision=runner.precision,
        parameters=sum(p.numel() for p in network.parameters()),
        macs=count_macs(network, runner.image_size),
        latency=latency,
        pictures_per_second=1000 / latency["estimate"].p50,
        peak_memory_mb=peak,
    )


def _network(preset: str, hand_model: HandModel) -> tuple[HandsNetwork, str, int]:
    """The preset with the bundled weights, and the hand model they go with, if they are its own; else random ones.
    Then which weights these are, and the side of their crops, pixels.
    """
    if BUNDLED_WEIGHTS.is_file():
        with suppress(ValueError):  # they are of a third hand model
            network, metadata = load_own_network(None, hand_model)
            if preset_name(network.config) == preset:
                return network, "bundled", crop_size(metadata)
    torch.manual_seed(0)
    return build_network(preset, hand_model).eval(), "random", crop_size({})


def _time(run: Callable[[], object], repetitions: int) -> list[float]:
    """Seconds of single calls. Engines return data on the CPU, so a call is over when its work is."""
    for _ in range(WARM_UP):
        run()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def _parts(runner: EagerEngine, run: Callable[[], object], repetitions: int) -> dict[str, Latency]:
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
    return {name: _latency(values[WARM_UP:]) for name, values in times.items() if len(values) == repetitions + WARM_UP}


def _latency(seconds: Sequence[float]) -> Latency:
    return Latency(*(round(float(p) * 1000, 3) for p in np.percentile(seconds, (50, 95, 99))))


def _times(latency: Latency) -> str:
    return " / ".join(f"{value:.1f}" for value in latency)


class _PeakMemory:
    """Peak since it was made: allocated on the GPU, or resident in this process."""

    def __init__(self, device: str) -> None:
        self.device = device
        if device != "cpu":
            torch.cuda.reset_peak_memory_stats(device)
        elif Path("/proc/self/clear_refs").exists():
            Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak so far

    def megabytes(self) -> float:
        if self.device != "cpu":
            return torch.cuda.max_memory_allocated(self.device) / 1e6
        status = Path("/proc/self/status")
        if status.exists():
            (line,) = [row for row in status.read_text().splitlines() if row.startswith("VmHWM")]
            return int(line.split()[1]) * 1024 / 1e6
        import resource  # not on Windows

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """Of the checkout that this package lies in, with ``+`` if it was changed; None outside of one."""
    here = Path(__file__).parent
    try:
        sha = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return sha.stdout.strip() + ("+" if changed.stdout.strip() else "")
