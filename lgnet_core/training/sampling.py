"""Sampler of the training images, a pure function of (seed, step, process), so that a training can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.utils.data import Sampler

MIXTURE_PERIOD = 1000
"""Samples after which every component has received its exact share, rounded to one image."""

_SOURCE_SEED_STRIDE = 7_919_000_003  # keeps the permutation seeds of different sources apart


class SampleIndex(NamedTuple):
    """Index of one training sample.

    Args:
        source: index of the data source.
        image: index of the image in its source.
        visit: how many complete passes over the source precede this one.
    """

    source: int
    image: int
    visit: int


@dataclass(frozen=True)
class MixtureComponent:
    """Size and weight of one data source in a mixture.

    Args:
        images: number of images; None for an endless source.
        weight: sampling weight relative to the other components.
    """

    images: int | None
    weight: float = 1.0


class StepSampler(Sampler[list[SampleIndex]]):
    """Batch sampler that continues from the current training step.

    The images of a source are visited in a new random permutation in each pass, jointly by all processes; an endless
    source is visited in order. Several sources alternate at random, each with its exact share of every
    :data:`MIXTURE_PERIOD` samples. Consecutive batches are assigned to the processes in turn.

    Args:
        components: sizes and weights of the data sources.
        batch_size: images per batch and process.
        batches: number of batches in one Lightning epoch.
        position: returns the number of batches completed so far.
        seed: seed of the permutations.
        rank, world_size: index of this process, and number of processes.
    """

    def __init__(
        self,
        components: Sequence[MixtureComponent],
        batch_size: int,
        batches: int,
        position: Callable[[], int],
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.components, self.batch_size, self.batches = tuple(components), batch_size, batches
        self.position, self.seed, self.rank, self.world_size = position, seed, rank, world_size
        self._counts = samples_per_period([component.weight for component in self.components])
        # Per source, the current pass and its permutation.
        self._permutations: list[tuple[int, torch.Tensor]] = [(-1, torch.empty(0)) for _ in self.components]
        # The current period, the source of each of its samples, and the earlier samples of that source in the period.
        self._period: tuple[int, torch.Tensor, torch.Tensor] = (-1, torch.empty(0), torch.empty(0))

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        start = self.position()
        for number in range(start, start + self.batches):
            yield self.batch(number)

    def batch(self, number: int) -> list[SampleIndex]:
        """Samples of this process in the batch with a number."""
        first = (number * self.world_size + self.rank) * self.batch_size
        return [self._sample(first + k) for k in range(self.batch_size)]

    def _sample(self, position: int) -> SampleIndex:
        source, number = self._source_at(position)
        images = self.components[source].images
        if images is None:
            return SampleIndex(source, number, 0)
        visit, index = divmod(number, images)
        if self._permutations[source][0] != visit:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + visit + source * _SOURCE_SEED_STRIDE)
            self._permutations[source] = (visit, torch.randperm(images, generator=generator))
        return SampleIndex(source, int(self._permutations[source][1][index]), visit)

    def _source_at(self, position: int) -> tuple[int, int]:
        """Source of the sample at a position, and the number of earlier samples of that source."""
        if len(self.components) == 1:
            return 0, position
        period, index = divmod(position, MIXTURE_PERIOD)
        if self._period[0] != period:
            sources = torch.repeat_interleave(torch.arange(len(self.components)), torch.tensor(self._counts))
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + period)
            sources = sources[torch.randperm(MIXTURE_PERIOD, generator=generator)]
            earlier = torch.nn.functional.one_hot(sources, len(self.components)).cumsum(0) - 1  # (period, sources)
            self._period = (period, sources, earlier.gather(1, sources[:, None])[:, 0])
        source = int(self._period[1][index])
        return source, period * self._counts[source] + int(self._period[2][index])


def samples_per_period(weights: Sequence[float]) -> list[int]:
    """Apportion :data:`MIXTURE_PERIOD` samples to weights by the largest-remainder method.

    Raises:
        ValueError: if a weight is too small to receive a sample.
    """
    exact = [MIXTURE_PERIOD * weight / sum(weights) for weight in weights]
    counts = [int(quota) for quota in exact]
    by_remainder = sorted(range(len(exact)), key=lambda k: counts[k] - exact[k])
    for k in by_remainder[: MIXTURE_PERIOD - sum(counts)]:
        counts[k] += 1
    if min(counts) < 1:
        raise ValueError(f"weights {list(weights)}: one is less than a thousandth of the sum; remove that data source")
    return counts
