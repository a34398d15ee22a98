"""Data sources of a training: generated, stored and annotated images, and cached features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console
from torch.utils.data import Dataset

from lgnet_core.data.annotated_images import LoadedCrops
from lgnet_core.data.annotated_set import AnnotatedSet
from lgnet_core.data.augmentation import MIN_JOINTS_INSIDE, Augmentation, augment, draw_affines, resize
from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.hand_model import HandLayer
from lgnet_core.io.files import InputError
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.features.batch import FeatureBatch, concatenate_features
from lgnet_core.training.features.cache import FeatureSource, FeatureSubset
from lgnet_core.training.sampling import SampleIndex
from lgnet_core.training.train_config import FREIHAND, TrainConfig
from lgnet_core.types import FloatArray

_MAX_REPLACEMENTS = 200  # consecutive images that are tried in place of an unreadable one
_GENERATOR_BATCH_SIZE = 32


class Source(Protocol):
    """A set of labelled images."""

    @property
    def length(self) -> int | None:
        """Number of training images; None for an endless source."""
        ...

    def read(self, samples: Sequence[SampleIndex]) -> HandsBatch | FeatureBatch:
        """Read a batch of training images at the network's input size."""
        ...

    def held_out(self, count: int) -> Dataset[Any]:
        """Dataset of single images that are never used for training."""
        ...

    def skipped(self) -> dict[str, int]:
        """Number of unusable images so far, by reason."""
        ...


class GeneratedSource:
    """Synthetic images, generated on demand on the generator's device; endless, without repetition.

    Args:
        size: side of the crops, pixels.
    """

    length = None

    def __init__(self, generator: SyntheticHands, size: int) -> None:
        self.generator, self.size = generator, size

    def read(self, samples: Sequence[SampleIndex]) -> HandsBatch:
        return self.generator.crops(torch.tensor([sample.image for sample in samples]), self.size)

    def held_out(self, count: int) -> Dataset[HandsBatch]:
        training = self.generator
        generator = SyntheticHands(training.seed + 1, training.hand_model, training.device)
        chunks = torch.arange(count).split(_GENERATOR_BATCH_SIZE)
        batches = [generator.crops(indices, self.size).to("cpu") for indices in chunks]
        samples = [batch[k : k + 1] for batch in batches for k in range(len(batch))]
        return _SampleDataset(count, samples.__getitem__)

    def skipped(self) -> dict[str, int]:
        return {}


class StoredSource:
    """A stored set of ``lgnet synth``; its last images are held out.

    Args:
        validation: number of images held out.
        geometric: geometric augmentation applied when images are read; None for none.
    """

    def __init__(
        self,
        directory: Path,
        hand_model: HandLayer,
        size: int,
        validation: int,
        geometric: Augmentation | None,
        seed: int,
    ) -> None:
        self.set, self.hand_model = StoredHands(directory, hand_model), hand_model
        self.size, self.geometric, self.seed = size, geometric, seed
        self.length = training_length(str(directory), len(self.set), validation)

    def read(self, samples: Sequence[SampleIndex]) -> HandsBatch:
        batch = resize(concatenate([self.set[sample.image] for sample in samples]), self.size)
        if self.geometric is None:
            return batch
        return augment(batch, _sample_generator(self.seed, samples[0]), self.hand_model, self.geometric)

    def held_out(self, count: int) -> Dataset[HandsBatch]:
        first = len(self.set) - count
        return _SampleDataset(count, lambda index: resize(self.set[first + index], self.size))

    def skipped(self) -> dict[str, int]:
        return {}


class CachedFeatureSource:
    """Cached features of a frozen landmark network; the last samples are held out.

    Args:
        name: name of the data, for messages.
        cache: cached features of the training crops.
        validation: number of samples held out.
    """

    def __init__(self, name: str, cache: FeatureSource, validation: int) -> None:
        self.cache = cache
        self.length = training_length(name, len(cache), validation)

    def read(self, samples: Sequence[SampleIndex]) -> FeatureBatch:
        return concatenate_features([self.cache.read(sample.image) for sample in samples])

    def held_out(self, count: int) -> Dataset[Any]:
        return FeatureSubset(self.cache, len(self.cache) - count, count)

    def skipped(self) -> dict[str, int]:
        return {}


