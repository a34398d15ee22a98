"""Number of available cores, with fabricated /proc and /sys files."""

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


def test_without_quota_all_cpus_of_the_affinity_mask_count(tmp_path, monkeypatch):
    assert available_cores(tmp_path) == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 5})
    assert available_cores(tmp_path) == 2


def test_hardware_threads_of_a_core_count_once(tmp_path):
    topology = {
        f"sys/devices/system/cpu/cpu{k}/topology/thread_siblings_list": f"{k % 4},{k % 4 + 4}" for k in range(8)
    }
    assert available_cores(write(tmp_path, topology)) == 4


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000", 8), ("200000 100000", 2), ("250000 100000", 3), ("10000 100000", 1)]
)
def test_cgroup_v2_quota_is_rounded_up(tmp_path, limit, cores):
    files = {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": limit}
    assert available_cores(write(tmp_path, files)) == cores


@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("150000", 2)])
def test_cgroup_v1_quota(tmp_path, controllers, quota, cores):
    folder = f"sys/fs/cgroup/{controllers}/jobs"
    files = {
        "proc/self/cgroup": f"5:memory:/jobs\n4:{controllers}:/jobs\n0::/jobs",
        f"{folder}/cpu.cfs_quota_us": quota,
        f"{folder}/cpu.cfs_period_us": "100000",
    }
    assert available_cores(write(tmp_path, files)) == cores


def test_smallest_quota_of_all_ancestors_applies(tmp_path):
    files = {
        "proc/self/cgroup": "0::/slice/service",
        "sys/fs/cgroup/slice/cpu.max": "300000 100000",
        "sys/fs/cgroup/slice/service/cpu.max": "600000 100000",
    }
    assert available_cores(write(tmp_path, files)) == 3


def test_container_whose_mount_is_its_own_cgroup(tmp_path):
    """/proc/self/cgroup then contains the host's path, which does not exist below the mount."""
    files = {"proc/self/cgroup": "0::/docker/0123", "sys/fs/cgroup/cpu.max": "400000 100000"}
    assert available_cores(write(tmp_path, files)) == 4


def test_on_this_machine(monkeypatch):
    monkeypatch.undo()
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
