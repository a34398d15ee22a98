"""Gloves on hands: cloth and its patterns, knit, leather, latex, coated palms."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.synthetic.body.gloves import Fabric, Gloves
from lgnet_core.synthetic.body.skin import CREASE, FINE, GRAIN, MIDDLE, PALM, lookup_noise
from lgnet_core.synthetic.body.surface import Coat, Surface, pattern_mix
from lgnet_core.synthetic.body.tubes import FINGERS, WRIST_TUBE, Tubes, fragments_of, of_hands

_GLOSS = ((0.015, 8.0), (0.01, 6.0), (0.16, 22.0), (0.30, 55.0), (0.01, 6.0))  # and sharpness, by fabric
_COATING_GLOSS = (0.12, 18.0)
_CELLS = 1000.0  # of noise a metre
_RIB, _ROW = 2100.0, 2900.0  # radians a metre of a knit's ribs and rows, about 3 and 2 mm
_EDGE = 0.0005  # metres over which an edge fades
_SHADE, _SHADOW = 0.0025, 0.4  # metres beside an edge in its shade, and how dark it is there


def put_on_gloves(surface: Surface, hand: Tensor, bare: Tensor, tubes: Tubes, noise: Tensor, gloves: Gloves) -> Surface:
    """The surface with gloves on it.

    Args:
        hand: (N,) image * 2 + side of each fragment. bare: (N,) bool, which of them are skin.
        noise: of :func:`~lgnet_core.synthetic.body.skin.noise_volume`.
    """
    index = fragments_of(gloves.worn.flatten(), hand, bare)
    whose = hand.index_select(0, index)
    glove = Gloves(*of_hands(gloves, whose))
    beyond = tubes.place(surface, index, whose, torch.full_like(whose, WRIST_TUBE)).along - glove.cuff[0]
    inside_hem = beyond > -glove.hem[0]
    cut = (glove.fingerless[0] > 0).nonzero()[:, 0]
    past_cut = _along_nearest_finger(surface, index[cut], whose[cut], tubes) - glove.cut[0, cut]
    beyond = beyond.index_copy(0, cut, torch.maximum(beyond[cut], past_cut))

    near = beyond < _SHADE
    index, beyond, inside_hem = index[near], beyond[near], inside_hem[near]
    glove = Gloves(*(values[:, near] for values in glove))
    cover = (0.5 - beyond / _EDGE).clamp(0, 1)
    rest, details = surface.rest.index_select(1, index), surface.details.index_select(1, index)
    cells = lookup_noise(noise, rest * _CELLS + glove.offset)

    fabric = glove.fabric[0].long()
    coated = (fabric == Fabric.WORK) & (details[PALM] + 0.1 * cells[MIDDLE] > 0.4)
    mix = pattern_mix(glove.pattern[0], rest, cells[MIDDLE], glove.wave, glove.cross)
    mix = torch.where(coated | ((fabric != Fabric.WORK) & inside_hem), 1.0, mix)
    colour = torch.lerp(glove.colour, glove.second, mix) * _texture(fabric, coated, rest, cells, details[CREASE])
    gloss, sharpness = colour.new_tensor(_GLOSS)[fabric].unbind(1)
    coat = Coat(
        fragment=index,
        colour=colour * cover,
        opacity=torch.maximum(cover, _SHADOW * (1 - beyond / _SHADE).clamp(0, 1)),
        gloss=torch.where(coated, _COATING_GLOSS[0], gloss) * cover,
        sharpness=torch.where(coated, _COATING_GLOSS[1], sharpness),
        metal=torch.zeros_like(cover),
    )
    return surface._replace(coats=(*surface.coats, coat))


def _along_nearest_finger(surface: Surface, index: Tensor, hand: Tensor, tubes: Tubes) -> Tensor:
    """(M,) metres along the finger whose line is nearest to each fragment."""
    places = [tubes.place(surface, index, hand, torch.full_like(hand, finger)) for finger in range(len(FINGERS))]
    nearest = torch.stack([p.above.square() + p.across.square() for p in places]).argmin(0, keepdim=True)
    return torch.stack([p.along for p in places]).gather(0, nearest)[0]


def _texture(fabric: Tensor, coated: Tensor, rest: Tensor, cells: Tensor, crease: Tensor) -> Tensor:
    """(M,) how the fabric's texture brightens and darkens it."""
    woven = 1 + 0.08 * cells[GRAIN] + 0.05 * cells[FINE]
    knit = 1 + 0.15 * (_RIB * rest[2]).sin() + 0.07 * (_ROW * rest[0]).sin() + 0.05 * cells[GRAIN]
    leather = (1 + 0.10 * cells[MIDDLE] + 0.06 * cells[FINE]) * (1 - 0.4 * crease)
    smooth = 1 + 0.02 * cells[MIDDLE]
    coating = 1 + 0.04 * cells[FINE] + 0.03 * cells[GRAIN]
    by_fabric = torch.stack([woven, knit, leather, smooth, torch.where(coated, coating, knit)])
    return by_fabric.gather(0, fabric[None])[0]
