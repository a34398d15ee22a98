"""What lens and sensor do to a picture: a little blur or motion, and noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.data.synthetic.random import Draws

_NOISE_SIZE = 256
_SEED = 20242
_TAPS = 5


class Sensor(torch.nn.Module):
    """Blurs each picture with its own small kernel and adds its own noise.

    The noise is cut from one stored field at a random place: drawing it anew would cost more than the hands.
    """

    field: Tensor

    def __init__(self) -> None:
        super().__init__()
        field = Draws(_SEED, torch.zeros(1, dtype=torch.int64)).normal("field", 3, _NOISE_SIZE, _NOISE_SIZE)[0]
        self.register_buffer("field", field, persistent=False)

    def forward(self, image: Tensor, draws: Draws) -> Tensor:
        """Display colours (B, 3, H, W) to a developed picture of the same shape, in [0, 1]."""
        batch, channels, height, width = image.shape
        kernels = self._kernels(draws).repeat_interleave(channels, 0)[:, None]
        padded = F.pad(image.view(1, batch * channels, height, width), (_TAPS // 2,) * 4, mode="replicate")
        blurred = F.conv2d(padded, kernels, groups=batch * channels).view_as(image)
        return blurred.add_(self._noise(height, width, draws)).clamp_(0, 1)

    def _kernels(self, draws: Draws) -> Tensor:
        """(B, 5, 5) anisotropic Gaussians, from almost sharp to about one pixel wide."""
        axis = torch.arange(_TAPS, device=draws.device) - _TAPS // 2
        width = draws.uniform("sensor/blur", 2, low=0.35, high=0.85)
        width = torch.where(draws.bernoulli("sensor/soft", 0.25, 1), width * 1.6, width)
        angle = draws.uniform("sensor/angle", 1, 1, high=torch.pi)
        a = angle.cos() * axis[None, :] + angle.sin() * axis[:, None]
        b = angle.cos() * axis[:, None] - angle.sin() * axis[None, :]
        kernel = torch.exp(-((a / width[:, :1, None]) ** 2 + (b / width[:, 1:, None]) ** 2) / 2)
        return kernel / kernel.sum((1, 2), keepdim=True)

    def _noise(self, height: int, width: int, draws: Draws) -> Tensor:
        strength = 0.03 * draws.uniform("sensor/noise", 1, 1, 1) ** 2
        strength = strength * torch.where(draws.bernoulli("sensor/grey_noise", 0.3, 1, 1, 1), 0.0, 1.0)
        start = draws.uniform("sensor/place", 2, high=_NOISE_SIZE).long()
        rows = (start[:, :1] + torch.arange(height, device=draws.device)) % _NOISE_SIZE
        columns = (start[:, 1:] + torch.arange(width, device=draws.device)) % _NOISE_SIZE
        cells = (rows[:, :, None] * _NOISE_SIZE + columns[:, None]).flatten()
        noise = self.field.flatten(1).index_select(1, cells).unflatten(1, (len(draws), height, width))
        return noise.transpose(0, 1) * strength
