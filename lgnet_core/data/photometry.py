"""Photometric augmentation: colours, blur, noise, erased patches, other backgrounds. Geometry stays as it is.

Sources of the ranges: EANet and InterWild (per-channel gain 0.8 to 1.2), DIR (blur with p = 0.3, noise); greyscale
because InterHand2.6M and many robots have monochrome cameras.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.data.sample import BACKGROUND, OTHER, HandsBatch
from lgnet_core.hand_model import HandModel

LUMA = (0.299, 0.587, 0.114)
BLUR_TAPS = 9


@dataclass(frozen=True)
class Photometry:
    """How strongly colours change; every range is symmetric in its logarithm or around 0.

    Args:
        channel_gain: each colour channel is multiplied by 1 +- this.
        brightness: added, parts of the full range.
        contrast: log of the contrast's largest factor.
        gamma: log of the largest exponent.
        saturation: log of the saturation's largest factor.
        grey: probability of a greyscale image.
        blur: probability of a Gaussian blur.
        blur_sigma: its largest standard deviation, as a part of the image's side.
        noise: probability of Gaussian noise.
        noise_std: its largest standard deviation, parts of the full range.
        erase: probability of one opaque patch in front of everything.
        erase_side: the patch's largest side, as a part of the image's.
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


def distort(batch: HandsBatch, generator: torch.Generator, settings: Photometry, hand_model: HandModel) -> HandsBatch:
    """Erase a patch, blur, change colours, add noise: each at random, per image."""
    batch = erase(batch, generator, settings, hand_model)
    image = distort_images(batch.image.float() / 255, generator, settings)
    return batch.replace(image=(image * 255).round().byte())


def distort_images(image: Tensor, generator: torch.Generator, settings: Photometry) -> Tensor:
    """Blur, change colours, add noise: each at random, per image. Shapes: (B, 3, H, W) in [0, 1], in and out."""
    image = _blur_some(image, generator, settings)
    image = _recolour(image, generator, settings)
    return _add_noise(image, generator, settings).clamp(0, 1)


def erase(batch: HandsBatch, generator: torch.Generator, settings: Photometry, hand_model: HandModel) -> HandsBatch:
    """Put an opaque rectangle of one colour in front of some images; joints behind it are no longer visible."""
    count, _, height, width = batch.image.shape
    uniform = _Uniform(generator, batch.image.device)
    extent = uniform(count, 2, low=0.1, high=settings.erase_side)
    left_top = uniform(count, 2) * (1 - extent)
    colour = uniform(count, 3, 1, 1, high=255.0).byte()
    chosen = uniform(count) < settings.erase

    def covers(u: Tensor, v: Tensor) -> Tensor:
        """Which pixel positions (B, ...) lie in their image's rectangle."""
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
    """Scenery for every image: another image of the batch with its hands painted over, or one of the pool.

    Half of them are turned upside down, which no hand minds and which doubles the variety.

    Shapes:
        pool: (N, 3, h, w) uint8; returns (B, 3, H, W) float, 0 to 255.
    """
    count, device = len(batch), batch.image.device
    upside_down = torch.rand(count, generator=generator, device=device) < 0.5
    if pool is None:
        order = torch.randperm(count, generator=generator, device=device)
        scenery = paint_over(batch.image.float(), (batch.segmentation != BACKGROUND)[:, None])[order]
    else:
        chosen = torch.randint(len(pool), (count,), generator=generator, device=device)
        scenery = F.interpolate(
            pool[chosen].float(), batch.image.shape[-2:], mode="bilinear", antialias=True, align_corners=False
        )
    return torch.where(upside_down[:, None, None, None], scenery.flip(-2), scenery)


def paint_over(image: Tensor, mask: Tensor) -> Tensor:
    """Fill masked regions smoothly from their surroundings (pull-push: average down, interpolate up).

    Source: Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4.2.

    Shapes:
        image: (B, C, H, W) float; mask: (B, 1, H, W) bool; returns (B, C, H, W).
    """
    # The mask is grown by two pixels: antialiasing and soft shadows have mixed the foreground into its neighbours.
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


def replace_background(batch: HandsBatch, foreground: Tensor, scenery: Tensor, chosen: Tensor) -> HandsBatch:
    """Blend other scenery behind the foreground where ``chosen`` (B,) is true.

    Shapes:
        foreground: (B, 1, H, W) soft mask in [0, 1]; scenery: (B, 3, H, W) float, 0 to 255.
    """
    blended = scenery + foreground * (batch.image.float() - scenery)
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
    """Saturation, channel gains, contrast and brightness as one affine map of the colours, then gamma."""
    count = len(image)
    uniform = _Uniform(generator, image.device)
    saturation = uniform.log(count, 1, 1, largest=settings.saturation)
    saturation = torch.where(uniform(count, 1, 1) < settings.grey, 0.0, saturation)
    gain = uniform(count, 3, 1, low=1 - settings.channel_gain, high=1 + settings.channel_gain)
    gain = torch.where(saturation == 0, gain.mean(1, keepdim=True), gain)  # a grey image stays grey
    contrast = uniform.log(count, 1, 1, largest=settings.contrast)
    brightness = uniform(count, 1, 1, low=-settings.brightness, high=settings.brightness)
    gamma = uniform.log(count, 1, 1, 1, largest=settings.gamma)

    luma = image.new_tensor(LUMA).expand(3, 3)
    mixing = gain * contrast * (saturation * torch.eye(3, device=image.device) + (1 - saturation) * luma)  # (B, 3, 3)
    mean = image.mean((2, 3))[..., None]  # (B, 3, 1)
    offset = mixing @ mean * (1 / contrast - 1) + brightness  # contrast pivots about the image's mean
    mixed = torch.baddbmm(offset, mixing, image.flatten(2)).view_as(image)
    return mixed.clamp(1e-4, 1).pow(gamma)


def _blur_some(image: Tensor, generator: torch.Generator, settings: Photometry) -> Tensor:
    count, channels, _, width = image.shape
    uniform = _Uniform(generator, image.device)
    sigma = uniform(count, low=0.3, high=max(0.31, settings.blur_sigma * width))
    chosen = (uniform(count) < settings.blur).nonzero()[:, 0]
    if len(chosen) == 0:
        return image
    reach = BLUR_TAPS // 2
    taps = torch.arange(-reach, reach + 1, device=image.device)
    kernel = torch.exp(-0.5 * (taps / sigma[chosen, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)  # (C', taps)
    rows = F.pad(image[chosen].flatten(0, 1)[None], [reach] * 4, mode="reflect")
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
