"""Photometric augmentation: colour, blur, noise, erased patches and replaced backgrounds. The geometry is unchanged.

Sources of the ranges: EANet and InterWild (per-channel gain 0.8 to 1.2), DIR (blur with p = 0.3, noise); greyscale
because InterHand2.6M and many robots have monochrome cameras.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.data.sample import BACKGROUND, OTHER, HandsBatch
from lgnet_core.hand_model import HandLayer

LUMA = (0.299, 0.587, 0.114)
BLUR_TAPS = 9


@dataclass(frozen=True)
class Photometry:
    """Strength of the photometric augmentation; every range is symmetric in its logarithm or around 0.

    Args:
        channel_gain: each colour channel is multiplied by 1 +- this.
        brightness: offset, as a fraction of the full range.
        contrast: log of the largest contrast factor.
        gamma: log of the largest exponent.
        saturation: log of the largest saturation factor.
        grey: probability of conversion to greyscale.
        blur: probability of a Gaussian blur.
        blur_sigma: its largest standard deviation, as a fraction of the image side.
        noise: probability of Gaussian noise.
        noise_std: its largest standard deviation, as a fraction of the full range.
        erase: probability of one opaque patch in the foreground.
        erase_side: largest side of the patch, as a fraction of the image side.
    """

    channel_gain: float = 0.2
    brightness: float = 0.15
    contrast: float = 0.3
    gamma: float = 0.3
    saturation: float = 0.4
    grey: float = 0.1
    blur: float = 0.25
    blur_sigma: float = 0.01
    noise: float = 0.3
    noise_std: float = 0.04
    erase: float = 0.3
    erase_side: float = 0.35


def distort(batch: HandsBatch, generator: torch.Generator, settings: Photometry, hand_model: HandLayer) -> HandsBatch:
    """Erase a patch, blur, change colours and add noise, each at random per image."""
    batch = erase(batch, generator, settings, hand_model)
    image = distort_images(batch.image.float() / 255, generator, settings)
    return batch.replace(image=(image * 255).round().byte())


def distort_images(image: Tensor, generator: torch.Generator, settings: Photometry) -> Tensor:
    """Blur, change colours and add noise, each at random per image. Shapes: (B, 3, H, W) in [0, 1], in and out."""
    image = _blur_some(image, generator, settings)
    image = _recolour(image, generator, settings)
    return _add_noise(image, generator, settings).clamp(0, 1)


def erase(batch: HandsBatch, generator: torch.Generator, settings: Photometry, hand_model: HandLayer) -> HandsBatch:
    """Draw an opaque rectangle of one colour over some images; joints behind it become invisible."""
    count, _, height, width = batch.image.shape
    uniform = _Uniform(generator, batch.image.device)
    extent = uniform(count, 2, low=0.1, high=settings.erase_side)
    left_top = uniform(count, 2) * (1 - extent)
    colour = uniform(count, 3, 1, 1, high=255.0).byte()
    chosen = uniform(count) < settings.erase

    def covers(u: Tensor, v: Tensor) -> Tensor:
        """Whether pixel positions (B, ...) lie in the rectangle of their image."""
        low, high = left_top, left_top + extent
        shape = (-1, *[1] * (u.ndim - 1))
        inside = (u >= (low[:, 0] * width).view(shape)) & (u < (high[:, 0] * width).view(shape))
        inside = inside & (v >= (low[:, 1] * height).view(shape)) & (v < (high[:, 1] * height).view(shape))
        return inside & chosen.view(shape)

    u = torch.arange(width, device=batch.image.device)[None, None, :]
    v = torch.arange(height, device=batch.image.device)[None, :, None]
    patch = covers(u, v)
    pixels = batch.labels(hand_model).joints_2d
    return batch.replace(
        image=torch.where(patch[:, None], colour, batch.image),
        segmentation=batch.segmentation.masked_fill(patch, OTHER),
        visibility=batch.visibility & ~covers(pixels[..., 0], pixels[..., 1]),
    )


def draw_backgrounds(batch: HandsBatch, generator: torch.Generator, pool: Tensor | None = None) -> Tensor:
    """Draw a background for every image: another image of the batch with its hands inpainted, or one of the pool.

    Half of them are flipped vertically, which doubles the variety.

    Shapes:
        pool: (N, 3, h, w) uint8; returns (B, 3, H, W) float, 0 to 255.
    """
    count, device = len(batch), batch.image.device
    upside_down = torch.rand(count, generator=generator, device=device) < 0.5
    if pool is None:
        order = torch.randperm(count, generator=generator, device=device)
        background = inpaint(batch.image.float(), (batch.segmentation != BACKGROUND)[:, None])[order]
    else:
        chosen = torch.randint(len(pool), (count,), generator=generator, device=device)
        background = F.interpolate(
            pool[chosen].float(), batch.image.shape[-2:], mode="bilinear", antialias=True, align_corners=False
        )
    return torch.where(upside_down[:, None, None, None], background.flip(-2), background)


def inpaint(image: Tensor, mask: Tensor) -> Tensor:
    """Fill masked regions smoothly from their surroundings (pull-push: average down, interpolate up).

    Source: Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4.2.

    Shapes:
        image: (B, C, H, W) float; mask: (B, 1, H, W) bool; returns (B, C, H, W).
    """
    # Dilate the mask by two pixels: antialiasing and soft shadows mix the foreground into neighbouring pixels.
    keep = 1 - F.max_pool2d(mask.to(image.dtype), 5, 1, 2)
    return _pull_push(image * keep, keep)


def _pull_push(colour: Tensor, weight: Tensor) -> Tensor:
    size = colour.shape[-2:]
    if min(size) <= 4:
        return (
            colour.sum((2, 3), keepdim=True)
            / weight.sum((2, 3), keepdim=True).clamp_min(1e-3)
            * torch.ones_like(weight)
        )
    coarse = _pull_push(F.avg_pool2d(colour, 2, ceil_mode=True), F.avg_pool2d(weight, 2, ceil_mode=True))
    return colour + (1 - weight) * F.interpolate(coarse, size, mode="bilinear", align_corners=False)


def replace_background(batch: HandsBatch, foreground: Tensor, background: Tensor, chosen: Tensor) -> HandsBatch:
    """Blend another background behind the foreground where ``chosen`` (B,) is true.

    Shapes:
        foreground: (B, 1, H, W) soft mask in [0, 1]; background: (B, 3, H, W) float, 0 to 255.
    """
    blended = background + foreground * (batch.image.float() - background)
    image = torch.where(chosen[:, None, None, None], blended.round().clamp(0, 255).byte(), batch.image)
    return batch.replace(image=image)


class _Uniform:
    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self.generator, self.device = generator, device

    def __call__(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=self.generator, device=self.device)

    def log(self, *shape: int, largest: float) -> Tensor:
        """Factors exp(+-largest), symmetric in the logarithm."""
        return torch.exp(self(*shape, low=-largest, high=largest))


def _recolour(image: Tensor, generator: torch.Generator, settings: Photometry) -> Tensor:
    """Saturation, channel gains, contrast and brightness as one affine colour transform, then gamma."""
    count = len(image)
    uniform = _Uniform(generator, image.device)
    saturation = uniform.log(count, 1, 1, largest=settings.saturation)
    saturation = torch.where(uniform(count, 1, 1) < settings.grey, 0.0, saturation)
    gain = uniform(count, 3, 1, low=1 - settings.channel_gain, high=1 + settings.channel_gain)
    gain = torch.where(saturation == 0, gain.mean(1, keepdim=True), gain)  # a greyscale image stays greyscale
    contrast = uniform.log(count, 1, 1, largest=settings.contrast)
    brightness = uniform(count, 1, 1, low=-settings.brightness, high=settings.brightness)
    gamma = uniform.log(count, 1, 1, 1, largest=settings.gamma)

    luma = image.new_tensor(LUMA).expand(3, 3)
    mixing = gain * contrast * (saturation * torch.eye(3, device=image.device) + (1 - saturation) * luma)  # (B, 3, 3)
    mean = image.mean((2, 3))[..., None]  # (B, 3, 1)
    offset = mixing @ mean * (1 / contrast - 1) + brightness  # contrast is relative to the image's mean
    mixed = torch.baddbmm(offset, mixing, image.flatten(2)).view_as(image)
    return mixed.clamp(1e-4, 1).pow(gamma)


def _blur_some(image: Tensor, generator: torch.Generator, settings: Photometry) -> Tensor:
    count, channels, _, width = image.shape
    uniform = _Uniform(generator, image.device)
    sigma = uniform(count, low=0.3, high=max(0.31, settings.blur_sigma * width))
    chosen = (uniform(count) < settings.blur).nonzero()[:, 0]
    if len(chosen) == 0:
        return image
    radius = BLUR_TAPS // 2
    taps = torch.arange(-radius, radius + 1, device=image.device)
    kernel = torch.exp(-0.5 * (taps / sigma[chosen, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)  # (C', taps)
    rows = F.pad(image[chosen].flatten(0, 1)[None], [radius] * 4, mode="reflect")
    rows = F.conv2d(rows, kernel[:, None, None, :], groups=len(kernel))
    blurred = F.conv2d(rows, kernel[:, None, :, None], groups=len(kernel))
    return image.index_copy(0, chosen, blurred.view(len(chosen), *image.shape[1:]))


def _add_noise(image: Tensor, generator: torch.Generator, settings: Photometry) -> Tensor:
    count = len(image)
    uniform = _Uniform(generator, image.device)
    std = uniform(count, high=settings.noise_std)
    chosen = (uniform(count) < settings.noise).nonzero()[:, 0]
    noise = torch.randn(len(chosen), *image.shape[1:], generator=generator, device=image.device)
    return image.index_add(0, chosen, noise * std[chosen, None, None, None])
