"""Solids' looks: textures of the backgrounds, skin, a face, under the light of the hands."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lgnet_core.synthetic.body.forearm import SKIN
from lgnet_core.synthetic.body.surface import Surface
from lgnet_core.synthetic.colours import to_linear
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.render.backgrounds import Backgrounds
from lgnet_core.synthetic.render.shading import develop, radiance
from lgnet_core.synthetic.scene.appearance import Appearance
from lgnet_core.synthetic.scene.solids import Hits, Solids

_GLOSSY = 0.4  # of the solids shine as skin does
_FACE = (
    # What a face shows, on the front of an ellipsoid: across, up (of its half sizes), half width, half height, colour.
    ((0.0, -0.38, 0.28, 0.06), (0.45, 0.13, 0.12)),  # mouth
    ((0.36, 0.08, 0.17, 0.08), (0.75, 0.72, 0.70)),  # eyes
    ((-0.36, 0.08, 0.17, 0.08), (0.75, 0.72, 0.70)),
    ((0.36, 0.08, 0.07, 0.08), (0.05, 0.03, 0.02)),  # pupils
    ((-0.36, 0.08, 0.07, 0.08), (0.05, 0.03, 0.02)),
    ((0.36, 0.27, 0.22, 0.04), (0.06, 0.04, 0.03)),  # brows
    ((-0.36, 0.27, 0.22, 0.04), (0.06, 0.04, 0.03)),
)
_HAIR_LINE = 0.55


def paint_solids(
    hits: Hits,
    solids: Solids,
    lit: Tensor,
    looks: Appearance,
    backgrounds: Backgrounds,
    draws: Draws,
    name: str,
    head: int | None = None,
) -> Tensor:
    """Display colours (3, N) of the solids' visible surface.

    Args:
        lit: (N,) share of the key light that arrives. name: prefix of the draws' names.
        head: which of the solids is a head; it is skin, with a face in front and hair.
    """
    count = solids.there.shape[1]
    source = draws.choice(f"{name}/fill", [0.35, 0.2, 0.45], count)
    paints = backgrounds.paints(draws, name, source)
    offset, gain = paints.offset, paints.gain
    if head is not None:
        face = draws.uniform(f"{name}/complexion", 1, 1, low=0.25, high=0.9) * offset.new_tensor([1.0, 0.78, 0.66])
        offset, gain = offset.index_copy(1, offset.new_tensor([head]).long(), face), gain.clone()
        gain[:, head] = 0.08
    per_metre = torch.exp(draws.uniform(f"{name}/scale", count, low=math.log(2.0), high=math.log(12.0)))
    table = torch.cat([offset, gain, paints.tile[..., None].float(), per_metre[..., None]], -1)
    numbers = table.flatten(0, 1).t().contiguous().index_select(1, hits.batch * count + hits.solid)

    half = solids.half.flatten(0, 1).t().contiguous().index_select(1, hits.batch * count + hits.solid)
    place = hits.local * half * numbers[7]
    axis = hits.facing.abs().argmax(0, keepdim=True)
    u, v = (place.gather(0, (axis + step) % 3)[None] for step in (1, 2))
    texture = backgrounds.sample(u, v, numbers[6].view_as(u))[0, :, 0]
    colour = (numbers[:3] + numbers[3:6] * texture).clamp(0.02, 1)
    if head is not None:
        colour = _with_face(colour, hits, hits.solid == head)

    glossy = draws.bernoulli(f"{name}/glossy", _GLOSSY, count).flatten()[hits.batch * count + hits.solid]
    surface = Surface(
        batch=hits.batch,
        side=torch.zeros_like(hits.batch),
        material=torch.where(glossy, SKIN, SKIN + 1),
        position=hits.position,
        normal=hits.normal,
        rest=torch.zeros_like(hits.position),
        details=torch.zeros(4, len(hits.pixel), device=lit.device),
    )
    return develop(radiance(surface, to_linear(colour), lit, looks), surface, looks)


def _with_face(colour: Tensor, hits: Hits, on_head: Tensor) -> Tensor:
    across, front, up = hits.local
    for (x, z, width, height), paint in _FACE:
        inside = on_head & (front > 0) & (((across - x) / width) ** 2 + ((up - z) / height) ** 2 < 1)
        colour = torch.where(inside, colour.new_tensor(paint)[:, None], colour)
    hair = on_head & ((up > _HAIR_LINE) | ((front < -0.1) & (up > -0.3)))
    return torch.where(hair, 0.25 * colour, colour)
