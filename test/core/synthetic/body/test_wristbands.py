"""Wristbands: frequencies, position and coverage."""

import pytest
import torch
from support.dressed_wrists import dress_wrists
from support.rest_surface import covered

from lgnet_core.synthetic.body.forearm import SKIN
from lgnet_core.synthetic.body.segment_frames import WRIST_SEGMENT
from lgnet_core.synthetic.body.wristbands import BAND_PROBABILITY, WIDTH, WRIST_OFFSET, BandKind, sample_wristbands
from lgnet_core.synthetic.rng import CounterRng

IMAGES = 40


@pytest.fixture
def dressed(rest_hands, segment_frames, monkeypatch):
    return dress_wrists(rest_hands, segment_frames, IMAGES, monkeypatch)


def test_wristband_frequencies():
    kinds = sample_wristbands(CounterRng(1, torch.arange(4000))).kind.flatten()
    assert abs((kinds >= 0).float().mean() - BAND_PROBABILITY) < 0.015
    assert set(kinds.tolist()) == {-1, *map(int, BandKind)}


def test_wristbands_enclose_wrist_on_bare_skin(segment_frames, dressed):
    surface, bands, _ = dressed
    strap = surface.coats[0]
    hidden = strap.fragment[strap.opacity > 0.7]
    assert (surface.material[hidden] == SKIN).all()
    hand = surface.batch[hidden] * 2 + surface.side[hidden]
    coordinates = segment_frames.coordinates(surface, hidden, hand, torch.full_like(hand, WRIST_SEGMENT))
    octant = (torch.atan2(coordinates.across, coordinates.above) * 4 / torch.pi).floor().long() + 4
    for one in hand.unique():
        selected = hand == one
        if bands.kind.flatten()[one] != BandKind.BEADS and selected.sum() > 60:
            assert len(octant[selected].unique()) == 8, "all around"
        offset = coordinates.along[selected].mean()
        assert WRIST_OFFSET[0] - 0.01 < offset < WRIST_OFFSET[1] + 0.01
    straight = (bands.slant.flatten(0, 1).abs().amax(1) < 0.02)[hand]
    half_width = max(high for _, high in WIDTH) / 2
    distance = coordinates.along - bands.offset.flatten()[hand]
    assert distance[straight].abs().max() < half_width + 0.002


def test_only_arms_with_wristbands_are_covered(dressed):
    surface, bands, _ = dressed
    worn = (bands.kind.flatten() >= 0)[surface.batch * 2 + surface.side]
    hidden = covered(surface, surface.coats)
    assert not (hidden & ~worn).any()
    assert hidden[surface.material == SKIN].float().mean() < 0.2
    torch.testing.assert_close(surface.normal.norm(dim=0), torch.ones(len(surface.batch)), atol=1e-4, rtol=0)
