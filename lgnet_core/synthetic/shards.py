"""Shards of a stored set: compressed images and their labels in one safetensors file, read by index.

Images are JPEGs without chroma subsampling and segmentations are PNGs; each kind is one tensor of concatenated files
beside their lengths, so that any image of a memory-mapped shard is read alone. All other tensors are fields of
:class:`~lgnet_core.data.sample.HandsBatch`. The depth of the hands is not stored: it follows from their meshes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from lgnet_core.data.sample import HandsBatch
from lgnet_core.io.output import replacing

JPEG_QUALITY = 95
"""49 dB on generated images, below their own noise; a shard takes a thirteenth of the space of raw pixels."""
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]  # fmt: skip
_FILES = {"image": (".jpg", _JPEG), "segmentation": (".png", [])}
"""Fields that are stored as image files: suffix, and parameters of the encoder."""
_FIELDS = tuple(f.name for f in fields(HandsBatch))

EncodedBatch = Mapping[str, Tensor]
"""Tensors of a shard; those of consecutive shards can be concatenated."""


def encode_batch(batch: HandsBatch) -> EncodedBatch:
    """Compress a batch on the CPU."""
    tensors = {name: getattr(batch, name) for name in _FIELDS if name not in _FILES}
    images = {"image": batch.image.flip(1).permute(0, 2, 3, 1), "segmentation": batch.segmentation}  # BGR for OpenCV
    for name, pixels in images.items():
        files = [cv2.imencode(_FILES[name][0], image, _FILES[name][1])[1] for image in pixels.contiguous().numpy()]
        tensors[f"{name}_data"] = torch.from_numpy(np.concatenate(files))
        tensors[f"{name}_length"] = torch.tensor([len(file) for file in files])
    return tensors


def write_shard(path: Path, parts: Sequence[EncodedBatch]) -> EncodedBatch:
    """Write encoded batches as one shard; returns them as one."""
    whole = {name: torch.cat([part[name] for part in parts]).contiguous() for name in parts[0]}
    with replacing(path) as partial:  # so that a shard under its final name is always complete
        save_file(whole, partial)
    return whole


def read_encoded(path: Path) -> EncodedBatch:
    """The tensors of a shard, in memory: the file may be replaced."""
    with safe_open(path, "pt") as shard:
        return {name: shard.get_tensor(name).clone() for name in shard.keys()}  # noqa: SIM118 (not a dict)


def shard_length(path: Path) -> int:
    """Number of images in a shard, 0 if it does not exist."""
    if not path.exists():
        return 0
    with safe_open(path, "pt") as shard:
        return int(shard.get_slice("image_length").get_shape()[0])


class Shard:
    """A memory-mapped shard.

    Args:
        path: of the file, which stays open.
    """

    def __init__(self, path: Path) -> None:
        self._file: Any = safe_open(path, "pt")
        lengths = {name: self._file.get_tensor(f"{name}_length") for name in _FILES}
        self._ends = {name: length.cumsum(0).tolist() for name, length in lengths.items()}

    def __len__(self) -> int:
        return len(self._ends["image"])

    def read(self, start: int, stop: int) -> HandsBatch:
        """Images ``start`` to ``stop`` - 1."""
        rows = range(start, stop)
        decoded = {
            "image": torch.stack([self._decode("image", k) for k in rows]).permute(0, 3, 1, 2).flip(1).contiguous(),
            "segmentation": torch.stack([self._decode("segmentation", k) for k in rows]),
        }
        stored = {name: self._file.get_slice(name)[start:stop] for name in _FIELDS if name not in decoded}
        return HandsBatch(**decoded, **stored)

    def _decode(self, name: str, index: int) -> Tensor:
        """Pixels as OpenCV decodes them: (H, W, 3) BGR, or (H, W)."""
        ends = self._ends[name]
        first = ends[index - 1] if index else 0
        data = self._file.get_slice(f"{name}_data")[first : ends[index]]
        pixels = cv2.imdecode(data.numpy(), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ValueError(f"image {index} of a shard: its {name} cannot be decoded; generate the shard again")
        return torch.from_numpy(pixels)
