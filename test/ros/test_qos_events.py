"""Who does not fit is told when it is known, and once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lgnet_ros.qos_events import Incompatible


@pytest.fixture
def log() -> list[str]:
    return []


def test_what_was_noticed_is_told_when_it_has_a_name(log: list[str]) -> None:
    problems: list[str] = []
    node = SimpleNamespace(get_logger=lambda: SimpleNamespace(warning=log.append))
    incompatible = Incompatible(node, lambda: problems)
    problems.append("one")
    incompatible.tell()
    assert log == [], "nothing was noticed"
    problems.clear()
    incompatible.notice(None)
    incompatible.tell()
    assert log == []
    problems += ["one", "two"]
    incompatible.tell()
    incompatible.tell()
    assert log == ["one", "two"]
    incompatible.notice(None)
    problems.append("three")
    incompatible.tell()
    assert log == ["one", "two", "three"], "the first two were told a moment ago"
