r"""Light on skin and cloth: wrapped diffuse, a highlight, a rim, and what the camera makes of it.

Diffuse light wraps around the terminator by channel, most for red: a cheap stand-in for light scattered under the skin,

.. math:: d = \max(0, (n \cdot l + w) / (1 + w)), \quad w = (0.35, 0.18, 0.12)

The response of the camera is :math:`(1 - e^{-e x})^{1/\gamma}`. Vectors are (C, N), channels first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.synthetic.body.forearm import HEM, SKIN
from lgnet_core.synthetic.body.skin import CREASE, FINE, GRAIN, MIDDLE, NAIL, PALM, RED, lookup_noise
from lgnet_core.synthetic.body.surface import Surface, dot, pattern_mix, unit
from lgnet_core.synthetic.scene.appearance import Appearance

_WRAP = (0.35, 0.18, 0.12)
_FLUSH = (0.25, -0.3, -0.25)  # relative change of red, green, blue where skin is flushed
_RIM = 0.06


def albedo(surface: Surface, looks: Appearance, volume: Tensor) -> Tensor:
    """Linear reflectance (3, N) of skin, nails and cloth; volume: of :func:`skin.noise_volume`."""
    placing = surface.per_image(torch.cat([looks.noise_cells, looks.noise_offset, looks.noise_weights], 1))
    noise = lookup_noise(volume, surface.rest * placing[0] + placing[1:4])
    crease, redness, pallor = surface.per_image(torch.cat([looks.crease, looks.redness, looks.pallor], 1))
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


def radiance(surface: Surface, reflectance: Tensor, lit: Tensor, looks: Appearance) -> Tensor:
    """Linear light (3, N) sent to the camera; lit: (N,) share of the key light that arrives."""
    normal = surface.normal
    wrap = torch.tensor(_WRAP, device=normal.device)[:, None]
    levels = surface.per_image(torch.cat([looks.key, looks.fill, looks.ambient, looks.shadow_strength, looks.sky], 1))
    directions = surface.per_image(torch.cat([looks.key_direction, looks.fill_direction, looks.sky_direction], 1))
    key = levels[:3] * (1 - levels[9] * (1 - lit))
    ambient = levels[6:9]
    key_cosine = dot(normal, directions[:3])
    incoming = ((key_cosine + wrap) / (1 + wrap)).clamp_min_(0).mul_(key)
    incoming += ((dot(normal, directions[3:6]) + wrap) / (1 + wrap)).clamp_min_(0).mul_(levels[3:6])
    incoming += ambient * (1 + levels[10] * dot(normal, directions[6:]))

    view = -unit(surface.position)
    halfway = unit(view + directions[:3])
    gloss, sharpness, nail_gloss = surface.per_image(torch.cat([looks.gloss, looks.sharpness, looks.nail_gloss], 1))
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
    exposure, power = surface.per_image(torch.cat([looks.exposure, 1 / looks.gamma], 1))
    return (1 - torch.exp(-light * exposure)) ** power
