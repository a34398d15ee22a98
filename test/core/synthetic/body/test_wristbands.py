"""Watches and bracelets: around bare wrists, faces on one side of them, as often as named."""

import pytest
import torch
from support.rest_surface import covered

from lgnet_core.synthetic.body import bands as module
from lgnet_core.synthetic.body.bands import BANDED, BEHIND_WRIST, WIDTH, Kind, draw_bands, locate_bands, put_on_bands
from lgnet_core.synthetic.body.dials import ON_BACK, RADIUS, SQUARE, draw_dials, put_on_dials
from lgnet_core.synthetic.body.forearm import SKIN
from lgnet_core.synthetic.body.tubes import WRIST_TUBE
from lgnet_core.synthetic.random import Draws

IMAGES = 40


@pytest.fixture
def dressed(rest_hands, tubes, monkeypatch):
    """A surface on which every arm wears something, and what."""
    monkeypatch.setattr(module, "BANDED", 1.0)
    draws = Draws(1, torch.arange(IMAGES))
    bands = draw_bands(draws)
    surface = rest_hands.surface(IMAGES)
    hand = surface.batch * 2 + surface.side
    directions = tubes.directions(rest_hands.vertices.expand(IMAGES, -1, -1))
    place = locate_bands(bands, surface, hand, surface.material == SKIN, tubes, 0.024)
    surface = put_on_bands(surface, place, bands, directions)
    return put_on_dials(surface, place, draw_dials(draws, bands), directions), bands, draw_dials(draws, bands)


def test_an_arm_in_eight_wears_something():
    draws = Draws(1, torch.arange(4000))
    bands = draw_bands(draws)
    kinds = bands.kind.flatten()
    assert abs((kinds >= 0).float().mean() - BANDED) < 0.015
    assert set(kinds.tolist()) == {-1, *map(int, Kind)}
    dials = draw_dials(draws, bands)
    dialled = (dials.half > 0).all(-1)
    assert torch.equal(dialled, ((bands.kind == Kind.WATCH) | (bands.kind == Kind.FITNESS))[..., 0])
    watches = bands.kind == Kind.WATCH
    assert abs(dials.square[watches].float().mean() - SQUARE) < 0.06
    assert abs((dials.outward[watches] > 0).float().mean() - ON_BACK) < 0.04


def test_bands_lie_around_the_wrist_on_bare_skin(tubes, dressed):
    surface, bands, _ = dressed
    strap = surface.coats[0]
    hidden = strap.fragment[strap.opacity > 0.7]
    assert (surface.material[hidden] == SKIN).all()
    hand = surface.batch[hidden] * 2 + surface.side[hidden]
    place = tubes.place(surface, hidden, hand, torch.full_like(hand, WRIST_TUBE))
    octant = (torch.atan2(place.across, place.above) * 4 / torch.pi).floor().long() + 4
    for one in hand.unique():
        mine = hand == one
        if bands.kind.flatten()[one] != Kind.BEADS and mine.sum() > 60:
            assert len(octant[mine].unique()) == 8, "all around"
        middle = place.along[mine].mean()
        assert BEHIND_WRIST[0] - 0.01 < middle < BEHIND_WRIST[1] + 0.01
    straight = (bands.slant.flatten(0, 1).abs().amax(1) < 0.02)[hand]
    half = max(high for _, high in WIDTH) / 2
    off = place.along - bands.middle.flatten()[hand]
    assert off[straight].abs().max() < half + 0.002


def test_faces_of_watches_are_round_patches_on_their_side_of_the_wrist(tubes, dressed):
    surface, bands, dials = dressed
    face = surface.coats[1]
    hidden = face.fragment[face.opacity > 0.7]
    hand = surface.batch[hidden] * 2 + surface.side[hidden]
    assert (bands.kind.flatten()[hand] <= Kind.FITNESS).all()
    place = tubes.place(surface, hidden, hand, torch.full_like(hand, WRIST_TUBE))
    assert (place.above * dials.outward.flatten()[hand] > 0).all()
    seen = 0
    for one in hand.unique():
        mine = hand == one
        if bands.kind.flatten()[one] == Kind.WATCH:
            extent = torch.stack([v[mine].max() - v[mine].min() for v in (place.along, place.across)])
            assert (extent < 2 * RADIUS[1] + 0.004).all()
            assert (extent > 1.2 * RADIUS[0]).all()
            seen += 1
    assert seen > 10


def test_a_face_is_flat(dressed, rest_hands, tubes):
    surface, _, dials = dressed
    face = surface.coats[1]
    glass = (face.opacity > 0.99) & (face.metal == 0)
    normals = surface.normal[:, face.fragment[glass]]
    hand = surface.batch[face.fragment[glass]] * 2 + surface.side[face.fragment[glass]]
    above = tubes.directions(rest_hands.vertices.expand(IMAGES, -1, -1)).view(-1, 6, 3, 3)[hand, WRIST_TUBE, 1]
    facing = (normals.T * above).sum(1) * dials.outward.flatten()[hand]
    assert facing.min() > 0.999


def test_nothing_else_is_hidden(dressed):
    surface, bands, _ = dressed
    worn = (bands.kind.flatten() >= 0)[surface.batch * 2 + surface.side]
    hidden = covered(surface, surface.coats)
    assert not (hidden & ~worn).any()
    assert hidden[surface.material == SKIN].float().mean() < 0.2
    torch.testing.assert_close(surface.normal.norm(dim=0), torch.ones(len(surface.batch)), atol=1e-4, rtol=0)
