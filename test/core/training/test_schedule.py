import itertools

import pytest

from lgnet_core.training.schedule import SCHEDULES, learning_rate_factor


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warms_up_linearly_then_never_increases(schedule):
    factor = learning_rate_factor(schedule, 100, 10)
    assert [factor(k) for k in range(10)] == pytest.approx([(k + 1) / 10 for k in range(10)])
    values = [factor(k) for k in range(10, 120)]
    assert all(0 < v <= 1 for v in values)
    assert all(a >= b for a, b in itertools.pairwise(values))
    assert factor(100) == pytest.approx(0.01)


def test_reference_values():
    assert learning_rate_factor("cosine", 100, 0)(50) == pytest.approx((1 + 0.01) / 2)
    wsd = learning_rate_factor("wsd", 100, 0)
    assert [wsd(k) for k in (0, 79, 90)] == pytest.approx([1, 1, (1 + 0.01) / 2])
    paper = learning_rate_factor("paper", 30, 0)
    assert [paper(k) for k in (9, 10, 14, 15, 29)] == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])


def test_rejects_unknown_schedule_and_too_long_warmup():
    with pytest.raises(ValueError, match=r"choose one of.*cosine"):
        learning_rate_factor("cos", 10, 0)
    with pytest.raises(ValueError, match="warm-up"):
        learning_rate_factor("cosine", 10, 11)
