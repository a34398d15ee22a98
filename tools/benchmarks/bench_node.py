"""Benchmark of the node with each of its outputs on and off, in the metrics of NVIDIA's ros2_benchmark.

Runs the demo camera (640x480, 30 Hz, reliable) with depth images, the node, and this process as the subscriber, once
for each configuration. Prints a table and writes all metrics as JSON.

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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "test")]

from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform, OpenXRHandJoints  # noqa: E402
from moveit_msgs.msg import CollisionObject  # noqa: E402
from rclpy.time import Time  # noqa: E402
from sensor_msgs.msg import Image, JointState, PointCloud2  # noqa: E402
from support.ros_domain import HandsProcess, RosDomain  # noqa: E402
from support.waiting import wait_for  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402

from lgnet_ros import topics  # noqa: E402
from lgnet_ros.demo.camera import DemoCamera  # noqa: E402
from lgnet_ros.process.runner import NodeRunner  # noqa: E402
from lgnet_ros.qos import output_profile, tf_profile  # noqa: E402

WARM_UP_IMAGES = 60  # excluded from the measurements
STAMP = np.dtype("<u4")  # of seconds and nanoseconds, which follow the four bytes of the CDR header

CORE = {
    topics.JOINTS: HandJointsArray,
    topics.INTER_HAND: InterHandTransform,
    topics.TF: TFMessage,
}
PARTS = {
    topics.MARKERS: MarkerArray,
    topics.POINTS: PointCloud2,
    topics.JOINT_STATES: JointState,
    topics.OPENXR: OpenXRHandJoints,
    topics.PLANNING_SCENE: CollisionObject,
    topics.OVERLAY: Image,
}


class Configuration(NamedTuple):
    """What runs.

    Args:
        name: in the table.
        topics: subscribed to beside ``hands/mesh``, with their types.
        depth: whether the node uses depth images.
        tracker: ``bundled`` networks, or ``fixed`` hands without any.
    """

    name: str
    topics: dict[str, type[Any]]
    depth: bool = False
    tracker: str = "bundled"


CONFIGURATIONS = (
    Configuration("no networks: constant hands", CORE, tracker="fixed"),
    Configuration("`hands/mesh`", {}),
    Configuration("with joints, TF and `hands/inter_hand`", CORE),
    *(Configuration(f"these and `{topic}`", CORE | {topic: kind}) for topic, kind in PARTS.items()),
    Configuration("these and `use_depth`", CORE, depth=True),
    Configuration("all of them", CORE | PARTS, depth=True),
)


def run_camera(images: int) -> None:
    """Publish images and depth images once the images have a subscriber, and print the stamps of the images."""
    stamps: list[int] = []

    class RecordingCamera(DemoCamera):
        """The demo camera, which remembers the stamps."""

        def _publish(self) -> None:
            if self._image_publisher.get_subscription_count() == 0:
                return
            super()._publish()
            stamps.append(Time.from_msg(self._info.header.stamp).nanoseconds)
            if len(stamps) == images:
                runner.stop()

    with NodeRunner(["--ros-args", "-p", "depth:=true"]) as runner:
        runner.spin([RecordingCamera()])
        time.sleep(1)  # let the subscriber receive the last images
    print(json.dumps(stamps))


def measure(configuration: Configuration, images: int, folder: Path) -> dict[str, float]:
    """Run one configuration.

    Raises:
        RuntimeError: the camera's process failed.

    Returns:
        metrics named as ros2_benchmark does (latencies in milliseconds, from the stamp of an image, which is the time
        of its publication, to the arrival of its ``hands/mesh``), percentiles of the latency, and the node's CPU time.
    """
    ros_domain = RosDomain(random.randint(1, 101))
    arrivals: dict[int, int] = {}

    def on_mesh(data: bytes) -> None:
        now = time.time_ns()
        seconds, nanoseconds = np.frombuffer(data, STAMP, count=2, offset=4).tolist()
        arrivals[seconds * 10**9 + nanoseconds] = now

    try:
        parameters = ("-p", f"use_depth:={str(configuration.depth).lower()}")
        node = HandsProcess(ros_domain, folder / "node.log", configuration.tracker, *parameters).bring_up()
        ros_domain.node.create_subscription(HandMeshArray, topics.MESH, on_mesh, output_profile(), raw=True)
        subscribe_to(ros_domain, configuration.topics)
        camera = start_camera(ros_domain, folder / "camera.log", images + WARM_UP_IMAGES)
        wait_for(lambda: len(arrivals) >= WARM_UP_IMAGES or camera.poll() is not None, "images")
        started, used = time.monotonic(), cpu_seconds(node.process.pid)
        if camera.wait():
            raise RuntimeError(f"the camera failed; see {folder / 'camera.log'}")
        elapsed, used = time.monotonic() - started, cpu_seconds(node.process.pid) - used
        node.stop()
    finally:
        ros_domain.close()
    sent = json.loads((folder / "camera.log").read_text().splitlines()[-1])[WARM_UP_IMAGES:]
    return metrics(sent, arrivals) | {"CPU of the node (cores)": used / elapsed}


def subscribe_to(ros_domain: RosDomain, types: Mapping[str, type[Any]]) -> None:
    """Receive topics without deserialising them."""
    for topic, kind in types.items():
        profile = tf_profile() if topic == topics.TF else output_profile()
        ros_domain.node.create_subscription(kind, topic, lambda data: None, profile, raw=True)


def start_camera(ros_domain: RosDomain, log: Path, images: int) -> subprocess.Popen[str]:
    """Publish images and depth images in a process, see :func:`run_camera`; the last line of the log has the stamps."""
    return ros_domain.start(str(Path(__file__).resolve()), "--role", "camera", "--images", str(images), log=log)


def metrics(sent: Sequence[int], arrivals: Mapping[int, int]) -> dict[str, float]:
    """ros2_benchmark's metrics of images sent at some times and received at others, nanoseconds."""
    received = [stamp for stamp in sent if stamp in arrivals]
    latency = np.array([arrivals[stamp] - stamp for stamp in received]) / 1e6
    arrival = np.array([arrivals[stamp] for stamp in received]) / 1e6
    jitter = np.abs(np.diff(arrival, n=2))
    figures = {
        "RECEIVED_DURATION": arrival[-1] - arrival[0],
        "MEAN_PLAYBACK_FRAME_RATE": 1e9 * (len(sent) - 1) / (sent[-1] - sent[0]),
        "MEAN_FRAME_RATE": 1e3 * (len(received) - 1) / (arrival[-1] - arrival[0]),
        "NUM_MISSED_FRAMES": len(sent) - len(received),
        "NUM_FRAMES_SENT": len(sent),
        "FIRST_SENT_RECEIVED_LATENCY": arrival[0] - sent[0] / 1e6,
        "LAST_SENT_RECEIVED_LATENCY": arrival[-1] - sent[-1] / 1e6,
        "FIRST_INPUT_LATENCY": latency[0],
        "LAST_INPUT_LATENCY": latency[-1],
        "MAX_LATENCY": latency.max(),
        "MIN_LATENCY": latency.min(),
        "MEAN_LATENCY": latency.mean(),
        "MAX_JITTER": jitter.max(),
        "MIN_JITTER": jitter.min(),
        "MEAN_JITTER": jitter.mean(),
        "STD_DEV_JITTER": jitter.std(),
    }
    named = {f"BasicPerformanceMetrics.{name}": float(value) for name, value in figures.items()}
    p50, p99 = np.percentile(latency, (50, 99))
    return named | {"p50 (ms)": float(p50), "p99 (ms)": float(p99)}


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime


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


