"""Rings: frequencies, position, width and normals."""

import pytest
import torch
from support.rest_surface import covered

from lgnet_core.synthetic.body import rings as module
from lgnet_core.synthetic.body.forearm import SKIN
from lgnet_core.synthetic.body.rings import EDGE_WIDTH, RING_PROBABILITY, WIDTH, apply_rings, sample_ring_fingers
from lgnet_core.synthetic.body.segment_frames import RING_JOINTS
from lgnet_core.synthetic.rng import CounterRng

IMAGES = 24


@pytest.fixture
def dressed(rest_hands, segment_frames, monkeypatch):
    """Surface with rings on every hand, and the fingers that wear them."""
    monkeypatch.setattr(module, "RING_PROBABILITY", 1.0)
    surface = rest_hands.surface(IMAGES)
    hand = surface.batch * 2 + surface.side
    axes = segment_frames.axes(rest_hands.vertices.expand(IMAGES, -1, -1))
    rng = CounterRng(1, torch.arange(IMAGES))
    return apply_rings(surface, hand, surface.material == SKIN, segment_frames, axes, rng), sample_ring_fingers(rng)


def test_ring_frequency_and_counts():
    fingers = sample_ring_fingers(CounterRng(1, torch.arange(4000))).flatten(0, 1)
    worn = fingers[:, 0] >= 0
    assert abs(worn.float().mean() - RING_PROBABILITY) < 0.015
    count = (fingers[worn] >= 0).sum(1)
    assert count.min() == 1
    assert count.max() == 3
    assert 0.55 < (count == 1).float().mean() < 0.75
    ring_fingers = fingers[worn]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert ((ring_fingers[:, a] != ring_fingers[:, b]) | (ring_fingers[:, b] < 0)).all()
    first = torch.bincount(ring_fingers[:, 0], minlength=5)
    assert first.argmax() == 3, "the ring finger is the most frequent"
    assert (first > 0).all()


def test_rings_lie_on_their_finger_segments(rest_hands, dressed):
    surface, fingers = dressed
    joints = torch.tensor(RING_JOINTS)
    owner = rest_hands.owner.repeat(IMAGES)
    for slot, coat in enumerate(surface.coats):
        on_ring = coat.fragment[coat.opacity > 0.7]
        segment = fingers[surface.batch[on_ring], surface.side[on_ring], slot]
        assert (segment >= 0).all()
        segment = joints[segment]
        belongs = (owner[on_ring] == segment) | (owner[on_ring] == segment + 1)
        assert belongs.float().mean() > 0.98
    hidden = covered(surface, surface.coats)
    assert 0.003 < hidden[surface.material == SKIN].float().mean() < 0.1


def test_ring_encloses_finger_with_sampled_width(dressed, segment_frames):
    surface, fingers = dressed
    coat = surface.coats[0]
    on_ring = coat.fragment[coat.opacity > 0.7]
    hand = surface.batch[on_ring] * 2 + surface.side[on_ring]
    coordinates = segment_frames.coordinates(surface, on_ring, hand, fingers.flatten(0, 1)[hand, 0])
    below = coordinates.above < 0.002  # stones are above
    octant = (torch.atan2(coordinates.across, coordinates.above) * 4 / torch.pi).floor().long() + 4
    for one in hand.unique():
        selected = hand == one
        assert len(octant[selected].unique()) >= (8 if selected.sum() > 60 else 6)
        extent = coordinates.along[selected & below].aminmax()
        assert extent.max - extent.min < WIDTH[1] + EDGE_WIDTH
        assert extent.max - extent.min > 0.5 * WIDTH[0]


def test_ring_normals_are_unit_and_tilted_outwards(rest_hands, dressed):
    surface, _ = dressed
    torch.testing.assert_close(surface.normal.norm(dim=0), torch.ones(len(surface.batch)), atol=1e-4, rtol=0)
    before = rest_hands.normal.repeat(1, IMAGES)
    changed = (surface.normal - before).abs().sum(0) > 1e-5
    near = torch.zeros_like(changed)
    near[torch.cat([coat.fragment for coat in surface.coats])] = True
    assert not (changed & ~near).any()
    assert changed.any()
    assert ((surface.normal * before).sum(0)[changed] > 0.1).float().mean() > 0.95
