"""Training never draws what is reserved, judging draws nothing else."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.hand_model.anatomy import preset, preset_names
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.reserved import RESERVED, Part, quantiles
from lgnet_core.synthetic.scene.poses import Style, draw_angles

MANY = torch.arange(20_000)


def reserved(values, ranges):
    inside = torch.zeros_like(values, dtype=torch.bool)
    for low, high in ranges:
        inside |= (values >= low) & (values < high)
    return inside


@pytest.mark.parametrize("name", RESERVED)
def test_the_parts_share_no_value_and_fill_the_interval(name):
    ranges = RESERVED[name]
    training, held_out = (Draws(3, MANY, part=part).uniform(name) for part in Part)
    assert not reserved(training, ranges).any()
    assert reserved(held_out, ranges).all()
    share = sum(high - low for low, high in ranges)
    assert 0.05 < share < 0.35, "enough to judge by, and most of it left to train with"
    counts = torch.histc(torch.cat([training[: int(len(MANY) * (1 - share))], held_out[: int(len(MANY) * share)]]), 20)
    assert (counts / counts.sum() - 0.05).abs().max() < 0.01, "together they are uniform"


@given(
    unit=st.lists(st.floats(0, 1 - 2**-24, width=32), min_size=1, max_size=50),
    edges=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=6, unique=True).filter(lambda e: len(e) % 2 == 0),
)
def test_any_ranges_divide_the_unit_interval(unit, edges):
    edges = sorted(edges)
    ranges = [(low, high) for low, high in zip(edges[::2], edges[1::2]) if high - low > 1e-3]
    unit = torch.tensor(unit)
    if not ranges:
        return
    assert not reserved(quantiles(unit, ranges, Part.TRAINING), ranges).any()
    assert reserved(quantiles(unit, ranges, Part.HELD_OUT), ranges).all()


def test_normal_draws_keep_to_the_quantiles():
    ranges = RESERVED["pose/closure"]
    for part, expected in ((Part.TRAINING, False), (Part.HELD_OUT, True)):
        quantile = torch.special.ndtr(Draws(3, MANY, part=part).normal("pose/closure").double())
        near = torch.stack([(quantile - edge).abs() < 1e-6 for pair in ranges for edge in pair]).any(0)
        assert (reserved(quantile, ranges) | near).all() if expected else not (reserved(quantile, ranges) & ~near).any()


def test_the_named_poses_of_the_parts_differ():
    names = preset_names()
    anchors = {
        part: {
            names[k]
            for name in ("pose/anchor", "pose/other anchor")
            for k in Draws(5, MANY, part=part).choice(name, [1.0] * len(names)).unique().tolist()
        }
        for part in Part
    }
    assert anchors[Part.HELD_OUT] == {"victory", "hook"}
    assert anchors[Part.TRAINING] == set(names) - anchors[Part.HELD_OUT]
    style = torch.full((200, 2), int(Style.ANCHOR))
    held_out = draw_angles(Draws(5, MANY[:200], part=Part.HELD_OUT), "pose", style)
    distances = torch.stack([(held_out - preset(name)).abs().amax((-2, -1)) for name in ("victory", "hook")])
    assert (distances.amin(0) < 0.7).float().mean() > 0.6, "about one of the two, half of them between both"


def test_a_quantity_that_is_not_reserved_is_the_same_in_both_parts():
    training, held_out = (Draws(3, MANY, part=part) for part in Part)
    assert torch.equal(training.uniform("kind"), held_out.uniform("kind"))


def test_every_reserved_name_is_drawn():
    """A draw that is renamed must not fall out of the hold-out unseen."""
    from lgnet_core.synthetic.generator import SyntheticHands

    drawn = set()
    uniform = Draws.uniform

    def noting(self, name, *shape, **limits):
        drawn.add(name)
        return uniform(self, name, *shape, **limits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draws, "uniform", noting)
        SyntheticHands(1).crops(torch.arange(2), 64)
    assert set(RESERVED) <= drawn
