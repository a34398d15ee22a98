"""Memory of the machine and of its cgroups."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgnet_core.io import memory
from lgnet_core.io.memory import InsufficientMemoryError, available_memory, require_memory


def machine(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = {"proc__meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (MEMINFO, 8000 * 1024),
        ({**MEMINFO, "sys__fs__cgroup__memory_DOT_max": "max", "sys__fs__cgroup__memory_DOT_current": "7"}, 8_192_000),
        ({**MEMINFO, "sys__fs__cgroup__memory_DOT_max": "5000", "sys__fs__cgroup__memory_DOT_current": "3000"}, 2000),
        (
            {
                **MEMINFO,
                "proc__self__cgroup": "0::/job",
                "sys__fs__cgroup__job__memory_DOT_max": "900",
                "sys__fs__cgroup__job__memory_DOT_current": "1000",
            },
            0,
        ),
        (
            {
                **MEMINFO,
                "sys__fs__cgroup__memory__memory_DOT_limit_in_bytes": "5000",
                "sys__fs__cgroup__memory__memory_DOT_usage_in_bytes": "1000",
            },
            4000,
        ),
    ],
)
def test_the_smallest_rest_counts(tmp_path, files, expected):
    assert available_memory(machine(tmp_path, **files)) == expected


def test_refusal_states_need_rest_and_remedy(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2_000_000_000)
    require_memory(1_999_999_999, "work", "do less")
    with pytest.raises(InsufficientMemoryError, match=r"work: needs about 3.0 GB .* 2.0 GB are available; do less"):
        require_memory(3_000_000_000, "work", "do less")
