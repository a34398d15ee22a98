"""Training and held-out splits: disjoint and complementary quantile ranges of the reserved streams."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.hand_model.finger_poses import preset, preset_names
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.poses import PoseStyle, sample_joint_angles
from lgnet_core.synthetic.splits import HELD_OUT_RANGES, Split, map_to_split

MANY = torch.arange(20_000)


def in_ranges(values, ranges):
    inside = torch.zeros_like(values, dtype=torch.bool)
    for low, high in ranges:
        inside |= (values >= low) & (values < high)
    return inside


@pytest.mark.parametrize("name", HELD_OUT_RANGES)
def test_splits_are_disjoint_and_cover_interval(name):
    ranges = HELD_OUT_RANGES[name]
    training, held_out = (CounterRng(3, MANY, split=split).uniform(name) for split in Split)
    assert not in_ranges(training, ranges).any()
    assert in_ranges(held_out, ranges).all()
    fraction = sum(high - low for low, high in ranges)
    assert 0.05 < fraction < 0.35, "sufficient for evaluation, most of it left for training"
    counts = torch.histc(
        torch.cat([training[: int(len(MANY) * (1 - fraction))], held_out[: int(len(MANY) * fraction)]]), 20
    )
    assert (counts / counts.sum() - 0.05).abs().max() < 0.01, "the union is uniform"


@given(
    unit=st.lists(st.floats(0, 1 - 2**-24, width=32), min_size=1, max_size=50),
    edges=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=6, unique=True).filter(lambda e: len(e) % 2 == 0),
)
def test_arbitrary_ranges_partition_unit_interval(unit, edges):
    edges = sorted(edges)
    ranges = [(low, high) for low, high in zip(edges[::2], edges[1::2]) if high - low > 1e-3]
    unit = torch.tensor(unit)
    if not ranges:
        return
    assert not in_ranges(map_to_split(unit, ranges, Split.TRAINING), ranges).any()
    assert in_ranges(map_to_split(unit, ranges, Split.HELD_OUT), ranges).all()


def test_gaussian_samples_respect_quantile_ranges():
    ranges = HELD_OUT_RANGES["pose/closure"]
    for split, expected in ((Split.TRAINING, False), (Split.HELD_OUT, True)):
        quantile = torch.special.ndtr(CounterRng(3, MANY, split=split).normal("pose/closure").double())
        near = torch.stack([(quantile - edge).abs() < 1e-6 for pair in ranges for edge in pair]).any(0)
        assert (
            (in_ranges(quantile, ranges) | near).all() if expected else not (in_ranges(quantile, ranges) & ~near).any()
        )


def test_pose_presets_of_splits_are_disjoint():
    names = preset_names()
    anchors = {
        split: {
            names[k]
            for name in ("pose/anchor", "pose/other anchor")
            for k in CounterRng(5, MANY, split=split).choice(name, [1.0] * len(names)).unique().tolist()
        }
        for split in Split
    }
    assert anchors[Split.HELD_OUT] == {"victory", "hook"}
    assert anchors[Split.TRAINING] == set(names) - anchors[Split.HELD_OUT]
    style = torch.full((200, 2), int(PoseStyle.ANCHOR))
    held_out = sample_joint_angles(CounterRng(5, MANY[:200], split=Split.HELD_OUT), "pose", style)
    distances = torch.stack([(held_out - preset(name)).abs().amax((-2, -1)) for name in ("victory", "hook")])
    assert (distances.amin(0) < 0.7).float().mean() > 0.6, "close to one of the two, or between both"


def test_unreserved_streams_are_equal_in_both_splits():
    training, held_out = (CounterRng(3, MANY, split=split) for split in Split)
    assert torch.equal(training.uniform("kind"), held_out.uniform("kind"))


def test_all_reserved_streams_are_used():
    """A renamed stream must not drop out of the held-out split unnoticed."""
    from lgnet_core.synthetic.generator import SyntheticHands

    used = set()
    uniform = CounterRng.uniform

    def recording(self, name, *shape, **limits):
        used.add(name)
        return uniform(self, name, *shape, **limits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CounterRng, "uniform", recording)
        SyntheticHands(1).crops(torch.arange(2), 64)
    assert set(HELD_OUT_RANGES) <= used
