"""Frozen held-out benchmark set of synthetic crops, bundled with the package.

2,000 crops of the split :attr:`~lgnet_core.synthetic.splits.Split.HELD_OUT`, generated once and stored as 256 x 256
WebP images with all labels, so that results stay comparable when the generator changes. The metadata of the file
record the seed, the index range and the generator version.

The images show the bundled hand before generator 7, whose fingers were up to 2.9 mm thinner. Its skeleton is the same
to 0.04 mm, and the labels are poses and shapes: joints and meshes are those of the bundled hand in these poses.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import roma
import torch
from torch import Tensor

from lgnet_core.data.augmentation import resize
from lgnet_core.data.sample import HandsBatch
from lgnet_core.hand_model import HandLayer, load_hand_model
from lgnet_core.io.evaluation_data import locate_evaluation_data
from lgnet_core.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.synthetic.splits import Split

BUNDLED_SET = Path(str(files("lgnet_core") / "assets" / "held_out.npz"))
HELD_OUT_IMAGE_SIZE = 256
_QUALITY = 85  # of WebP, comparable to the JPEG of a camera
_ENCODED = {
    "image": (".webp", [cv2.IMWRITE_WEBP_QUALITY, _QUALITY]),
    "segmentation": (".png", [cv2.IMWRITE_PNG_COMPRESSION, 9]),
}
_BATCH_SIZE = 32
_SLIMMER_HAND = "1929a1da97007be2b59d1178c44a223dd95be8ea761e5f09e337f4b9dfcde63f"
"""Digest of the bundled hand before generator 7."""


class HeldOutHands:
    """Reader of the frozen set.

    Args:
        hand_model: hand model in use; must be the one that the labels were generated with, or the bundled one instead
            of its predecessor.
        path: npz file of the set.

    Attributes:
        kind: (N,) :class:`~lgnet_core.synthetic.scene.interactions.SceneKind` of each image.
        metadata: ``name``, ``seed``, ``first_index``, ``count``, ``generator_version``, ``hand_model``,
            ``hand_model_digest``, and ``digest``, the file's SHA-256.

    Raises:
        FileNotFoundError: if the package was installed without evaluation data.
        ValueError: if the labels were generated with another hand model.
    """

    def __init__(self, hand_model: HandLayer, path: Path = BUNDLED_SET) -> None:
        with np.load(locate_evaluation_data(path), allow_pickle=False) as stored:
            self._arrays = {name: stored[name] for name in stored.files}
        self.metadata: dict[str, Any] = json.loads(str(self._arrays.pop("metadata")))
        self.metadata["digest"] = hashlib.sha256(path.read_bytes()).hexdigest()
        rendered = self.metadata["hand_model_digest"]
        accepted = {rendered, load_hand_model().digest} if rendered == _SLIMMER_HAND else {rendered}
        if hand_model.digest not in accepted:
            raise ValueError(
                f"{path}: labels were generated with the hand model {self.metadata['hand_model']!r}, but "
                f"{hand_model.name!r} is loaded, whose joints and meshes differ; evaluate weights of the bundled hand "
                "model, or evaluate on a set written by `lgnet synth --hand-model`"
            )
        self.kind = torch.from_numpy(self._arrays.pop("kind")).long()
        rotations = roma.rotvec_to_rotmat(torch.from_numpy(self._arrays.pop("rotations")).double()).float()
        labels = {
            name: torch.from_numpy(self._arrays.pop(name)) for name in list(self._arrays) if not _is_encoded(name)
        }
        self._labels = {**labels, "rotations": rotations}

    def __len__(self) -> int:
        return len(self.kind)

    def batch(self, indices: Tensor, size: int = HELD_OUT_IMAGE_SIZE) -> HandsBatch:
        """Read images with their labels.

        Args:
            indices: (B,) int64 indices into the set. size: side of the returned images, pixels.
        """
        images = torch.stack([self._decode("image", int(k)).flip(-1).permute(2, 0, 1) for k in indices])
        segmentation = torch.stack([self._decode("segmentation", int(k)) for k in indices])
        labels = {name: values[indices] for name, values in self._labels.items()}
        batch = HandsBatch(image=images.contiguous(), segmentation=segmentation, **labels)
        return batch if size == HELD_OUT_IMAGE_SIZE else resize(batch, size)

    def _decode(self, name: str, index: int) -> Tensor:
        start, end = self._arrays[f"{name}_ends"][[index, index + 1]]
        return torch.from_numpy(cv2.imdecode(self._arrays[f"{name}_codes"][start:end], cv2.IMREAD_UNCHANGED))


def write_held_out(path: Path, hand_model: HandLayer, name: str, seed: int, count: int) -> None:
    """Generate a held-out set and write it as npz.

    Raises:
        FileExistsError: if the file exists: a frozen set is never overwritten.
    """
    if path.exists():
        raise FileExistsError(f"{path}: frozen sets are never overwritten; choose another file name")
    generator = SyntheticHands(seed, hand_model, split=Split.HELD_OUT)
    arrays: dict[str, list[Any]] = {}
    for indices in torch.arange(count).split(_BATCH_SIZE):
        batch = generator.crops(indices, HELD_OUT_IMAGE_SIZE)
        arrays.setdefault("kind", []).append(generator.scene_kinds(indices).to(torch.uint8).numpy())
        for field in fields(HandsBatch):
            arrays.setdefault(field.name, []).append(_encode_field(field.name, getattr(batch, field.name)))
    concatenate = {key: np.concatenate(parts) for key, parts in arrays.items() if key not in _ENCODED}
    for key in _ENCODED:
        codes = [code for part in arrays[key] for code in part]
        concatenate[f"{key}_codes"] = np.concatenate(codes)
        concatenate[f"{key}_ends"] = np.cumsum([0, *map(len, codes)])
    metadata = {
        "name": name,
        "seed": seed,
        "first_index": 0,
        "count": count,
        "generator_version": GENERATOR_VERSION,
        "hand_model": hand_model.name,
        "hand_model_digest": hand_model.digest,
    }
    members: dict[str, Any] = {
        "metadata": np.array(json.dumps(metadata)),
        **concatenate,
    }  # NumPy 1 accepts arrays only
    np.savez_compressed(path, **members)


def _encode_field(name: str, values: Tensor) -> Any:
    """Stored representation of a field: encoded images, rotations as rotation vectors, everything else unchanged."""
    if name in _ENCODED:
        extension, options = _ENCODED[name]
        arrays = values.permute(0, 2, 3, 1).flip(-1) if name == "image" else values
        return [cv2.imencode(extension, array.numpy(), options)[1] for array in arrays.contiguous()]
    if name == "rotations":
        return roma.rotmat_to_rotvec(values.double()).float().numpy()
    return values.numpy()


def _is_encoded(name: str) -> bool:
    return name.endswith(("_codes", "_ends"))
