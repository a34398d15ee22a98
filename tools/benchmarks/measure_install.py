"""Size of an installation, time to the first image, and memory of inference on a CPU.

    python tools/benchmarks/measure_install.py

To be run with the Python of a fresh environment, from outside a checkout of this project, into which
``pip install lgnet_ros`` installed.
"""

from __future__ import annotations

import resource
import sys
import sysconfig
import time
from pathlib import Path

LARGEST = 8
"""Packages that are listed."""

IMAGES = 20


def size(path: Path) -> float:
    """Megabytes of a file or folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir()) / 1e6


def main() -> None:
    site = Path(sysconfig.get_path("purelib"))
    sizes = sorted(((size(path), path.name) for path in site.iterdir()), reverse=True)
    print(f"environment: {size(Path(sys.prefix)):.0f} MB, of which site-packages {sum(s for s, _ in sizes):.0f} MB:")
    print("  " + ", ".join(f"{name} {megabytes:.0f}" for megabytes, name in sizes[:LARGEST]))

    start = time.perf_counter()
    from lgnet_core.inference import HandEstimator

    imported = time.perf_counter()
    estimator = HandEstimator.load(device="cpu")
    loaded = time.perf_counter()
    print(f"import {imported - start:.2f} s, load {loaded - imported:.2f} s")
    from lgnet_core.data.clip import read_clip

    clip = read_clip()
    for frame in clip.frames[:IMAGES]:
        estimator.estimate(frame, clip.camera)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"peak memory {peak:.0f} MB after {IMAGES} images; torch imported: {'torch' in sys.modules}")


if __name__ == "__main__":
    main()
