"""Tests of the removal of Fast DDS's shared memory segments."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from support.ros_domain import HandsProcess, RosDomain, wait_for

from lgnet_ros.process.shared_memory import MINIMUM_AGE, remove_orphaned_segments


def age(segment: Path) -> Path:
    """Make a segment's lock file older than the minimum age."""
    lock = segment.with_name(f"{segment.name}_el")
    os.utime(lock, (lock.stat().st_mtime - 2 * MINIMUM_AGE,) * 2)
    return segment


def make_segment(folder: Path, name: str) -> Path:
    """A segment and its lock file, which nobody holds."""
    segment = folder / name
    segment.write_bytes(b"0" * 64)
    (folder / f"{name}_el").touch()
    return segment


def test_only_orphaned_segments_are_removed(tmp_path):
    for name in ("fastdds_13ef99a72706f680", "fastrtps_13ef99a72706f680"):
        age(make_segment(tmp_path, name))
    held = age(make_segment(tmp_path, "fastdds_1c7af866a32af233"))
    kept = [age(make_segment(tmp_path, name)) for name in ("fastdds_port7411", "mine_1c7af866a32af233")]
    new = make_segment(tmp_path, "fastdds_1ee49110ef30275c")
    os.utime(tmp_path / f"{new.name}_el", (2**33, 2**33))
    with (tmp_path / f"{held.name}_el").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert remove_orphaned_segments(tmp_path) == 2
        left = {held, new, *kept}
        assert set(tmp_path.iterdir()) == left | {path.with_name(f"{path.name}_el") for path in left}
    assert remove_orphaned_segments(tmp_path) == 1, "the lock is released when its owner ends"
    assert remove_orphaned_segments(tmp_path / "missing") == 0


def test_segments_of_a_killed_node_are_removed_by_the_next(ros_domain: RosDomain, tmp_path: Path) -> None:
    """As after `kill -9` and a respawn."""
    killed = HandsProcess(ros_domain, tmp_path / "killed")
    killed.lifecycle.state(60.0)
    segments = killed.segments()
    assert segments
    killed.process.kill()
    killed.process.wait()
    assert all(age(segment).exists() for segment in segments), "Fast DDS leaves them"
    respawned = HandsProcess(ros_domain, tmp_path / "respawned")
    wait_for(lambda: not any(segment.exists() for segment in segments), "the removal")
    own = wait_for(respawned.segments)
    assert respawned.stop() == 0
    assert not any(segment.exists() for segment in own)
