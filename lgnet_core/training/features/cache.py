"""Cached features of a frozen landmark network for a stored set, so that the following stages train fast.

The feature maps at strides 4 and 16 are stored in half precision, some hundred kilobytes per hand; reading them takes a
fraction of the time needed to compute them. The crop of each hand is jittered once, so a training on cached features
always sees the same crop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import Dataset

from lgnet_core.data.hand_pairs import CropJitter, HandPairs, crop_hand_pairs, crop_images
from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.engines.base import Engine
from lgnet_core.engines.factory import make_engine
from lgnet_core.hand_model import HandLayer
from lgnet_core.io.disk import require_space
from lgnet_core.io.interruption import on_interruption
from lgnet_core.io.output import make_folder
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet
from lgnet_core.network.prediction import HAND_CROP_SIZE, HandLandmarks
from lgnet_core.synthetic.render.visibility import MIN_JOINTS
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.features.batch import FEATURE_MAPS, FeatureBatch, cache_digest, missing_pseudo_labels
from lgnet_core.training.features.negatives import MIRROR_PROBABILITY, mirror_crop, sample_background_crop
from lgnet_core.training.features.shards import GrowingShard, ShardReader, shard_length

_GEOMETRY = ("intrinsics", "frames", "given", "affine")
_NEGATIVES = ("negative", "negative_labels")
_BATCH_SIZE = 32


@torch.no_grad()
def feature_bytes(landmarker: HandLandmarkNet) -> int:
    """Bytes of the cached features of an image with two hands: its maps, and that of its hard negative."""
    output = landmarker(*landmarker.example_inputs())
    early, middle = (2 * output_map[0].numel() for output_map in (output.early, output.middle))
    return 2 * early + 3 * middle


def require_feature_space(landmarker: HandLandmarkNet, count: int, folder: Path) -> None:
    """Refuse to cache the features of ``count`` images if the disk has no room for them.

    Raises:
        InsufficientSpaceError: with the need and the remedy.
    """
    need = feature_bytes(landmarker) * count
    require_space(need, folder, f"the features of {count} images", "free some space, or use fewer images")


class FeatureSource(Protocol):
    """Random access to cached features: :class:`FeatureCache` or
    :class:`lgnet_core.training.features.teacher.TeacherCache`."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> FeatureBatch: ...


