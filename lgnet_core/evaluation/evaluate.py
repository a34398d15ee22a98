"""A network judged on a set of images, each category apart and all together, beside both baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lgnet_core.data.hand_pairs import predict_batch
from lgnet_core.evaluation.baselines import RandomHands, mean_pose
from lgnet_core.evaluation.comparison import Comparison, compare, place
from lgnet_core.evaluation.image_sets import CATEGORIES, Images, Labelled
from lgnet_core.evaluation.scores import FIGURES, HandScores, Key, Scored, Scores
from lgnet_core.network import HandsNetwork

ALL = "all"


@dataclass(frozen=True)
class Figure:
    """One figure of a category. NaN: nothing was there to be measured, or the baseline has no such figure."""

    value: float
    mean_pose: float
    nearest: float


def skill(value: float, baseline: float, perfect: float | None) -> float:
    r"""1 - error / error of the baseline, error = \|value - perfect\|: 0 is as bad as the baseline, 1 without fault.

    NaN where one of them is missing or the baseline is without fault.
    """
    if perfect is None or baseline == perfect:
        return math.nan
    return 1 - abs(value - perfect) / abs(baseline - perfect)


@dataclass(frozen=True)
class CategoryResult:
    """What was measured on the images of a category.

    Args:
        images, hands, pairs: how many were there.
        weights, mean_pose, nearest: scores of the network, and of the baselines.
    """

    images: int
    hands: int
    pairs: int
    weights: Scored
    mean_pose: Scored
    nearest: Scored

    def figures(self) -> dict[Key, Figure]:
        """All figures, in the order of reports."""

        def of(baseline: Scored, key: Key) -> float:
            return baseline.figures.get(key, math.nan)

        order = {name: k for k, name in enumerate(FIGURES)}
        keys = sorted(self.weights.figures, key=lambda key: order[key.figure])
        return {key: Figure(self.weights.figures[key], of(self.mean_pose, key), of(self.nearest, key)) for key in keys}


class Observer(Protocol):
    """What measures something of its own in an evaluation."""

    def update(self, outcome: Comparison, read: Labelled) -> None:
        """Add a batch, on the network's device."""
        ...


def evaluate(
    network: HandsNetwork,
    images: Images,
    size: int,
    count: int | None = None,
    batch_size: int = 32,
    console: Console | None = None,
    observers: Sequence[Observer] = (),
    workers: int = 0,
) -> dict[str, CategoryResult]:
    """Judge a network.

    Args:
        network: in eval mode, on the device where it is to run.
        size: side of the images that it is given, pixels. A network of one crop per hand is given crops of these, cut
            around the true joints: of presence it then says only which of the hands that are there it sees.
        count: evaluate this many images only, spread evenly over the set.
        batch_size: images at a time.
        console: shows a progress bar; None: quiet.
        observers: are shown every batch, for figures of their own.
        workers: processes that read images; 0: this one does.

    Surfaces are compared only if they are of the network's hand model: others have other vertices.

    Returns:
        Results by category, ``all`` first; a category without images has none but NaN.
    """
    device = next(network.parameters()).device
    hand_model = network.hand_model
    random_hands = RandomHands(hand_model)
    same_surfaces = images.hand_model.digest == hand_model.digest
    parts = {name: _Part(device) for name in (ALL, *(category.value for category in CATEGORIES))}
    batches = _Batches(images, chosen(len(images), count).split(batch_size), size)
    loader: DataLoader[Labelled | None] = DataLoader(batches, batch_size=None, num_workers=workers)
    for read in track(loader, "evaluating", console=console or Console(quiet=True), transient=True):
        if read is None:
            continue
        batch, category, truth, *_ = read = read.to(device)
        if not same_surfaces:
            truth = truth._replace(surfaces=torch.zeros_like(truth.surfaces))
        with torch.inference_mode():
            prediction = predict_batch(network, batch, truth.joints_2d, truth.joints_known)
            outcome = compare(prediction, place(prediction, batch), batch, truth)
            blind = compare(*mean_pose(hand_model, batch), batch, truth)
            nearest = random_hands.nearest(outcome.true_joints, outcome.known)
            for observer in observers:
                observer.update(outcome, read)
            for k, part in enumerate(parts.values()):
                some = category == k - 1 if k else torch.ones_like(category, dtype=torch.bool)
                part.hands += int(outcome.hands[some].sum())
                part.pairs += int(outcome.pairs[some].sum())
                part.images += int(some.sum())
                part.weights.update(outcome.select(some))
                part.mean_pose.update(blind.select(some))
                part.nearest.update({name: guess.select(some) for name, guess in nearest.items()}, outcome.select(some))
    return {name: part.result() for name, part in parts.items()}


def chosen(length: int, count: int | None) -> Tensor:
    """(N,) places of the images that are evaluated: all, or ``count`` spread evenly over a set of ``length``."""
    if count is None or count >= length:
        return torch.arange(length)
    return torch.arange(count) * length // count


class _Batches(Dataset["Labelled | None"]):
    """Batches of a set by number, for processes that read ahead."""

    def __init__(self, images: Images, indices: Sequence[Tensor], size: int) -> None:
        self.images, self.indices, self.size = images, indices, size

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, number: int) -> Labelled | None:
        if number >= len(self):
            raise IndexError(number)
        return self.images.read(self.indices[number], self.size)


class _Part:
    """Scores of one category while they are gathered."""

    def __init__(self, device: torch.device) -> None:
        self.images = self.hands = self.pairs = 0
        self.weights, self.mean_pose = Scores(device), Scores(device, uncertainty=False)
        self.nearest = HandScores(device)

    def result(self) -> CategoryResult:
        scored = (self.weights.compute(), self.mean_pose.compute(), self.nearest.compute())
        return CategoryResult(self.images, self.hands, self.pairs, *scored)
