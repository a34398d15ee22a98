"""What is told of the machine that figures come from."""

import subprocess
import sys

import torch

from lgnet_core.evaluation.benchmark.machine import machine_description


def test_it_names_hardware_versions_and_load():
    machine = machine_description()
    assert {"processor", "cores", "available_cores", "commit", "command", "threads", "load_average"} <= set(machine)
    assert machine["torch"].startswith(torch.__version__.split("+")[0])


def test_it_is_described_outside_a_checkout(monkeypatch):
    def missing(*given, **named):
        raise FileNotFoundError("git")

    monkeypatch.setattr("subprocess.run", missing)
    assert machine_description()["commit"] is None


def test_the_peak_holds_what_was_freed():
    # In a process of its own: what other tests left to the garbage collector may be freed just then.
    measured = """
import numpy as np
from lgnet_core.evaluation.benchmark.machine import PeakMemory
memory = PeakMemory("cpu")
before = memory.megabytes()
np.ones(25_000_000).sum()  # 200 MB
print(memory.megabytes() - before)
"""
    grown = subprocess.run([sys.executable, "-c", measured], capture_output=True, text=True, check=True, timeout=300)
    assert float(grown.stdout) > 150
