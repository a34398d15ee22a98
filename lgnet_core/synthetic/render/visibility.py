"""Which joints an image shows, and which hands are in it, read off the rendered depth and segmentation."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.hand_model import HandModel

MIN_JOINTS = 7
"""A hand is in the image if at least a third of its joints are inside it ..."""
MIN_PIXELS = 0.0015
"""... and it covers at least this part of the image (98 pixels of 256 x 256)."""

_SKIN = 5e-3  # metres of tolerance beyond the flesh around a joint


def joint_radii(hand_model: HandModel) -> Tensor:
    """(21,) metres of flesh in front of each joint: how far the rest mesh's surface is from it.

    The mean distance of the joint's nearest vertices; nearly 0 for the tips, which are vertices themselves.
    """
    device = hand_model.v_template.device
    identity = torch.eye(3, device=device).expand(1, 2, 16, 3, 3)
    mesh = hand_model(identity, torch.zeros(1, 2, 10, device=device))
    distance = torch.cdist(mesh.joints[0, 0], mesh.vertices[0, 0])  # (21, V)
    return distance.topk(24, largest=False).values.mean(-1)


def sample_nearest(maps: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Values of (B, H, W) maps at the nearest pixels (B, ..., 2), and whether these lie inside.

    Points outside take the value of the nearest border pixel.
    """
    height, width = maps.shape[1:]
    # Not torch.round on huge values: points behind the camera project far away.
    u, v = (pixels + 0.5).clamp(-1e6, 1e6).floor().long().unbind(-1)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    flat = v.clamp(0, height - 1) * width + u.clamp(0, width - 1)
    values = maps.flatten(1).gather(1, flat.flatten(1)).view_as(flat)
    return values, inside


def joint_visibility(joints: Tensor, pixels: Tensor, depth: Tensor, segmentation: Tensor, radii: Tensor) -> Tensor:
    """A joint is visible if its pixel is inside the image and no surface but its own flesh lies in front of it.

    Args:
        joints: (B, 2, 21, 3) camera frame, metres. pixels: (B, 2, 21, 2) their projections.
        depth: (B, H, W) metres of the nearest surface, 0 where there is none.
        segmentation: (B, H, W), see :mod:`lgnet_core.data.sample`.
        radii: (21,) of :func:`joint_radii`.

    Returns:
        (B, 2, 21) bool.
    """
    surface, inside = sample_nearest(depth, pixels)
    owner, _ = sample_nearest(segmentation, pixels)
    z = joints[..., 2]
    side = torch.arange(1, 3, device=joints.device, dtype=segmentation.dtype)[:, None]
    in_front = torch.where(surface > 0, z - surface, -1.0)
    # Another hand hides it wherever it lies in front; its own surface (and its sleeve) only beyond the joint's flesh.
    other = (owner != side) & (owner == 3 - side)
    hidden = in_front > torch.where(other, 0.0, radii + _SKIN)
    return inside & ~hidden & (z > 0)


def hand_presence(drawn: Tensor, pixels: Tensor, segmentation: Tensor) -> Tensor:
    """Which of the hands that were drawn really are in the image.

    Args:
        drawn: (B, 2) bool. pixels: (B, 2, 21, 2) projected joints. segmentation: (B, H, W).

    Returns:
        (B, 2) bool.
    """
    height, width = segmentation.shape[1:]
    size = torch.tensor([width, height], device=pixels.device)
    inside = ((pixels >= -0.5) & (pixels < size - 0.5)).all(-1).sum(-1) >= MIN_JOINTS
    covered = torch.stack([(segmentation == side + 1).flatten(1).sum(1) for side in range(2)], 1)
    return drawn & inside & (covered >= MIN_PIXELS * height * width)
