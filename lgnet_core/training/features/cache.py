"""Features of a frozen landmark network, computed once for a stored set, so that the stages after it train fast.

Stored are the maps at strides 4 and 16, some hundred kilobytes a hand in half precision; reading them takes a fraction
of the time that the network takes to compute them. Each hand's crop is moved at random once: a training on cached
features sees it in that place only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

import torch
from rich.progress import track
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import Dataset

from lgnet_core.data.hand_pairs import CropJitter, HandPairs, cut, cut_pairs
from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.engines.factory import make_engine
from lgnet_core.hand_model import HandModel
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE, HandLandmarkNet, HandLandmarks
from lgnet_core.synthetic.render.visibility import MIN_JOINTS
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.feature_shards import MAPS, FeatureBatch, maps_digest, no_teacher
from lgnet_core.training.negatives import MIRRORED, draw_place, mirror

_GEOMETRY = ("intrinsics", "frames", "given", "affine")
_NEGATIVES = ("negative", "negative_labels")
_BATCH = 32


class FeatureCache:
    """Features of a stored set in a folder of their own, one file a shard; what is missing is computed at the start.

    Args:
        images: the set. folder: made below it for each landmark network and jitter.
        landmarker: frozen, on the CPU. hand_model: of the labels.
        jitter: of the crops; None: as the joints put them.
        threads: of the CPU. progress: show a bar.
    """

    def __init__(
        self,
        images: StoredHands,
        landmarker: HandLandmarkNet,
        hand_model: HandModel,
        jitter: CropJitter | None,
        threads: int | None = None,
        progress: bool = True,
    ) -> None:
        self.images, self.hand_model, self.jitter = images, hand_model, jitter
        self.folder = images.directory / f"features-{maps_digest(landmarker, repr(jitter))}"
        self.folder.mkdir(exist_ok=True)
        self._open: dict[int, Any] = {}
        # A set may have grown since: its last shard is then longer than that of the features.
        missing = [k for k in range(images.shards) if _shard_length(self._path(k)) < len(self._samples(k))]
        if missing:
            engine = make_engine(landmarker, "auto", "cpu", threads)
            for number in track(missing, "computing features", disable=not progress, transient=True):
                self._write(number, engine)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> FeatureBatch:
        """One sample."""
        number, place = divmod(index, self.images.shard_size)
        if number not in self._open:
            self._open[number] = safe_open(self._path(number), "pt")
        shard = self._open[number]

        def field(name: str) -> Tensor:
            return cast(Tensor, shard.get_slice(name)[place : place + 1])

        rows = field("rows")[0].tolist()  # of right and left, -1 for none

        def hands(name: str) -> Tensor:
            own = [row if row >= 0 else max(rows) for row in rows]
            parts = [shard.get_slice(name)[max(row, 0) : max(row, 0) + 1] for row in own]
            return torch.cat(parts)[None].float()

        maps = {name: hands(name) for name in MAPS}
        others = {name: field(name).float() for name in (*_GEOMETRY, *_NEGATIVES)}
        return FeatureBatch(self.images[index], **maps, **others, teacher=no_teacher(1))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def _path(self, number: int) -> Path:
        return self.folder / f"features_{number:05d}.safetensors"

    def _samples(self, number: int) -> range:
        """Of a shard."""
        first = number * self.images.shard_size
        return range(first, min(first + self.images.shard_size, len(self.images)))

    def _write(self, number: int, engine: Any) -> None:
        samples = self._samples(number)
        random = torch.Generator().manual_seed(number)
        found: dict[str, list[Tensor]] = {name: [] for name in (*MAPS, *_GEOMETRY, *_NEGATIVES, "rows")}
        hands = 0
        for start in range(0, len(samples), _BATCH):
            batch = concatenate([self.images[k] for k in samples[start : start + _BATCH]])
            joints = batch.labels(self.hand_model).joints_2d
            pairs = cut_pairs(batch, joints, self.jitter, random)
            given = pairs.given.flatten() > 0
            rows = torch.where(given, given.cumsum(0) - 1 + hands, -1).view_as(pairs.given).int()
            hands += int(given.sum())
            if given.any():
                seen: HandLandmarks = engine(pairs.images.flatten(0, 1)[given].numpy())
                for name in MAPS:
                    found[name].append(getattr(seen, name).half())
            for name in _GEOMETRY:
                found[name].append(getattr(pairs, name))
            affine, labels = _negatives(batch, joints, pairs, random)
            seen = engine(cut(batch.image, affine, torch.arange(len(batch))).numpy())
            found["negative"].append(seen.middle.half())
            found["negative_labels"].append(labels)
            found["rows"].append(rows)
        path = self._path(number)
        partial = path.with_suffix(".partial")
        save_file({name: torch.cat(parts).contiguous() for name, parts in found.items()}, partial)
        partial.rename(path)


class Samples(Protocol):
    """A cache: of :class:`FeatureCache`, or :class:`lgnet_core.training.teacher.TeacherCache`."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> FeatureBatch: ...


class CachedFeatures(Dataset[FeatureBatch]):
    """A stretch of a cache as a data set of single samples.

    Args:
        first, count: which samples.
    """

    def __init__(self, cache: Samples, first: int, count: int) -> None:
        self.cache, self.first, self.count = cache, first, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> FeatureBatch:
        return self.cache.read(self.first + index)


def _negatives(
    batch: HandsBatch, joints_2d: Tensor, pairs: HandPairs, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One more crop of each image, :mod:`lgnet_core.training.negatives`, and what it shows.

    Shapes:
        joints_2d: (B, 2, 21, 2); returns (B, 2, 3) pixels of the image -> pixels of the crop, (B, 2).
    """
    size = batch.image.shape[-1]
    shown = batch.visibility.sum(-1) >= MIN_JOINTS
    affines, labels = [], []
    for k, present in enumerate(batch.presence):
        sides = present.nonzero()[:, 0]
        place = None
        if not len(sides) or float(torch.rand(1, generator=generator)) >= MIRRORED:
            extent = HAND_CROP_SIZE / float(torch.linalg.det(pairs.affine[k, 0, :, :2]).abs().sqrt())
            place = draw_place(joints_2d[k, sides], extent, (size, size), generator)
        if place is not None:
            affines.append(place.to(pairs.affine.dtype))
            labels.append([0.0, torch.nan])
            continue
        side = int(sides[torch.randint(len(sides), (1,), generator=generator)]) if len(sides) else 0
        affines.append(mirror(pairs.affine[k, side]))
        labels.append([1.0, 0.0] if present[side] and shown[k, side] else [torch.nan, torch.nan])
    return torch.stack(affines), torch.tensor(labels)


def _shard_length(path: Path) -> int:
    """Samples in a shard of features, 0 if it is not there."""
    if not path.exists():
        return 0
    with safe_open(path, "pt") as shard:
        return int(shard.get_slice("given").get_shape()[0])
