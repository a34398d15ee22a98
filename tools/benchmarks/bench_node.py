"""Benchmark of the node's overhead: from the image callback to the last published message, excluding inference.

Runs three processes: the demo camera (640x480, 30 Hz, reliable), the node with constant hands instead of a network,
and a subscriber to all outputs. Prints the figures and writes JSON.

    python tools/benchmarks/bench_node.py --out results/node.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "test")]

WARM_UP_IMAGES = 60  # excluded from the measurements
TARGETS = {"p50 (ms)": 2.0, "p99 (ms)": 5.0, "markers p50 (ms)": 0.5, "lost images": 0}


def run_camera(images: int) -> None:
    """Publish a number of images once there is a subscriber, and print their stamps."""
    from lgnet_ros.demo.camera import DemoCamera
    from lgnet_ros.process.runner import NodeRunner

    stamps: list[int] = []

    class CountedCamera(DemoCamera):
        def _publish(self) -> None:
            if self._image_publisher.get_subscription_count() == 0:
                return
            super()._publish()
            stamp = self._info.header.stamp
            stamps.append(stamp.sec * 10**9 + stamp.nanosec)
            if len(stamps) == images:
                runner.stop()

    with NodeRunner([]) as runner:
        runner.spin([CountedCamera()])
        time.sleep(1)  # let the subscriber receive the last images
    print(json.dumps(stamps))


def run_node() -> None:
    """Run the node; print the stamps of the received images, the stage durations and the worker's CPU times."""
    import torch
    from support.fixed_hands import FixedTracker

    from lgnet_ros.node import HandsNode
    from lgnet_ros.pipeline import Pipeline, ReceivedImage
    from lgnet_ros.process.runner import NodeRunner

    process_image = Pipeline._process_image

    def timed_process_image(pipeline: Pipeline, received_image: ReceivedImage) -> None:
        start = time.thread_time()
        process_image(pipeline, received_image)
        cpu_seconds.append(time.thread_time() - start)

    Pipeline._process_image = timed_process_image
    torch.set_num_threads(1)
    received: list[int] = []
    stage_seconds: list[dict[str, float]] = []
    cpu_seconds: list[float] = []  # of the worker thread, excluding time without a core
    with NodeRunner([]) as runner:
        node = HandsNode(lambda settings: FixedTracker())
        statistics = node.diagnostics.statistics
        record_received, record_processed = statistics.record_received, statistics.record_processed

        def on_received(stamp_ns: int) -> None:
            received.append(stamp_ns)
            record_received(stamp_ns)

        def on_processed(seconds: dict[str, float], stamp_ns: int) -> None:
            stage_seconds.append(dict(seconds))
            record_processed(seconds, stamp_ns)

        statistics.record_received, statistics.record_processed = on_received, on_processed
        runner.spin([node])
    print(json.dumps({"received": received, "stage_seconds": stage_seconds, "cpu_seconds": cpu_seconds}))


def run_listener(markers: bool) -> None:
    """Bring the node up and subscribe to its outputs without deserialising them."""
    import threading

    from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform
    from rclpy.node import Node
    from tf2_msgs.msg import TFMessage
    from visualization_msgs.msg import MarkerArray

    from lgnet_ros.process.lifecycle import LifecycleClient
    from lgnet_ros.process.runner import NodeRunner
    from lgnet_ros.qos import output_profile, tf_profile

    with NodeRunner([]) as runner:
        node = Node("listener")
        for message_type, topic in (
            (HandJointsArray, "hands/joints"),
            (HandMeshArray, "hands/mesh"),
            (InterHandTransform, "hands/inter_hand"),
            *([(MarkerArray, "hands/markers")] if markers else []),
        ):
            node.create_subscription(message_type, topic, lambda data: None, output_profile(), raw=True)
        node.create_subscription(TFMessage, "/tf", lambda data: None, tf_profile(), raw=True)
        threading.Thread(target=LifecycleClient(node, "/hands").bring_up, daemon=True).start()
        runner.spin([node])


def measure(markers: bool, images: int) -> dict[str, Any]:
    """Run the three processes once and evaluate their outputs."""
    environment = {
        **os.environ,
        "ROS_DOMAIN_ID": str(random.randint(1, 101)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "OMP_NUM_THREADS": "1",
    }

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(__file__).resolve()), *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    node, listener = start("--role", "node"), start("--role", "listener", *(["--markers"] if markers else []))
    load = os.getloadavg()[0]
    sent = json.loads(start("--role", "camera", "--images", str(images)).communicate(timeout=600)[0])
    listener.terminate()
    node.terminate()
    node_output = json.loads(node.communicate(timeout=30)[0].splitlines()[-1])
    listener.wait(30)

    received = set(node_output["received"])
    first = node_output["received"][WARM_UP_IMAGES]
    counted = [stamp for stamp in sent if stamp >= first]
    stage_seconds = node_output["stage_seconds"][WARM_UP_IMAGES:]
    stages = {name: [seconds[name] for seconds in stage_seconds] for name in stage_seconds[0]}
    inference = np.array(stages["network"])
    overhead = 1e3 * (np.array(stages["total"]) - inference)
    return {
        "markers": markers,
        "images": len(counted),
        "lost images": sum(stamp not in received for stamp in counted),
        "processed images": len(stage_seconds),
        "p50 (ms)": float(np.percentile(overhead, 50)),
        "p99 (ms)": float(np.percentile(overhead, 99)),
        "CPU time, p50 (ms)": 1e3 * float(np.percentile(node_output["cpu_seconds"][WARM_UP_IMAGES:], 50)),
        "stages, p50 (ms)": {name: 1e3 * float(np.percentile(values, 50)) for name, values in stages.items()},
        "load average": load,
    }


def machine() -> dict[str, Any]:
    """Description of the machine and of the software version."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True).stdout
    return {
        "cpu": next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "commit": commit.strip(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/bench_node.json"))
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--role", choices=["camera", "node", "listener"], help=argparse.SUPPRESS)
    parser.add_argument("--markers", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "camera":
        run_camera(options.images)
    elif options.role == "node":
        run_node()
    elif options.role == "listener":
        run_listener(options.markers)
    else:
        report(options.out, options.images, options.repeats)
    return 0


def report(out: Path, images: int, repeats: int) -> None:
    """Measure repeatedly, print the best runs and write all of them as JSON."""
    runs = []
    for _ in range(repeats):  # alternating, so that changes of the machine's load affect both configurations
        for markers in (False, True):
            runs.append(measure(markers, images))
            print(
                {name: round(value, 3) for name, value in runs[-1].items() if not isinstance(value, dict)}, flush=True
            )
    best = {
        m: min((run for run in runs if run["markers"] is m), key=lambda run: run["p50 (ms)"]) for m in (False, True)
    }
    figures = {
        "p50 (ms)": best[False]["p50 (ms)"],
        "p99 (ms)": best[False]["p99 (ms)"],
        "markers p50 (ms)": best[True]["p50 (ms)"] - best[False]["p50 (ms)"],
        "lost images": sum(r["lost images"] for r in runs),
    }
    for name, figure in figures.items():
        print(f"{name:>20}: {figure:.3f} (target {TARGETS[name]:g})")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps({"machine": machine(), "targets": TARGETS, "best": figures, "runs": runs}, indent=2) + "\n"
    )
    print(f"Written to {out}")


if __name__ == "__main__":
    sys.exit(main())
