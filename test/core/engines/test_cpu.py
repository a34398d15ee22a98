"""Cores that a process may use, by made-up files of /proc and /sys."""

import os
from pathlib import Path

import pytest

from lgnet_core.engines.cpu import available_cores


@pytest.fixture(autouse=True)
def _eight_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def test_without_limits_every_cpu_of_the_affinity_mask_counts(tmp_path, monkeypatch):
    assert available_cores(tmp_path) == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 5})
    assert available_cores(tmp_path) == 2


def test_hardware_threads_of_one_core_count_once(tmp_path):
    topology = {
        f"sys/devices/system/cpu/cpu{k}/topology/thread_siblings_list": f"{k % 4},{k % 4 + 4}" for k in range(8)
    }
    assert available_cores(write(tmp_path, topology)) == 4


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000", 8), ("200000 100000", 2), ("250000 100000", 3), ("10000 100000", 1)]
)
def test_quota_of_version_2_is_rounded_up(tmp_path, limit, cores):
    files = {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": limit}
    assert available_cores(write(tmp_path, files)) == cores


@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("150000", 2)])
def test_quota_of_version_1(tmp_path, controllers, quota, cores):
    folder = f"sys/fs/cgroup/{controllers}/jobs"
    files = {
        "proc/self/cgroup": f"5:memory:/jobs\n4:{controllers}:/jobs\n0::/jobs",
        f"{folder}/cpu.cfs_quota_us": quota,
        f"{folder}/cpu.cfs_period_us": "100000",
    }
    assert available_cores(write(tmp_path, files)) == cores


def test_the_smallest_quota_on_the_way_to_the_root_counts(tmp_path):
    files = {
        "proc/self/cgroup": "0::/slice/service",
        "sys/fs/cgroup/slice/cpu.max": "300000 100000",
        "sys/fs/cgroup/slice/service/cpu.max": "600000 100000",
    }
    assert available_cores(write(tmp_path, files)) == 3


def test_a_container_sees_its_own_group_as_the_mount(tmp_path):
    """Its path is the host's then, and does not exist below the mount."""
    files = {"proc/self/cgroup": "0::/docker/0123", "sys/fs/cgroup/cpu.max": "400000 100000"}
    assert available_cores(write(tmp_path, files)) == 4


def test_of_this_machine(monkeypatch):
    monkeypatch.undo()
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
