r"""Light on skin and cloth: wrapped diffuse, a highlight, a rim, and what the camera makes of it.

Diffuse light wraps around the terminator by channel, most for red: a cheap stand-in for light scattered under the skin,

.. math:: d = \max(0, (n \cdot l + w) / (1 + w)), \quad w = (0.35, 0.18, 0.12)

The response of the camera is :math:`(1 - e^{-e x})^{1/\gamma}`. Vectors are (C, N), channels first.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.data.synthetic.appearance import BLOTCHES, CHECKS, PLAIN, Appearance
from lgnet_core.data.synthetic.forearm import HEM, SKIN
from lgnet_core.data.synthetic.skin import CREASE, FINE, GRAIN, MIDDLE, NAIL, PALM, RED, lookup_noise

_WRAP = (0.35, 0.18, 0.12)
_FLUSH = (0.25, -0.3, -0.25)  # relative change of red, green, blue where skin is flushed
_RIM = 0.06


class Coat(NamedTuple):
    """What covers M fragments of a surface: a ring, a strap, a glove.

    fragment: (M,) int64 places among the surface's, each once; colour: (3, M) linear; opacity: (M,) 1 where nothing
    shines through; gloss, sharpness: (M,) of the highlight; metal: (M,) how much of the light is mirrored.
    """

    fragment: Tensor
    colour: Tensor
    opacity: Tensor
    gloss: Tensor
    sharpness: Tensor
    metal: Tensor


class Surface(NamedTuple):
    """The visible surface at N fragments.

    batch, side, material: (N,) int64; position: (3, N) camera frame, metres; normal: (3, N) unit, camera frame;
    rest: (3, N) on the rest hand, metres; details: (4, N) painted details; coats: the lowest first.
    """

    batch: Tensor
    side: Tensor
    material: Tensor
    position: Tensor
    normal: Tensor
    rest: Tensor
    details: Tensor
    coats: tuple[Coat, ...] = ()

    def per_picture(self, values: Tensor) -> Tensor:
        """(B, C) of the pictures to (C, N) of their fragments."""
        return values.t().contiguous().index_select(1, self.batch)

    def per_hand(self, values: Tensor) -> Tensor:
        """(B, 2, C) of the hands to (C, N) of their fragments."""
        return values.flatten(0, 1).t().contiguous().index_select(1, self.batch * 2 + self.side)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """(N,) scalar products of (3, N) vectors."""
    return (a * b).sum(0)


def unit(vectors: Tensor) -> Tensor:
    """(3, N) vectors of length one."""
    return vectors * dot(vectors, vectors).clamp_min(1e-20).rsqrt()


def vertex_normals(vertices: Tensor, faces: Tensor, incident: Tensor) -> Tensor:
    """Unit normals (B, V, 3), area-weighted; incident: (V, D) faces of each vertex, padded with F."""
    a, b, c = (vertices.index_select(1, faces[:, k]) for k in range(3))
    areas = F.pad(torch.linalg.cross(b - a, c - a).transpose(1, 2), (0, 1))  # (B, 3, F + 1)
    summed = areas.index_select(2, incident.flatten()).unflatten(2, incident.shape).sum(3)
    return F.normalize(summed, dim=1).transpose(1, 2)


def incident_faces(faces: Tensor, vertex_count: int, limit: int = 10) -> Tensor:
    """(V, D) the faces of each vertex, at most ``limit`` of them, padded with F."""
    lists: list[list[int]] = [[] for _ in range(vertex_count)]
    for number, corners in enumerate(faces.tolist()):
        for vertex in corners:
            if len(lists[vertex]) < limit:
                lists[vertex].append(number)
    return torch.tensor([row + [len(faces)] * (limit - len(row)) for row in lists])


def albedo(surface: Surface, looks: Appearance, volume: Tensor) -> Tensor:
    """Linear reflectance (3, N) of skin, nails and cloth; volume: of :func:`skin.noise_volume`."""
    placing = surface.per_picture(torch.cat([looks.noise_cells, looks.noise_offset, looks.noise_weights], 1))
    noise = lookup_noise(volume, surface.rest * placing[0] + placing[1:4])
    crease, redness, pallor = surface.per_picture(torch.cat([looks.crease, looks.redness, looks.pallor], 1))
    # palms hold little melanin: on dark skin they are much lighter than the back of the hand
    colours = surface.per_hand(torch.cat([looks.skin, looks.nail, 0.08 + 1.3 * looks.darkness**2], 2))
    skin, nail, paleness = colours[:3], colours[3:6], colours[6]
    details = surface.details

    tone = 1 + (noise * placing[4:]).sum(0)
    tone *= 1 + details[PALM] * pallor * paleness
    tone *= 1 - crease * details[CREASE]
    flush = redness * (details[RED] + 0.25 * noise[MIDDLE]).clamp(0, 1)
    skin = skin * tone * (1 + flush * torch.tensor(_FLUSH, device=flush.device)[:, None])
    skin = torch.lerp(skin, nail, details[NAIL] * 0.85)

    dressed = (surface.material != SKIN).nonzero()[:, 0]
    skin[:, dressed] = _cloth(
        surface.batch.index_select(0, dressed),
        surface.material.index_select(0, dressed),
        surface.rest.index_select(1, dressed),
        noise.index_select(1, dressed),
        looks,
    )
    for coat in surface.coats:
        skin.index_copy_(1, coat.fragment, torch.lerp(skin.index_select(1, coat.fragment), coat.colour, coat.opacity))
    return skin.clamp_(0.005, 1)


def _cloth(batch: Tensor, material: Tensor, rest: Tensor, noise: Tensor, looks: Appearance) -> Tensor:
    def pick(values: Tensor) -> Tensor:
        return values.t().contiguous().index_select(1, batch)

    waves = pick(torch.cat([looks.pattern_wave, looks.pattern_cross], 1))
    mix = pattern_mix(looks.pattern.index_select(0, batch), rest, noise[MIDDLE], waves[:3], waves[3:])
    colour = torch.lerp(pick(looks.cloth), pick(looks.cloth_second), mix)
    weave = 1 + 0.08 * noise[GRAIN] + 0.05 * noise[FINE]
    return colour * (weave * torch.where(material == HEM, 0.35, 1.0))


def pattern_mix(pattern: Tensor, rest: Tensor, blotches: Tensor, wave: Tensor, cross: Tensor) -> Tensor:
    """(N,) how much of its second colour a patterned cloth shows, 0 to 1.

    Args:
        pattern: (N,) of :mod:`~lgnet_core.data.synthetic.appearance`. rest: (3, N) metres on the rest hand.
        blotches: (N,) noise. wave, cross: (3, N) radians per metre.
    """
    first, second = dot(rest, wave).sin(), dot(rest, cross).sin()
    height = torch.where(pattern == CHECKS, first * second, first)
    height = torch.where(pattern == BLOTCHES, blotches, height)
    return torch.where(pattern == PLAIN, 0.0, (height * 4 + 0.5).clamp(0, 1))


def radiance(surface: Surface, reflectance: Tensor, lit: Tensor, looks: Appearance) -> Tensor:
    """Linear light (3, N) sent to the camera; lit: (N,) share of the key light that arrives."""
    normal = surface.normal
    wrap = torch.tensor(_WRAP, device=normal.device)[:, None]
    levels = surface.per_picture(torch.cat([looks.key, looks.fill, looks.ambient, looks.shadow_strength, looks.sky], 1))
    directions = surface.per_picture(torch.cat([looks.key_direction, looks.fill_direction, looks.sky_direction], 1))
    key = levels[:3] * (1 - levels[9] * (1 - lit))
    ambient = levels[6:9]
    key_cosine = dot(normal, directions[:3])
    incoming = ((key_cosine + wrap) / (1 + wrap)).clamp_min_(0).mul_(key)
    incoming += ((dot(normal, directions[3:6]) + wrap) / (1 + wrap)).clamp_min_(0).mul_(levels[3:6])
    incoming += ambient * (1 + levels[10] * dot(normal, directions[6:]))

    view = -unit(surface.position)
    halfway = unit(view + directions[:3])
    gloss, sharpness, nail_gloss = surface.per_picture(torch.cat([looks.gloss, looks.sharpness, looks.nail_gloss], 1))
    nail = 1 + surface.details[NAIL] * nail_gloss
    sharpness = sharpness * nail
    gloss = gloss * torch.where(surface.material == SKIN, nail, 0.15)
    for coat in surface.coats:
        for mine, theirs in ((gloss, coat.gloss), (sharpness, coat.sharpness)):
            mine.index_copy_(0, coat.fragment, torch.lerp(mine.index_select(0, coat.fragment), theirs, coat.opacity))
    shine = (dot(normal, halfway).clamp_min(1e-4).log() * sharpness).exp() * (key_cosine > 0)
    shine *= gloss
    rim = (1 - dot(normal, view).clamp(0, 1)) ** 4 * _RIM
    light = incoming.mul_(reflectance).add_(key * shine).add_(ambient * rim)
    for coat in surface.coats:
        index = coat.fragment
        at = [values.index_select(1, index) for values in (light, normal, view, reflectance, key, levels, directions)]
        mirrored = _mirrored(*at[1:])
        light.index_copy_(1, index, torch.lerp(at[0], mirrored, coat.metal * coat.opacity))
    return light


def _mirrored(normal: Tensor, view: Tensor, colour: Tensor, key: Tensor, levels: Tensor, directions: Tensor) -> Tensor:
    """Light (3, M) that polished metal mirrors: a room lighter above than below, its lamps as wide bright spots."""
    seen = 2 * dot(normal, view) * normal - view
    above = dot(seen, directions[6:])
    room = levels[6:9] * (0.25 + 1.1 * torch.sigmoid(8 * above))
    lamps = key * (dot(seen, directions[:3]).clamp_min(0) ** 12) + levels[3:6] * (
        dot(seen, directions[3:6]).clamp_min(0) ** 6
    )
    return colour * (room + 1.6 * lamps + 0.12 * key)


def develop(light: Tensor, surface: Surface, looks: Appearance) -> Tensor:
    """Linear light (3, N) to display colours in [0, 1)."""
    exposure, power = surface.per_picture(torch.cat([looks.exposure, 1 / looks.gamma], 1))
    return (1 - torch.exp(-light * exposure)) ** power
