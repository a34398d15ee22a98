r"""The camera: from what a perfect eye would see to an image that an ordinary camera delivers.

In the order in which it happens: lens (softness, motion, defocus, dark corners), exposure, noise of the sensor, white
balance, grey or infrared, tones, sharpening, JPEG. Light is taken as linear up to the white balance, by a gamma of 2,
whose root is cheap. Most effects meet a few images only: those rows alone are processed. Nothing moves a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.camera import jpeg, optics, processing
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.scene.appearance import infrared

MOVING = 0.12
"""Share of images with motion blur: hands and robots move, and indoors cameras expose for 1/30 s."""
DEFOCUSED = 0.08
"""... out of focus: autofocus that hunts, fixed lenses at 30 cm."""
VIGNETTED = 0.25
"""... with visibly darker corners: small and wide lenses."""
MISEXPOSED = 0.15
"""... over- or under-exposed: windows, dark walls, lamps in view."""
CAST = 0.25
"""... whose white balance missed the lamp."""
GREY = 0.08
"""... of monochrome cameras (machine vision, the pairs of stereo cameras)."""
TONED = 0.5
"""... whose tones differ from the plain curve: styles of processors, haze, crushed shadows."""
SHARPENED = 0.1
"""... with halos along edges, as phones and cheap webcams make them."""
COMPRESSED = 0.5
"""... that were JPEG on their way: USB cameras, image_transport, stored photographs."""
CLEAN = 0.2
"""... without visible noise: bright light, or a processor that removed it."""
DIM, DIM_IF_DARK = 0.06, 0.5
"""... taken at high gain, and the same among the under-exposed ones."""
ELECTRONS, DIM_ELECTRONS = (500.0, 30_000.0), (100.0, 500.0)
"""Electrons of a white pixel: a phone by day after scaling down, to a webcam in the evening."""
READ_NOISE = (1.0, 3.0)
"""Electrons (standard deviation) that reading adds to each pixel."""
SPOT = (0.3, 2.0)
"""Fall-off of the lamp beside an infrared camera, see :data:`optics.VIGNETTE`."""

_FIELD_SIZE = 256
_FULL_WIDTH = 256  # images of this many pixels and more show noise at full strength, smaller ones average it
_SEED = 20242

Effect = Callable[[Tensor, Draws], Tensor]


class Sensor(torch.nn.Module):
    """Makes a camera's image of each rendered one.

    The noise is cut from stored fields at a random place: drawing it anew would cost as much as all else here.
    """

    fields: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fields", noise_fields(), persistent=False)

    def forward(self, image: Tensor, draws: Draws, enlarged: int = 1) -> Tensor:
        """Display colours (B, 3, H, W) to a developed image of the same shape, in [0, 1].

        Args:
            enlarged: how many times larger the images will be shown, see :meth:`noise`.
        """
        in_infrared = infrared(draws)
        image = optics.lens_blur(image, draws)
        light = image.mul_(image)
        light = self._some(light, draws.bernoulli("sensor/moving", MOVING), optics.motion_blur, draws)
        light = self._some(light, draws.bernoulli("sensor/defocused", DEFOCUSED), optics.defocus, draws)
        light = self._some(light, draws.bernoulli("sensor/vignetted", VIGNETTED), optics.vignette, draws)
        light = self._some(light, in_infrared, infrared_spot, draws)
        light = self._some(light, misexposed(draws), processing.missed_exposure, draws)
        noise = partial(self.noise, enlarged=enlarged)
        light = self._some(light, ~draws.bernoulli("sensor/clean", CLEAN), noise, draws)
        light = self._some(light, draws.bernoulli("sensor/cast", CAST), processing.colour_cast, draws)
        image = light.clamp_(0, 1).sqrt_()
        image = self._some(image, in_infrared | draws.bernoulli("sensor/grey", GREY), processing.greyscale, draws)
        image = self._some(image, draws.bernoulli("sensor/toned", TONED), processing.tone_curve, draws)
        image = self._some(image, draws.bernoulli("sensor/sharpened", SHARPENED), processing.sharpen, draws)
        return self._some(image, draws.bernoulli("sensor/jpeg", COMPRESSED), jpeg.compress_some, draws)

    @staticmethod
    def _some(image: Tensor, chosen: Tensor, effect: Effect, draws: Draws) -> Tensor:
        """``effect`` on the chosen (B,) images, in place."""
        rows = chosen.nonzero()[:, 0]
        if len(rows) == 0:
            return image
        return image.index_copy_(0, rows, effect(image.index_select(0, rows), draws.of(rows)))

    def noise(self, light: Tensor, draws: Draws, enlarged: int = 1) -> Tensor:
        r"""Light with the noise of counting electrons and of reading them, :math:`\sigma^2 = L / N + (r / N)^2`.

        The pixels of a small image are averages of the sensor's, unless the image is shown enlarged.
        """
        count = white_electrons(draws)
        read = draws.uniform("sensor/read", low=READ_NOISE[0], high=READ_NOISE[1])
        height, width = light.shape[-2:]
        scale = min(1.0, enlarged * width / _FULL_WIDTH)
        shot, floor = (scale**2 * x[:, None, None, None] for x in (1 / count, (read / count) ** 2))
        deviation = (light * shot).add_(floor).sqrt_()
        return deviation.mul_(self._field(height, width, draws)).add_(light)

    def _field(self, height: int, width: int, draws: Draws) -> Tensor:
        """(B, 3, H, W) noise of standard deviation 1, of one kind for each image."""
        kinds = len(self.fields)
        kind = draws.choice("sensor/noise kind", [1.0] * kinds)
        row, column = draws.uniform("sensor/place", 2, high=_FIELD_SIZE).long().unbind(1)
        tiled = self.fields.repeat(1, 1, 1 + -(-height // _FIELD_SIZE), 1 + -(-width // _FIELD_SIZE))
        windows = tiled.unfold(2, height, 1).unfold(3, width, 1).permute(0, 2, 3, 1, 4, 5)
        return windows[kind, row, column]


def misexposed(draws: Draws) -> Tensor:
    """(B,) bool: which images are over- or under-exposed."""
    return draws.bernoulli("sensor/misexposed", MISEXPOSED)


def white_electrons(draws: Draws) -> Tensor:
    """(B,) electrons that a white pixel holds: fewer of them, more noise."""
    dark = misexposed(draws) & (processing.missed_stops(draws) < 0)
    share = torch.where(dark, DIM_IF_DARK, DIM)
    limits = torch.tensor([ELECTRONS, DIM_ELECTRONS], device=draws.device).log()
    low, high = limits[(draws.uniform("sensor/dim") < share).long()].unbind(1)
    return torch.lerp(low, high, draws.uniform("sensor/electrons")).exp()


def infrared_spot(light: Tensor, draws: Draws) -> Tensor:
    """Light of one lamp beside the lens, which fades towards the corners."""
    return light * optics.falloff(light, draws.uniform("sensor/spot", low=SPOT[0], high=SPOT[1]), draws)


def noise_fields() -> Tensor:
    """(3, 3, 256, 256) periodic noise of mean 0 and standard deviation 1 in red, green, blue: as pixels are read,
    as a mosaic of colours is interpolated, and as a denoiser leaves it (soft grain, blotches of colour)."""
    draws = Draws(_SEED, torch.zeros(1, dtype=torch.int64))
    white = draws.normal("field", 3, _FIELD_SIZE, _FIELD_SIZE)[0]
    even = torch.arange(_FIELD_SIZE) % 2 == 0
    red, blue = even[:, None] & even, ~even[:, None] & ~even
    seen = torch.stack([red, ~(red | blue), blue]).float()
    mosaic = _smooth(white[:1] * seen) / _smooth(seen)
    coarse = white.roll(_FIELD_SIZE // 2, -1)
    for _ in range(3):
        coarse = _smooth(coarse)
    denoised = 0.7 * _smooth(white[:1]) / 0.375 + 0.5 * (coarse - coarse.mean(0)) / coarse.std()
    fields = torch.stack([white, mosaic, denoised])
    return (fields - fields.mean((2, 3), keepdim=True)) / fields.std((2, 3), keepdim=True)


def _smooth(fields: Tensor) -> Tensor:
    """Periodic fields (C, H, W) after a tent of 3 x 3."""
    tent = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    return F.conv2d(F.pad(fields[:, None], (1,) * 4, mode="circular"), tent[None, None])[:, 0]
