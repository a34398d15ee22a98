"""What a training learns from: images that are generated, stored or annotated, each set with its weight."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console
from torch.utils.data import ConcatDataset, Dataset

from lgnet_core.data.augmentation import MIN_JOINTS_INSIDE, Augmentation, augment, draw_affines, resize
from lgnet_core.data.hand_pairs import CropJitter
from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.hand_model import HandModel
from lgnet_core.io.images import InputError
from lgnet_core.network import HandLGNet
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.feature_shards import FeatureBatch, concatenate_features
from lgnet_core.training.features import CachedFeatures, FeatureCache, Samples
from lgnet_core.training.sampling import MixtureComponent, SampleIndex
from lgnet_core.training.teacher import TeacherCache
from lgnet_core.training.train_config import INTERHAND26M, REALHANDS, SYNTHETIC, TrainConfig

log = logging.getLogger(__name__)

_STAND_INS = 200  # images that are tried in place of one that cannot be read


class Source(Protocol):
    """A set of labelled images to train on."""

    @property
    def length(self) -> int | None:
        """How many there are; None: endless."""
        ...

    def read(self, draws: Sequence[SampleIndex]) -> HandsBatch | FeatureBatch:
        """The images of some draws, of the size that the network sees."""
        ...

    def held_out(self, count: int) -> Dataset[Any]:
        """Images that training never draws, one by one."""
        ...

    def skipped(self) -> dict[str, int]:
        """What could not be used so far, by reason."""
        ...


class Generated:
    """Synthetic images, made when they are asked for, on the generator's device: endless, each seen once.

    Args:
        size: side of the crops, pixels.
    """

    length = None

    def __init__(self, generator: SyntheticHands, size: int) -> None:
        self.generator, self.size = generator, size

    def read(self, draws: Sequence[SampleIndex]) -> HandsBatch:
        return self.generator.crops(torch.tensor([draw.image for draw in draws]), self.size)

    def held_out(self, count: int) -> Dataset[HandsBatch]:
        mine = self.generator
        other = SyntheticHands(mine.seed + 1, mine.hand_model, mine.device)
        batches = [other.crops(part, self.size).to("cpu") for part in torch.arange(count).split(32)]
        samples = [batch[k : k + 1] for batch in batches for k in range(len(batch))]
        return _Singles(count, samples.__getitem__)

    def skipped(self) -> dict[str, int]:
        return {}


class Stored:
    """A folder that ``lgnet synth`` wrote; its last images are held out.

    Args:
        moves: turns, scales and shifts the crops as they are read; None: they stay.
    """

    def __init__(
        self, directory: Path, hand_model: HandModel, size: int, validation: int, moves: Augmentation | None, seed: int
    ) -> None:
        self.set, self.hand_model, self.size, self.moves, self.seed = (
            StoredHands(directory, hand_model), hand_model, size, moves, seed
        )  # fmt: skip
        self.length = _not_held_back(str(directory), len(self.set), validation)

    def read(self, draws: Sequence[SampleIndex]) -> HandsBatch:
        batch = resize(concatenate([self.set[draw.image] for draw in draws]), self.size)
        if self.moves is None:
            return batch
        return augment(batch, _generator(self.seed, draws[0]), self.hand_model, self.moves)

    def held_out(self, count: int) -> Dataset[HandsBatch]:
        first = len(self.set) - count
        return _Singles(count, lambda index: resize(self.set[first + index], self.size))

    def skipped(self) -> dict[str, int]:
        return {}


class StoredFeatures:
    """Features by a frozen landmark network, of a stored set or of real images; the last samples are held out.

    Args:
        name: of the set. cache: of the training's crops. validation: how many samples are held out.
    """

    def __init__(self, name: str, cache: Samples, validation: int) -> None:
        self.cache = cache
        self.length = _not_held_back(name, len(cache), validation)

    def read(self, draws: Sequence[SampleIndex]) -> FeatureBatch:
        return concatenate_features([self.cache.read(draw.image) for draw in draws])

    def held_out(self, count: int) -> Dataset[Any]:
        return CachedFeatures(self.cache, len(self.cache) - count, count)

    def skipped(self) -> dict[str, int]:
        return {}


class Annotated:
    """InterHand2.6M's train split; its val split is held out, spread evenly.

    Crops are turned, scaled and shifted as they are cut, so that they show what their images show around them. In
    place of an image that cannot be read its next neighbour that can be is shown: batches keep their size.

    Args:
        moves: how crops are moved; None: they stay.
    """

    def __init__(self, config: TrainConfig, hand_model: HandModel, moves: Augmentation | None) -> None:
        from lgnet_core.data.interhand26m import AnnotationSet, InterHand26M, Sources, Subset

        if config.root is None:
            raise ValueError("--data interhand26m: say with --root where the data set is")
        if config.hand_model is None:
            raise ValueError(
                "--data interhand26m: its labels are fits of MANO; give your MANO with --hand-model DIR "
                "(lgnet mano convert)"
            )
        console = Console(stderr=True) if config.progress else None  # an index that has to be made takes a minute
        chosen = (AnnotationSet(config.annotation), Subset(config.subset), hand_model)
        self.set = InterHand26M(Sources.of_split(config.root, "train"), *chosen, fitted_only=True, console=console)
        # Val is machine-annotated only: whoever trains on H is judged on it all the same.
        val = (AnnotationSet.ALL, Subset(config.subset), hand_model)
        self._val = InterHand26M(Sources.of_split(config.root, "val"), *val, fitted_only=True, console=console)
        self.length = len(self.set)
        self.size, self.moves, self.seed = config.size, moves, config.seed

    def read(self, draws: Sequence[SampleIndex]) -> HandsBatch:
        moves = None
        if self.moves is not None:
            drawn = [draw_affines(1, _generator(self.seed, draw), self.moves, self.size) for draw in draws]
            moves = torch.cat(drawn).double().numpy()
        read = self.set.read([draw.image for draw in draws], self.size, moves)
        batches = [] if read is None else [read.batch]
        for _ in range(len(draws) - (0 if read is None else len(read.places))):
            batches.append(self._stand_in(draws[0].image))
        batch = concatenate(batches)
        inside = batch.visibility.sum(-1) >= MIN_JOINTS_INSIDE
        return batch.replace(presence=batch.presence & inside)

    def held_out(self, count: int) -> Dataset[HandsBatch]:
        count = min(count, len(self._val))
        read = self._val.read([k * len(self._val) // count for k in range(count)], self.size)
        if read is None:
            raise InputError(f"InterHand2.6M: no image of val could be read ({self._val.skipped()}); check --root")
        batch = read.batch
        return _Singles(len(batch), lambda index: batch[index : index + 1])

    def skipped(self) -> dict[str, int]:
        return self.set.skipped()

    def _stand_in(self, image: int) -> HandsBatch:
        for step in range(1, _STAND_INS + 1):
            read = self.set.read([(image + step) % len(self.set)], self.size)
            if read is not None:
                return read.batch
        raise InputError(
            f"InterHand2.6M: {_STAND_INS} images in a row cannot be read ({self.set.skipped()}); check --root"
        )


class _Singles(Dataset[HandsBatch]):
    """Single samples, made one by one."""

    def __init__(self, length: int, make: Callable[[int], HandsBatch]) -> None:
        self.length, self.make = length, make

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> HandsBatch:
        return self.make(index)


@dataclass(frozen=True)
class DataMixture:
    """The sets of a training with their weights, and what of the augmentation is left to the trainer."""

    sources: tuple[Source, ...]
    weights: tuple[float, ...]
    augmentation: Augmentation | None

    @property
    def shares(self) -> list[MixtureComponent]:
        """For :class:`lgnet_core.training.sampling.StepSampler`."""
        return [MixtureComponent(source.length, weight) for source, weight in zip(self.sources, self.weights)]

    @property
    def finite(self) -> bool:
        """Whether nothing is generated: what can be read by other processes, and passed through whole."""
        return all(source.length is not None for source in self.sources)

    def held_out(self, count: int) -> Dataset[HandsBatch]:
        """Images held out of each set, by weight, at least one."""
        parts = [max(1, round(count * weight / sum(self.weights))) for weight in self.weights]
        return ConcatDataset([s.held_out(part) for s, part in zip(self.sources, parts)])

    def skipped(self) -> dict[str, int]:
        """What could not be used so far, by reason, of all sets."""
        total: dict[str, int] = {}
        for source in self.sources:
            for reason, count in source.skipped().items():
                total[reason] = total.get(reason, 0) + count
        return total


class DrawnImages(Dataset["HandsBatch | FeatureBatch"]):
    """The sets behind one number: draws in, batches out; :func:`collate` joins them."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources

    def __getitem__(self, draw: SampleIndex) -> HandsBatch | FeatureBatch:
        return self.sources[draw.source].read([draw])

    def __getitems__(self, draws: list[SampleIndex]) -> list[HandsBatch | FeatureBatch]:
        by_source = [[draw for draw in draws if draw.source == k] for k in range(len(self.sources))]
        return [source.read(part) for source, part in zip(self.sources, by_source) if part]


