"""Which pictures a training step sees: a function of (seed, step, process) alone, so that a training can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch.utils.data import Dataset, Sampler

from lgnet_core.data.sample import HandsBatch
from lgnet_core.data.synthetic.generator import SyntheticHands


class StepSampler(Sampler[list[int]]):
    """Batches of picture numbers for one stretch of steps, from wherever the training stands.

    All pictures are seen once in a random order, then all again in another; an endless supply is seen in its own
    order. Processes take turns.

    Args:
        pictures: how many there are; None: endless.
        batch_size: pictures a step and process.
        steps: of a stretch (Lightning's epoch).
        position: gives the steps done so far.
        seed: of the orders. rank, world: this process, and how many there are.
    """

    def __init__(
        self,
        pictures: int | None,
        batch_size: int,
        steps: int,
        position: Callable[[], int],
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.pictures, self.batch_size, self.steps = pictures, batch_size, steps
        self.position, self.seed, self.rank, self.world = position, seed, rank, world
        self._order: tuple[int, torch.Tensor] = (-1, torch.empty(0))

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        start = self.position()
        for step in range(start, start + self.steps):
            yield self.batch(step)

    def batch(self, step: int) -> list[int]:
        """The pictures of a step."""
        first = (step * self.world + self.rank) * self.batch_size
        return [self._picture(first + k) for k in range(self.batch_size)]

    def _picture(self, position: int) -> int:
        if self.pictures is None:
            return position
        pass_number, place = divmod(position, self.pictures)
        if self._order[0] != pass_number:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + pass_number)
            self._order = (pass_number, torch.randperm(self.pictures, generator=generator))
        return int(self._order[1][place])


class EndlessHands(Dataset[HandsBatch]):
    """Synthetic pictures, made a batch at a time when they are asked for, on the generator's device.

    Args:
        size: side of the crops, pixels.
    """

    def __init__(self, generator: SyntheticHands, size: int) -> None:
        self.generator, self.size = generator, size

    def __getitem__(self, index: int) -> HandsBatch:
        return self.generator.crops(torch.tensor([index]), self.size)

    def __getitems__(self, indices: list[int]) -> list[HandsBatch]:
        """One item that holds them all: :func:`lgnet_core.data.sample.concatenate` collates it."""
        return [self.generator.crops(torch.tensor(indices), self.size)]
