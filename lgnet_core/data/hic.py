"""HIC, "Hands in Action" (Tzionas et al., IJCV 2016), with the MANO meshes and the index that InterWild uses.

For testing only.

::

    ROOT/HIC.json                                                   images and annotations, COCO-like
    ROOT/{sequence}/.../*.png                                       640 x 480, one camera for all
    ROOT/IJCV16___Results_MANO___parms_for___joints21/.../*.ply     meshes, camera frame, metres

The set has neither model parameters nor joints: joints are regressed from the meshes with MANO's regressor.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.annotated_images import (
    HAND_TYPES,
    HANDS_OF_TYPE,
    NO_MESH,
    ImageFaults,
    ImageLabels,
    LoadedCrops,
    crop_with_labels,
)
from lgnet_core.data.sample import HandsGroundTruth
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import HandLayer
from lgnet_core.hand_model.asset import NUM_VERTICES
from lgnet_core.io.files import InputError
from lgnet_core.io.meshes import read_ply_vertices
from lgnet_core.types import FloatArray, ImageArray, Side

INTRINSICS = np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]])
IMAGE_SIZE = (640, 480)


class _Row(NamedTuple):
    """An image and its meshes; paths relative to the root."""

    name: str
    hand_type: int
    meshes: tuple[str | None, str | None]
    sequence: int
    frame: int


class HIC:
    """HIC's annotated images, ordered by name. Hands without a mesh are present, but their geometry is unknown.

    Args:
        root: the folder of ``HIC.json``, or its parent (with ``data/``).
        mano: the user's MANO (``lgnet mano convert``), whose regressor derives joints from the meshes.

    Attributes:
        faults: images that proved unusable when they were read.

    Raises:
        InputError: if ``HIC.json`` is missing or invalid.
    """

    def __init__(self, root: str | Path, mano: HandLayer) -> None:
        self.root = Path(root)
        if not (self.root / "HIC.json").is_file() and (self.root / "data" / "HIC.json").is_file():
            self.root = self.root / "data"
        self.mano = mano
        self.skipped_rows: Counter[str] = Counter()
        self._rows = self._read_rows(self.root / "HIC.json")
        self.faults = ImageFaults(len(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def skipped(self) -> dict[str, int]:
        """Number of unusable rows and images by reason."""
        return {**self.skipped_rows, **self.faults.counts()}

    def hand_type(self, indices: Sequence[int]) -> FloatArray:
        """(B,) of ``HAND_TYPES``."""
        return np.array([self._rows[index].hand_type for index in indices])

    def sequence_and_frame(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Sequence number and frame number of each image; both (B,) int64."""
        rows = [self._rows[index] for index in indices]
        return torch.tensor([row.sequence for row in rows]), torch.tensor([row.frame for row in rows])

    def read(self, indices: Sequence[int], size: int) -> LoadedCrops | None:
        """Load crops around the projected meshes with their labels; see
        :meth:`lgnet_core.data.interhand26m.InterHand26M.read`.
        """
        loaded = {int(index): (self._image(int(index)), self._meshes(int(index))) for index in indices}
        usable = [index for index, (image, meshes) in loaded.items() if image is not None and meshes is not None]
        if not usable:
            return None
        images, meshes = zip(*(loaded[index] for index in usable))
        batch, truth = crop_with_labels(images, self._labels(usable, torch.stack(meshes)), size)
        return LoadedCrops(usable, batch, truth)

    def _labels(self, indices: list[int], vertices: Tensor) -> ImageLabels:
        known = torch.isfinite(vertices).all(-1).all(-1)  # (B, 2)
        vertices = torch.where(known[..., None, None], vertices, 1.0)
        joints = self.mano.joints_from_vertices(vertices)
        joints_known = known[..., None].expand(joints.shape[:-1])
        intrinsics = torch.from_numpy(INTRINSICS).float().expand(len(indices), 3, 3)
        pixels = project(vertices, intrinsics[:, None]).numpy()
        boxes = [[*p[k].min((0, 1)), *p[k].max((0, 1))] for p, k in zip(pixels, known.numpy())]
        not_measured = torch.zeros_like(joints_known)
        truth = HandsGroundTruth(joints, joints_known, joints[..., :2], vertices, known, joints, not_measured)
        presence = torch.from_numpy(HANDS_OF_TYPE[self.hand_type(indices)])
        identity = torch.eye(3).expand(len(indices), 2, 16, 3, 3)
        return ImageLabels(intrinsics, np.array(boxes), presence, identity, torch.zeros(len(indices), 2, 10), truth)

    def _image(self, index: int) -> ImageArray | None:
        return self.faults.read(index, self.root / self._rows[index].name, *IMAGE_SIZE)

    def _meshes(self, index: int) -> Tensor | None:
        """(2, 778, 3) metres, NaN for a hand without a mesh; None if the image has no mesh."""
        if self.faults.is_faulty(index):
            return None
        vertices = np.full((2, NUM_VERTICES, 3), np.nan, np.float32)
        for side in Side:
            name = self._rows[index].meshes[side]
            try:
                mesh = read_ply_vertices(self.root / name) if name is not None else None
            except InputError:
                mesh = None
            if mesh is not None and mesh.shape == vertices.shape[1:]:
                vertices[side] = mesh
        if np.isnan(vertices).any((1, 2)).all():
            self.faults.mark(index, NO_MESH)
            return None
        return torch.from_numpy(vertices)

    def _read_rows(self, path: Path) -> list[_Row]:
        try:
            content = json.loads(path.read_text())
            images = {image["id"]: image for image in content["images"]}
            annotations = content["annotations"]
        except FileNotFoundError:
            raise InputError(f"HIC: {path} not found; --root must be the folder that contains HIC.json") from None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: truncated, or not an index of HIC ({error}); download it again") from error
        sequences: dict[str, int] = {}
        rows = [row for annotation in annotations if (row := self._row(annotation, images, sequences)) is not None]
        return sorted(rows, key=lambda row: row.name)

    def _row(self, annotation: dict[str, Any], images: dict[Any, Any], sequences: dict[str, int]) -> _Row | None:
        try:
            name = str(images[annotation["image_id"]]["file_name"])
            hand_type = HAND_TYPES.index(annotation["hand_type"])
            present = HANDS_OF_TYPE[hand_type]
            paths = [annotation[f"{side.label}_mano_path"] if present[side] else None for side in Side]
        except (KeyError, TypeError, ValueError):
            self.skipped_rows["annotation lacks a key"] += 1
            return None
        sequence = sequences.setdefault(str(Path(name).parent), len(sequences))
        number = "".join(filter(str.isdigit, Path(name).stem)) or "0"
        return _Row(name, hand_type, (paths[Side.RIGHT], paths[Side.LEFT]), sequence, int(number))
