"""Soak test: the node at full rate for ten minutes, then a thousand lifecycles. Run by ``make soak``.

The demo camera publishes the bundled clip and depth images at 30 Hz to the node with the bundled network; all outputs
have a subscriber, the planning scene too. Measures the node's memory growth after the warm-up, the age of every mesh on
arrival, missed images, and the latency of each stage. Writes JSON; exits with 1 if a target is missed.

    python tools/benchmarks/soak.py --minutes 10 --lifecycles 1000 --out results/soak.json
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "test")]

from bench_node import CORE, PARTS, WARM_UP_IMAGES, machine, start_camera, subscribe_to  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from lgnet_ros.msg import HandMeshArray  # noqa: E402
from rclpy.time import Time  # noqa: E402
from support.memory import MEBIBYTE, ONE_HEAP, memory_growth, resident_memory  # noqa: E402
from support.ros_domain import HandsProcess, RosDomain  # noqa: E402

from lgnet_ros.qos import diagnostics_profile, output_profile  # noqa: E402

WARM_UP_SECONDS = 60.0  # excluded from all measurements
MEMORY_WINDOW = 30  # seconds whose minimum memory is compared: processing an image temporarily needs some MiB
TARGETS = {
    "missed images": 0,
    "memory growth (MiB)": 2.0,
    "max mesh age (s)": 0.3,
    "memory growth of lifecycles (MiB)": 5.0,
}


class Monitor:
    """Records the node's outputs and diagnostics after the warm-up.

    Attributes:
        ages: of the meshes on arrival, seconds.
        stamps: of all meshes, nanoseconds.
        stage_p95: maximum reported 95th percentile of each stage's latency over 5 s, seconds.
    """

    def __init__(self, ros_domain: RosDomain) -> None:
        self._ros_domain = ros_domain
        self._warm_up_end = time.monotonic() + WARM_UP_SECONDS
        self.ages: list[float] = []
        self.stamps: set[int] = set()
        self.stage_p95: dict[str, float] = {}
        node = ros_domain.node
        node.create_subscription(HandMeshArray, "hands/mesh", self._on_mesh, output_profile())
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, diagnostics_profile())

    @property
    def warmed_up(self) -> bool:
        return time.monotonic() > self._warm_up_end

    def _on_mesh(self, message: HandMeshArray) -> None:
        self.stamps.add(Time.from_msg(message.header.stamp).nanoseconds)
        if self.warmed_up:
            age = self._ros_domain.node.get_clock().now() - Time.from_msg(message.header.stamp)
            self.ages.append(age.nanoseconds / 1e9)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for value in message.status[0].values if self.warmed_up else ():
            match = re.fullmatch(r"latency of (.*), p95 \(ms\)", value.key)
            if match:
                stage = match[1]
                self.stage_p95[stage] = max(self.stage_p95.get(stage, 0.0), float(value.value) / 1e3)


def run_continuously(minutes: float, folder: Path) -> dict[str, Any]:
    """Run the node on the demo camera and return the measurements."""
    ros_domain = RosDomain(random.randint(1, 101))
    node = HandsProcess(ros_domain, folder / "node.log", "bundled", "-p", "use_depth:=true").bring_up()
    monitor = Monitor(ros_domain)
    subscribe_to(ros_domain, CORE | PARTS)
    camera = start_camera(ros_domain, folder / "camera.log", round(30 * 60 * minutes))
    start, memory = time.monotonic(), []
    while time.monotonic() - start < 60 * minutes:
        time.sleep(1)
        if monitor.warmed_up:
            memory.append(resident_memory(node.process.pid) / MEBIBYTE)
            if len(memory) % 10 == 0:
                elapsed = time.monotonic() - start
                print(f"{elapsed:6.0f} s  {memory[-1]:8.1f} MiB  {len(monitor.ages)} meshes", flush=True)
    camera.wait()
    exit_code = node.stop()
    ros_domain.close()
    ages = sorted(monitor.ages)
    sent = json.loads((folder / "camera.log").read_text().splitlines()[-1])
    return {
        "meshes": len(ages),
        "missed images": len(set(sent[WARM_UP_IMAGES:]) - monitor.stamps),
        "rate (Hz)": len(ages) / (60 * minutes - WARM_UP_SECONDS),
        "median mesh age (s)": ages[len(ages) // 2],
        "max mesh age (s)": ages[-1],
        **{f"{stage}, max p95 over 5 s (s)": seconds for stage, seconds in monitor.stage_p95.items()},
        "initial memory (MiB)": min(memory[:MEMORY_WINDOW]),
        "memory growth (MiB)": min(memory[-MEMORY_WINDOW:]) - min(memory[:MEMORY_WINDOW]),
        "exit code": exit_code,
    }


def run_lifecycles(count: int, folder: Path) -> dict[str, Any]:
    """Configure, activate, deactivate and clean up a node with the bundled networks repeatedly."""
    ros_domain = RosDomain(random.randint(1, 101))
    node = HandsProcess(ros_domain, folder / "lifecycles.log", "bundled", environment=ONE_HEAP)
    memory = []
    for _ in range(count):
        node.bring_up()
        node.take_down()
        memory.append(resident_memory(node.process.pid))
    exit_code = node.stop()
    ros_domain.close()
    return {
        "lifecycles": count,
        "memory growth of lifecycles (MiB)": memory_growth(memory) / MEBIBYTE,
        "exit code of lifecycles": exit_code,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--lifecycles", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("out/soak.json"))
    options = parser.parse_args()
    if 60 * options.minutes < WARM_UP_SECONDS + 2 * MEMORY_WINDOW:
        parser.error(
            f"--minutes: must cover a warm-up of {WARM_UP_SECONDS:g} s and two windows of {MEMORY_WINDOW} s; use 2 or "
            "more"
        )
    folder = options.out.parent
    folder.mkdir(parents=True, exist_ok=True)
    figures = {**run_continuously(options.minutes, folder), **run_lifecycles(options.lifecycles, folder)}
    figures["load average"] = float(Path("/proc/loadavg").read_text().split()[0])
    options.out.write_text(json.dumps({"machine": machine(), "targets": TARGETS, "figures": figures}, indent=2) + "\n")
    passed = True
    for name, figure in figures.items():
        target = TARGETS.get(name)
        met = target is None or figure <= target
        passed &= met
        suffix = "" if target is None else f" (target: at most {target:g}{'' if met else ', MISSED'})"
        print(f"{name:>34}: {figure:.3f}{suffix}")
    passed &= figures["exit code"] == figures["exit code of lifecycles"] == 0
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
