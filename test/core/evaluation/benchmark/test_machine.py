"""Machine description and peak memory."""

import subprocess
import sys

import torch

from lgnet_core.evaluation.benchmark.machine import machine_description


def test_description_contains_hardware_versions_and_load():
    machine = machine_description()
    assert {"processor", "cores", "available_cores", "commit", "command", "threads", "load_average"} <= set(machine)
    assert machine["torch"].startswith(torch.__version__.split("+")[0])


def test_description_outside_a_checkout(monkeypatch):
    def missing(*given, **named):
        raise FileNotFoundError("git")

    monkeypatch.setattr("subprocess.run", missing)
    assert machine_description()["commit"] is None


def test_peak_includes_freed_memory():
    # In a subprocess: garbage of other tests might be freed during the measurement.
    program = """
import numpy as np
from lgnet_core.evaluation.benchmark.machine import PeakMemory
memory = PeakMemory("cpu")
before = memory.megabytes()
np.ones(25_000_000).sum()  # 200 MB
print(memory.megabytes() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert float(done.stdout) > 150
