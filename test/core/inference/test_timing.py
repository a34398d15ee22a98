"""The stopwatch adds up by stage, also what an error cuts short."""

import pytest

from lgnet_core.inference import timing
from lgnet_core.inference.timing import STAGES, Stopwatch


def test_stages_add_up(monkeypatch):
    now = iter([10.0, 12.0, 20.0, 25.0, 30.0, 31.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(now))
    watch = Stopwatch()
    for _ in range(2):
        with watch("crop"):
            pass
    with pytest.raises(KeyError), watch("place"):
        raise KeyError
    assert watch.seconds == dict.fromkeys(STAGES, 0.0) | {"crop": 7.0, "place": 1.0}


def test_a_stage_that_is_none_is_refused():
    with pytest.raises(KeyError, match="lunch"), Stopwatch()("lunch"):
        pass
