"""Evaluation of a network on a data set, by category, with two baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lgnet_core.data.hand_pairs import predict_batch
from lgnet_core.evaluation.baselines import RandomHands, WristRelativeHands, mean_pose
from lgnet_core.evaluation.comparison import Comparison, compare, place_wrists
from lgnet_core.evaluation.datasets.base import CATEGORIES, EvaluationImages, LabelledImages, has_vertices_of
from lgnet_core.evaluation.scores import METRICS, HandScores, MetricKey, PredictionScores, ScoreSummary
from lgnet_core.network import HandsNetwork

ALL = "all"


@dataclass(frozen=True)
class MetricValues:
    """One metric of a category. NaN: no data, or not defined for the baseline."""

    value: float
    mean_pose: float
    nearest: float


def skill(value: float, baseline: float, perfect: float | None) -> float:
    r"""1 - error / baseline error, with error = \|value - perfect\|: 0 is as bad as the baseline, 1 is perfect.

    NaN where a value is missing or the baseline is perfect.
    """
    if perfect is None or baseline == perfect:
        return math.nan
    return 1 - abs(value - perfect) / abs(baseline - perfect)


@dataclass(frozen=True)
class CategoryResult:
    """Results on the images of a category.

    Args:
        images, hands, pairs: their numbers.
        weights, mean_pose, nearest: scores of the network and of the baselines.
    """

    images: int
    hands: int
    pairs: int
    weights: ScoreSummary
    mean_pose: ScoreSummary
    nearest: ScoreSummary

    def metrics(self) -> dict[MetricKey, MetricValues]:
        """All metrics, in the order of reports."""

        def baseline_value(baseline: ScoreSummary, key: MetricKey) -> float:
            return baseline.metrics.get(key, math.nan)

        order = {name: k for k, name in enumerate(METRICS)}
        keys = sorted(self.weights.metrics, key=lambda key: order[key.metric])
        return {
            key: MetricValues(
                self.weights.metrics[key], baseline_value(self.mean_pose, key), baseline_value(self.nearest, key)
            )
            for key in keys
        }


class Observer(Protocol):
    """Computes additional results during an evaluation."""

    def update(self, comparison: Comparison, read: LabelledImages) -> None:
        """Add a batch, on the network's device."""
        ...


def evaluate(
    network: HandsNetwork,
    images: EvaluationImages,
    size: int,
    count: int | None = None,
    batch_size: int = 32,
    console: Console | None = None,
    observers: Sequence[Observer] = (),
    workers: int = 0,
) -> dict[str, CategoryResult]:
    """Evaluate a network.

    Args:
        network: in eval mode, on the device where it runs.
        size: side of the input images, pixels. A network with one crop per hand gets crops of these around the true
            joints: its presence then only shows which of the present hands it recognises.
        count: evaluate only this many images, spread evenly over the data set.
        batch_size: images per batch.
        console: shows a progress bar; None: quiet.
        observers: updated with every batch, for additional results.
        workers: processes that load images; 0: load in this process.

    Vertices are compared only if data set and network have the same hand model: others have other vertices.

    Returns:
        Results by category, ``all`` first; those of a category without images are NaN.
    """
    device = next(network.parameters()).device
    hand_model = network.hand_model
    random_hands = RandomHands(hand_model)
    same_mesh_topology = has_vertices_of(images, hand_model)
    scores = {name: _CategoryScores(device) for name in (ALL, *(category.value for category in CATEGORIES))}
    batches = _BatchDataset(images, evenly_spaced(len(images), count).split(batch_size), size)
    loader: DataLoader[LabelledImages | None] = DataLoader(batches, batch_size=None, num_workers=workers)
    for read in track(loader, "evaluating", console=console or Console(quiet=True), transient=True):
        if read is None:
            continue
        batch, category, truth, *_ = read = read.to(device)
        if not same_mesh_topology:
            truth = truth._replace(vertices_known=torch.zeros_like(truth.vertices_known))
        with torch.inference_mode():
            prediction = predict_batch(network, batch, truth.joints_2d, truth.joints_known)
            comparison = compare(prediction, place_wrists(prediction, batch), batch, truth)
            mean_pose_comparison = compare(*mean_pose(hand_model, batch), batch, truth)
            nearest = random_hands.nearest(comparison.true_joints, comparison.joints_known)
            for observer in observers:
                observer.update(comparison, read)
            for k, category_scores in enumerate(scores.values()):
                selected = category == k - 1 if k else torch.ones_like(category, dtype=torch.bool)
                category_scores.update(
                    comparison.select(selected),
                    mean_pose_comparison.select(selected),
                    {name: hands.select(selected) for name, hands in nearest.items()},
                )
    return {name: category_scores.compute() for name, category_scores in scores.items()}


def evenly_spaced(length: int, count: int | None) -> Tensor:
    """(N,) indices of the evaluated images: all, or ``count`` spread evenly over ``length``."""
    if count is None or count >= length:
        return torch.arange(length)
    return torch.arange(count) * length // count


class _BatchDataset(Dataset["LabelledImages | None"]):
    """Batches by number, so that a DataLoader can prefetch them."""

    def __init__(self, images: EvaluationImages, indices: Sequence[Tensor], size: int) -> None:
        self.images, self.indices, self.size = images, indices, size

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, number: int) -> LabelledImages | None:
        if number >= len(self):
            raise IndexError(number)
        return self.images.read(self.indices[number], self.size)


class _CategoryScores:
    """Scores of one category during an evaluation."""

    def __init__(self, device: torch.device) -> None:
        self.images = self.hands = self.pairs = 0
        self.weights, self.mean_pose = PredictionScores(device), PredictionScores(device, uncertainty=False)
        self.nearest = HandScores(device)

    def update(self, comparison: Comparison, mean_pose: Comparison, nearest: Mapping[str, WristRelativeHands]) -> None:
        """Add images: the network's predictions and those of the baselines."""
        self.images += len(comparison.presence)
        self.hands += int(comparison.presence.sum())
        self.pairs += int(comparison.pairs.sum())
        self.weights.update(comparison)
        self.mean_pose.update(mean_pose)
        self.nearest.update(nearest, comparison)

    def compute(self) -> CategoryResult:
        """Results so far."""
        summaries = (self.weights.compute(), self.mean_pose.compute(), self.nearest.compute())
        return CategoryResult(self.images, self.hands, self.pairs, *summaries)
