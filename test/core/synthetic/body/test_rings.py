"""Rings lie around fingers, as often and as wide as named."""

import pytest
import torch
from support.rest_surface import covered

from lgnet_core.synthetic.body import rings as module
from lgnet_core.synthetic.body.forearm import SKIN
from lgnet_core.synthetic.body.rings import EDGE, RINGED, WIDTH, put_on_rings, worn_fingers
from lgnet_core.synthetic.body.tubes import FINGERS
from lgnet_core.synthetic.random import Draws

IMAGES = 24


@pytest.fixture
def dressed(rest_hands, tubes, monkeypatch):
    """A surface on which every hand wears rings."""
    monkeypatch.setattr(module, "RINGED", 1.0)
    surface = rest_hands.surface(IMAGES)
    hand = surface.batch * 2 + surface.side
    directions = tubes.directions(rest_hands.vertices.expand(IMAGES, -1, -1))
    draws = Draws(1, torch.arange(IMAGES))
    return put_on_rings(surface, hand, surface.material == SKIN, tubes, directions, draws), worn_fingers(draws)


def test_a_hand_in_eight_wears_one_to_three_rings_on_different_fingers():
    fingers = worn_fingers(Draws(1, torch.arange(4000))).flatten(0, 1)
    worn = fingers[:, 0] >= 0
    assert abs(worn.float().mean() - RINGED) < 0.015
    count = (fingers[worn] >= 0).sum(1)
    assert count.min() == 1
    assert count.max() == 3
    assert 0.55 < (count == 1).float().mean() < 0.75
    drawn = fingers[worn]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert ((drawn[:, a] != drawn[:, b]) | (drawn[:, b] < 0)).all()
    first = torch.bincount(drawn[:, 0], minlength=5)
    assert first.argmax() == 3, "the ring finger leads"
    assert (first > 0).all()


def test_rings_lie_on_the_segments_that_wear_them(rest_hands, dressed):
    surface, fingers = dressed
    joints = torch.tensor(FINGERS)
    owner = rest_hands.owner.repeat(IMAGES)
    for slot, coat in enumerate(surface.coats):
        on_ring = coat.fragment[coat.opacity > 0.7]
        tube = fingers[surface.batch[on_ring], surface.side[on_ring], slot]
        assert (tube >= 0).all()
        segment = joints[tube]
        belongs = (owner[on_ring] == segment) | (owner[on_ring] == segment + 1)
        assert belongs.float().mean() > 0.98
    hidden = covered(surface, surface.coats)
    assert 0.003 < hidden[surface.material == SKIN].float().mean() < 0.1


def test_a_ring_goes_all_around_its_finger_and_is_as_wide_as_drawn(dressed, tubes):
    surface, fingers = dressed
    coat = surface.coats[0]
    on_ring = coat.fragment[coat.opacity > 0.7]
    hand = surface.batch[on_ring] * 2 + surface.side[on_ring]
    place = tubes.place(surface, on_ring, hand, fingers.flatten(0, 1)[hand, 0])
    below = place.above < 0.002  # stones are above
    octant = (torch.atan2(place.across, place.above) * 4 / torch.pi).floor().long() + 4
    for one in hand.unique():
        mine = hand == one
        assert len(octant[mine].unique()) >= (8 if mine.sum() > 60 else 6)
        extent = place.along[mine & below].aminmax()
        assert extent.max - extent.min < WIDTH[1] + EDGE
        assert extent.max - extent.min > 0.5 * WIDTH[0]


def test_normals_lean_outwards_and_stay_unit(rest_hands, dressed):
    surface, _ = dressed
    torch.testing.assert_close(surface.normal.norm(dim=0), torch.ones(len(surface.batch)), atol=1e-4, rtol=0)
    before = rest_hands.normal.repeat(1, IMAGES)
    changed = (surface.normal - before).abs().sum(0) > 1e-5
    near = torch.zeros_like(changed)
    near[torch.cat([coat.fragment for coat in surface.coats])] = True
    assert not (changed & ~near).any()
    assert changed.any()
    assert ((surface.normal * before).sum(0)[changed] > 0.1).float().mean() > 0.95
