"""HIC, "Hands in Action" (Tzionas et al., IJCV 2016), with the MANO meshes and the index that InterWild uses.

For testing only.

::

    ROOT/HIC.json                                                   images and annotations, COCO-like
    ROOT/{sequence}/.../*.png                                       640 x 480, one camera for all
    ROOT/IJCV16___Results_MANO___parms_for___joints21/.../*.ply     meshes, camera frame, metres

There are no parameters and no joints: joints are those of the meshes, so that MANO's regressor is needed.
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

from lgnet_core.data.real_images import (
    HAND_TYPES,
    HANDS_OF_TYPE,
    NO_MESH,
    FaultyImages,
    FullLabels,
    ReadImages,
    cut,
)
from lgnet_core.data.sample import HandsTruth
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.asset import NUM_VERTICES
from lgnet_core.io.images import InputError
from lgnet_core.io.meshes import read_ply_vertices
from lgnet_core.types import FloatArray, Side

INTRINSICS = np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]])
SIZE = (640, 480)


class _Row(NamedTuple):
    """An image and its meshes, paths below the root."""

    name: str
    hand_type: int
    meshes: tuple[str | None, str | None]
    film: int
    frame: int


class HIC:
    """HIC's annotated images, ordered by name. Hands without a mesh are there, but nothing is known of them.

    Args:
        root: the folder of ``HIC.json``, or the one above it (``data/``).
        mano: the user's MANO (``lgnet mano convert``), whose regressor makes joints of the meshes.

    Attributes:
        faults: images that turned out to be of no use while they were read.

    Raises:
        InputError: if ``HIC.json`` is missing or no such file.
    """

    def __init__(self, root: str | Path, mano: HandModel) -> None:
        self.root = Path(root)
        if not (self.root / "HIC.json").is_file() and (self.root / "data" / "HIC.json").is_file():
            self.root = self.root / "data"
        self.mano = mano
        self.left_out: Counter[str] = Counter()
        self._rows = self._read_rows(self.root / "HIC.json")
        self.faults = FaultyImages(len(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def skipped(self) -> dict[str, int]:
        """What could not be used, by reason."""
        return {**self.left_out, **self.faults.counts()}

    def hand_type(self, places: Sequence[int]) -> FloatArray:
        """(B,) of ``HAND_TYPES``."""
        return np.array([self._rows[place].hand_type for place in places])

    def moments(self, places: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Number of the film and of the frame of each image; both (B,) int64."""
        rows = [self._rows[place] for place in places]
        return torch.tensor([row.film for row in rows]), torch.tensor([row.frame for row in rows])

    def read(self, places: Sequence[int], size: int) -> ReadImages | None:
        """Crops around the projected meshes with their labels; see
        :meth:`lgnet_core.data.interhand26m.InterHand26M.read`.
        """
        found = {int(place): (self._image(int(place)), self._meshes(int(place))) for place in places}
        kept = [place for place, (image, meshes) in found.items() if image is not None and meshes is not None]
        if not kept:
            return None
        images, meshes = zip(*(found[place] for place in kept))
        batch, truth = cut(images, self._labels(kept, torch.stack(meshes)), size)
        return ReadImages(kept, batch, truth)

    def _labels(self, places: list[int], vertices: Tensor) -> FullLabels:
        known = torch.isfinite(vertices).all(-1).all(-1)  # (B, 2)
        vertices = torch.where(known[..., None, None], vertices, 1.0)
        joints = self.mano.joints_from_vertices(vertices)
        joints_known = known[..., None].expand(joints.shape[:-1])
        intrinsics = torch.from_numpy(INTRINSICS).float().expand(len(places), 3, 3)
        pixels = project(vertices, intrinsics[:, None]).numpy()
        boxes = [[*p[k].min((0, 1)), *p[k].max((0, 1))] for p, k in zip(pixels, known.numpy())]
        none = torch.zeros_like(joints_known)
        truth = HandsTruth(joints, joints_known, joints[..., :2], vertices, known, joints, none)
        presence = torch.from_numpy(HANDS_OF_TYPE[self.hand_type(places)])
        turns = torch.eye(3).expand(len(places), 2, 16, 3, 3)
        return FullLabels(intrinsics, np.array(boxes), presence, turns, torch.zeros(len(places), 2, 10), truth)

    def _image(self, place: int) -> FloatArray | None:
        return self.faults.read(place, self.root / self._rows[place].name, *SIZE)

    def _meshes(self, place: int) -> Tensor | None:
        """(2, 778, 3) metres, NaN for a hand without a mesh; None if there is none at all."""
        if self.faults.is_faulty(place):
            return None
        vertices = np.full((2, NUM_VERTICES, 3), np.nan, np.float32)
        for side in Side:
            name = self._rows[place].meshes[side]
            try:
                mesh = read_ply_vertices(self.root / name) if name is not None else None
            except InputError:
                mesh = None
            if mesh is not None and mesh.shape == vertices.shape[1:]:
                vertices[side] = mesh
        if np.isnan(vertices).any((1, 2)).all():
            self.faults.mark(place, NO_MESH)
            return None
        return torch.from_numpy(vertices)

    def _read_rows(self, path: Path) -> list[_Row]:
        try:
            content = json.loads(path.read_text())
            images = {image["id"]: image for image in content["images"]}
            notes = content["annotations"]
        except FileNotFoundError:
            raise InputError(f"HIC: {path} is not there; --root is the folder that holds HIC.json") from None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: is cut short or no index of HIC ({error}); download it again") from error
        films: dict[str, int] = {}
        rows = [row for note in notes if (row := self._row(note, images, films)) is not None]
        return sorted(rows, key=lambda row: row.name)

    def _row(self, note: dict[str, Any], images: dict[Any, Any], films: dict[str, int]) -> _Row | None:
        try:
            name = str(images[note["image_id"]]["file_name"])
            hand_type = HAND_TYPES.index(note["hand_type"])
            shown = HANDS_OF_TYPE[hand_type]
            paths = [note[f"{side.label}_mano_path"] if shown[side] else None for side in Side]
        except (KeyError, TypeError, ValueError):
            self.left_out["row lacks a key"] += 1
            return None
        film = films.setdefault(str(Path(name).parent), len(films))
        number = "".join(filter(str.isdigit, Path(name).stem)) or "0"
        return _Row(name, hand_type, (paths[Side.RIGHT], paths[Side.LEFT]), film, int(number))
