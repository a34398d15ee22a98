"""Background textures: bundled photographs, spectral noise and regular patterns.

Textures are 256 x 256 display colours in [0, 1]. The photographs are public domain or CC0, see photographs/LICENSES.md.
"""

from __future__ import annotations

from importlib.resources import files

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.rng import CounterRng

TEXTURE_SIZE = 256
_SPECTRA = (0.4, 0.8, 1.2, 1.6, 2.0, 2.5)  # exponents of the amplitude spectrum f^-p
_KINDS = ((1.0, 0.0), (1.0, 0.5), (6.0, 0.0), (20.0, 0.2))  # anisotropy, colourfulness
_SEED = 20241


def load_photographs() -> Tensor:
    """Bundled photographs (3 P, 3, 256, 256), each sharp and with two degrees of defocus.

    Raises:
        FileNotFoundError: if the installation lacks them. ValueError: if one is corrupt.
    """
    folder = files("lgnet_core.synthetic.render") / "photographs"
    images = []
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".jpg"):
            bgr = cv2.imdecode(np.frombuffer(entry.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
            if bgr is None:
                raise ValueError(f"{entry}: not a readable JPEG file; reinstall lgnet_core")
            sharp = torch.from_numpy(np.ascontiguousarray(bgr[..., ::-1])).permute(2, 0, 1).float() / 255
            images.append(sharp)
    if not images:
        raise FileNotFoundError(f"{folder}: no background photographs found; install lgnet_core with its package data")
    sharp = torch.stack(images)
    return torch.stack([sharp, _blur(sharp, 3), _blur(sharp, 8)], 1).flatten(0, 1)


def _blur(images: Tensor, radius: int) -> Tensor:
    """Approximate Gaussian blur by three box filters."""
    size = 2 * radius + 1
    for _ in range(3):
        padded = F.pad(images, (radius,) * 4, mode="reflect")
        images = F.avg_pool2d(F.avg_pool2d(padded, (size, 1), stride=1), (1, size), stride=1)
    return images


def make_noise_textures() -> Tensor:
    """Procedural textures (T, 3, 256, 256).

    Noise with several spectra, isotropic and anisotropic (wood, cloth), grey and coloured; regular patterns (stripes,
    checks, dots).
    """
    white = torch.fft.fft2(CounterRng(_SEED, torch.arange(len(_KINDS))).normal("white", 3, TEXTURE_SIZE, TEXTURE_SIZE))
    frequency = torch.fft.fftfreq(TEXTURE_SIZE) * TEXTURE_SIZE
    stretch, colour = torch.tensor(_KINDS).T[..., None, None]  # (kinds, 1, 1)
    radius = (frequency**2 + (frequency[:, None] * stretch) ** 2).sqrt().clamp_min(1.0)  # (kinds, S, S)
    shaped = torch.cat([torch.fft.ifft2(white * radius[:, None] ** -power).real for power in _SPECTRA])
    shaped = torch.lerp(shaped[:, :1], shaped, colour.repeat(len(_SPECTRA), 1, 1)[:, None])
    shaped = shaped - shaped.mean((2, 3), keepdim=True)
    noise = 0.5 + 0.22 * shaped / shaped.std((1, 2, 3), keepdim=True)

    axis = torch.arange(TEXTURE_SIZE) / TEXTURE_SIZE
    x, y = axis[None, :].expand(TEXTURE_SIZE, -1), axis[:, None].expand(-1, TEXTURE_SIZE)
    patterns = []
    for cells in (4, 9, 20):
        wave_x, wave_y = (2 * torch.pi * cells * x).sin(), (2 * torch.pi * cells * y).sin()
        patterns += [wave_x, wave_x * wave_y, (wave_x + wave_y - 1.0), (wave_x.abs().minimum(wave_y.abs()) - 0.15) * 3]
    regular = 0.5 + 0.4 * torch.tanh(4 * torch.stack(patterns))[:, None].expand(-1, 3, -1, -1)
    regular = regular + 0.25 * (noise[: len(regular)] - 0.5)
    return torch.cat([noise, regular]).clamp(0, 1)