class AnnotatedSource:
    """Annotated photographs for training, and others, evenly spaced over a set of their own, as held-out images.

    Geometric augmentation is applied when a crop is extracted, so that it shows the surroundings in the full image
    instead of black borders. An unreadable image is replaced by its next readable neighbour to keep the batch size.

    Args:
        name: of the data set, for messages. training, held_out: its images.
        size: side of the crops, pixels. geometric: geometric augmentation of the crops; None for none.
    """

    def __init__(
        self,
        name: str,
        training: AnnotatedSet | ImagePart,
        held_out: AnnotatedSet | ImagePart,
        size: int,
        geometric: Augmentation | None,
        seed: int,
    ) -> None:
        self.name, self.set, self._val = name, training, held_out
        self.length = len(training)
        self.size, self.geometric, self.seed = size, geometric, seed

    def read(self, samples: Sequence[SampleIndex]) -> HandsBatch:
        affines = None
        if self.geometric is not None:
            parts = [draw_affines(1, _sample_generator(self.seed, s), self.geometric, self.size) for s in samples]
            affines = torch.cat(parts).double().numpy()
        loaded = self.set.read([sample.image for sample in samples], self.size, affines)
        batches = [] if loaded is None else [loaded.batch]
        for _ in range(len(samples) - sum(len(batch) for batch in batches)):
            batches.append(self._replacement(samples[0].image))
        batch = concatenate(batches)
        inside = batch.visibility.sum(-1) >= MIN_JOINTS_INSIDE
        return batch.replace(presence=batch.presence & inside)

    def held_out(self, count: int) -> Dataset[HandsBatch]:
        count = min(count, len(self._val))
        loaded = self._val.read([k * len(self._val) // count for k in range(count)], self.size)
        if loaded is None:
            raise InputError(f"{self.name}: no held-out image is readable ({self._val.skipped()}); check --root")
        batch = loaded.batch
        return _SampleDataset(len(batch), lambda index: batch[index : index + 1])

    def skipped(self) -> dict[str, int]:
        return self.set.skipped()

    def _replacement(self, image: int) -> HandsBatch:
        for offset in range(1, _MAX_REPLACEMENTS + 1):
            loaded = self.set.read([(image + offset) % len(self.set)], self.size)
            if loaded is not None:
                return loaded.batch
        raise InputError(
            f"{self.name}: {_MAX_REPLACEMENTS} consecutive images are unreadable ({self.set.skipped()}); check --root"
        )


class ImagePart:
    """Some images of an annotated set. Args: indices: of these images."""

    def __init__(self, images: AnnotatedSet, indices: FloatArray) -> None:
        self.images, self.indices = images, indices

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: Sequence[int], size: int, crop_affines: FloatArray | None = None) -> LoadedCrops | None:
        return self.images.read(self.indices[list(indices)].tolist(), size, crop_affines)

    def skipped(self) -> dict[str, int]:
        return self.images.skipped()


def open_annotated(
    name: str, config: TrainConfig, hand_model: HandLayer, validation: int, geometric: Augmentation | None
) -> AnnotatedSource:
    """Open one of :data:`lgnet_core.training.train_config.ANNOTATED`.

    InterHand2.6M has a split of its own for validation. Of FreiHAND, whose evaluation images are for tests only, the
    last ``validation`` training samples are held out, in all versions.

    Raises:
        ValueError: if root or MANO are missing, or the data set is not there or too small.
    """
    if config.root is None:
        raise ValueError(f"--data {name}: give the folder of the dataset with --root")
    if config.hand_model is None:
        raise ValueError(
            f"--data {name}: its labels are MANO fits; give your MANO model with --hand-model DIR "
            "(see lgnet mano convert)"
        )
    if name == FREIHAND:
        from lgnet_core.data.freihand import FreiHAND

        images = FreiHAND(config.root, "train", hand_model)
        sample = np.arange(len(images)) % images.num_samples
        trained = sample < training_length(name, images.num_samples, validation)
        training = ImagePart(images, np.flatnonzero(trained))
        held_out = ImagePart(images, np.flatnonzero(~trained)[:validation])  # in their first version
        return AnnotatedSource(name, training, held_out, config.size, geometric, config.seed)

    from lgnet_core.data.interhand26m import AnnotationSet, InterHand26M, SplitFiles, Subset

    console = Console(stderr=True) if config.progress else None  # building the index takes a minute
    # The val split has machine annotations only, so it is used whole even if the training is restricted to H.
    train, val = (
        InterHand26M(
            SplitFiles.from_root(config.root, split),
            annotation,
            Subset(config.subset),
            hand_model,
            fitted_only=True,
            console=console,
        )
        for split, annotation in (("train", AnnotationSet(config.annotation)), ("val", AnnotationSet.ALL))
    )
    return AnnotatedSource(name, train, val, config.size, geometric, config.seed)


class _SampleDataset(Dataset[HandsBatch]):
    """Dataset of single samples, each produced by a function of its index."""

    def __init__(self, length: int, read: Callable[[int], HandsBatch]) -> None:
        self.length, self.read = length, read

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> HandsBatch:
        return self.read(index)


def training_length(name: str, count: int, validation: int) -> int:
    """Number of images that remain for training."""
    if validation >= count:
        raise ValueError(
            f"{name}: --validation {validation} holds out all of its {count} images; reduce it, or store more images"
        )
    return count - validation


def _sample_generator(seed: int, sample: SampleIndex) -> torch.Generator:
    """Random generator that depends only on the seed and the sample."""
    mixed = (seed * 1_000_003 + sample.visit) * 1_000_000_007 + sample.image * 31 + sample.source
    return torch.Generator().manual_seed(mixed % 2**63)
