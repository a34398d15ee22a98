"""Space on the disk."""

from __future__ import annotations

import pytest
from support.disks import free_space

from lgnet_core.io.disk import InsufficientSpaceError, require_space


def test_refusal_states_need_rest_and_remedy(monkeypatch, tmp_path):
    """Of the disk of the nearest folder that exists."""
    asked = free_space(monkeypatch, 2_000_000_000)
    require_space(2e9, tmp_path / "a" / "b", "results", "do less")
    with pytest.raises(InsufficientSpaceError) as caught:
        require_space(3e9, tmp_path / "a" / "b", "results", "do less")
    place = tmp_path / "a" / "b"
    assert str(caught.value) == f"{place}: results need about 3.0 GB, and 2.0 GB of the disk are free; do less"
    assert set(asked) == {tmp_path}
    assert not (tmp_path / "a").exists()
