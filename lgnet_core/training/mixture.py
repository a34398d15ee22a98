"""Weighted mixture of data sources, and its dataset and collation for a DataLoader."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch.utils.data import ConcatDataset, Dataset

from lgnet_core.data.augmentation import Augmentation
from lgnet_core.data.hand_pairs import CropJitter
from lgnet_core.data.realhands import read_index
from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.hand_model import HandLayer
from lgnet_core.network import HandLGNet
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.features.batch import FeatureBatch, concatenate_features
from lgnet_core.training.features.cache import FeatureCache, FeatureSource
from lgnet_core.training.features.teacher_cache import VARIANTS, TeacherCache
from lgnet_core.training.sampling import MixtureComponent, SampleIndex
from lgnet_core.training.sources import (
    CachedFeatureSource,
    GeneratedSource,
    Source,
    StoredSource,
    open_annotated,
    training_length,
)
from lgnet_core.training.train_config import ANNOTATED, REALHANDS, SYNTHETIC, TrainConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataMixture:
    """Data sources with sampling weights.

    Args:
        augmentation: the part of the augmentation that the training step applies; None for none.
    """

    sources: tuple[Source, ...]
    weights: tuple[float, ...]
    augmentation: Augmentation | None

    @property
    def components(self) -> list[MixtureComponent]:
        """Sizes and weights for :class:`lgnet_core.training.sampling.StepSampler`."""
        return [MixtureComponent(source.length, weight) for source, weight in zip(self.sources, self.weights)]

    @property
    def finite(self) -> bool:
        """Whether no source is endless. Only finite sources can be read by worker processes and have epochs."""
        return all(source.length is not None for source in self.sources)

    def held_out(self, count: int) -> Dataset[HandsBatch]:
        """Held-out images of each source in proportion to its weight, at least one."""
        counts = [max(1, round(count * weight / sum(self.weights))) for weight in self.weights]
        return ConcatDataset([source.held_out(part) for source, part in zip(self.sources, counts)])

    def skipped(self) -> dict[str, int]:
        """Number of unusable images so far in all sources, by reason."""
        total: dict[str, int] = {}
        for source in self.sources:
            for reason, count in source.skipped().items():
                total[reason] = total.get(reason, 0) + count
        return total


class MixtureDataset(Dataset["HandsBatch | FeatureBatch"]):
    """Map-style dataset of all sources, indexed by :class:`SampleIndex`; use it with :func:`collate`."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources

    def __getitem__(self, sample: SampleIndex) -> HandsBatch | FeatureBatch:
        return self.sources[sample.source].read([sample])

    def __getitems__(self, samples: list[SampleIndex]) -> list[HandsBatch | FeatureBatch]:
        by_source = [[sample for sample in samples if sample.source == k] for k in range(len(self.sources))]
        return [source.read(part) for source, part in zip(self.sources, by_source) if part]


def collate(samples: Sequence[Any]) -> Any:
    """Concatenate batches of images or of features."""
    return (concatenate_features if isinstance(samples[0], FeatureBatch) else concatenate)(samples)


def open_mixture(
    config: TrainConfig,
    hand_model: HandLayer,
    device: str,
    augmentation: Augmentation | None,
    frozen: HandLGNet | None = None,
) -> DataMixture:
    """Open the data sources of a configuration.

    If annotated photographs are among them, geometric augmentation is applied by the sources (generated images are
    varied already), and only mirroring and photometric augmentation remain for the training step; otherwise the
    training step applies all of it.

    Args:
        device: device on which images are generated.
        frozen: network with a frozen landmark network, whose cached features replace the images of stored sets.

    Raises:
        ValueError: if a source does not exist or its labels belong to another hand model.
    """
    components = config.components()
    reader_model = copy.deepcopy(hand_model)  # the network's moves to its device; images are read on the CPU
    geometric = None
    has_annotated = any(name in ANNOTATED for name, _ in components)
    if has_annotated and augmentation is not None and augmentation.is_geometric:
        geometric = replace(augmentation, flip=0.0, background=0.0, photometry=None)
        augmentation = replace(augmentation, rotation=0.0, scale=0.0, shift=0.0)
    sources: list[Source] = []
    for name, weight in components:
        validation = validation_share(config, weight)
        if name == SYNTHETIC:
            sources.append(GeneratedSource(SyntheticHands(config.seed, hand_model, device), config.size))
        elif name in ANNOTATED:
            sources.append(open_annotated(name, config, reader_model, validation, geometric))
        elif frozen is not None:
            sources.append(CachedFeatureSource(name, _open_features(name, config, frozen, reader_model), validation))
        else:
            sources.append(StoredSource(Path(name), reader_model, config.size, validation, geometric, config.seed))
    mixture = DataMixture(tuple(sources), tuple(weight for _, weight in components), augmentation)
    if config.workers and not mixture.finite:
        log.warning(
            "workers are ignored: images are generated in the training process; store a set with lgnet synth instead"
        )
    return mixture


def check_stored_sets(config: TrainConfig, hand_model: HandLayer) -> None:
    """Check that the stored sets and real images of a configuration exist, fit, and have some left for training.

    Raises:
        ValueError: as :func:`open_mixture`.
    """
    for name, weight in config.components():
        if name == REALHANDS and config.root is not None:  # at most: images without confident labels are left out
            training_length(name, VARIANTS * len(read_index(config.root, "train")), validation_share(config, weight))
        elif name not in (SYNTHETIC, *ANNOTATED, REALHANDS):
            training_length(name, len(StoredHands(Path(name), hand_model)), validation_share(config, weight))


def validation_share(config: TrainConfig, weight: float) -> int:
    """Number of held-out images of a source with this weight."""
    return max(1, round(config.validation * weight / sum(weight for _, weight in config.components())))


def _open_features(name: str, config: TrainConfig, frozen: HandLGNet, hand_model: HandLayer) -> FeatureSource:
    """Cached features of a stored set or of real images."""
    threads = config.threads or None
    if name != REALHANDS:
        jitter = CropJitter() if config.augment else None
        images = StoredHands(Path(name), hand_model)
        return FeatureCache(images, frozen.landmarker, hand_model, jitter, threads, config.progress)
    if config.root is None:
        raise ValueError(f"--data {REALHANDS}: give the folder of the images with --root")
    stored = [name for name, _ in config.components() if name not in (SYNTHETIC, *ANNOTATED, REALHANDS)]
    if not stored:
        raise ValueError(
            f"--data {REALHANDS}: add a set of `lgnet synth`, whose hands are pasted over the real ones (copy-paste "
            "augmentation)"
        )
    rendered = StoredHands(Path(stored[0]), hand_model)
    return TeacherCache(
        config.root, config.out, frozen.landmarker, rendered, config.size, threads=threads, progress=config.progress
    )
