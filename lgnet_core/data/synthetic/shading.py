r"""Light on skin and cloth: wrapped diffuse, a highlight, a rim, and what the camera makes of it.

Diffuse light wraps around the terminator by channel, most for red: a cheap stand-in for light scattered under the skin,

.. math:: d = \max(0, (n \cdot l + w) / (1 + w)), \quad w = (0.35, 0.18, 0.12)

The response of the camera is :math:`(1 - e^{-e x})^{1/\gamma}`.
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


class Surface(NamedTuple):
    """The visible surface at N fragments.

    batch, side, material: (N,) int64; position, normal: (N, 3) camera frame, metres and unit; rest: (N, 3) on the rest
    hand, metres; details: (N, 4) painted details.
    """

    batch: Tensor
    side: Tensor
    material: Tensor
    position: Tensor
    normal: Tensor
    rest: Tensor
    details: Tensor


def vertex_normals(vertices: Tensor, faces: Tensor, incident: Tensor) -> Tensor:
    """Unit normals (B, V, 3), area-weighted; incident: (V, D) faces of each vertex, padded with F."""
    corner = vertices[:, faces[:, 0]]
    areas = torch.linalg.cross(vertices[:, faces[:, 1]] - corner, vertices[:, faces[:, 2]] - corner)
    areas = F.pad(areas, (0, 0, 0, 1))
    return F.normalize(areas[:, incident.flatten()].unflatten(1, incident.shape).sum(2), dim=-1)


def incident_faces(faces: Tensor, vertex_count: int, limit: int = 10) -> Tensor:
    """(V, D) the faces of each vertex, at most ``limit`` of them, padded with F."""
    lists: list[list[int]] = [[] for _ in range(vertex_count)]
    for number, corners in enumerate(faces.tolist()):
        for vertex in corners:
            if len(lists[vertex]) < limit:
                lists[vertex].append(number)
    return torch.tensor([row + [len(faces)] * (limit - len(row)) for row in lists])


def albedo(surface: Surface, looks: Appearance, volume: Tensor) -> Tensor:
    """Linear reflectance (N, 3) of skin, nails and cloth."""
    batch = surface.batch
    person = batch * 2 + surface.side
    base = looks.skin.flatten(0, 1).index_select(0, person)
    cells = surface.rest * looks.noise_cells.index_select(0, batch) + looks.noise_offset.index_select(0, batch)
    noise = lookup_noise(volume, cells)
    nail, crease, palm, red = (surface.details[:, k : k + 1] for k in (NAIL, CREASE, PALM, RED))
    strengths = torch.cat([looks.crease, looks.redness, looks.pallor], 1).index_select(0, batch)
    darkness = looks.darkness.flatten(0, 1).index_select(0, person)

    mottle = (noise * looks.noise_weights.index_select(0, batch)).sum(1, keepdim=True)
    # palms hold little melanin: on dark skin they are much lighter than the back of the hand
    tone = (1 + mottle) * (1 + palm * strengths[:, 2:] * (0.08 + 1.3 * darkness * darkness))
    tone = tone * (1 - strengths[:, :1] * crease)
    flush = strengths[:, 1:2] * (red + 0.25 * noise[:, MIDDLE : MIDDLE + 1]).clamp(0, 1)
    skin = base * tone * (1 + flush * torch.tensor([0.25, -0.3, -0.25], device=base.device))
    skin = torch.lerp(skin, looks.nail.flatten(0, 1).index_select(0, person), nail * 0.85)

    dressed = (surface.material != SKIN).nonzero()[:, 0]
    if len(dressed):
        skin[dressed] = _cloth(batch[dressed], surface.material[dressed], surface.rest[dressed], noise[dressed], looks)
    return skin.clamp(0.005, 1)


def _cloth(batch: Tensor, material: Tensor, rest: Tensor, noise: Tensor, looks: Appearance) -> Tensor:
    pattern = looks.pattern[batch]
    first = (rest * looks.pattern_wave[batch]).sum(1).sin()
    second = (rest * looks.pattern_cross[batch]).sum(1).sin()
    wave = torch.where(pattern == CHECKS, first * second, first)
    wave = torch.where(pattern == BLOTCHES, noise[:, MIDDLE], wave)
    mix = torch.where(pattern == PLAIN, torch.zeros_like(wave), (wave * 4 + 0.5).clamp(0, 1))[:, None]
    colour = torch.lerp(looks.cloth[batch], looks.cloth_second[batch], mix)
    weave = 1 + 0.08 * noise[:, GRAIN : GRAIN + 1] + 0.05 * noise[:, FINE : FINE + 1]
    return colour * weave * torch.where(material == HEM, 0.35, 1.0)[:, None]


def _wrapped(cosine: Tensor) -> Tensor:
    wrap = torch.tensor(_WRAP, device=cosine.device)
    return ((cosine + wrap) / (1 + wrap)).clamp_min(0)


def radiance(surface: Surface, reflectance: Tensor, lit: Tensor, looks: Appearance) -> Tensor:
    """Linear light (N, 3) sent to the camera; lit: (N, 1) share of the key light that arrives."""
    batch, normal = surface.batch, surface.normal

    def cosine(direction: Tensor) -> Tensor:
        return (normal * direction.index_select(0, batch)).sum(1, keepdim=True)

    strength = looks.shadow_strength.index_select(0, batch)
    key = looks.key.index_select(0, batch) * (1 - strength * (1 - lit))
    key_cosine = cosine(looks.key_direction)
    incoming = _wrapped(key_cosine) * key
    incoming += _wrapped(cosine(looks.fill_direction)) * looks.fill.index_select(0, batch)
    ambient = looks.ambient.index_select(0, batch)
    incoming += ambient * (1 + looks.sky.index_select(0, batch) * cosine(looks.sky_direction))

    view = -F.normalize(surface.position, dim=1)
    halfway = F.normalize(view + looks.key_direction.index_select(0, batch), dim=1)
    nail = surface.details[:, NAIL : NAIL + 1] * looks.nail_gloss.index_select(0, batch)
    bare = (surface.material == SKIN)[:, None]
    sharpness = looks.sharpness.index_select(0, batch) * (1 + nail)
    shine = ((normal * halfway).sum(1, keepdim=True).clamp_min(1e-4)).log() * sharpness
    gloss = looks.gloss.index_select(0, batch) * torch.where(bare, 1 + nail, 0.15)
    rim = (1 - (normal * view).sum(1, keepdim=True).clamp(0, 1)) ** 4
    return reflectance * incoming + key * (gloss * shine.exp() * (key_cosine > 0)) + 0.06 * rim * ambient


def develop(light: Tensor, batch: Tensor, looks: Appearance) -> Tensor:
    """Linear light (N, 3) to display colours in [0, 1)."""
    exposed = 1 - torch.exp(-light * looks.exposure.index_select(0, batch))
    return exposed ** (1 / looks.gamma.index_select(0, batch))