class FeatureCache:
    """Features of a stored set, one file per shard; missing shards are computed by the constructor,
    which resumes where an interrupted one stopped.

    Args:
        images: the stored set. The cache is a subfolder of it, one for each landmark network and jitter.
        landmarker: the frozen landmark network, on the CPU.
        hand_model: hand model of the labels.
        jitter: random perturbation of the crops; None for none.
        threads: CPU threads.
        progress: show a progress bar.
    """

    def __init__(
        self,
        images: StoredHands,
        landmarker: HandLandmarkNet,
        hand_model: HandLayer,
        jitter: CropJitter | None,
        threads: int | None = None,
        progress: bool = True,
    ) -> None:
        self.images, self.hand_model, self.jitter = images, hand_model, jitter
        self.folder = images.directory / f"features-{cache_digest(landmarker, repr(jitter))}"
        make_folder(self.folder)
        self._reader = ShardReader()
        # A set that has grown since has a longer last shard than its features.
        missing = [k for k in range(images.shard_count) if shard_length(self._path(k)) < len(self._samples(k))]
        if missing:
            require_feature_space(landmarker, sum(len(self._samples(k)) for k in missing), self.folder)
            engine = make_engine(landmarker, "auto", "cpu", threads)
            with on_interruption(self._describe_progress):
                for number in track(missing, "computing features", disable=not progress, transient=True):
                    self._write(number, engine)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> FeatureBatch:
        """Read one sample."""
        number, row = divmod(index, self.images.shard_size)
        shard = self._reader.open(self._path(number))

        def field(name: str) -> Tensor:
            return cast(Tensor, shard.get_slice(name)[row : row + 1])

        rows = field("rows")[0].tolist()  # of the right and the left hand; -1 for an absent hand

        def hands(name: str) -> Tensor:
            """Maps of both hands; an absent hand repeats the other one."""
            present = [hand_row if hand_row >= 0 else max(rows) for hand_row in rows]
            parts = [shard.get_slice(name)[max(hand_row, 0) : max(hand_row, 0) + 1] for hand_row in present]
            return torch.cat(parts)[None].float()

        maps = {name: hands(name) for name in FEATURE_MAPS}
        others = {name: field(name).float() for name in (*_GEOMETRY, *_NEGATIVES)}
        return FeatureBatch(self.images[index], **maps, **others, teacher=missing_pseudo_labels(1))

    def _path(self, number: int) -> Path:
        return self.folder / f"features_{number:05d}.safetensors"

    def _describe_progress(self) -> str:
        count = sum(shard_length(self._path(k), unfinished=True) for k in range(self.images.shard_count))
        return f"features of {count} of {len(self)} images are in {self.folder}; the same command computes the rest"

    def _samples(self, number: int) -> range:
        """Indices of the samples in a shard."""
        first = number * self.images.shard_size
        return range(first, min(first + self.images.shard_size, len(self.images)))

    def _write(self, number: int, engine: Engine[HandLandmarks]) -> None:
        """Compute a shard, or what is missing of it."""
        samples = self._samples(number)
        generator = torch.Generator().manual_seed(number)
        with GrowingShard(self._path(number)) as shard:
            if shard.state is not None:
                generator.set_state(shard.state)
            for start in range(shard.rows("given"), len(samples), _BATCH_SIZE):
                batch = concatenate([self.images[k] for k in samples[start : start + _BATCH_SIZE]])
                tensors = self._compute(batch, shard.rows(FEATURE_MAPS[0]), engine, generator)
                shard.append(tensors, generator.get_state())

    def _compute(
        self, batch: HandsBatch, hand_count: int, engine: Engine[HandLandmarks], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Rows of a shard.

        Args:
            hand_count: number of hands in the shard so far.
        """
        joints = batch.labels(self.hand_model).joints_2d
        pairs = crop_hand_pairs(batch, joints, self.jitter, generator)
        present = pairs.given.flatten() > 0
        rows = torch.where(present, present.cumsum(0) - 1 + hand_count, -1).view_as(pairs.given).int()
        tensors = {"rows": rows} | {name: getattr(pairs, name) for name in _GEOMETRY}
        if present.any():
            output = engine(pairs.images.flatten(0, 1)[present].numpy())
            tensors |= {name: torch.from_numpy(getattr(output, name)).half() for name in FEATURE_MAPS}
        affine, labels = _negative_crops(batch, joints, pairs, generator)
        output = engine(crop_images(batch.image, affine, torch.arange(len(batch))).numpy())
        return tensors | {"negative": torch.from_numpy(output.middle).half(), "negative_labels": labels}


class FeatureSubset(Dataset[FeatureBatch]):
    """A contiguous range of cached samples as a dataset of single samples.

    Args:
        source: the cache.
        first, count: the range.
    """

    def __init__(self, source: FeatureSource, first: int, count: int) -> None:
        self.source, self.first, self.count = source, first, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> FeatureBatch:
        return self.source.read(self.first + index)


def _negative_crops(
    batch: HandsBatch, joints_2d: Tensor, pairs: HandPairs, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One hard-negative crop per image (:mod:`lgnet_core.training.features.negatives`) and its labels.

    Shapes:
        joints_2d: (B, 2, 21, 2); returns (B, 2, 3) image pixels -> crop pixels, and (B, 2).
    """
    size = batch.image.shape[-1]
    visible = batch.visibility.sum(-1) >= MIN_JOINTS
    affines, labels = [], []
    for k, present in enumerate(batch.presence):
        sides = present.nonzero()[:, 0]
        background = None
        if not len(sides) or float(torch.rand(1, generator=generator)) >= MIRROR_PROBABILITY:
            crop_side = HAND_CROP_SIZE / float(torch.linalg.det(pairs.affine[k, 0, :, :2]).abs().sqrt())
            background = sample_background_crop(joints_2d[k, sides], crop_side, (size, size), generator)
        if background is not None:
            affines.append(background.to(pairs.affine.dtype))
            labels.append([0.0, torch.nan])
            continue
        side = int(sides[torch.randint(len(sides), (1,), generator=generator)]) if len(sides) else 0
        affines.append(mirror_crop(pairs.affine[k, side]))
        labels.append([1.0, 0.0] if present[side] and visible[k, side] else [torch.nan, torch.nan])
    return torch.stack(affines), torch.tensor(labels)
