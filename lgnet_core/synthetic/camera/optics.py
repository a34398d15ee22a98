"""What lenses and shaking hands do to light: softness, motion blur, defocus, dark corners.

Everything here works on light (B, 3, H, W), draws its own strengths, and acts on every image it is given;
:mod:`~lgnet_core.synthetic.camera.sensor` decides which images those are. Kernels are symmetric about their centre,
so that nothing moves: a blurred hand is where its labels say. Lengths are parts of the image's width, so that small
and large images of a scene look alike.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.random import Draws

MOTION = (0.008, 0.04)
"""Length of a motion blur: a hand at 0.5 m/s, 60 cm away, exposed for 1/60 s, passes about 1 % of an image."""
DEFOCUS = (0.003, 0.012)
"""Radius of the disc that a point becomes in a webcam whose focus sits on the wall behind the hand."""
VIGNETTE = (0.1, 0.6)
"""How far light falls off: 1 / (1 + v r^2)^2 at r half diagonals, cos^4 for v = tan^2 of half the field of view."""
OFF_CENTRE = 0.35
"""A crop's middle is not the lens's: by up to this many half diagonals."""

_LENS_TAPS = 5


def lens_blur(light: Tensor, draws: Draws) -> Tensor:
    """Softness of the lens and of the sensor's cells, by an anisotropic Gaussian of about half a pixel."""
    return _convolve(light, lens_kernels(draws))


def lens_kernels(draws: Draws) -> Tensor:
    """(B, 5, 5) anisotropic Gaussians, from almost sharp to about one pixel wide."""
    along, across = _turned_axes(draws.uniform("sensor/angle", high=torch.pi), _LENS_TAPS)
    width = draws.uniform("sensor/blur", 2, low=0.35, high=0.85)
    width = torch.where(draws.bernoulli("sensor/soft", 0.25, 1), width * 1.6, width)[..., None, None]
    return _normalised(torch.exp(-((along / width[:, 0]) ** 2 + (across / width[:, 1]) ** 2) / 2))


def motion_blur(light: Tensor, draws: Draws) -> Tensor:
    """Each image smeared along a line of its own length and direction."""
    return _convolve(light, motion_kernels(draws, light.shape[-1]))


def motion_kernels(draws: Draws, width: int) -> Tensor:
    """(B, K, K) lines, for images of ``width`` pixels."""
    length = width * draws.uniform("sensor/motion/length", 1, 1, low=MOTION[0], high=MOTION[1])
    along, across = _turned_axes(draws.uniform("sensor/motion/angle", high=torch.pi), _odd_above(MOTION[1] * width))
    return _normalised(((length + 1) / 2 - along.abs()).clamp(0, 1) * (1 - across.abs()).clamp_min(0))


def defocus(light: Tensor, draws: Draws) -> Tensor:
    """Each point of an image spread over a disc."""
    return _convolve(light, defocus_kernels(draws, light.shape[-1]))


def defocus_kernels(draws: Draws, width: int) -> Tensor:
    """(B, K, K) discs, for images of ``width`` pixels."""
    radius = width * draws.uniform("sensor/defocus/radius", 1, 1, low=DEFOCUS[0], high=DEFOCUS[1])
    x, y = _turned_axes(torch.zeros(len(draws), device=draws.device), _odd_above(2 * DEFOCUS[1] * width))
    return _normalised((radius + 0.5 - torch.hypot(x, y)).clamp(0, 1))


def vignette(light: Tensor, draws: Draws) -> Tensor:
    """Corners darkened as by a wide lens."""
    return light * falloff(light, draws.uniform("sensor/vignette", low=VIGNETTE[0], high=VIGNETTE[1]), draws)


def falloff(light: Tensor, strength: Tensor, draws: Draws) -> Tensor:
    """(B, 1, H, W) factors of light by the distance from the middle of the lens; strength: (B,)."""
    height, width = light.shape[-2:]
    half_diagonal = (width**2 + height**2) ** 0.5 / 2
    middle = draws.uniform("sensor/vignette/middle", 2, low=-OFF_CENTRE, high=OFF_CENTRE)
    x = (torch.arange(width, device=light.device) - (width - 1) / 2) / half_diagonal - middle[:, :1]  # (B, W)
    y = (torch.arange(height, device=light.device) - (height - 1) / 2) / half_diagonal - middle[:, 1:]  # (B, H)
    squared = x.square()[:, None, None, :] + y.square()[:, None, :, None]
    return (1 + strength[:, None, None, None] * squared).square_().reciprocal_()


def _turned_axes(angle: Tensor, taps: int) -> tuple[Tensor, Tensor]:
    """Pixels along and across directions ``angle`` (B,) at the taps of a kernel, (B, K, K) each; angles run from
    the image's u to its v."""
    axis = torch.arange(taps, device=angle.device) - taps // 2
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    u, v = axis[None, :], axis[:, None]
    return cos * u + sin * v, cos * v - sin * u


def _odd_above(pixels: float) -> int:
    """Taps of a kernel that holds a line of this many pixels with its soft ends."""
    return 2 * int(pixels / 2 + 1) + 1


def _normalised(kernels: Tensor) -> Tensor:
    return kernels / kernels.sum((1, 2), keepdim=True)


def _convolve(light: Tensor, kernels: Tensor) -> Tensor:
    """Images (B, C, H, W), each with its own kernel (B, K, K); edges are repeated."""
    batch, channels, height, width = light.shape
    weight = kernels.repeat_interleave(channels, 0)[:, None]
    padded = F.pad(light.reshape(1, batch * channels, height, width), (kernels.shape[-1] // 2,) * 4, mode="replicate")
    return F.conv2d(padded, weight, groups=batch * channels).view_as(light)