def collate(samples: Sequence[Any]) -> Any:
    """One batch out of several, of images or of features."""
    return (concatenate_features if isinstance(samples[0], FeatureBatch) else concatenate)(samples)


def open_mixture(
    config: TrainConfig,
    hand_model: HandModel,
    device: str,
    augmentation: Augmentation | None,
    frozen: HandLGNet | None = None,
) -> DataMixture:
    """Open the sets that a configuration names.

    Where an annotated set is among them, crops are moved as they are cut or read (generated ones come varied from where
    they are made), and mirrors and colours alone are left to the trainer; else the trainer moves them too.

    Args:
        device: where images are generated.
        frozen: a network whose landmark network stays as it is: of stored sets its features are read, not the images.

    Raises:
        ValueError: if a set is not there, or its labels are not of the hand model.
    """
    parts = config.parts()
    read_with = copy.deepcopy(hand_model)  # the network's goes to its device, images are read on the CPU
    annotated = any(name == INTERHAND26M for name, _ in parts)
    moves = None
    if annotated and augmentation is not None and augmentation.moves:
        moves = replace(augmentation, flip=0.0, background=0.0, photometry=None)
        augmentation = replace(augmentation, rotation=0.0, scale=0.0, shift=0.0)
    sources: list[Source] = []
    for name, weight in parts:
        if name == SYNTHETIC:
            sources.append(Generated(SyntheticHands(config.seed, hand_model, device), config.size))
        elif name == INTERHAND26M:
            sources.append(Annotated(config, read_with, moves))
        else:
            held = max(1, round(config.validation * weight / sum(weight for _, weight in parts)))
            if frozen is not None and name == REALHANDS:
                cache: Samples = _teacher_cache(config, frozen, read_with)
                sources.append(StoredFeatures(name, cache, held))
                continue
            if frozen is not None:
                images = StoredHands(Path(name), read_with)
                jitter = CropJitter() if config.augment else None
                threads = config.threads or None
                cache = FeatureCache(images, frozen.landmarker, read_with, jitter, threads, config.progress)
                sources.append(StoredFeatures(name, cache, held))
                continue
            sources.append(Stored(Path(name), read_with, config.size, held, moves, config.seed))
    supply = DataMixture(tuple(sources), tuple(weight for _, weight in parts), augmentation)
    if config.workers and not supply.finite:
        log.warning("generated images come from the training process: workers are not used; store a set (lgnet synth)")
    return supply


