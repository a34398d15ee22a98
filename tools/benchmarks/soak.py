"""The node for ten minutes at the rate the machine sustains, then up and down a thousand times. `make soak` runs it.

The demo camera plays the bundled clip at 30 Hz to the node with the bundled network. Watched: the node's memory after
the first minute, the age of every mesh when it arrives and the stages that make it, whether the node stays well. Writes
JSON, ends with 1 if a promise is not kept.

    python tools/soak.py --minutes 10 --lifecycles 1000 --out results/soak.json
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "test")]

from bench_node import machine  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from lgnet_ros.msg import HandMeshArray  # noqa: E402
from rclpy.time import Time  # noqa: E402
from support.memory import MEBIBYTE, growth, resident  # noqa: E402
from support.ros_world import HandsProcess, World  # noqa: E402

from lgnet_ros.qos import diagnostics_profile, output_profile  # noqa: E402

WARM_UP = 60.0  # seconds that do not count
LEVEL = 30  # seconds whose least memory counts: an image at work holds some MiB for a moment
TARGETS = {"memory grown (MiB)": 2.0, "oldest mesh (s)": 0.3, "memory grown by lifecycles (MiB)": 5.0}


class Watcher:
    """What another node sees of the node at work, after the warm-up."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._counts_from = time.monotonic() + WARM_UP
        self.ages: list[float] = []  # of each mesh when it arrived, seconds
        self.stages: dict[str, float] = {}  # the greatest 95th percentile that the node told of its last 5 s, seconds
        world.node.create_subscription(HandMeshArray, "hands/mesh", self._on_mesh, output_profile())
        world.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, diagnostics_profile())

    @property
    def counts(self) -> bool:
        """Whether the warm-up is over."""
        return time.monotonic() > self._counts_from

    def _on_mesh(self, message: HandMeshArray) -> None:
        if self.counts:
            age = self._world.node.get_clock().now() - Time.from_msg(message.header.stamp)
            self.ages.append(age.nanoseconds / 1e9)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for value in message.status[0].values if self.counts else ():
            stage = re.fullmatch(r"latency of (.*), p95 \(ms\)", value.key)
            if stage:
                self.stages[stage[1]] = max(self.stages.get(stage[1], 0.0), float(value.value) / 1e3)


def look(minutes: float, folder: Path) -> dict[str, Any]:
    """The node at work."""
    world = World()
    node = HandsProcess(world, folder / "node.log", "bundled").bring_up()
    world.start("-m", "lgnet_ros.demo.camera", log=folder / "camera.log")
    watcher = Watcher(world)
    start, memory = time.monotonic(), []
    while time.monotonic() - start < 60 * minutes:
        time.sleep(1)
        if watcher.counts:
            memory.append(resident(node.process.pid) / MEBIBYTE)
            if len(memory) % 10 == 0:
                print(
                    f"{time.monotonic() - start:6.0f} s  {memory[-1]:8.1f} MiB  {len(watcher.ages)} meshes", flush=True
                )
    code = node.end()
    world.close()
    ages = sorted(watcher.ages)
    return {
        "meshes": len(ages),
        "rate (Hz)": len(ages) / (60 * minutes - WARM_UP),
        "median age (s)": ages[len(ages) // 2],
        "oldest mesh (s)": ages[-1],
        **{f"{stage}, p95 of the worst 5 s (s)": seconds for stage, seconds in watcher.stages.items()},
        "memory at the start (MiB)": min(memory[:LEVEL]),
        "memory grown (MiB)": min(memory[-LEVEL:]) - min(memory[:LEVEL]),
        "exit code": code,
    }


def up_and_down(times: int, folder: Path) -> dict[str, Any]:
    """Lifecycles with a small network."""
    world = World()
    node = HandsProcess(world, folder / "lifecycles.log", "small")
    sizes = []
    for _ in range(times):
        node.bring_up()
        node.take_down()
        sizes.append(resident(node.process.pid))
    grown = growth(sizes) / MEBIBYTE
    code = node.end()
    world.close()
    return {"lifecycles": times, "memory grown by lifecycles (MiB)": grown, "exit code of lifecycles": code}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--lifecycles", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("out/soak.json"))
    options = parser.parse_args()
    if 60 * options.minutes < WARM_UP + 2 * LEVEL:
        parser.error(
            f"--minutes: the first {WARM_UP:g} s are not counted, and {LEVEL} s twice compared; give 2 or more"
        )
    folder = options.out.parent
    folder.mkdir(parents=True, exist_ok=True)
    figures = {**look(options.minutes, folder), **up_and_down(options.lifecycles, folder)}
    figures["load average"] = float(Path("/proc/loadavg").read_text().split()[0])
    options.out.write_text(json.dumps({"machine": machine(), "targets": TARGETS, "figures": figures}, indent=2) + "\n")
    kept = True
    for name, figure in figures.items():
        target = TARGETS.get(name)
        good = target is None or figure <= target
        kept &= good
        print(
            f"{name:>34}: {figure:.3f}"
            + ("" if target is None else f" (at most {target:g}{'' if good else ': NOT KEPT'})")
        )
    kept &= figures["exit code"] == figures["exit code of lifecycles"] == 0
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
