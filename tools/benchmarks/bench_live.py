"""Benchmark of ``lgnet live``: hands per second and latency without a page, without a tab, and with one, alternately.

The tab is a process that receives everything and renders nothing, as a browser on another machine. The images are the
bundled clip's, as fast as they are taken or at the rate of a camera.

    python tools/benchmarks/bench_live.py --out results/live.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "test")]

RATES = {"camera": 30.0, "unlimited": 1000.0}  # images per second
SETTLE = 3.0  # seconds before each measurement


def run_tab(port: int) -> None:
    """Receive the page until this process is ended."""
    from support.viser_client import ViserClient

    with ViserClient(port):
        time.sleep(3600)


def measure(tracker: Any, kind: str, rate: float, seconds: float) -> dict[str, float]:
    """Run the loop, and return its rates and latency after :data:`SETTLE`."""
    from support.live import ListPage

    from lgnet_core.data.clip import read_clip
    from lgnet_core.live.loop import LiveLoop
    from lgnet_core.live.page import HandsPage
    from lgnet_core.live.server import LocalServer
    from lgnet_core.live.sources import ClipSource

    clip = read_clip()
    source = ClipSource(clip)
    source._clip_frames_per_image *= source.frames_per_second / rate
    source.frames_per_second = rate
    latencies: list[tuple[float, float]] = []

    class Counted(ListPage if kind == "no page" else HandsPage):  # type: ignore[misc]
        def put(self, view: Any) -> None:
            latencies.append((time.monotonic(), view.latency))
            if kind != "no page":
                super().put(view)

    shown: list[float] = []
    tab = None
    if kind == "no page":
        page = Counted()
    else:
        server = LocalServer(port=0)
        page = Counted(server, "bench", Path("out"), rate, print, lambda *_: None)
        add = page.shown.add
        page.shown.add = lambda: (shown.append(time.monotonic()), add())  # type: ignore[method-assign]
        if kind == "tab":
            tab = subprocess.Popen([sys.executable, __file__, "--tab", str(server.get_port())])
            while not server.get_clients():
                time.sleep(0.1)
    tracker.reset()
    loop = LiveLoop(source, clip.camera, tracker, page, lambda text: None)
    thread = threading.Thread(target=loop.run)
    thread.start()
    time.sleep(SETTLE)
    start = time.monotonic()
    time.sleep(seconds)
    end = time.monotonic()
    loop.stop()
    thread.join()
    if kind != "no page":
        page.stop()
    if tab is not None:
        tab.terminate()
        tab.wait()
    inside = [latency for moment, latency in latencies if start <= moment <= end]
    return {
        "hands per second": len(inside) / (end - start),
        "latency p50 (ms)": 1000 * float(np.median(inside)),
        "page per second": sum(start <= moment <= end for moment in shown) / (end - start),
    }


def measurements(seconds: float, rounds: int) -> Iterator[tuple[str, dict[str, float]]]:
    """The medians of all rounds, by what was measured."""
    from lgnet_core.inference import HandEstimator, HandTracker

    estimator = HandEstimator.load()
    estimator.warm_up()
    tracker = HandTracker(estimator)
    names = [(rate, kind) for rate in RATES for kind in ("no page", "no tab", "tab")]
    results: dict[tuple[str, str], list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for rate, kind in names:
            results[rate, kind].append(measure(tracker, kind, RATES[rate], seconds))
    for (rate, kind), runs in results.items():
        yield f"{rate}, {kind}", {key: round(float(np.median([run[key] for run in runs])), 1) for key in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out/bench_live.json"))
    parser.add_argument("--tab", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.tab is not None:
        run_tab(options.tab)
        return
    report: dict[str, Any] = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "platform": platform.platform()}
    for name, figures in measurements(options.seconds, options.rounds):
        report[name] = figures
        print(f"{name}: {figures}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
