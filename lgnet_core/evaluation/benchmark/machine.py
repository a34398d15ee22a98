"""Description of the machine a measurement was made on, and peak memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from lgnet_core.engines.cpu import available_cores


def machine_description() -> dict[str, Any]:
    """Hardware, versions, commit, command and load of the machine."""
    versions = {}
    for package in ("torch", "onnxruntime", "onnx", "numpy", "opencv-python-headless"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "available_cores": available_cores(),
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


class PeakMemory:
    """Peak memory since construction: allocated on the GPU, or resident in this process."""

    def __init__(self, device: str) -> None:
        self.device = device
        if device != "cpu":
            torch.cuda.reset_peak_memory_stats(device)
        elif Path("/proc/self/clear_refs").exists():
            Path("/proc/self/clear_refs").write_text("5")  # Linux: reset the peak

    def megabytes(self) -> float:
        """The peak so far."""
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
    """Commit of the checkout that contains this package, with ``+`` if it has changes; None outside a checkout."""
    package = Path(__file__).parent
    try:
        sha = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=package, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=package, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return sha.stdout.strip() + ("+" if changed.stdout.strip() else "")
