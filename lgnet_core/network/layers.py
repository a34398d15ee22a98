"""Small parts that several stages share."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAP_SIZE = 8
"""Cells per side of the stride-32 map of the standard 256-pixel crop."""

MANY_CHANNELS = 16
"""From here on exports read maps cell by cell instead of channel by channel."""


class PerHand(nn.ModuleList):
    """A module with weights of its own for each hand, run on that hand's slice of the side axis.

    Shapes:
        every input: (B, 2, ...); returns (B, 2, ...), or a tuple of such if the module returns a tuple.
    """

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__([make(), make()])

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        outputs = [module(*(x[:, side] for x in inputs)) for side, module in enumerate(self)]
        if isinstance(outputs[0], tuple):
            return tuple(torch.stack(pair, 1) for pair in zip(*outputs))
        return torch.stack(outputs, 1)


class PositionEmbedding(nn.Module):
    """A learned vector per cell of a map, N(0, 0.02) at the start, interpolated to maps of other sizes.

    Args:
        size: cells per side of the map.

    Shapes:
        like: (..., C, H, W); returns (C, H, W).
    """

    def __init__(self, channels: int, size: int = MAP_SIZE) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, size, size) * 0.02)

    def forward(self, like: Tensor) -> Tensor:
        size = (like.shape[-2], like.shape[-1])
        if size == self.weight.shape[-2:]:
            return self.weight
        return F.interpolate(self.weight[None], size, mode="bilinear", align_corners=False)[0]


def conv_norm_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    """1x1 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)
    )


def sizes(x: Tensor, *axes: int) -> tuple[int, ...]:
    """Sizes along some axes as plain numbers, which tracing takes as constants: the export computes no shapes then.

    Not for the batch's axis, which stays free: give -1 in its place.
    """
    return tuple(int(x.shape[axis]) for axis in axes)


def exporting() -> bool:
    """Whether the network is being traced for an export."""
    return torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()


def cpu_autocast() -> bool:
    """Whether automatic mixed precision is on for the CPU.

    Depthwise convolutions and attention then stay in single precision: oneDNN has no fast bfloat16 gradient of either
    (a strided depthwise one takes 4 to 30 times as long as in float32, and a training step of mini twice as long).
    """
    return bool(torch.is_autocast_enabled("cpu"))


def map_to_tokens(features: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H W, C), row by row."""
    channels, height, width = sizes(features, 1, 2, 3)
    return features.reshape(-1, channels, height * width).transpose(1, 2)


def tokens_to_map(tokens: Tensor, like: Tensor) -> Tensor:
    """(B, H W, C) to (B, C, H, W), the inverse of :func:`map_to_tokens`; H and W are those of ``like``."""
    return tokens.transpose(1, 2).reshape(-1, *sizes(like, 1, 2, 3))


def sample_small_map(features: Tensor, normalised: Tensor) -> Tensor:
    """:func:`sample_map` as a matrix product with bilinear weights, for maps of a few hundred cells.

    778 points of a 256-channel 8x8 map take 0.3 ms in ONNX Runtime this way, 5 ms with its GridSample.
    """
    height, width = sizes(features, 2, 3)

    def hats(x: Tensor, size: int) -> Tensor:  # (B, N) -> (B, N, size)
        cells = ((x + 1) * (size / 2) - 0.5).clamp(0, size - 1)
        distance = (cells[..., None] - torch.arange(size, device=x.device, dtype=x.dtype)).abs()
        return (1 - distance).clamp_min(0)

    x, y = normalised.unbind(-1)
    rows, columns = hats(y, height), hats(x, width)
    if exporting():  # ONNX Runtime repeats by products with zeros and ones in a quarter of the time
        in_rows, in_columns = (torch.eye(size, dtype=x.dtype) for size in (height, width))
        weights = (rows @ in_rows.repeat_interleave(width, 1)) * (columns @ in_columns.repeat(1, height))
    else:
        weights = (rows[..., None] * columns[..., None, :]).flatten(-2)
    return torch.matmul(weights, map_to_tokens(features))  # weights: (B, N, H W)


def sample_map(features: Tensor, normalised: Tensor) -> Tensor:
    """Bilinear reading of a map at points; points outside read the nearest border.

    Args:
        normalised: (x, y) in the [-1, 1] of ``align_corners=False``:
        :func:`lgnet_core.geometry.camera.pixels_to_normalised`.

    Shapes:
        features: (B, C, H, W), H and W at least 2; normalised: (B, N, 2); returns (B, N, C).
    """
    if exporting() and features.shape[1] >= MANY_CHANNELS:
        return _gather_corners(features, normalised)
    samples = F.grid_sample(features, normalised[:, None], padding_mode="border", align_corners=False)  # (B, C, 1, N)
    return samples[:, :, 0].transpose(1, 2)


def _gather_corners(features: Tensor, normalised: Tensor) -> Tensor:
    """:func:`sample_map` by gathering each point's four cells, all channels of a cell at once.

    GridSample goes through the points channel by channel: at 1556 points of a 256-channel 64x64 map ONNX Runtime takes
    7.4 ms of one core for it, and 1.2 ms for this.
    """
    channels, height, width = sizes(features, 1, 2, 3)
    x, y = normalised.unbind(-1)  # (B, N)
    x, y = (((u + 1) * (n / 2) - 0.5).clamp(0, n - 1) for u, n in ((x, width), (y, height)))
    left, top = x.floor().clamp_max(width - 2), y.floor().clamp_max(height - 2)
    right_share, low_share = (x - left)[..., None], (y - top)[..., None]
    image = torch.arange(features.shape[0], device=x.device)[:, None] * (height * width)
    last = (height - 1) * width - 2
    corner = (top * width + left).long().clamp(0, last)  # a place that is no number has a corner too
    corner = (image + corner).flatten()
    cells = map_to_tokens(features).reshape(-1, channels)

    def read(offset: int) -> Tensor:
        return cells.index_select(0, corner + offset).reshape(-1, *sizes(normalised, 1), channels)

    def between(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
        return first + share * (second - first)

    upper, lower = (between(read(row), read(row + 1), right_share) for row in (0, width))
    return between(upper, lower, low_share)
