"""Random colours: ranges and distributions."""

import torch

from lgnet_core.synthetic.colours import sample_colour, sample_skin_colour
from lgnet_core.synthetic.rng import CounterRng

MANY = torch.arange(2000)


def test_skin_colours_span_human_range():
    colour, darkness = sample_skin_colour(CounterRng(2, MANY), "skin")
    assert darkness.min() < 0.02
    assert darkness.max() > 0.98
    shown = colour ** (1 / 2.2)
    assert (shown.mean(1) > 0.75).float().mean() > 0.1
    assert (shown.mean(1) < 0.3).float().mean() > 0.1
    assert ((colour[:, 0] >= colour[:, 1]) & (colour[:, 1] >= colour[:, 2])).float().mean() > 0.9  # red > green > blue


def test_object_colours_have_all_hues_and_mostly_low_saturation():
    colour = sample_colour(CounterRng(2, MANY), "object")
    assert colour.min() >= 0
    assert colour.max() < 1
    assert (torch.bincount(colour.argmax(1), minlength=3) > 0.25 * len(MANY)).all()
    shown = colour ** (1 / 2.2)
    assert ((shown.amin(1) / shown.amax(1)) > 0.7).float().mean() > 0.4
