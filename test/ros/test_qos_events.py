"""Tests of the reporting of incompatible QoS."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lgnet_ros.qos_events import IncompatibleQoSReporter


@pytest.fixture
def log() -> list[str]:
    return []


def test_problems_are_logged_once_known_and_only_once(log: list[str]) -> None:
    problems: list[str] = []
    node = SimpleNamespace(get_logger=lambda: SimpleNamespace(warning=log.append))
    reporter = IncompatibleQoSReporter(node, lambda: problems)
    problems.append("one")
    reporter.report()
    assert log == [], "no event so far"
    problems.clear()
    reporter.on_event(None)
    reporter.report()
    assert log == []
    problems += ["one", "two"]
    reporter.report()
    reporter.report()
    assert log == ["one", "two"]
    reporter.on_event(None)
    problems.append("three")
    reporter.report()
    assert log == ["one", "two", "three"], "the first two were logged recently"
