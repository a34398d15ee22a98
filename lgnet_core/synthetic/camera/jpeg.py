r"""JPEG compression artefacts: the lossy part of baseline JPEG, without entropy coding.

Conversion to Y'CbCr, 4:2:0 chroma subsampling, and quantization of the discrete cosine transform :math:`C X C^T` of
each 8 x 8 block. Entropy coding is lossless and therefore omitted.

Source: ITU-T T.81 (transform; tables of annex K), JFIF 1.02 (colour conversion), and libjpeg of the Independent JPEG
Group (scaling of the tables by "quality", triangular interpolation of chroma).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.rng import CounterRng

QUALITY_RANGE = (30.0, 95.0)
"""JPEG quality, from the motion JPEG of webcams to photographs of phones; biased towards high quality."""

_BLOCK = 8
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
_TO_YCC = (  # from RGB in 0 to 255; Cb and Cr centred on 0
    (0.299, 0.587, 0.114),
    (-0.299 / 1.772, -0.587 / 1.772, 0.886 / 1.772),
    (0.701 / 1.402, -0.587 / 1.402, -0.114 / 1.402),
)
_TO_RGB = (
    (1.0, 0.0, 1.402),
    (1.0, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587),
    (1.0, 1.772, 0.0),
)


def jpeg_artefacts(image: Tensor, rng: CounterRng) -> Tensor:
    """Compress each image with a random quality; shapes as for :func:`jpeg_round_trip`."""
    position = rng.uniform("sensor/jpeg/quality") ** 1.5
    return jpeg_round_trip(image, QUALITY_RANGE[1] - (QUALITY_RANGE[1] - QUALITY_RANGE[0]) * position)


def jpeg_round_trip(image: Tensor, quality: Tensor) -> Tensor:
    """Compress and decompress display colours.

    Shapes:
        image: (B, 3, H, W) in [0, 1]; quality: (B,) 1 to 100; returns (B, 3, H, W) in [0, 1].
    """
    height, width = image.shape[-2:]
    pad_right, pad_bottom = -width % (2 * _BLOCK), -height % (2 * _BLOCK)
    if pad_right or pad_bottom:
        image = F.pad(image, (0, pad_right, 0, pad_bottom), mode="replicate")
    ycc = ((image.new_tensor(_TO_YCC) * 255) @ image.flatten(2)).view_as(image).round_()
    rows = ycc[:, 1:, ::2] + ycc[:, 1:, 1::2]
    chroma = (rows[..., ::2] + rows[..., 1::2]).mul_(0.25).round_()  # mean of 2 x 2 pixels
    chroma = _quantize_blocks(chroma.flatten(0, 1), _quantization_table(_CHROMINANCE, quality).repeat_interleave(2, 0))
    chroma = chroma.unflatten(0, (-1, 2))
    ycc[:, 0] = _quantize_blocks(ycc[:, 0].sub_(128), _quantization_table(_LUMINANCE, quality)).add_(128)
    ycc[:, 1:] = F.interpolate(chroma, size=ycc.shape[2:], mode="bilinear", align_corners=False)
    decoded = ((image.new_tensor(_TO_RGB) / 255) @ ycc.flatten(2)).view_as(image).clamp_(0, 1)
    return decoded[..., :height, :width]


def _quantization_table(base: tuple[tuple[int, ...], ...], quality: Tensor) -> Tensor:
    """Quantization tables (B, 8, 8) for ``quality`` (B,)."""
    quality = quality.round()
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    return ((quality.new_tensor(base) * scale + 50) / 100).floor().clamp(1, 255)


def _quantize_blocks(plane: Tensor, table: Tensor) -> Tensor:
    """Planes (N, H, W) with the DCT coefficients of their blocks rounded to multiples of ``table`` (N, 8, 8)."""
    count, height, width = plane.shape
    index = torch.arange(_BLOCK, device=plane.device)
    cosines = math.sqrt(2 / _BLOCK) * torch.cos(torch.pi / _BLOCK * index[:, None] * (index + 0.5))
    cosines[0] /= math.sqrt(2)  # (8, 8) orthonormal, one row per frequency
    divisor = table.repeat(1, 1, width // _BLOCK)[:, None]  # (N, 1, 8, W)
    rows = (cosines @ plane.reshape(-1, _BLOCK, width)).view(-1, _BLOCK) @ cosines.T
    levels = (rows.view(count, -1, _BLOCK, width) / divisor).round_().mul_(divisor)
    rows = (cosines.T @ levels.view(-1, _BLOCK, width)).view(-1, _BLOCK) @ cosines
    return rows.view(count, height, width)
