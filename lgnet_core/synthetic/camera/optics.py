"""Optical degradations: lens blur, motion blur, defocus and vignetting.

All functions take linear light (B, 3, H, W), sample their own strength and process every image;
:mod:`~lgnet_core.synthetic.camera.imaging` selects the images. Kernels are symmetric about their centre, so that blur
does not shift hands relative to their labels. Lengths are relative to the image width, so that the effect does not
depend on the resolution.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.rng import CounterRng

MOTION_LENGTH = (0.008, 0.04)
"""Length of motion blur: a hand at 0.5 m/s and 60 cm moves by about 1 % of the image width in 1/60 s."""
DEFOCUS_RADIUS = (0.003, 0.012)
"""Radius of the circle of confusion of a webcam focused on the wall behind the hand."""
VIGNETTE_STRENGTH = (0.1, 0.6)
"""Coefficient v of the falloff 1 / (1 + v r^2)^2 at r half diagonals: cos^4 law for v = tan^2 of the half FOV."""
MAX_OPTICAL_CENTRE_OFFSET = 0.35
"""Maximum offset of the optical centre from the image centre, half diagonals: images may be crops."""

_LENS_TAPS = 5


def lens_blur(light: Tensor, rng: CounterRng) -> Tensor:
    """Blur by lens and pixel aperture: anisotropic Gaussian with a standard deviation of about half a pixel."""
    return _convolve(light, lens_kernels(rng))


def lens_kernels(rng: CounterRng) -> Tensor:
    """Anisotropic Gaussian kernels (B, 5, 5), from almost sharp to a standard deviation of about 1.4 pixels."""
    along, across = _rotated_coordinates(rng.uniform("sensor/angle", high=torch.pi), _LENS_TAPS)
    width = rng.uniform("sensor/blur", 2, low=0.35, high=0.85)
    width = torch.where(rng.bernoulli("sensor/soft", 0.25, 1), width * 1.6, width)[..., None, None]
    return _normalize(torch.exp(-((along / width[:, 0]) ** 2 + (across / width[:, 1]) ** 2) / 2))


def motion_blur(light: Tensor, rng: CounterRng) -> Tensor:
    """Linear motion blur with random length and direction."""
    return _convolve(light, motion_kernels(rng, light.shape[-1]))


def motion_kernels(rng: CounterRng, width: int) -> Tensor:
    """Line kernels (B, K, K) for images of ``width`` pixels."""
    length = width * rng.uniform("sensor/motion/length", 1, 1, low=MOTION_LENGTH[0], high=MOTION_LENGTH[1])
    along, across = _rotated_coordinates(
        rng.uniform("sensor/motion/angle", high=torch.pi), _kernel_size(MOTION_LENGTH[1] * width)
    )
    return _normalize(((length + 1) / 2 - along.abs()).clamp(0, 1) * (1 - across.abs()).clamp_min(0))


def defocus(light: Tensor, rng: CounterRng) -> Tensor:
    """Defocus blur with a disc kernel."""
    return _convolve(light, defocus_kernels(rng, light.shape[-1]))


def defocus_kernels(rng: CounterRng, width: int) -> Tensor:
    """Disc kernels (B, K, K) for images of ``width`` pixels."""
    radius = width * rng.uniform("sensor/defocus/radius", 1, 1, low=DEFOCUS_RADIUS[0], high=DEFOCUS_RADIUS[1])
    x, y = _rotated_coordinates(torch.zeros(len(rng), device=rng.device), _kernel_size(2 * DEFOCUS_RADIUS[1] * width))
    return _normalize((radius + 0.5 - torch.hypot(x, y)).clamp(0, 1))


def vignette(light: Tensor, rng: CounterRng) -> Tensor:
    """Vignetting of wide-angle lenses."""
    return light * falloff(
        light, rng.uniform("sensor/vignette", low=VIGNETTE_STRENGTH[0], high=VIGNETTE_STRENGTH[1]), rng
    )


def falloff(light: Tensor, strength: Tensor, rng: CounterRng) -> Tensor:
    """Radial falloff (B, 1, H, W) around a random optical centre; strength: (B,)."""
    height, width = light.shape[-2:]
    half_diagonal = (width**2 + height**2) ** 0.5 / 2
    centre = rng.uniform("sensor/vignette/middle", 2, low=-MAX_OPTICAL_CENTRE_OFFSET, high=MAX_OPTICAL_CENTRE_OFFSET)
    x = (torch.arange(width, device=light.device) - (width - 1) / 2) / half_diagonal - centre[:, :1]  # (B, W)
    y = (torch.arange(height, device=light.device) - (height - 1) / 2) / half_diagonal - centre[:, 1:]  # (B, H)
    squared = x.square()[:, None, None, :] + y.square()[:, None, :, None]
    return (1 + strength[:, None, None, None] * squared).square_().reciprocal_()


def _rotated_coordinates(angle: Tensor, taps: int) -> tuple[Tensor, Tensor]:
    """Coordinates of kernel taps along and across the directions ``angle`` (B,), pixels, (B, K, K) each.

    Angles are measured from u towards v.
    """
    axis = torch.arange(taps, device=angle.device) - taps // 2
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    u, v = axis[None, :], axis[:, None]
    return cos * u + sin * v, cos * v - sin * u


def _kernel_size(pixels: float) -> int:
    """Odd kernel size that contains an anti-aliased line of this length."""
    return 2 * int(pixels / 2 + 1) + 1


def _normalize(kernels: Tensor) -> Tensor:
    return kernels / kernels.sum((1, 2), keepdim=True)


def _convolve(light: Tensor, kernels: Tensor) -> Tensor:
    """Convolve images (B, C, H, W) with one kernel each (B, K, K), with replicated borders."""
    batch, channels, height, width = light.shape
    weight = kernels.repeat_interleave(channels, 0)[:, None]
    padded = F.pad(light.reshape(1, batch * channels, height, width), (kernels.shape[-1] // 2,) * 4, mode="replicate")
    return F.conv2d(padded, weight, groups=batch * channels).view_as(light)
