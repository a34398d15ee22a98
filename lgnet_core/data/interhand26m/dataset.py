"""InterHand2.6M's images as crops with every label, in one split, annotation set and subset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from lgnet_core.data.interhand26m.geometry import fits_to_camera, to_camera
from lgnet_core.data.interhand26m.index import open_index
from lgnet_core.data.interhand26m.layout import DARKEST, AnnotationSet, Sources, Subset
from lgnet_core.data.real_images import (
    HANDS_OF_TYPE,
    INTERACTING,
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
from lgnet_core.types import FloatArray


class InterHand26M:
    """One set of annotated images, ordered by capture, sequence, camera and frame.

    With ``mano`` the fits give rotations, shape, mesh and joints, and crops are cut around the meshes (LGNet's rule).
    Without, the measured joints are all there is, and crops are cut around the annotated boxes (InterNet's rule).

    Args:
        sources: files of a split, see :meth:`Sources.of_split`.
        annotation, subset: which of its images.
        mano: the user's MANO (``lgnet mano convert``); None: it is not at hand.
        fitted_only: leave images out that show a hand without a fit: what a training needs.
        cache: file of the index; None: in the user's cache.
        console: shows the progress of making the index.

    Attributes:
        index: of all images of the split. rows: (M,) those of this set, places in the index.
        faults: images that turned out to be of no use while they were read.

    Raises:
        InputError: if H is to be told from M and the list of H is not there, fits are asked for and there are none, or
            no image is left.
    """

    def __init__(
        self,
        sources: Sources,
        annotation: AnnotationSet = AnnotationSet.ALL,
        subset: Subset = Subset.ALL,
        mano: HandModel | None = None,
        fitted_only: bool = False,
        cache: Path | None = None,
        console: Console | None = None,
    ) -> None:
        self.sources, self.annotation, self.subset, self.mano = sources, annotation, subset, mano
        needs_fits = fitted_only or subset is Subset.LGNET
        if needs_fits and sources.fits is None:
            raise InputError(
                f"InterHand2.6M: there is no MANO_NeuralAnnot file beside {sources.data}; "
                f"{'the subset lgnet' if subset is Subset.LGNET else 'a training'} needs its fits: download it"
            )
        self.index = open_index(sources, cache, console)
        chosen = self._of_annotation_set() & self._of_subset()
        fitted = self._all_fitted(np.arange(len(self.index)))
        self.unfitted = int((chosen & ~fitted).sum())
        """Images of the set that show a hand without a fit; with ``fitted_only`` they were left out."""
        self.rows = np.flatnonzero(chosen & fitted if fitted_only else chosen)
        self.faults = FaultyImages(len(self.rows))
        if not len(self.rows):
            raise InputError(
                f"InterHand2.6M: of the {len(self.index)} images of {sources.data} none is of annotation set "
                f"{annotation.value} and subset {subset.value}; choose others (skipped: {self.skipped() or 'none'})"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def skipped(self) -> dict[str, int]:
        """What could not be used, by reason: of the whole split's annotations, and of the images read so far."""
        return {**self.index.about["skipped"], **self.faults.counts()}

    def hand_type(self, places: Sequence[int]) -> FloatArray:
        """(B,) of ``HAND_TYPES``."""
        return self.index.hand_type[self.rows[list(places)]]

    def moments(self, places: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Number of the film (capture, sequence and camera) and of the frame of each image; both (B,) int64."""
        rows, index = self.rows[list(places)], self.index
        film = (index.capture[rows].astype(np.int64) << 40) + (index.sequence[rows].astype(np.int64) << 20)
        return torch.from_numpy(film + index.camera[rows]), torch.from_numpy(index.frame[rows].astype(np.int64))

    def read(self, places: Sequence[int], size: int, moves: FloatArray | None = None) -> ReadImages | None:
        """Crops with their labels; images that cannot be used are left out and remembered. None: all of them.

        Args:
            places: in this set. size: side of the crops, pixels.
            moves: pixels of each crop -> pixels of the moved crop; None: they stay.

        Shapes:
            moves: (B, 2, 3).
        """
        images = [self._image(place) for place in places]
        good = [k for k, image in enumerate(images) if image is not None]
        if not good:
            return None
        kept = [int(places[k]) for k in good]
        found = [image for image in images if image is not None]
        batch, truth = cut(found, self.labels(kept), size, None if moves is None else moves[good])
        return ReadImages(kept, batch, truth)

    def labels(self, places: Sequence[int]) -> FullLabels:
        """What is known of images, in their cameras; nothing is read."""
        rows, index = self.rows[list(places)], self.index
        rotation, position, intrinsics = self._cameras(rows)
        presence = torch.from_numpy(HANDS_OF_TYPE[index.hand_type[rows]])
        step = index.step[rows]
        measured = to_camera(torch.from_numpy(index.joints[step]), rotation, position).float()
        known = torch.from_numpy(index.valid(rows)) & presence[..., None]
        count = len(rows)
        if self.mano is None:
            truth = HandsTruth(
                joints=measured,
                joints_known=known,
                joints_2d=measured[..., :2],
                vertices=torch.zeros(count, 2, NUM_VERTICES, 3),
                surfaces=torch.zeros(count, 2, dtype=torch.bool),
                measured=measured,
                measured_known=known,
            )
            turns = torch.eye(3).expand(count, 2, 16, 3, 3)
            return FullLabels(intrinsics.float(), index.box[rows], presence, turns, torch.zeros(count, 2, 10), truth)
        fitted = torch.from_numpy(index.fitted[step]) & presence
        pose, shape, translation = (
            torch.from_numpy(getattr(index, name)[step]) for name in ("pose", "shape", "translation")
        )
        turns, wrist = fits_to_camera(self.mano, pose, shape, translation, rotation, position)
        mesh = self.mano(turns, shape).wrist_relative()
        root = torch.where(fitted[..., None], wrist.float(), measured[:, :, 0])[:, :, None]
        truth = HandsTruth(
            joints=mesh.joints + root,
            joints_known=fitted[..., None].expand(-1, -1, mesh.joints.shape[2]),
            joints_2d=measured[..., :2],
            vertices=mesh.vertices + root,
            surfaces=fitted,
            measured=measured,
            measured_known=known,
        )
        return FullLabels(intrinsics.float(), self._boxes(rows, truth, intrinsics), presence, turns, shape, truth)

    def _boxes(self, rows: FloatArray, truth: HandsTruth, intrinsics: Tensor) -> FloatArray:
        """Around the projected meshes; the annotated box where a hand has none."""
        boxes = self.index.box[rows].copy()
        pixels = project(truth.vertices, intrinsics.float()[:, None]).numpy()
        for k in np.flatnonzero(self._all_fitted(rows)):
            points = pixels[k, truth.surfaces[k].numpy()].reshape(-1, 2)
            boxes[k] = [*points.min(0), *points.max(0)]
        return boxes

    def _cameras(self, rows: FloatArray) -> tuple[Tensor, Tensor, Tensor]:
        """World -> camera rotations, positions (metres) and K of the images' cameras, double precision."""
        camera, index = self.index.camera[rows], self.index
        matrix = np.tile(np.eye(3), (len(rows), 1, 1))
        matrix[:, [0, 1], [0, 1]], matrix[:, :2, 2] = index.focal[camera], index.principal[camera]
        return (
            torch.from_numpy(index.camera_rotation[camera]),
            torch.from_numpy(index.camera_position[camera]),
            torch.from_numpy(matrix),
        )

    def _image(self, place: int) -> FloatArray | None:
        row = int(self.rows[place])
        width, height = self.index.size[row]
        darkest = DARKEST if self.subset is Subset.LGNET else 0.0
        return self.faults.read(place, self.sources.images / self.index.name(row), int(width), int(height), darkest)

    def _all_fitted(self, rows: FloatArray) -> FloatArray:
        """(B,) bool: every hand that is shown has a fit."""
        return (self.index.fitted[self.index.step[rows]] | ~HANDS_OF_TYPE[self.index.hand_type[rows]]).all(-1)

    def _of_annotation_set(self) -> FloatArray:
        if self.annotation is AnnotationSet.ALL:
            return np.ones(len(self.index), bool)
        if self.sources.human is None and not self.sources.all_machine:
            raise InputError(
                f"InterHand2.6M: the list of H (aid_human_annot_*.txt, annotation ids, one a line) is not beside "
                f"{self.sources.data.parent}; put it into annotations/, or take --annotation H+M"
            )
        return self.index.human == (self.annotation is AnnotationSet.HUMAN)

    def _of_subset(self) -> FloatArray:
        index = self.index
        interacting = index.hand_type == INTERACTING
        if self.subset is Subset.LGNET:
            return interacting & index.hand_type_valid & self._all_fitted(np.arange(len(index)))
        return {
            Subset.ALL: np.ones(len(index), bool),
            Subset.SINGLE: ~interacting,
            Subset.INTERACTING: interacting,
        }[self.subset]
