"""FreiHAND (Zimmermann et al., ICCV 2019): single right hands, 224 x 224 pixels.

::

    ROOT/training_{K,xyz}.json, ROOT/training_mano.json         32,560 samples; fits only with MANO
    ROOT/training/rgb/%08d.jpg                                  four versions of each sample, one after the other
    ROOT/evaluation_{K,xyz,verts}.json                          3,960 samples (FreiHAND_pub_v2_eval.zip)
    ROOT/evaluation/rgb/%08d.jpg

Lengths are metres, camera frame; the 21 joints are in OpenPose's order, their tips (vertices 744, 320, 443, 555, 672 of
MANO) next to those of this package. A fit has 61 numbers: pose (48, to which MANO's mean pose is added), shape (10),
the projection of the middle MCP (2) and a scale; the position of the hand is taken from the joints.

Sources: lmb-freiburg/freihand: utils/fh_utils.py (files, versions), utils/mano_utils.py (joints), utils/model.py
(fits).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.annotated_images import ImageLabels
from lgnet_core.data.annotated_set import AnnotatedSet, invalid_file, joint_labels, number_array, read_json
from lgnet_core.hand_model import HandLayer
from lgnet_core.hand_model.asset import NUM_SHAPE_PARAMETERS, NUM_VERTICES
from lgnet_core.io.files import InputError
from lgnet_core.types import NUM_KEYPOINTS, WRIST, FloatArray, ImageArray, Side

SPLITS = {"train": "training", "test": "evaluation"}
"""Splits and their names in the files."""

IMAGE_SIZE = (224, 224)
NUM_VERSIONS = 4
"""Versions of a training image: green screen replaced, then harmonised and recoloured in three ways."""

_NAME = "FreiHAND"
_NUM_POSE_PARAMETERS = 48
_NUM_FIT_PARAMETERS = 61
_REMEDY = {
    "train": "--root must be the folder of FreiHAND_pub_v2.zip, with training_xyz.json and training/rgb",
    "test": "--root must be the folder of FreiHAND_pub_v2_eval.zip, which holds the labels of the evaluation images",
}


class FreiHAND(AnnotatedSet):
    """One split. With ``mano`` the training images have meshes and model parameters.

    The evaluation images have meshes if ``evaluation_verts.json`` is there: MANO's, whether or not ``mano`` is given.

    Args:
        root: the folder of the JSON files. split: ``train`` or ``test``.
        mano: the user's MANO (``lgnet mano convert``), for the fits of the training images; None: not available.

    Raises:
        InputError: if a file is missing or invalid, or the split is unknown.
    """

    def __init__(self, root: str | Path, split: str = "test", mano: HandLayer | None = None) -> None:
        if split not in SPLITS:
            raise InputError(f"{_NAME}: unknown split {split!r}; choose from {', '.join(SPLITS)}")
        self.root, self.split, self.mano = Path(root), split, mano
        self._intrinsics = self._read("K", (3, 3))
        self._joints = self._read("xyz", (NUM_KEYPOINTS, 3))
        self._vertices = self._fits = None
        if split == "test" and self._path("verts").is_file():
            self._vertices = self._read("verts", (NUM_VERTICES, 3)).astype(np.float32)
        if split == "train" and mano is not None:
            self._fits = self._read("mano", (1, _NUM_FIT_PARAMETERS))[:, 0]
        self._samples = len(self._joints)
        self._check_lengths()
        super().__init__(self._samples * self._num_versions())

    @property
    def num_samples(self) -> int:
        """Number of samples; of a training sample, every version is an image."""
        return self._samples

    def hand_type(self, indices: Sequence[int]) -> FloatArray:
        return np.full(len(indices), int(Side.RIGHT))

    def sequence_and_frame(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        none = torch.full((len(indices),), -1)
        return none, none

    def labels(self, indices: Sequence[int]) -> ImageLabels:
        samples = np.asarray(indices) % self._samples
        joints = torch.zeros(len(samples), 2, NUM_KEYPOINTS, 3)
        joints[:, Side.RIGHT] = torch.from_numpy(self._joints[samples]).float()
        known = torch.zeros(joints.shape[:-1], dtype=torch.bool)
        known[:, Side.RIGHT] = True
        labels = joint_labels(joints, known, torch.from_numpy(self._intrinsics[samples]))
        if self._fits is not None and self.mano is not None:
            return self._with_fits(labels, self._fits[samples], self.mano)
        if self._vertices is not None:
            return self._with_vertices(labels, torch.from_numpy(self._vertices[samples]))
        return labels

    def _with_fits(self, labels: ImageLabels, fits: FloatArray, mano: HandLayer) -> ImageLabels:
        numbers = torch.from_numpy(fits).float()
        pose, shape = numbers.split([_NUM_POSE_PARAMETERS, NUM_SHAPE_PARAMETERS, 3], -1)[:2]
        rotations, shapes = labels.rotations.clone(), labels.shape.clone()
        rotations[:, Side.RIGHT], shapes[:, Side.RIGHT] = mano.pose_to_rotations(pose, Side.RIGHT), shape
        mesh = mano(rotations[:, Side.RIGHT], shape, side=Side.RIGHT).wrist_relative()
        labels = labels._replace(rotations=rotations, shape=shapes)
        return self._with_vertices(labels, mesh.vertices + labels.truth.joints[:, Side.RIGHT, WRIST, None])

    @staticmethod
    def _with_vertices(labels: ImageLabels, vertices: Tensor) -> ImageLabels:
        both, known = labels.truth.vertices.clone(), labels.truth.vertices_known.clone()
        both[:, Side.RIGHT], known[:, Side.RIGHT] = vertices, True
        return labels._replace(truth=labels.truth._replace(vertices=both, vertices_known=known))

    def _image(self, index: int) -> ImageArray | None:
        return self.faults.read(index, self._image_path(index), *IMAGE_SIZE)

    def _image_path(self, index: int) -> Path:
        return self.root / SPLITS[self.split] / "rgb" / f"{index:08d}.jpg"

    def _num_versions(self) -> int:
        """Versions of the images that are there: a split without the later ones can be used as well."""
        if self.split == "test":
            return 1
        present = (self._image_path(k * self._samples).is_file() for k in range(1, NUM_VERSIONS))
        return 1 + sum(present)

    def _path(self, kind: str) -> Path:
        return self.root / f"{SPLITS[self.split]}_{kind}.json"

    def _read(self, kind: str, shape: tuple[int, ...]) -> FloatArray:
        path = self._path(kind)
        return number_array(read_json(path, _NAME, _REMEDY[self.split]), (-1, *shape), path, _NAME, kind)

    def _check_lengths(self) -> None:
        arrays = {"xyz": self._joints, "K": self._intrinsics, "verts": self._vertices, "mano": self._fits}
        lengths = {kind: len(array) for kind, array in arrays.items() if array is not None}
        if len(set(lengths.values())) > 1 or not self._samples:
            counts = ", ".join(f"{self._path(kind).name}: {length}" for kind, length in lengths.items())
            raise invalid_file(self._path("xyz"), _NAME, f"the files have different numbers of samples: {counts}")
