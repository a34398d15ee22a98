r"""Shading of skin, cloth and coats: albedo, wrapped diffuse and Blinn-Phong reflection, rim light, tone mapping.

Wrapped diffuse reflection, strongest in the red channel, approximates subsurface scattering:

.. math:: d = \max(0, (n \cdot l + w) / (1 + w)), \quad w = (0.35, 0.18, 0.12)

The camera response is :math:`(1 - e^{-e x})^{1/\gamma}`. Vectors are (C, N), channels first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.synthetic.body.forearm import HEM, SKIN
from lgnet_core.synthetic.body.skin import CREASE, FINE, GRAIN, MIDDLE, NAIL, PALM, REDNESS, lookup_noise
from lgnet_core.synthetic.body.surface import Surface, dot, normalize, pattern_blend
from lgnet_core.synthetic.scene.appearance import Appearance

_WRAP = (0.35, 0.18, 0.12)  # per channel
_FLUSH = (0.25, -0.3, -0.25)  # relative change of red, green, blue of reddened skin
_RIM = 0.06  # strength of the rim light


def albedo(surface: Surface, appearance: Appearance, volume: Tensor) -> Tensor:
    """Linear albedo (3, N) of skin, nails, cloth and coats; volume: noise of :func:`skin.noise_volume`."""
    noise_parameters = surface.per_image(
        torch.cat([appearance.noise_cells, appearance.noise_offset, appearance.noise_weights], 1)
    )
    noise = lookup_noise(volume, surface.rest * noise_parameters[0] + noise_parameters[1:4])
    crease, redness, pallor = surface.per_image(
        torch.cat([appearance.crease, appearance.redness, appearance.pallor], 1)
    )
    # Palms contain little melanin: on dark skin they are much lighter than the back of the hand.
    colours = surface.per_hand(torch.cat([appearance.skin, appearance.nail, 0.08 + 1.3 * appearance.darkness**2], 2))
    skin, nail, paleness = colours[:3], colours[3:6], colours[6]
    details = surface.details

    tone = 1 + (noise * noise_parameters[4:]).sum(0)
    tone *= 1 + details[PALM] * pallor * paleness
    tone *= 1 - crease * details[CREASE]
    flush = redness * (details[REDNESS] + 0.25 * noise[MIDDLE]).clamp(0, 1)
    skin = skin * tone * (1 + flush * torch.tensor(_FLUSH, device=flush.device)[:, None])
    skin = torch.lerp(skin, nail, details[NAIL] * 0.85)

    cloth = (surface.material != SKIN).nonzero()[:, 0]
    skin[:, cloth] = _cloth(
        surface.batch.index_select(0, cloth),
        surface.material.index_select(0, cloth),
        surface.rest.index_select(1, cloth),
        noise.index_select(1, cloth),
        appearance,
    )
    for coat in surface.coats:
        skin.index_copy_(1, coat.fragment, torch.lerp(skin.index_select(1, coat.fragment), coat.colour, coat.opacity))
    return skin.clamp_(0.005, 1)


def _cloth(batch: Tensor, material: Tensor, rest: Tensor, noise: Tensor, appearance: Appearance) -> Tensor:
    """Linear albedo (3, M) of sleeves at fragments (M,)."""

    def gather(values: Tensor) -> Tensor:
        return values.t().contiguous().index_select(1, batch)

    waves = gather(torch.cat([appearance.pattern_wave, appearance.pattern_cross], 1))
    mix = pattern_blend(appearance.pattern.index_select(0, batch), rest, noise[MIDDLE], waves[:3], waves[3:])
    colour = torch.lerp(gather(appearance.cloth), gather(appearance.cloth_secondary), mix)
    weave = 1 + 0.08 * noise[GRAIN] + 0.05 * noise[FINE]
    return colour * (weave * torch.where(material == HEM, 0.35, 1.0))


def radiance(surface: Surface, reflectance: Tensor, key_visibility: Tensor, appearance: Appearance) -> Tensor:
    """Linear radiance (3, N) towards the camera; key_visibility: (N,) visible fraction of the key light."""
    normal = surface.normal
    wrap = torch.tensor(_WRAP, device=normal.device)[:, None]
    levels = surface.per_image(
        torch.cat(
            [appearance.key, appearance.fill, appearance.ambient, appearance.shadow_strength, appearance.sky_weight], 1
        )
    )
    directions = surface.per_image(
        torch.cat([appearance.key_direction, appearance.fill_direction, appearance.sky_direction], 1)
    )
    key = levels[:3] * (1 - levels[9] * (1 - key_visibility))
    ambient = levels[6:9]
    key_cosine = dot(normal, directions[:3])
    incoming = ((key_cosine + wrap) / (1 + wrap)).clamp_min_(0).mul_(key)
    incoming += ((dot(normal, directions[3:6]) + wrap) / (1 + wrap)).clamp_min_(0).mul_(levels[3:6])
    incoming += ambient * (1 + levels[10] * dot(normal, directions[6:]))

    view = -normalize(surface.position)
    halfway = normalize(view + directions[:3])
    specular, shininess, nail_specular = surface.per_image(
        torch.cat([appearance.specular, appearance.shininess, appearance.nail_specular], 1)
    )
    nail = 1 + surface.details[NAIL] * nail_specular
    shininess = shininess * nail
    specular = specular * torch.where(surface.material == SKIN, nail, 0.15)
    for coat in surface.coats:
        for base, layer in ((specular, coat.specular), (shininess, coat.shininess)):
            base.index_copy_(0, coat.fragment, torch.lerp(base.index_select(0, coat.fragment), layer, coat.opacity))
    highlight = (dot(normal, halfway).clamp_min(1e-4).log() * shininess).exp() * (key_cosine > 0)
    highlight *= specular
    rim = (1 - dot(normal, view).clamp(0, 1)) ** 4 * _RIM
    light = incoming.mul_(reflectance).add_(key * highlight).add_(ambient * rim)
    for coat in surface.coats:
        index = coat.fragment
        at = [values.index_select(1, index) for values in (light, normal, view, reflectance, key, levels, directions)]
        mirrored = _mirror_reflection(*at[1:])
        light.index_copy_(1, index, torch.lerp(at[0], mirrored, coat.metallic * coat.opacity))
    return light


def _mirror_reflection(
    normal: Tensor, view: Tensor, colour: Tensor, key: Tensor, levels: Tensor, directions: Tensor
) -> Tensor:
    """Mirror reflection (3, M) of polished metal: an environment that is brighter above, with broad light sources."""
    reflected = 2 * dot(normal, view) * normal - view
    above = dot(reflected, directions[6:])
    environment = levels[6:9] * (0.25 + 1.1 * torch.sigmoid(8 * above))
    lights = key * (dot(reflected, directions[:3]).clamp_min(0) ** 12) + levels[3:6] * (
        dot(reflected, directions[3:6]).clamp_min(0) ** 6
    )
    return colour * (environment + 1.6 * lights + 0.12 * key)


def tone_map(light: Tensor, surface: Surface, appearance: Appearance) -> Tensor:
    """Convert linear light (3, N) into display colours in [0, 1)."""
    exposure, power = surface.per_image(torch.cat([appearance.exposure, 1 / appearance.gamma], 1))
    return (1 - torch.exp(-light * exposure)) ** power
