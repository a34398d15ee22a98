"""Transformation from the world frame of a capture to a camera frame: X_c = R (X_w - c), metres.

A fitted hand rotates about its wrist: its root rotation becomes R R_root and its wrist R (j_0 + t - c), with the
model's rest wrist j_0(beta) and the fit's translation t; nothing else of a fit depends on the camera.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.hand_model import HandLayer


def to_camera(points: Tensor, rotation: Tensor, position: Tensor) -> Tensor:
    """Transform points from the world to a camera frame.

    Args:
        rotation: world -> camera. position: of the camera, world, metres.

    Shapes:
        points: (B, ..., 3); rotation: (B, 3, 3); position: (B, 3).
    """
    lead = (len(points), *[1] * (points.ndim - 2))
    offsets = points - position.view(*lead, 3)
    return (rotation.view(*lead, 3, 3) @ offsets[..., None])[..., 0]


def fits_to_camera(
    hand_model: HandLayer, pose: Tensor, shape: Tensor, translation: Tensor, rotation: Tensor, position: Tensor
) -> tuple[Tensor, Tensor]:
    """Rotations and wrists of fitted hands in a camera frame.

    Args:
        hand_model: the MANO that was fitted.
        pose: axis-angle without the mean pose, the root in the world frame. translation: of the model's origin, world,
            metres. rotation: world -> camera. position: of the camera, world, metres.

    Shapes:
        pose: (B, 2, 48); shape: (B, 2, 10); translation: (B, 2, 3); rotation: (B, 3, 3); position: (B, 3); returns
        rotations (B, 2, 16, 3, 3), and wrists (B, 2, 3) metres in the precision of ``translation``.
    """
    rotations = hand_model.pose_to_rotations(pose)
    root = rotation[:, None].to(rotations) @ rotations[:, :, 0]
    wrist = hand_model.rest_wrist(shape).to(translation) + translation
    return torch.cat([root[:, :, None], rotations[:, :, 1:]], 2), to_camera(wrist, rotation, position)
