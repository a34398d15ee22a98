"""Baselines of an evaluation: a constant mean pose, and the nearest of a thousand random hands.

``mean pose`` ignores the image: the hand model's mean pose in the centre of the crop at the size of the untrained
network's camera, both hands present and at the same position.

``nearest of 1,000`` is an oracle: it knows the true hand, but chooses among a thousand random hands only, for each true
hand the one with the minimum mean joint error under the measured alignment. It is a yardstick, not an estimator: an
estimate that is no better contains no more information about a hand than a number from 1 to 1,000 (ten bits). It has
joints and a mesh relative to the wrist only, so other metrics are undefined.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import roma
import torch
from torch import Tensor

from lgnet_core.data.sample import HandsBatch
from lgnet_core.evaluation.metrics.alignment import ALIGNMENTS, Alignment
from lgnet_core.evaluation.metrics.errors import procrustes_errors
from lgnet_core.geometry.camera import weak_perspective_root
from lgnet_core.hand_model import HandLayer
from lgnet_core.io.evaluation_data import locate_evaluation_data
from lgnet_core.network import HandsPrediction
from lgnet_core.network.lgnet.mesh_stage import INITIAL_SCALE
from lgnet_core.network.prediction import GRID_STRIDE
from lgnet_core.types import JOINT_NAMES, Side

BUNDLED_HANDS = Path(str(files("lgnet_core") / "assets" / "random_hands.npz"))
NUM_RANDOM_HANDS = 1000
Errors = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(joints, true joints, joint weights) -> error of each joint; leading dimensions broadcast."""

_CHUNK_SIZE = 16  # true hands that are compared with all random ones at once: 60 MB


def mean_pose(hand_model: HandLayer, batch: HandsBatch) -> tuple[HandsPrediction, Tensor]:
    """Mean-pose prediction and its wrist positions.

    Its 2D joints are the centre of the crop; its uncertainty is a placeholder that must not be scored.

    Shapes:
        returns a prediction and (B, 2, 3) metres, camera frame.
    """
    count, size, wrists = len(batch), batch.image.shape[-1], batch.wrist
    rotations, shape = hand_model.pose_to_rotations(wrists.new_zeros(count, 2, 48)), wrists.new_zeros(count, 2, 10)
    mesh = hand_model(rotations, shape).wrist_relative()
    camera = wrists.new_tensor([INITIAL_SCALE, 0, 0]).expand(count, 2, 3)
    middle = (size // GRID_STRIDE - 1) / 2
    prediction = HandsPrediction(
        joints_grid=wrists.new_full((count, 2, len(JOINT_NAMES), 3), middle),
        joint_log_variance=wrists.new_zeros(count, 2, len(JOINT_NAMES)),
        presence_logits=wrists.new_ones(count, 2),
        rotations=rotations,
        shape=shape,
        camera=camera,
        rough_vertices=mesh.vertices,
        rough_joints=mesh.joints,
        vertices=mesh.vertices,
        joints=mesh.joints,
        relative_translation=wrists.new_zeros(count, 3),
    )
    return prediction, weak_perspective_root(camera, batch.intrinsics[:, None], size)


class WristRelativeHands(NamedTuple):
    """Hands relative to their wrists. Shapes: joints (B, 2, 21, 3), vertices (B, 2, 778, 3), metres."""

    joints: Tensor
    vertices: Tensor

    def select(self, images: Tensor) -> WristRelativeHands:
        """Some of the images. Shapes: (B,) bool, or indices."""
        return WristRelativeHands(self.joints[images], self.vertices[images])


class RandomHands:
    """A thousand random hands, each as a right and, mirrored, as a left one.

    They were drawn once by the synthetic generator, with its distribution of finger poses, shapes and orientations and
    a separate seed (tools/builders/build_random_hands.py), and do not change when the generator does.

    Args:
        hand_model: computes their meshes.
        path: ``rotations`` (1000, 16, 3) rotation vectors, root in camera axes, and ``shape`` (1000, 10), of right
            hands.

    Attributes:
        digest: sha256 (hex) of the file.
    """

    def __init__(self, hand_model: HandLayer, path: Path = BUNDLED_HANDS) -> None:
        self.digest = hashlib.sha256(locate_evaluation_data(path).read_bytes()).hexdigest()
        device = hand_model.v_template.device
        with np.load(path, allow_pickle=False) as stored:
            rotvecs, shape = (torch.from_numpy(stored[name]).float().to(device) for name in ("rotations", "shape"))
        mirrored = rotvecs * rotvecs.new_tensor([1, -1, -1])  # M R M with M = diag(-1, 1, 1)
        rotations = roma.rotvec_to_rotmat(torch.stack([rotvecs, mirrored], 1))
        self.mesh = hand_model(rotations, shape[:, None].expand(-1, 2, -1)).wrist_relative()

    def nearest(self, true_joints: Tensor, known: Tensor) -> dict[str, WristRelativeHands]:
        """The nearest random hand of each true hand under every alignment, and after Procrustes alignment.

        Shapes:
            true_joints: (B, 2, 21, 3) metres, relative to the wrist; known: (B, 2) bool hands, or (B, 2, 21) joints:
                unknown joints do not count, and results of hands without known joints are meaningless.
        """
        measures: dict[str, Errors] = {p.name: functools.partial(_joint_errors, p) for p in ALIGNMENTS}
        measures["similarity"] = procrustes_errors
        known = known if known.ndim > 2 else known[..., None].expand(true_joints.shape[:-1])
        return {name: self._nearest(true_joints, known, errors) for name, errors in measures.items()}

    def _nearest(self, true_joints: Tensor, known: Tensor, errors: Errors) -> WristRelativeHands:
        hands = known.any(-1)
        index = torch.zeros(hands.shape, dtype=torch.long, device=hands.device)
        for side in Side:
            candidates, present = self.mesh.joints[:, side], hands[:, side]
            weights = known[present, side].to(true_joints.dtype)
            best = []
            for true, weight in zip(true_joints[present, side].split(_CHUNK_SIZE), weights.split(_CHUNK_SIZE)):
                sums = (errors(candidates, true[:, None], weight[:, None]) * weight[:, None]).sum(-1)
                best.append(sums.argmin(1))
            index[present, side] = torch.cat(best)
        sides = torch.arange(2, device=hands.device)
        return WristRelativeHands(self.mesh.joints[index, sides], self.mesh.vertices[index, sides])


def _joint_errors(alignment: Alignment, joints: Tensor, true_joints: Tensor, _: Tensor) -> Tensor:
    return alignment.errors(joints, joints, true_joints, true_joints)
