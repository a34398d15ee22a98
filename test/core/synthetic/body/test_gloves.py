"""Gloves: frequencies, coverage up to cuff and cut, coated palms, exposure."""

import pytest
import torch
from support.rest_surface import covered

from lgnet_core.hand_model.anatomy import INDEX, MIDDLE, PINKY, RING
from lgnet_core.synthetic.body import gloves as module
from lgnet_core.synthetic.body.forearm import SKIN
from lgnet_core.synthetic.body.gloves import (
    BOTH_GLOVES_PROBABILITY,
    CUFF_OFFSET,
    FINGERLESS_PROBABILITY,
    GLOVE_PROBABILITY,
    Fabric,
    apply_gloves,
    glove_brightness,
    sample_gloves,
)
from lgnet_core.synthetic.body.segment_frames import WRIST_SEGMENT
from lgnet_core.synthetic.body.skin import PALM, noise_volume
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.appearance import sample_appearance, sample_infrared

IMAGES = 40
END_SEGMENTS = torch.tensor([INDEX + 2, MIDDLE + 2, RING + 2, PINKY + 2])


@pytest.fixture
def dressed(rest_hands, segment_frames, monkeypatch):
    """Surface with gloves in all images, and their parameters; palms are where normals point down."""
    monkeypatch.setattr(module, "GLOVE_PROBABILITY", 1.0)
    gloves = sample_gloves(CounterRng(1, torch.arange(IMAGES)))
    details = torch.zeros(4, len(rest_hands))
    details[PALM] = (rest_hands.normal[1] < -0.3).float()
    surface = rest_hands.surface(IMAGES, details)
    hand = surface.batch * 2 + surface.side
    return apply_gloves(surface, hand, surface.material == SKIN, segment_frames, noise_volume(), gloves), gloves


def test_gloves_follow_probabilities():
    gloves = sample_gloves(CounterRng(1, torch.arange(20_000)))
    worn = gloves.worn[..., 0]
    some = worn.any(1)
    assert abs(some.float().mean() - GLOVE_PROBABILITY) < 0.007
    assert abs(worn[some].all(1).float().mean() - BOTH_GLOVES_PROBABILITY) < 0.05
    fingerless = gloves.fingerless[some][:, 0, 0]
    assert abs(fingerless.float().mean() - FINGERLESS_PROBABILITY) < 0.05
    fabric = gloves.fabric[some][:, 0, 0]
    assert set(fabric.tolist()) == set(map(int, Fabric))
    assert (fabric[fingerless] < Fabric.LATEX).all()
    for name in ("fabric", "colour", "cuff", "fingerless"):
        pair = getattr(gloves, name)
        assert (pair[:, 0] == pair[:, 1]).all(), "both gloves of a pair are equal"


def test_gloves_cover_hand_up_to_cuff(rest_hands, segment_frames, dressed):
    surface, gloves = dressed
    hidden = covered(surface, surface.coats)
    hand = surface.batch * 2 + surface.side
    everything = torch.arange(len(hand))
    along = segment_frames.coordinates(surface, everything, hand, torch.full_like(hand, WRIST_SEGMENT)).along
    cuff = gloves.cuff.flatten()[hand]
    worn = gloves.worn.flatten()[hand] & (surface.material == SKIN)
    whole = worn & ~gloves.fingerless.flatten()[hand]
    assert hidden[whole & (along < cuff - 0.001)].all()
    assert not hidden[along > cuff + 0.001].any()
    assert not hidden[~worn].any()
    assert along[hidden].max() < CUFF_OFFSET[1] + 0.001
    assert (rest_hands.owner.repeat(IMAGES)[whole & ~hidden] <= 0).all(), "only wrist and arm are bare"


def test_fingerless_gloves_cover_palm_but_not_fingertips(rest_hands, dressed):
    surface, gloves = dressed
    hidden = covered(surface, surface.coats)
    hand = surface.batch * 2 + surface.side
    cut = gloves.fingerless.flatten()[hand] & gloves.worn.flatten()[hand]
    owner = rest_hands.owner.repeat(IMAGES)
    assert cut.any()
    assert not hidden[cut & torch.isin(owner, END_SEGMENTS)].any()
    assert hidden[cut & (owner == 0) & (rest_hands.rest[0].abs() < 0.06).repeat(IMAGES)].float().mean() > 0.97


def test_work_gloves_have_coated_palms(rest_hands, dressed):
    surface, gloves = dressed
    (coat,) = surface.coats
    fragment = coat.fragment
    hand = surface.batch[fragment] * 2 + surface.side[fragment]
    work = (gloves.fabric.flatten()[hand] == Fabric.WORK) & (coat.opacity == 1)
    palm = surface.details[PALM, fragment] > 0.5
    colour, coating, back = coat.colour, *(g.flatten(0, 1)[hand].T for g in (gloves.secondary, gloves.colour))

    def like(other, chosen):
        return ((colour - other).abs().mean(0) < (colour - (back + coating - other)).abs().mean(0))[chosen]

    assert like(coating, work & palm).float().mean() > 0.95
    assert like(back, work & ~palm).float().mean() > 0.85


def test_exposure_adapts_to_gloves(monkeypatch):
    rng = CounterRng(1, torch.arange(300))
    monkeypatch.setattr(module, "GLOVE_PROBABILITY", 0.0)
    bare = sample_appearance(rng)
    monkeypatch.setattr(module, "GLOVE_PROBABILITY", 1.0)
    gloved = sample_appearance(rng)
    gloves = sample_gloves(rng)
    both = gloves.worn.all(1)[:, 0] & ~sample_infrared(rng)
    brighter = glove_brightness(gloves).mean((1, 2)) > bare.skin.mean((1, 2))
    lower = gloved.exposure[:, 0] <= bare.exposure[:, 0]
    assert torch.equal(lower[both], brighter[both])
    assert torch.equal(gloved.skin, bare.skin)
