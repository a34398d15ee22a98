"""Which images a training step sees: a function of (seed, step, process) alone, so that a training can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.utils.data import Sampler

BLOCK = 1000
"""Draws after which every share has had its part, to the nearest image."""

_SOURCES_APART = 7_919_000_003  # seeds of two sources' orders never meet


class SampleIndex(NamedTuple):
    """One image to be shown.

    Args:
        source: number of the set. image: in the set. visit: how often all of the set was shown before.
    """

    source: int
    image: int
    visit: int


@dataclass(frozen=True)
class MixtureComponent:
    """How much of a training a set gets.

    Args:
        images: how many the set has; None: endless.
        weight: its part of the draws, relative to the other shares'.
    """

    images: int | None
    weight: float = 1.0


class StepSampler(Sampler[list[SampleIndex]]):
    """Batches of draws for one stretch of steps, from wherever the training stands.

    All images of a set are seen once in a random order, then all again in another, by all processes together; an
    endless supply is seen in its own order. Several sets take turns at random, each with its weight's part of every
    :data:`BLOCK` draws. Processes take turns.

    Args:
        shares: of the sets.
        batch_size: images a step and process.
        steps: of a stretch (Lightning's epoch).
        position: gives the steps done so far.
        seed: of the orders. rank, world: this process, and how many there are.
    """

    def __init__(
        self,
        shares: Sequence[MixtureComponent],
        batch_size: int,
        steps: int,
        position: Callable[[], int],
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.shares, self.batch_size, self.steps = tuple(shares), batch_size, steps
        self.position, self.seed, self.rank, self.world = position, seed, rank, world
        self._counts = parts_of_block([share.weight for share in self.shares])
        self._orders: list[tuple[int, torch.Tensor]] = [(-1, torch.empty(0)) for _ in self.shares]
        self._turns: tuple[int, torch.Tensor, torch.Tensor] = (-1, torch.empty(0), torch.empty(0))

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        start = self.position()
        for step in range(start, start + self.steps):
            yield self.batch(step)

    def batch(self, step: int) -> list[SampleIndex]:
        """The draws of a step."""
        first = (step * self.world + self.rank) * self.batch_size
        return [self._draw(first + k) for k in range(self.batch_size)]

    def _draw(self, position: int) -> SampleIndex:
        source, number = self._turn(position)
        images = self.shares[source].images
        if images is None:
            return SampleIndex(source, number, 0)
        visit, place = divmod(number, images)
        if self._orders[source][0] != visit:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + visit + source * _SOURCES_APART)
            self._orders[source] = (visit, torch.randperm(images, generator=generator))
        return SampleIndex(source, int(self._orders[source][1][place]), visit)

    def _turn(self, position: int) -> tuple[int, int]:
        """Whose turn it is, and how many turns that set had before."""
        if len(self.shares) == 1:
            return 0, position
        block, place = divmod(position, BLOCK)
        if self._turns[0] != block:
            turns = torch.repeat_interleave(torch.arange(len(self.shares)), torch.tensor(self._counts))
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + block)
            turns = turns[torch.randperm(BLOCK, generator=generator)]
            before = torch.nn.functional.one_hot(turns, len(self.shares)).cumsum(0) - 1  # (BLOCK, sources)
            self._turns = (block, turns, before.gather(1, turns[:, None])[:, 0])
        source = int(self._turns[1][place])
        return source, block * self._counts[source] + int(self._turns[2][place])


def parts_of_block(weights: Sequence[float]) -> list[int]:
    """How many of :data:`BLOCK` draws each weight gets: rounded down, the rest to the largest remainders.

    Raises:
        ValueError: if a weight is too small to be drawn at all.
    """
    exact = [BLOCK * weight / sum(weights) for weight in weights]
    counts = [int(part) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda k: counts[k] - exact[k])
    for k in by_remainder[: BLOCK - sum(counts)]:
        counts[k] += 1
    if min(counts) < 1:
        raise ValueError(f"weights {list(weights)}: one is less than a thousandth of all; leave its set out")
    return counts
