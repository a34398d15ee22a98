"""Stopwatch: accumulation by stage, also of blocks that raise."""

import types

import pytest

from lgnet_core.inference import timing
from lgnet_core.inference.timing import STAGES, Stopwatch


def test_stages_accumulate(monkeypatch):
    now = iter([10.0, 12.0, 20.0, 25.0, 30.0, 31.0])
    monkeypatch.setattr(timing, "time", types.SimpleNamespace(perf_counter=lambda: next(now)))
    stopwatch = Stopwatch()
    for _ in range(2):
        with stopwatch("crop"):
            pass
    with pytest.raises(KeyError), stopwatch("place"):
        raise KeyError
    assert stopwatch.seconds == dict.fromkeys(STAGES, 0.0) | {"crop": 7.0, "place": 1.0}


def test_unknown_stages_are_rejected():
    with pytest.raises(KeyError, match="unknown"), Stopwatch()("unknown"):
        pass
