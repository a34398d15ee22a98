r"""Counter-based random number generator with one named stream per quantity.

An image must be reproducible up to rounding, independently of batch composition, process and device. The generator is
therefore stateless: each value is a hash of (seed, image index, stream name, position), computed with the finalizer of
SplitMix64 in int64 tensor arithmetic, whose overflow behaves identically on CPU and CUDA. Adding a stream does not
affect the others.

Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (finaliser constants).
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

from lgnet_core.synthetic.splits import HELD_OUT_RANGES, Split, map_to_split

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical (not arithmetic) shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift_right(x, 30)) * _signed(_MIX_1)
    x = (x ^ _shift_right(x, 27)) * _signed(_MIX_2)
    return x ^ _shift_right(x, 31)


class CounterRng:
    """Random streams of a batch of images.

    All sampling methods take the ``name`` of the stream, unique per quantity, and return (B, *shape) float32 unless
    documented otherwise.

    Args:
        seed: seed of the data set.
        indices: (B,) int64 image indices.
        device: device of the sampled tensors; the values do not depend on it.
        split: data split; restricts the streams listed in :data:`~lgnet_core.synthetic.splits.HELD_OUT_RANGES`.
    """

    def __init__(
        self, seed: int, indices: Tensor, device: torch.device | str = "cpu", split: Split = Split.TRAINING
    ) -> None:
        self.device = torch.device(device)
        self.indices = indices.to(self.device, torch.int64)
        self.seed = seed
        self.split = split

    def __len__(self) -> int:
        return len(self.indices)

    def select(self, rows: Tensor) -> CounterRng:
        """Streams of a subset of the images; rows: (N,) indices into the batch."""
        return CounterRng(self.seed, self.indices[rows], self.device, self.split)

    def _bits(self, name: str, shape: tuple[int, ...]) -> Tensor:
        digest = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=8).digest()
        stream = _signed(int.from_bytes(digest, "little"))
        count = math.prod(shape)
        position = torch.arange(1, count + 1, device=self.device, dtype=torch.int64) * _signed(_GOLDEN)
        key = _mix(_mix(self.indices * _signed(_GOLDEN) + stream) ^ stream)
        return _mix(key[:, None] + position).view(len(self), *shape)

    def uniform(self, name: str, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform in [low, high), restricted to the quantile ranges of the data split."""
        unit = _shift_right(self._bits(name, shape), 40).to(torch.float32) * 2.0**-24
        if name in HELD_OUT_RANGES:
            unit = map_to_split(unit, HELD_OUT_RANGES[name], self.split)
        return low + (high - low) * unit

    def normal(self, name: str, *shape: int, mean: float = 0.0, std: float = 1.0) -> Tensor:
        """Gaussian by inverse transform sampling, so that quantile ranges of the split apply to it as well."""
        unit = (
            self.uniform(name, *shape) + 2.0**-25
        )  # centre of the quantization cell: keeps the result finite at both ends
        return mean + std * math.sqrt(2.0) * torch.erfinv((2.0 * unit - 1.0).clamp_max(1.0 - 2.0**-24))

    def bernoulli(self, name: str, p: float, *shape: int) -> Tensor:
        """Bool, true with probability ``p``."""
        return self.uniform(name, *shape) < p

    def choice(self, name: str, weights: list[float], *shape: int) -> Tensor:
        """Categorical int64 indices with probabilities proportional to ``weights``."""
        edges = torch.tensor(weights, dtype=torch.float64).cumsum(0)
        edges = (edges / edges[-1])[:-1].to(self.device, torch.float32)
        return torch.bucketize(self.uniform(name, *shape), edges, right=True)

    def rotation(self, name: str, *shape: int) -> Tensor:
        """Rotation matrices (B, *shape, 3, 3), uniform over SO(3)."""
        q = torch.nn.functional.normalize(self.normal(name, *shape, 4), dim=-1)
        x, y, z, w = q.unbind(-1)
        rows = [
            1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
            2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
            2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
        ]  # fmt: skip
        return torch.stack(rows, -1).view(*q.shape[:-1], 3, 3)
