"""The frozen held-out set: the images by which this project's weights are compared.

2,000 crops of :attr:`~lgnet_core.synthetic.reserved.Part.HELD_OUT`, drawn once and stored with the package as they
are, so that they stay when the generator changes: WebP images of 256 x 256 and every label. They were drawn from one
seed, a run of indices and one version of the generator, which the file names.
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
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.synthetic.reserved import Part

BUNDLED_SET = Path(str(files("lgnet_core") / "assets" / "held_out.npz"))
SIZE = 256
_QUALITY = 85  # of WebP: what a camera's JPEG is like
_ENCODED = {
    "image": (".webp", [cv2.IMWRITE_WEBP_QUALITY, _QUALITY]),
    "segmentation": (".png", [cv2.IMWRITE_PNG_COMPRESSION, 9]),
}
_DRAWN_TOGETHER = 32


class HeldOutHands:
    """The frozen set.

    Args:
        hand_model: the one in use, which must be the one the labels were made with.
        path: of the set.

    Attributes:
        kind: (N,) :class:`~lgnet_core.synthetic.scene.interactions.Kind` of each image.
        metadata: ``name``, ``seed``, ``first_index``, ``count``, ``generator_version``, ``hand_model``,
            ``hand_model_digest``, and ``digest``, the file's SHA-256.

    Raises:
        ValueError: if the labels were made with another hand model.
    """

    def __init__(self, hand_model: HandModel, path: Path = BUNDLED_SET) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self._arrays = {name: stored[name] for name in stored.files}
        self.metadata: dict[str, Any] = json.loads(str(self._arrays.pop("metadata")))
        self.metadata["digest"] = hashlib.sha256(path.read_bytes()).hexdigest()
        if self.metadata["hand_model_digest"] != hand_model.digest:
            raise ValueError(
                f"{path}: its labels are of the hand model {self.metadata['hand_model']!r}, but "
                f"{hand_model.name!r} is in use, whose joints and meshes differ; "
                "evaluate weights of the bundled hand, or on a set that `lgnet synth --hand-model` wrote"
            )
        self.kind = torch.from_numpy(self._arrays.pop("kind")).long()
        rotations = roma.rotvec_to_rotmat(torch.from_numpy(self._arrays.pop("rotations")).double()).float()
        labels = {name: torch.from_numpy(self._arrays.pop(name)) for name in list(self._arrays) if not _is_code(name)}
        self._labels = {**labels, "rotations": rotations}

    def __len__(self) -> int:
        return len(self.kind)

    def batch(self, indices: Tensor, size: int = SIZE) -> HandsBatch:
        """Some of the images with their labels.

        Args:
            indices: (B,) int64 places in the set. size: side of the images, pixels.
        """
        images = torch.stack([self._decode("image", int(k)).flip(-1).permute(2, 0, 1) for k in indices])
        segmentation = torch.stack([self._decode("segmentation", int(k)) for k in indices])
        labels = {name: values[indices] for name, values in self._labels.items()}
        batch = HandsBatch(image=images.contiguous(), segmentation=segmentation, **labels)
        return batch if size == SIZE else resize(batch, size)

    def _decode(self, name: str, index: int) -> Tensor:
        start, end = self._arrays[f"{name}_ends"][[index, index + 1]]
        return torch.from_numpy(cv2.imdecode(self._arrays[f"{name}_codes"][start:end], cv2.IMREAD_UNCHANGED))


def write_held_out(path: Path, hand_model: HandModel, name: str, seed: int, count: int) -> None:
    """Draw a held-out set and store it.

    Raises:
        FileExistsError: if there is one: a frozen set is never written anew.
    """
    if path.exists():
        raise FileExistsError(f"{path}: a frozen set stays as it is; write another one beside it")
    generator = SyntheticHands(seed, hand_model, part=Part.HELD_OUT)
    arrays: dict[str, list[Any]] = {}
    for indices in torch.arange(count).split(_DRAWN_TOGETHER):
        batch = generator.crops(indices, SIZE)
        arrays.setdefault("kind", []).append(generator.kinds(indices).to(torch.uint8).numpy())
        for field in fields(HandsBatch):
            arrays.setdefault(field.name, []).append(_stored(field.name, getattr(batch, field.name)))
    joined = {key: np.concatenate(parts) for key, parts in arrays.items() if key not in _ENCODED}
    for key in _ENCODED:
        codes = [code for part in arrays[key] for code in part]
        joined[f"{key}_codes"] = np.concatenate(codes)
        joined[f"{key}_ends"] = np.cumsum([0, *map(len, codes)])
    about = {
        "name": name,
        "seed": seed,
        "first_index": 0,
        "count": count,
        "generator_version": GENERATOR_VERSION,
        "hand_model": hand_model.name,
        "hand_model_digest": hand_model.digest,
    }
    named: dict[str, Any] = {"metadata": np.array(json.dumps(about)), **joined}  # NumPy 1 takes arrays alone
    np.savez_compressed(path, **named)


def _stored(name: str, values: Tensor) -> Any:
    """As a field is kept: images as a list of codes, rotations as rotation vectors, all else as it is."""
    if name in _ENCODED:
        extension, options = _ENCODED[name]
        arrays = values.permute(0, 2, 3, 1).flip(-1) if name == "image" else values
        return [cv2.imencode(extension, array.numpy(), options)[1] for array in arrays.contiguous()]
    if name == "rotations":
        return roma.rotmat_to_rotvec(values.double()).float().numpy()
    return values.numpy()


def _is_code(name: str) -> bool:
    return name.endswith(("_codes", "_ends"))
