"""The node for ten minutes at the rate the machine sustains, then up and down a thousand times. `make soak` runs it.

The demo camera plays the bundled clip at 30 Hz to the node with the bundled network. Watched: the node's memory after
the first minute, the age of every mesh when it arrives, whether the node stays well. Writes JSON, ends with 1 if a
promise is not kept.

    python tools/soak.py --minutes 10 --lifecycles 1000 --out results/soak.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "test")]

from bench_node import machine  # noqa: E402
from lgnet_ros.msg import HandMeshArray  # noqa: E402
from rclpy.time import Time  # noqa: E402
from ros_world import HandsProcess, World  # noqa: E402
from test_endurance import MEBIBYTE, resident  # noqa: E402

from lgnet_ros.qos import output_profile  # noqa: E402

WARM_UP = 60.0  # seconds that do not count
TARGETS = {"memory grown (MiB)": 2.0, "oldest mesh (s)": 0.3, "memory grown by lifecycles (MiB)": 5.0}


def look(minutes: float, folder: Path) -> dict[str, Any]:
    """The node at work."""
    world = World()
    ages: list[tuple[float, float]] = []  # when it arrived, how old it was; seconds

    def on_mesh(message: HandMeshArray) -> None:
        age = (world.node.get_clock().now() - Time.from_msg(message.header.stamp)).nanoseconds / 1e9
        ages.append((time.monotonic(), age))

    world.node.create_subscription(HandMeshArray, "hands/mesh", on_mesh, output_profile())
    node = HandsProcess(world, folder / "node.log", "bundled").bring_up()
    world.start("-m", "lgnet_ros.demo_camera", log=folder / "camera.log")
    start, memory = time.monotonic(), []
    while time.monotonic() - start < 60 * minutes:
        time.sleep(5)
        memory.append((time.monotonic(), resident(node.process.pid)))
        print(f"{time.monotonic() - start:6.0f} s  {memory[-1][1] / MEBIBYTE:8.1f} MiB  {len(ages)} meshes", flush=True)
    code = node.end()
    world.close()
    counted = sorted(age for t, age in ages if t > start + WARM_UP)
    held = [size for t, size in memory if t > start + WARM_UP]
    return {
        "meshes": len(counted),
        "rate (Hz)": len(counted) / (60 * minutes - WARM_UP),
        "median age (s)": counted[len(counted) // 2],
        "oldest mesh (s)": counted[-1],
        "memory at the start (MiB)": held[0] / MEBIBYTE,
        "memory grown (MiB)": (held[-1] - held[0]) / MEBIBYTE,
        "exit code": code,
    }


def up_and_down(times: int, folder: Path) -> dict[str, Any]:
    """Lifecycles with a small network."""
    world = World()
    node = HandsProcess(world, folder / "lifecycles.log", "small")
    before = 0
    for k in range(times):
        node.bring_up()
        node.take_down()
        if k == times // 10:
            before = resident(node.process.pid)
    grown = (resident(node.process.pid) - before) / MEBIBYTE
    code = node.end()
    world.close()
    return {"lifecycles": times, "memory grown by lifecycles (MiB)": grown, "exit code of lifecycles": code}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--lifecycles", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("out/soak.json"))
    options = parser.parse_args()
    if 60 * options.minutes <= WARM_UP + 10:
        parser.error(f"--minutes: the first {WARM_UP:g} s are not counted; give more than 1.2")
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