def report(out: Path, images: int) -> int:
    """Measure all configurations, print a table and write JSON; 1 if an image was missed with the networks."""
    out.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, float]] = {}
    load = os.getloadavg()[0]
    print("| node with | p50 | p99 | jitter | rate | missed | CPU |\n|---|---|---|---|---|---|---|", flush=True)
    for configuration in CONFIGURATIONS:
        figures = results[configuration.name] = measure(configuration, images, out.parent)
        basic = {name.rpartition(".")[2]: value for name, value in figures.items()}
        print(
            f"| {configuration.name} | {figures['p50 (ms)']:.1f} ms | {figures['p99 (ms)']:.1f} ms "
            f"| {basic['MEAN_JITTER']:.1f} ms | {basic['MEAN_FRAME_RATE']:.1f} Hz "
            f"| {basic['NUM_MISSED_FRAMES']:.0f} of {basic['NUM_FRAMES_SENT']:.0f} "
            f"| {100 * figures['CPU of the node (cores)']:.0f} % |",
            flush=True,
        )
        out.write_text(json.dumps({"machine": machine(), "load average": load, "results": results}, indent=2) + "\n")
    print(f"Written to {out}")
    return int(any(figures["BasicPerformanceMetrics.NUM_MISSED_FRAMES"] for figures in results.values()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/bench_node.json"))
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--role", choices=["camera"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "camera":
        run_camera(options.images)
        return 0
    return report(options.out, options.images)


if __name__ == "__main__":
    sys.exit(main())
