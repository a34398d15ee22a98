"""Tests of the decision whether log files are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgnet_ros.process.log_folder import log_arguments


def test_writable_folder_needs_no_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "new" / "log"))
    assert log_arguments() == []


@pytest.mark.parametrize("home", [None, "a file"])
def test_without_a_folder_log_files_are_switched_off(
    home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("ROS_LOG_DIR", "ROS_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if home:
        (tmp_path / home).touch()
        monkeypatch.setenv("HOME", str(tmp_path / home))
    assert log_arguments() == ["--ros-args", "--disable-external-lib-logs"]
    (record,) = caplog.records
    assert (str(tmp_path / "a file" / ".ros" / "log") if home else "HOME is not set") in record.getMessage()
    assert "Set ROS_LOG_DIR to a writable folder" in record.getMessage()
