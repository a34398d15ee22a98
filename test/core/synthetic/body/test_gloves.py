"""Gloves: how often, of what, and that they end at the cuff and, fingerless, at the cut."""

import pytest
import torch
from support.rest_surface import covered

from lgnet_core.hand_model.anatomy import INDEX, MIDDLE, PINKY, RING
from lgnet_core.synthetic.body import gloves as module
from lgnet_core.synthetic.body.forearm import SKIN
from lgnet_core.synthetic.body.glove_coats import put_on_gloves
from lgnet_core.synthetic.body.gloves import BOTH, CUFF, FINGERLESS, GLOVED, Fabric, draw_gloves, glove_brightness
from lgnet_core.synthetic.body.skin import PALM, noise_volume
from lgnet_core.synthetic.body.tubes import WRIST_TUBE
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.scene.appearance import infrared, sample_appearance

IMAGES = 40
END_SEGMENTS = torch.tensor([INDEX + 2, MIDDLE + 2, RING + 2, PINKY + 2])


@pytest.fixture
def dressed(rest_hands, tubes, monkeypatch):
    """A surface in whose images all wear gloves, and which; palms are where normals point down."""
    monkeypatch.setattr(module, "GLOVED", 1.0)
    gloves = draw_gloves(Draws(1, torch.arange(IMAGES)))
    details = torch.zeros(4, len(rest_hands))
    details[PALM] = (rest_hands.normal[1] < -0.3).float()
    surface = rest_hands.surface(IMAGES, details)
    hand = surface.batch * 2 + surface.side
    return put_on_gloves(surface, hand, surface.material == SKIN, tubes, noise_volume(), gloves), gloves


def test_they_are_as_frequent_and_varied_as_named():
    gloves = draw_gloves(Draws(1, torch.arange(20_000)))
    worn = gloves.worn[..., 0]
    some = worn.any(1)
    assert abs(some.float().mean() - GLOVED) < 0.007
    assert abs(worn[some].all(1).float().mean() - BOTH) < 0.05
    fingerless = gloves.fingerless[some][:, 0, 0]
    assert abs(fingerless.float().mean() - FINGERLESS) < 0.05
    fabric = gloves.fabric[some][:, 0, 0]
    assert set(fabric.tolist()) == set(map(int, Fabric))
    assert (fabric[fingerless] < Fabric.LATEX).all()
    for name in ("fabric", "colour", "cuff", "fingerless"):
        pair = getattr(gloves, name)
        assert (pair[:, 0] == pair[:, 1]).all(), "a pair is alike"


def test_they_cover_the_hand_up_to_the_cuff(rest_hands, tubes, dressed):
    surface, gloves = dressed
    hidden = covered(surface, surface.coats)
    hand = surface.batch * 2 + surface.side
    everything = torch.arange(len(hand))
    along = tubes.place(surface, everything, hand, torch.full_like(hand, WRIST_TUBE)).along
    cuff = gloves.cuff.flatten()[hand]
    worn = gloves.worn.flatten()[hand] & (surface.material == SKIN)
    whole = worn & ~gloves.fingerless.flatten()[hand]
    assert hidden[whole & (along < cuff - 0.001)].all()
    assert not hidden[along > cuff + 0.001].any()
    assert not hidden[~worn].any()
    assert along[hidden].max() < CUFF[1] + 0.001
    assert (rest_hands.owner.repeat(IMAGES)[whole & ~hidden] <= 0).all(), "what stays bare is the wrist or the arm"


def test_fingerless_ones_leave_the_fingers_ends_and_cover_the_palm(rest_hands, dressed):
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
    colour, coating, back = coat.colour, *(g.flatten(0, 1)[hand].T for g in (gloves.second, gloves.colour))

    def like(other, chosen):
        return ((colour - other).abs().mean(0) < (colour - (back + coating - other)).abs().mean(0))[chosen]

    assert like(coating, work & palm).float().mean() > 0.95
    assert like(back, work & ~palm).float().mean() > 0.85


def test_cameras_expose_for_gloves_as_for_skin(monkeypatch):
    draws = Draws(1, torch.arange(300))
    monkeypatch.setattr(module, "GLOVED", 0.0)
    bare = sample_appearance(draws)
    monkeypatch.setattr(module, "GLOVED", 1.0)
    gloved = sample_appearance(draws)
    gloves = draw_gloves(draws)
    both = gloves.worn.all(1)[:, 0] & ~infrared(draws)
    brighter = glove_brightness(gloves).mean((1, 2)) > bare.skin.mean((1, 2))
    lower = gloved.exposure[:, 0] <= bare.exposure[:, 0]
    assert torch.equal(lower[both], brighter[both])
    assert torch.equal(gloved.skin, bare.skin)
