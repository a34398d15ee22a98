"""Rings on fingers: one to three on a hand that wears any, of gold, silver or dark metal, some with a stone."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.synthetic.body.surface import Coat, Surface, unit
from lgnet_core.synthetic.body.tubes import TUBES, Place, Tubes, fragments_of
from lgnet_core.synthetic.colours import random_colour, to_linear
from lgnet_core.synthetic.random import Draws

RINGED = 0.12
"""Share of hands with rings: about a fifth of all people wear some, mostly on one hand."""
COUNT_WEIGHTS = [0.65, 0.25, 0.1]
"""Of one, two and three rings."""
FINGER_WEIGHTS = (0.4, 1.0, 1.1, 3.0, 0.8)
"""How often thumb, index, middle, ring and little finger carry one: wedding rings lead."""
WIDTH = (0.0022, 0.0065)
"""Metres: a plain band to a signet ring."""
STONED = 0.25
"""Share of rings with a stone."""

_METALS = ((1.0, 0.80, 0.42), (0.93, 0.68, 0.58), (0.93, 0.93, 0.95), (0.85, 0.84, 0.82), (0.32, 0.32, 0.34))  # sRGB
_METAL_WEIGHTS = [0.35, 0.1, 0.25, 0.15, 0.15]  # gold, rose gold, silver, steel, dark
_SLOTS = len(COUNT_WEIGHTS)
RADIUS = 0.0115
"""Metres: what is further from its tube's middle is another finger."""
SHADE, SHADOW = 0.0014, 0.5
"""Metres of skin beside a ring that lie in its shade, and how dark it is there."""
EDGE = 0.0004
"""Metres over which an edge fades."""
_ROUNDNESS = 1.1  # how far the normals of a half-round band lean outwards at its edges


def worn_fingers(draws: Draws) -> Tensor:
    """(B, 2, 3) tubes of the fingers that carry rings, -1 where there is none."""
    worn = draws.bernoulli("ring", RINGED, 2, 1)
    count = 1 + draws.choice("ring/count", COUNT_WEIGHTS, 2, 1)
    weights = torch.tensor(FINGER_WEIGHTS, device=draws.device)
    # The largest of u^(1/w) are a draw without replacement with weights w (Efraimidis and Spirakis, 2006).
    fingers = (draws.uniform("ring/finger", 2, len(FINGER_WEIGHTS)) ** (1 / weights)).topk(_SLOTS, -1).indices
    return torch.where(worn & (torch.arange(_SLOTS, device=draws.device) < count), fingers, -1)


def put_on_rings(
    surface: Surface, hand: Tensor, bare: Tensor, tubes: Tubes, directions: Tensor, draws: Draws
) -> Surface:
    """The surface with rings on it; its normals are bent in place.

    Args:
        hand: (N,) image * 2 + side of each fragment. bare: (N,) bool, which of them are skin.
        directions: of :meth:`Tubes.directions`.
    """
    table = _looks(draws).flatten(0, 1)  # (B * 2, 3, P)
    fingers = worn_fingers(draws).flatten(0, 1)  # (B * 2, 3)
    of_hand = directions.view(-1, TUBES, 3, 3)
    chosen = fragments_of(fingers[:, 0] >= 0, hand, bare)
    for slot in range(_SLOTS):
        finger, looks = fingers[:, slot], table[:, slot]
        chosen = chosen[(finger >= 0).index_select(0, hand.index_select(0, chosen))]  # who has three rings has two
        whose = hand.index_select(0, chosen)
        place = tubes.place(surface, chosen, whose, finger.index_select(0, whose))
        shift, half, stone = looks[:, :3].index_select(0, whose).unbind(1)
        place = place._replace(along=place.along - shift)
        on_finger = place.above.square() + place.across.square() < RADIUS**2
        near = on_finger & (place.along.abs() < torch.maximum(half + SHADE, stone + EDGE))
        of_finger = of_hand[torch.arange(len(finger), device=finger.device), finger.clamp_min(0)]
        surface = _one(surface, place.where(near), looks, of_finger)
    return surface


def _looks(draws: Draws) -> Tensor:
    """(B, 2, 3, 9): shift along the finger, half width, half width of the stone (metres; 0: none), colours (3 + 3)."""
    shape = (2, _SLOTS)
    shift = draws.normal("ring/shift", *shape, 1, std=0.0012).clamp(-0.003, 0.003)
    half = draws.uniform("ring/width", *shape, 1, low=WIDTH[0], high=WIDTH[1]) / 2
    stone = draws.uniform("ring/stone/size", *shape, 1, low=0.0018, high=0.0042)
    stone = torch.where(draws.bernoulli("ring/stone", STONED, *shape, 1), stone, 0.0)
    metals = to_linear(torch.tensor(_METALS, device=draws.device))
    metal = metals[draws.choice("ring/metal", _METAL_WEIGHTS, *shape)]
    metal = metal * draws.uniform("ring/shade", *shape, 1, low=0.75, high=1.05)
    return torch.cat([shift, half, stone, metal, random_colour(draws, "ring/stone", *shape)], -1)


def _one(surface: Surface, place: Place, looks: Tensor, directions: Tensor) -> Surface:
    """The surface with one ring on each of some hands; looks: (B * 2, 9), directions: (B * 2, 3, 3) of its finger."""
    half, stone, metal, gem = looks.index_select(0, place.hand).t()[1:].split((1, 1, 3, 3))
    along, _, across = directions.index_select(0, place.hand).permute(1, 2, 0)  # (3, M) each
    beyond = place.along.abs() - half[0]
    band = (0.5 - beyond / EDGE).clamp(0, 1)
    from_stone = torch.hypot(place.along, place.across) - stone[0]
    set_stone = (0.5 - from_stone / EDGE).clamp(0, 1) * ((place.above > 0) & (stone[0] > 0))
    shade = SHADOW * (1 - beyond / SHADE).clamp(0, 1)

    lean = along * (place.along / half).clamp(-1, 1) * _ROUNDNESS * band
    dome = (along * place.along + across * place.across) / stone.clamp_min(1e-4)
    normal = surface.normal.index_select(1, place.fragment)
    surface.normal.index_copy_(1, place.fragment, unit(normal + torch.lerp(lean, dome, set_stone)))
    coat = Coat(
        fragment=place.fragment,
        colour=torch.lerp(metal * band, gem, set_stone),
        opacity=torch.stack([shade, band, set_stone]).amax(0),
        gloss=0.3 * band + 0.7 * set_stone,
        sharpness=60 + 100 * set_stone,
        metal=band + (0.25 - band) * set_stone,
    )
    return surface._replace(coats=(*surface.coats, coat))
