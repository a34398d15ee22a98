"""Tests of the hint at shared memory of other users."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lgnet_ros.input.other_users import explain_other_users, other_users


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> int:
    """The id of a user without a name, as whom this process appears to run."""
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    return 54321


def test_segments_of_other_users_are_explained_with_the_remedy(tmp_path: Path, user: int) -> None:
    (tmp_path / "fastrtps_port7411").touch()
    text = explain_other_users(tmp_path)
    assert f"processes of user {tmp_path.owner()} use shared memory" in text
    assert f"runs as {user}" in text
    assert "FASTDDS_BUILTIN_TRANSPORTS=UDPv4" in text


def test_own_segments_and_other_files_are_not_mentioned(tmp_path: Path, user: int) -> None:
    (tmp_path / "sem.other").touch()
    assert explain_other_users(tmp_path) == explain_other_users(tmp_path / "missing") == ""
    assert other_users(tmp_path) == []


def test_segments_of_the_same_user(tmp_path: Path) -> None:
    (tmp_path / "fastdds_1").touch()
    assert explain_other_users(tmp_path) == ""
