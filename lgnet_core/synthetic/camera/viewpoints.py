"""Sampling of camera intrinsics and poses.

Third-person cameras (on a robot) face the person, egocentric ones are worn on the head or chest. Scenes without
plausible arms are viewed from uniformly random directions. Image sizes and fields of view are those of common cameras.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.synthetic.rng import CounterRng

IMAGE_SIZES = ((640, 480), (848, 480), (960, 540), (1280, 720), (1280, 960))
"""Widths and heights of the full images, pixels."""
_SIZE_WEIGHTS = [0.4, 0.15, 0.15, 0.25, 0.05]
FIELD_OF_VIEW = (30.0, 115.0)
"""Horizontal field of view, degrees: telephoto to wide-angle lenses."""
DEPTH_RANGE = (0.25, 1.6)
"""Depth of the wrists, metres."""
EXTENT_RANGE = (0.05, 0.9)
"""Longer side of the bounding box of the hands, relative to the image height."""
EGOCENTRIC_PROBABILITY = 0.35
"""Fraction of egocentric cameras among scenes with plausible arms."""

_CANDIDATES = 12  # sampled orientations, of which the least occluded is used
_MIN_VERTEX_DEPTH = 0.14  # metres


class CameraView(NamedTuple):
    """Intrinsics and extrinsics of cameras.

    Shapes:
        rotation: (B, 3, 3), translation: (B, 3) metres, from the person frame to the camera frame;
        intrinsics: (B, 3, 3) of the full image, pixels; size: (B, 2) width and height of the full image, pixels.
    """

    rotation: Tensor
    translation: Tensor
    intrinsics: Tensor
    size: Tensor


def sample_image_sizes(rng: CounterRng) -> Tensor:
    """Widths and heights (B, 2) of full images, pixels, float32."""
    sizes = torch.tensor(IMAGE_SIZES, device=rng.device, dtype=torch.float32)
    return sizes[rng.choice("image size", _SIZE_WEIGHTS)]


def sample_view(
    rng: CounterRng,
    size: Tensor,
    plausible: Tensor,
    presence: Tensor,
    vertices: Tensor,
    wrist: Tensor,
    forearm: Tensor,
) -> CameraView:
    """Sample a camera for each scene such that its hands are in view.

    Args:
        size: (B, 2) width and height of the images, pixels.
        plausible, presence: see :class:`~lgnet_core.synthetic.scene.interactions.Scene`.
        vertices: (B, 2, 778, 3), wrist: (B, 2, 3): of both hands, person frame, metres.
        forearm: (B, 2, 3) unit vectors from the wrists along the forearms, person frame.
    """
    egocentric = rng.bernoulli("view/ego", EGOCENTRIC_PROBABILITY)
    rotation = _sample_rotation(rng, plausible, egocentric, presence, forearm)
    shown = presence | ~presence.any(1, keepdim=True)  # cameras of empty scenes look at where hands would be
    cloud = vertices @ rotation[:, None].transpose(-1, -2)  # (B, 2, V, 3)
    low, high = _bounds(cloud, shown)
    cloud = cloud - ((low + high) / 2)[:, None, None]
    reach = (high - low)[:, 2] / 2

    fov = rng.uniform("view/fov", low=FIELD_OF_VIEW[0], high=FIELD_OF_VIEW[1]) * (math.pi / 180)
    focal = size[:, 0] / 2 / torch.tan(fov / 2)
    ego_depth = rng.uniform("view/ego depth", low=0.27, high=0.7)
    third_depth = torch.exp(rng.uniform("view/depth", low=math.log(0.35), high=math.log(DEPTH_RANGE[1])))
    depth = torch.where(plausible & egocentric, ego_depth, third_depth)
    # The extent of the hands in the image is width / depth: limits on one are limits on the other.
    width = (high - low)[:, :2].amax(1) * focal / size[:, 1]
    depth = torch.maximum(depth, width / EXTENT_RANGE[1] + 0.5 * reach)
    depth = torch.minimum(depth, width / EXTENT_RANGE[0])
    depth = torch.maximum(depth, reach + _MIN_VERTEX_DEPTH)
    wrist_low, wrist_high = _bounds((wrist @ rotation.transpose(1, 2))[:, :, None, 2:], shown)
    middle = (low + high)[:, 2] / 2
    depth = torch.maximum(depth, DEPTH_RANGE[0] + middle - wrist_low[:, 0])
    depth = torch.minimum(depth, DEPTH_RANGE[1] + middle - wrist_high[:, 0])

    centred = cloud + torch.nn.functional.pad(depth[:, None], (2, 0))[:, None, None]
    box_low, box_high = _bounds(centred[..., :2] / centred[..., 2:].clamp_min(0.05), shown)
    # Perspective enlarges near parts under wide angles: increase the field of view until the box fits.
    extent = (box_high - box_low).amax(1) * focal / size[:, 1]
    focal = focal * (EXTENT_RANGE[1] / extent).clamp_max(1.0)
    half = (box_high - box_low) / 2 * focal[:, None] / size  # relative to the image size
    margin = (0.5 - half).clamp_min(0)
    spread = torch.where(rng.bernoulli("view/border", 0.12)[:, None], 0.5, margin)
    # Centre of the box relative to the image size; the mean of two samples favours the image centre.
    position = 0.5 + spread * rng.uniform("view/place", 2, 2, low=-1.0, high=1.0).mean(-1)
    principal = (size - 1) / 2 + rng.normal("view/principal", 2, std=0.008) * size[:, :1]
    pixel = position * size - 0.5
    ray = (pixel - principal) / focal[:, None] - (box_low + box_high) / 2
    offset = torch.cat([ray * depth[:, None], depth[:, None]], 1)

    intrinsics = torch.zeros(len(rng), 3, 3, device=rng.device)
    intrinsics[:, 0, 0] = focal
    intrinsics[:, 1, 1] = focal
    intrinsics[:, :2, 2] = principal
    intrinsics[:, 2, 2] = 1
    return CameraView(rotation, offset - (low + high) / 2, intrinsics, size)


def _sample_rotation(
    rng: CounterRng, plausible: Tensor, egocentric: Tensor, presence: Tensor, forearm: Tensor
) -> Tensor:
    """Rotations (B, 3, 3) from person to camera frame: the candidate whose view the forearms occlude least."""
    device, degrees = rng.device, math.pi / 180
    third_person = torch.diag(torch.tensor([-1.0, -1.0, 1.0], device=device))
    worn = torch.diag(torch.tensor([1.0, -1.0, -1.0], device=device))
    ego = egocentric[:, None]

    def sample_angle(name: str, ego_mean: float, ego_std: float, mean: float, std: float) -> Tensor:
        unit = rng.normal(name, _CANDIDATES).clamp(-2, 2)
        return torch.where(ego, ego_mean + ego_std * unit, mean + std * unit) * degrees

    yaw = sample_angle("view/yaw", 0, 15, 0, 40)
    pitch = sample_angle("view/pitch", 35, 15, 18, 20)  # downwards
    roll = sample_angle("view/roll", 0, 6, 0, 6)
    base = torch.where(ego[..., None], worn, third_person)[:, None]
    oriented = axis_rotation(roll, 2) @ axis_rotation(pitch, 0) @ base @ axis_rotation(yaw, 1)
    uniform = rng.rotation("view/anywhere", _CANDIDATES)
    candidates = torch.where(plausible[:, None, None, None], oriented, uniform)  # (B, K, 3, 3)
    towards = -(candidates[:, :, 2] @ forearm.transpose(1, 2))  # (B, K, 2) cosine between forearm and view axis
    occlusion = ((towards - 0.5).clamp_min(0) * presence[:, None]).sum(-1)
    best = occlusion.argmin(1)
    return candidates.gather(1, best[:, None, None, None].expand(-1, 1, 3, 3))[:, 0]


def axis_rotation(angle: Tensor, axis: int) -> Tensor:
    """Rotations (..., 3, 3) by ``angle`` (...), radians, about a coordinate axis."""
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.zeros(*angle.shape, 3, 3, device=angle.device)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = matrix[..., j, j] = cos
    matrix[..., j, i] = sin
    matrix[..., i, j] = -sin
    return matrix


def _bounds(points: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Minimum and maximum coordinates (B, D) of the points (B, 2, N, D) of the shown hands (B, 2)."""
    hidden = ~shown[:, :, None]
    low = points.amin(2).masked_fill(hidden, torch.inf).amin(1)
    high = points.amax(2).masked_fill(hidden, -torch.inf).amax(1)
    return low, high
