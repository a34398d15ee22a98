"""Shading of solids with background textures, skin or a face, under the illumination of the hands."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lgnet_core.synthetic.body.forearm import SKIN
from lgnet_core.synthetic.body.surface import Surface
from lgnet_core.synthetic.colours import srgb_to_linear
from lgnet_core.synthetic.render.backgrounds import Backgrounds
from lgnet_core.synthetic.render.shading import radiance, tone_map
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.appearance import Appearance
from lgnet_core.synthetic.scene.solids import Hits, Solids

_GLOSSY_PROBABILITY = 0.4  # solids with the specular reflection of skin
_FACE = (
    # Ellipses on the front of an ellipsoid, relative to its half extents: (x, z, half width, half height), colour.
    ((0.0, -0.38, 0.28, 0.06), (0.45, 0.13, 0.12)),  # mouth
    ((0.36, 0.08, 0.17, 0.08), (0.75, 0.72, 0.70)),  # eyes
    ((-0.36, 0.08, 0.17, 0.08), (0.75, 0.72, 0.70)),
    ((0.36, 0.08, 0.07, 0.08), (0.05, 0.03, 0.02)),  # pupils
    ((-0.36, 0.08, 0.07, 0.08), (0.05, 0.03, 0.02)),
    ((0.36, 0.27, 0.22, 0.04), (0.06, 0.04, 0.03)),  # brows
    ((-0.36, 0.27, 0.22, 0.04), (0.06, 0.04, 0.03)),
)
_HAIR_LINE = 0.55  # height above which the head is covered with hair, relative to the half extent


def shade_solids(
    hits: Hits,
    solids: Solids,
    key_visibility: Tensor,
    appearance: Appearance,
    backgrounds: Backgrounds,
    rng: CounterRng,
    name: str,
    head: int | None = None,
) -> Tensor:
    """Display colours (3, N) of the visible surface of solids.

    Args:
        key_visibility: (N,) visible fraction of the key light. name: prefix of the stream names.
        head: index of the solid that is rendered as a head, with skin, face and hair; None for none.
    """
    count = solids.present.shape[1]
    source = rng.choice(f"{name}/fill", [0.35, 0.2, 0.45], count)
    textures = backgrounds.sample_textures(rng, name, source)
    offset, gain = textures.offset, textures.gain
    if head is not None:
        complexion = rng.uniform(f"{name}/complexion", 1, 1, low=0.25, high=0.9) * offset.new_tensor([1.0, 0.78, 0.66])
        offset, gain = offset.index_copy(1, offset.new_tensor([head]).long(), complexion), gain.clone()
        gain[:, head] = 0.08
    per_metre = torch.exp(rng.uniform(f"{name}/scale", count, low=math.log(2.0), high=math.log(12.0)))
    table = torch.cat([offset, gain, textures.tile[..., None].float(), per_metre[..., None]], -1)
    index = hits.batch * count + hits.solid
    parameters = table.flatten(0, 1).t().contiguous().index_select(1, index)

    half_extents = solids.half_extents.flatten(0, 1).t().contiguous().index_select(1, index)
    position = hits.local * half_extents * parameters[7]
    axis = hits.local_normal.abs().argmax(0, keepdim=True)
    u, v = (position.gather(0, (axis + step) % 3)[None] for step in (1, 2))
    texture = backgrounds.sample_texture(u, v, parameters[6].view_as(u))[0, :, 0]
    colour = (parameters[:3] + parameters[3:6] * texture).clamp(0.02, 1)
    if head is not None:
        colour = _paint_face(colour, hits, hits.solid == head)

    glossy = rng.bernoulli(f"{name}/glossy", _GLOSSY_PROBABILITY, count).flatten()[index]
    surface = Surface(
        batch=hits.batch,
        side=torch.zeros_like(hits.batch),
        material=torch.where(glossy, SKIN, SKIN + 1),
        position=hits.position,
        normal=hits.normal,
        rest=torch.zeros_like(hits.position),
        details=torch.zeros(4, len(hits.pixel), device=key_visibility.device),
    )
    return tone_map(radiance(surface, srgb_to_linear(colour), key_visibility, appearance), surface, appearance)


def _paint_face(colour: Tensor, hits: Hits, on_head: Tensor) -> Tensor:
    """Colours (3, N) with face and hair on the hits selected by ``on_head`` (N,)."""
    across, front, up = hits.local
    for (x, z, width, height), paint in _FACE:
        inside = on_head & (front > 0) & (((across - x) / width) ** 2 + ((up - z) / height) ** 2 < 1)
        colour = torch.where(inside, colour.new_tensor(paint)[:, None], colour)
    hair = on_head & ((up > _HAIR_LINE) | ((front < -0.1) & (up > -0.3)))
    return torch.where(hair, 0.25 * colour, colour)
