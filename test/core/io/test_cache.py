"""Location of the cache directory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.disks import forget_home

from lgnet_core.io.cache import CACHE_VARIABLE, cache_directory


def test_environment_variable_overrides_the_directory(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.setenv(CACHE_VARIABLE, "~/elsewhere")
    assert cache_directory() == Path.home() / "elsewhere"


@pytest.mark.skipif(sys.platform != "linux", reason="XDG directories")
def test_default_directory_on_linux(monkeypatch, tmp_path):
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "lgnet_ros"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "lgnet_ros"


def test_no_home_folder_is_an_error_instead_of_a_relative_path(monkeypatch):
    forget_home(monkeypatch)
    for override in ("", "~/cache"):
        monkeypatch.setenv(CACHE_VARIABLE, override)
        with pytest.raises(OSError, match="no home folder"):
            cache_directory()
    monkeypatch.setenv(CACHE_VARIABLE, "/cache")
    assert cache_directory() == Path("/cache")
