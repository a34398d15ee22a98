"""Guesses that an estimate must beat: a hand that is always the same, and the best of a thousand random ones.

``mean pose`` does not look at the image at all: the hand model's mean pose in the middle of the crop, as large as the
network's camera has it before training, both hands there and at one place.

``nearest of 1,000`` is told the answer, but may choose among a thousand random hands only: for every true hand the one
with the least mean joint error under the protocol that is measured. It is no estimator but a ruler: an estimate that is
no better knows no more of a hand than a number from 1 to 1,000 can say, ten bits. It has joints and a mesh relative to
the wrist, and so no figure where more is asked. The other reading of its name, a choice among a thousand hands without
the answer, needs an estimator to choose with, or is one random hand: worse than the mean pose.
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
from lgnet_core.evaluation.metrics import procrustes_errors
from lgnet_core.evaluation.protocol import PROTOCOLS, Protocol
from lgnet_core.geometry.camera import weak_perspective_root
from lgnet_core.hand_model import HandModel
from lgnet_core.network import HandsPrediction
from lgnet_core.network.lgnet.joint_stage import GRID_STRIDE
from lgnet_core.network.lgnet.mesh_stage import INITIAL_SCALE
from lgnet_core.types import JOINT_NAMES, Side

BUNDLED_HANDS = Path(str(files("lgnet_core") / "assets" / "random_hands.npz"))
HANDS = 1000
Errors = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(joints, true joints, weights of the joints) -> error of each joint; leading dimensions broadcast."""

_AT_ONCE = 16  # true hands that are compared with all random ones in one go: 60 MB


def mean_pose(hand_model: HandModel, batch: HandsBatch) -> tuple[HandsPrediction, Tensor]:
    """What a network that sees nothing would say, and where that puts the wrists.

    Its joints in the image are the middle of the crop; its uncertainty is none, so do not judge that.

    Shapes:
        returns a prediction and (B, 2, 3) metres, camera frame.
    """
    count, size, like = len(batch), batch.image.shape[-1], batch.wrist
    rotations, shape = hand_model.pose_to_rotations(like.new_zeros(count, 2, 48)), like.new_zeros(count, 2, 10)
    mesh = hand_model(rotations, shape).wrist_relative()
    camera = like.new_tensor([INITIAL_SCALE, 0, 0]).expand(count, 2, 3)
    middle = (size // GRID_STRIDE - 1) / 2
    prediction = HandsPrediction(
        joints_grid=like.new_full((count, 2, len(JOINT_NAMES), 3), middle),
        joint_log_variance=like.new_zeros(count, 2, len(JOINT_NAMES)),
        presence_logits=like.new_ones(count, 2),
        rotations=rotations,
        shape=shape,
        camera=camera,
        rough_vertices=mesh.vertices,
        rough_joints=mesh.joints,
        vertices=mesh.vertices,
        joints=mesh.joints,
        relative_translation=like.new_zeros(count, 3),
    )
    return prediction, weak_perspective_root(camera, batch.intrinsics[:, None], size)


class Guess(NamedTuple):
    """Hands of images, relative to their wrists. Shapes: joints (B, 2, 21, 3), vertices (B, 2, 778, 3), metres."""

    joints: Tensor
    vertices: Tensor

    def select(self, images: Tensor) -> Guess:
        """Some of the images. Shapes: (B,) bool, or indices."""
        return Guess(self.joints[images], self.vertices[images])


class RandomHands:
    """A thousand hands drawn at random, each as a right and, mirrored, as a left one.

    They were drawn once by the synthetic generator, finger poses, sizes and turns to the camera as it has them, with a
    seed of their own (tools/build_random_hands.py), and stay when the generator changes.

    Args:
        hand_model: makes meshes of their rotations and shapes.
        path: ``rotations`` (1000, 16, 3) rotation vectors, root in camera axes, and ``shape`` (1000, 10), of right
            hands.

    Attributes:
        digest: sha256 (hex) of the file.
    """

    def __init__(self, hand_model: HandModel, path: Path = BUNDLED_HANDS) -> None:
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
        device = hand_model.v_template.device
        with np.load(path, allow_pickle=False) as stored:
            turns, shape = (torch.from_numpy(stored[name]).float().to(device) for name in ("rotations", "shape"))
        mirrored = turns * turns.new_tensor([1, -1, -1])  # M R M with M = diag(-1, 1, 1)
        rotations = roma.rotvec_to_rotmat(torch.stack([turns, mirrored], 1))
        self.mesh = hand_model(rotations, shape[:, None].expand(-1, 2, -1)).wrist_relative()

    def nearest(self, true_joints: Tensor, known: Tensor) -> dict[str, Guess]:
        """For each true hand the nearest random one under every protocol, and after the best similarity.

        Shapes:
            true_joints: (B, 2, 21, 3) metres, relative to the wrist; known: (B, 2) bool hands, or (B, 2, 21) joints:
            the others do not count, and guesses of hands of which nothing is known are without meaning.
        """
        measures: dict[str, Errors] = {p.name: functools.partial(_joint_errors, p) for p in PROTOCOLS}
        measures["similarity"] = procrustes_errors
        known = known if known.ndim > 2 else known[..., None].expand(true_joints.shape[:-1])
        return {name: self._nearest(true_joints, known, errors) for name, errors in measures.items()}

    def _nearest(self, true_joints: Tensor, known: Tensor, errors: Errors) -> Guess:
        hands = known.any(-1)
        index = torch.zeros(hands.shape, dtype=torch.long, device=hands.device)
        for side in Side:
            random, some = self.mesh.joints[:, side], hands[:, side]
            weights = known[some, side].to(true_joints.dtype)
            best = []
            for part, weight in zip(true_joints[some, side].split(_AT_ONCE), weights.split(_AT_ONCE)):
                sums = (errors(random, part[:, None], weight[:, None]) * weight[:, None]).sum(-1)
                best.append(sums.argmin(1))
            index[some, side] = torch.cat(best)
        sides = torch.arange(2, device=hands.device)
        return Guess(self.mesh.joints[index, sides], self.mesh.vertices[index, sides])


def _joint_errors(protocol: Protocol, joints: Tensor, true_joints: Tensor, _: Tensor) -> Tensor:
    return protocol.errors(joints, joints, true_joints, true_joints)
