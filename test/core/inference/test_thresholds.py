"""Thresholds: defaults and validation."""

from dataclasses import replace

import pytest

from lgnet_core.inference.thresholds import Thresholds


@pytest.mark.parametrize("name", ["palm_score", "presence", "first_pass_presence"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_probabilities_outside_0_and_1_are_rejected(name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected a probability"):
        Thresholds(**{name: value})


def test_replace_validates_too():
    assert replace(Thresholds(), presence=0.7).presence == 0.7
    with pytest.raises(ValueError, match="presence"):
        replace(Thresholds(), presence=7.0)


def test_first_pass_is_more_permissive_than_the_second():
    """Its crop is only roughly aligned."""
    assert Thresholds().first_pass_presence < Thresholds().presence
