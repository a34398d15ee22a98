r"""Random numbers that depend on (seed, index, name) alone.

An image must be the same, up to rounding, whichever batch, process or device draws it. So nothing has a state: each
draw hashes (seed, image index, name of the quantity, position) with SplitMix64's finaliser in int64 tensor
arithmetic, which wraps alike on CPU and CUDA. Adding a quantity does not move the others.

Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (finaliser constants).
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

from lgnet_core.synthetic.reserved import RESERVED, Part, quantiles

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


class Draws:
    """Named draws for a batch of images.

    Args:
        seed: of the whole data set.
        indices: (B,) int64 image indices.
        device: where the numbers are made; they are the same everywhere.
        part: which part of the quantities in :data:`~lgnet_core.synthetic.reserved.RESERVED` is drawn.

    Every method returns (B, *shape) float32 and takes the ``name`` of the quantity, unique per use.
    """

    def __init__(
        self, seed: int, indices: Tensor, device: torch.device | str = "cpu", part: Part = Part.TRAINING
    ) -> None:
        self.device = torch.device(device)
        self.indices = indices.to(self.device, torch.int64)
        self.seed = seed
        self.part = part

    def __len__(self) -> int:
        return len(self.indices)

    def of(self, rows: Tensor) -> Draws:
        """The draws of some of the images; rows: (N,) places in the batch."""
        return Draws(self.seed, self.indices[rows], self.device, self.part)

    def _bits(self, name: str, shape: tuple[int, ...]) -> Tensor:
        digest = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=8).digest()
        stream = _signed(int.from_bytes(digest, "little"))
        count = math.prod(shape)
        position = torch.arange(1, count + 1, device=self.device, dtype=torch.int64) * _signed(_GOLDEN)
        key = _mix(_mix(self.indices * _signed(_GOLDEN) + stream) ^ stream)
        return _mix(key[:, None] + position).view(len(self), *shape)

    def uniform(self, name: str, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform in [low, high), less what the table reserves."""
        unit = _shift_right(self._bits(name, shape), 40).to(torch.float32) * 2.0**-24
        if name in RESERVED:
            unit = quantiles(unit, RESERVED[name], self.part)
        return low + (high - low) * unit

    def normal(self, name: str, *shape: int, mean: float = 0.0, std: float = 1.0) -> Tensor:
        """Gaussian: the quantile function of a uniform draw, so that a reserved range of it is one of the Gaussian."""
        unit = self.uniform(name, *shape) + 2.0**-25  # the middle of its cell: neither end is infinite
        return mean + std * math.sqrt(2.0) * torch.erfinv((2.0 * unit - 1.0).clamp_max(1.0 - 2.0**-24))

    def bernoulli(self, name: str, p: float, *shape: int) -> Tensor:
        """Bool, True with probability p."""
        return self.uniform(name, *shape) < p

    def choice(self, name: str, weights: list[float], *shape: int) -> Tensor:
        """int64 index drawn with probabilities proportional to ``weights``."""
        edges = torch.tensor(weights, dtype=torch.float64).cumsum(0)
        edges = (edges / edges[-1])[:-1].to(self.device, torch.float32)
        return torch.bucketize(self.uniform(name, *shape), edges, right=True)

    def rotation(self, name: str, *shape: int) -> Tensor:
        """Uniform rotations, (B, *shape, 3, 3)."""
        q = torch.nn.functional.normalize(self.normal(name, *shape, 4), dim=-1)
        x, y, z, w = q.unbind(-1)
        rows = [
            1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
            2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
            2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
        ]  # fmt: skip
        return torch.stack(rows, -1).view(*q.shape[:-1], 3, 3)
