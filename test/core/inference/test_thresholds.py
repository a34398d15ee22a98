"""Thresholds that make no sense are refused by name."""

from dataclasses import fields, replace

import pytest

from lgnet_core.inference.thresholds import Thresholds


@pytest.mark.parametrize("name", ["palm_score", "presence", "first_presence"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_probabilities_lie_between_0_and_1(name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected a probability"):
        Thresholds(**{name: value})


def test_one_may_be_replaced():
    changed = replace(Thresholds(), presence=0.7)
    assert changed.presence == 0.7
    assert {f.name for f in fields(Thresholds) if getattr(changed, f.name) != f.default} == {"presence"}


def test_the_first_crop_is_judged_more_mildly_than_the_second():
    """It is only roughly in place."""
    assert Thresholds().first_presence < Thresholds().presence
