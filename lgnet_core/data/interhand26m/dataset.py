"""InterHand2.6M as a data set of labelled crops, for one split, annotation set and subset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from lgnet_core.data.annotated_images import HANDS_OF_TYPE, INTERACTING, ImageLabels
from lgnet_core.data.annotated_set import AnnotatedSet
from lgnet_core.data.interhand26m.geometry import fits_to_camera, to_camera
from lgnet_core.data.interhand26m.index import open_index
from lgnet_core.data.interhand26m.layout import MIN_BRIGHTNESS, AnnotationSet, SplitFiles, Subset
from lgnet_core.data.sample import HandsGroundTruth
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import HandLayer
from lgnet_core.io.files import InputError
from lgnet_core.types import FloatArray, ImageArray


class InterHand26M(AnnotatedSet):
    """Annotated images ordered by capture, sequence, camera and frame.

    With ``mano`` the fits give rotations, shape, mesh and joints, and crops are cut around the meshes (as in LGNet).
    Without it only the measured joints are available, and crops are cut around the annotated boxes (as in InterNet).

    Args:
        sources: files of a split, see :meth:`SplitFiles.from_root`.
        annotation, subset: which of its images.
        mano: the user's MANO (``lgnet mano convert``); None: not available.
        fitted_only: exclude images with a hand that has no fit, as training requires.
        cache: file of the index; None: in the user's cache directory.
        console: shows the progress of building the index.

    Attributes:
        index: of all images of the split. rows: (M,) index rows of the images of this data set.
        faults: images that proved unusable when they were read.

    Raises:
        InputError: if the annotation set requires the list of H and it is missing, fits are required and missing, or no
            image is left.
    """

    def __init__(
        self,
        sources: SplitFiles,
        annotation: AnnotationSet = AnnotationSet.ALL,
        subset: Subset = Subset.ALL,
        mano: HandLayer | None = None,
        fitted_only: bool = False,
        cache: Path | None = None,
        console: Console | None = None,
    ) -> None:
        self.sources, self.annotation, self.subset, self.mano = sources, annotation, subset, mano
        needs_fits = fitted_only or subset is Subset.LGNET
        if needs_fits and sources.fits is None:
            raise InputError(
                f"InterHand2.6M: no MANO_NeuralAnnot file in {sources.data.parent}; "
                f"{'the subset lgnet' if subset is Subset.LGNET else 'training'} needs its fits: download it"
            )
        self.index = open_index(sources, cache, console)
        chosen = self._in_annotation_set() & self._in_subset()
        fitted = self._all_fitted(np.arange(len(self.index)))
        self.unfitted = int((chosen & ~fitted).sum())
        """Number of images with a hand without a fit; with ``fitted_only`` they are excluded."""
        self.rows = np.flatnonzero(chosen & fitted if fitted_only else chosen)
        super().__init__(len(self.rows))
        self.skipped_rows.update(self.index.about["skipped"])
        if not len(self.rows):
            raise InputError(
                f"InterHand2.6M: none of the {len(self.index)} images of {sources.data} is in annotation set "
                f"{annotation.value} and subset {subset.value}; choose others (skipped: {self.skipped() or 'none'})"
            )

    def hand_type(self, indices: Sequence[int]) -> FloatArray:
        """(B,) of ``HAND_TYPES``."""
        return self.index.hand_type[self.rows[list(indices)]]

    def sequence_and_frame(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Sequence number (by capture, sequence and camera) and frame number of each image; both (B,) int64."""
        rows, index = self.rows[list(indices)], self.index
        sequence = (index.capture[rows].astype(np.int64) << 40) + (index.sequence[rows].astype(np.int64) << 20)
        return torch.from_numpy(sequence + index.camera[rows]), torch.from_numpy(index.frame[rows].astype(np.int64))

    def labels(self, indices: Sequence[int]) -> ImageLabels:
        rows, index = self.rows[list(indices)], self.index
        rotation, position, intrinsics = self._cameras(rows)
        presence = torch.from_numpy(HANDS_OF_TYPE[index.hand_type[rows]])
        step = index.step[rows]
        measured = to_camera(torch.from_numpy(index.joints[step]), rotation, position).float()
        known = torch.from_numpy(index.valid(rows)) & presence[..., None]
        count = len(rows)
        if self.mano is None:
            truth = HandsGroundTruth.of_joints(measured, known)
            rotations = torch.eye(3).expand(count, 2, 16, 3, 3)
            return ImageLabels(
                intrinsics.float(), index.box[rows], presence, rotations, torch.zeros(count, 2, 10), truth
            )
        fitted = torch.from_numpy(index.fitted[step]) & presence
        pose, shape, translation = (
            torch.from_numpy(getattr(index, name)[step]) for name in ("pose", "shape", "translation")
        )
        rotations, wrist = fits_to_camera(self.mano, pose, shape, translation, rotation, position)
        mesh = self.mano(rotations, shape).wrist_relative()
        root = torch.where(fitted[..., None], wrist.float(), measured[:, :, 0])[:, :, None]
        truth = HandsGroundTruth(
            joints=mesh.joints + root,
            joints_known=fitted[..., None].expand(-1, -1, mesh.joints.shape[2]),
            joints_2d=measured[..., :2],
            vertices=mesh.vertices + root,
            vertices_known=fitted,
            measured=measured,
            measured_known=known,
        )
        return ImageLabels(intrinsics.float(), self._boxes(rows, truth, intrinsics), presence, rotations, shape, truth)

    def _boxes(self, rows: FloatArray, truth: HandsGroundTruth, intrinsics: Tensor) -> FloatArray:
        """Boxes around the projected meshes; the annotated box where a hand has none."""
        boxes = self.index.box[rows].copy()
        pixels = project(truth.vertices, intrinsics.float()[:, None]).numpy()
        for k in np.flatnonzero(self._all_fitted(rows)):
            points = pixels[k, truth.vertices_known[k].numpy()].reshape(-1, 2)
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

    def _image(self, index: int) -> ImageArray | None:
        row = int(self.rows[index])
        width, height = self.index.size[row]
        min_brightness = MIN_BRIGHTNESS if self.subset is Subset.LGNET else 0.0
        return self.faults.read(
            index, self.sources.images / self.index.name(row), int(width), int(height), min_brightness
        )

    def _all_fitted(self, rows: FloatArray) -> FloatArray:
        """(B,) bool: every hand in the image has a fit."""
        return (self.index.fitted[self.index.step[rows]] | ~HANDS_OF_TYPE[self.index.hand_type[rows]]).all(-1)

    def _in_annotation_set(self) -> FloatArray:
        if self.annotation is AnnotationSet.ALL:
            return np.ones(len(self.index), bool)
        if self.sources.human is None and not self.sources.all_machine:
            raise InputError(
                "InterHand2.6M: the list of human annotations (aid_human_annot_*.txt, one id per line) is missing in "
                f"{self.sources.data.parent}; put it into annotations/, or use --annotation H+M"
            )
        return self.index.human == (self.annotation is AnnotationSet.HUMAN)

    def _in_subset(self) -> FloatArray:
        index = self.index
        interacting = index.hand_type == INTERACTING
        if self.subset is Subset.LGNET:
            return interacting & index.hand_type_valid & self._all_fitted(np.arange(len(index)))
        return {
            Subset.ALL: np.ones(len(index), bool),
            Subset.SINGLE: ~interacting,
            Subset.INTERACTING: interacting,
        }[self.subset]