def _teacher_cache(config: TrainConfig, frozen: HandLGNet, hand_model: HandModel) -> TeacherCache:
    """Real images with the frozen landmark network as their teacher, hands of the first stored set pasted over them."""
    if config.root is None:
        raise ValueError(f"--data {REALHANDS}: say with --root where its folder is")
    stored = [name for name, _ in config.parts() if name not in (SYNTHETIC, INTERHAND26M, REALHANDS)]
    if not stored:
        raise ValueError(f"--data {REALHANDS}: name a set of `lgnet synth` too, whose hands are pasted over real ones")
    rendered = StoredHands(Path(stored[0]), hand_model)
    threads = config.threads or None
    return TeacherCache(
        config.root, config.out, frozen.landmarker, rendered, config.size, threads=threads, progress=config.progress
    )


def _not_held_back(name: str, count: int, validation: int) -> int:
    """How many images of a set are left to train on."""
    if validation >= count:
        raise ValueError(
            f"{name}: {count} images, of which --validation {validation} holds all back; hold back fewer, or store more"
        )
    return count - validation


def _generator(seed: int, draw: SampleIndex) -> torch.Generator:
    """Randomness that depends on nothing but the draw."""
    mixed = (seed * 1_000_003 + draw.visit) * 1_000_000_007 + draw.image * 31 + draw.source
    return torch.Generator().manual_seed(mixed % 2**63)
