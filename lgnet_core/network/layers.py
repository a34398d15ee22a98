"""Building blocks shared by the networks: per-hand modules, position embeddings, map sampling and export helpers."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAP_SIZE = 8
"""Cells per side of the stride-32 map of the standard 256-pixel crop."""

GATHER_MIN_CHANNELS = 16
"""Exports sample maps with at least this many channels by gathering cells instead of by GridSample."""


class PerHand(nn.ModuleList):
    """Two copies of a module with separate weights, one per hand, each applied to its slice of the side axis.

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
    """Learned position embedding of a map, initialised from N(0, 0.02) and interpolated to other map sizes.

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


def static_sizes(x: Tensor, *axes: int) -> tuple[int, ...]:
    """Sizes along ``axes`` as plain integers, which tracing records as constants instead of shape computations.

    Not for the batch axis, which stays dynamic: use -1 for it.
    """
    return tuple(int(x.shape[axis]) for axis in axes)


def is_exporting() -> bool:
    """Whether the network is being traced for export."""
    return torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()


def is_cpu_autocast() -> bool:
    """Whether automatic mixed precision is enabled on the CPU.

    Depthwise convolutions and attention then stay in single precision: oneDNN has no fast bfloat16 gradient for either
    (a strided depthwise convolution takes 4 to 30 times as long as in float32, a training step of mini twice as long).
    """
    return bool(torch.is_autocast_enabled("cpu"))


def map_to_tokens(features: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H W, C), row by row."""
    channels, height, width = static_sizes(features, 1, 2, 3)
    return features.reshape(-1, channels, height * width).transpose(1, 2)


def tokens_to_map(tokens: Tensor, like: Tensor) -> Tensor:
    """(B, H W, C) to (B, C, H, W), the inverse of :func:`map_to_tokens`; H and W are those of ``like``."""
    return tokens.transpose(1, 2).reshape(-1, *static_sizes(like, 1, 2, 3))


def sample_small_map(features: Tensor, points: Tensor) -> Tensor:
    """:func:`sample_map` as a product with a matrix of bilinear weights, for maps of up to a few hundred cells.

    For 778 points of a 256-channel 8x8 map, ONNX Runtime takes 0.3 ms for it and 5 ms for its GridSample.
    """
    height, width = static_sizes(features, 2, 3)

    def hat_weights(x: Tensor, size: int) -> Tensor:  # (B, N) -> (B, N, size)
        cells = ((x + 1) * (size / 2) - 0.5).clamp(0, size - 1)
        distance = (cells[..., None] - torch.arange(size, device=x.device, dtype=x.dtype)).abs()
        return (1 - distance).clamp_min(0)

    x, y = points.unbind(-1)
    rows, columns = hat_weights(y, height), hat_weights(x, width)
    if is_exporting():  # ONNX Runtime repeats four times faster by multiplying with a 0/1 matrix
        row_of_cell, column_of_cell = (torch.eye(size, dtype=x.dtype) for size in (height, width))
        weights = (rows @ row_of_cell.repeat_interleave(width, 1)) * (columns @ column_of_cell.repeat(1, height))
    else:
        weights = (rows[..., None] * columns[..., None, :]).flatten(-2)
    return torch.matmul(weights, map_to_tokens(features))  # weights: (B, N, H W)


def sample_map(features: Tensor, points: Tensor) -> Tensor:
    """Sample a map bilinearly at points; points outside are clamped to the border.

    Args:
        points: (x, y) in the [-1, 1] of ``grid_sample(align_corners=False)``, see
            :func:`lgnet_core.geometry.coordinates.pixels_to_normalised`.

    Shapes:
        features: (B, C, H, W), H and W at least 2; points: (B, N, 2); returns (B, N, C).
    """
    if is_exporting() and features.shape[1] >= GATHER_MIN_CHANNELS:
        return _sample_by_gather(features, points)
    samples = F.grid_sample(features, points[:, None], padding_mode="border", align_corners=False)  # (B, C, 1, N)
    return samples[:, :, 0].transpose(1, 2)


def _sample_by_gather(features: Tensor, points: Tensor) -> Tensor:
    """:func:`sample_map` by gathering all channels of the four cells around each point.

    GridSample iterates over points for each channel: for 1556 points of a 256-channel 64x64 map, ONNX Runtime takes
    7.4 ms of one core for it and 1.2 ms for this.
    """
    channels, height, width = static_sizes(features, 1, 2, 3)
    x, y = points.unbind(-1)  # (B, N)
    x, y = (((u + 1) * (n / 2) - 0.5).clamp(0, n - 1) for u, n in ((x, width), (y, height)))
    left, top = x.floor().clamp_max(width - 2), y.floor().clamp_max(height - 2)
    x_fraction, y_fraction = (x - left)[..., None], (y - top)[..., None]
    image_offset = torch.arange(features.shape[0], device=x.device)[:, None] * (height * width)
    last = (height - 1) * width - 2
    corner = (top * width + left).long().clamp(0, last)  # keeps the index of a NaN point valid
    corner = (image_offset + corner).flatten()
    cells = map_to_tokens(features).reshape(-1, channels)

    def gather(offset: int) -> Tensor:
        return cells.index_select(0, corner + offset).reshape(-1, *static_sizes(points, 1), channels)

    def lerp(start: Tensor, end: Tensor, fraction: Tensor) -> Tensor:
        return start + fraction * (end - start)

    upper, lower = (lerp(gather(row), gather(row + 1), x_fraction) for row in (0, width))
    return lerp(upper, lower, y_fraction)
