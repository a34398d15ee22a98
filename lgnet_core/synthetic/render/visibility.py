"""Visibility labels of joints and presence labels of hands, from rendered depth and segmentation."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.hand_model import HandLayer

MIN_JOINTS = 7
"""Minimum number of joints inside the image for a hand to be present, a third of all."""
MIN_AREA_FRACTION = 0.0015
"""Minimum fraction of the image covered by a hand to be present (98 pixels of 256 x 256)."""

_DEPTH_TOLERANCE = 5e-3  # metres, in addition to the tissue around a joint


def joint_radii(hand_model: HandLayer) -> Tensor:
    """Distances (21,) from each joint to the surface of the rest mesh, metres.

    The mean distance to the nearest vertices; small for fingertips, which are vertices themselves.
    """
    device = hand_model.v_template.device
    identity = torch.eye(3, device=device).expand(1, 2, 16, 3, 3)
    mesh = hand_model(identity, torch.zeros(1, 2, 10, device=device))
    distance = torch.cdist(mesh.joints[0, 0], mesh.vertices[0, 0])  # (21, V)
    return distance.topk(24, largest=False).values.mean(-1)


def sample_nearest(maps: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest-neighbour samples of maps (B, H, W) at pixels (B, ..., 2), and a mask of the pixels inside of the map.

    Pixels outside take the value of the nearest border pixel.
    """
    height, width = maps.shape[1:]
    # Clamped before rounding: points behind the camera project to huge coordinates.
    u, v = (pixels + 0.5).clamp(-1e6, 1e6).floor().long().unbind(-1)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    flat = v.clamp(0, height - 1) * width + u.clamp(0, width - 1)
    values = maps.flatten(1).gather(1, flat.flatten(1)).view_as(flat)
    return values, inside


def joint_visibility(joints: Tensor, pixels: Tensor, depth: Tensor, segmentation: Tensor, radii: Tensor) -> Tensor:
    """Joint visibility: the joint is inside the image and only the tissue of its own hand is in front of it.

    Args:
        joints: (B, 2, 21, 3) camera frame, metres. pixels: (B, 2, 21, 2) their projections.
        depth: (B, H, W) of the nearest surface, metres, 0 for background.
        segmentation: (B, H, W), see :mod:`lgnet_core.data.sample`.
        radii: (21,) of :func:`joint_radii`.

    Returns:
        (B, 2, 21) bool.
    """
    surface, inside = sample_nearest(depth, pixels)
    owner, _ = sample_nearest(segmentation, pixels)
    z = joints[..., 2]
    side = torch.arange(1, 3, device=joints.device, dtype=segmentation.dtype)[:, None]
    occluder_distance = torch.where(surface > 0, z - surface, -1.0)
    # The other hand occludes at any distance in front; all other surfaces only beyond the tissue around the joint.
    other_hand = (owner != side) & (owner == 3 - side)
    hidden = occluder_distance > torch.where(other_hand, 0.0, radii + _DEPTH_TOLERANCE)
    return inside & ~hidden & (z > 0)


def hand_presence(rendered: Tensor, pixels: Tensor, segmentation: Tensor) -> Tensor:
    """Presence of the rendered hands in the image: enough joints inside and enough pixels covered.

    Args:
        rendered: (B, 2) bool. pixels: (B, 2, 21, 2) projected joints. segmentation: (B, H, W).

    Returns:
        (B, 2) bool.
    """
    height, width = segmentation.shape[1:]
    size = torch.tensor([width, height], device=pixels.device)
    inside = ((pixels >= -0.5) & (pixels < size - 0.5)).all(-1).sum(-1) >= MIN_JOINTS
    covered = torch.stack([(segmentation == side + 1).flatten(1).sum(1) for side in range(2)], 1)
    return rendered & inside & (covered >= MIN_AREA_FRACTION * height * width)
