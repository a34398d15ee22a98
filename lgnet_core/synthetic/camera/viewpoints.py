r"""Cameras that look at hands, and the square crops around them.

A third-person camera on a robot faces the person, an egocentric one sits on the person's head or chest; both may also
stand anywhere (the scenes without a plausible person). Images have the sizes and fields of view of real cameras.
Crops follow :func:`lgnet_core.geometry.camera.square_crop` and :func:`~lgnet_core.geometry.camera.crop_intrinsics`,
written for batches.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.geometry.camera import project
from lgnet_core.synthetic.random import Draws

IMAGE_SIZES = ((640, 480), (848, 480), (960, 540), (1280, 720), (1280, 960))
"""Widths and heights that crops are cut from."""
_SIZE_WEIGHTS = [0.4, 0.15, 0.15, 0.25, 0.05]
FIELD_OF_VIEW = (30.0, 115.0)
"""Horizontal, degrees: long to wide lenses."""
DEPTH_RANGE = (0.25, 1.6)
"""Metres from the camera to the wrists."""
EXTENT_RANGE = (0.05, 0.9)
"""Longer side of the hands' box over the image's height."""
EGOCENTRIC = 0.35
"""Share of egocentric cameras among plausible scenes."""

_CANDIDATES = 12
_NEAREST = 0.14  # metres: no vertex comes closer to the camera


class View(NamedTuple):
    """Cameras and where they stand.

    Shapes:
        rotation: (B, 3, 3), translation: (B, 3) take points of the person's frame into the camera's, metres;
        intrinsics: (B, 3, 3) K of the full image, pixels; size: (B, 2) its width and height, pixels.
    """

    rotation: Tensor
    translation: Tensor
    intrinsics: Tensor
    size: Tensor


def draw_image_sizes(draws: Draws) -> Tensor:
    """(B, 2) widths and heights, pixels, float."""
    sizes = torch.tensor(IMAGE_SIZES, device=draws.device, dtype=torch.float32)
    return sizes[draws.choice("image size", _SIZE_WEIGHTS)]


def draw_view(
    draws: Draws,
    size: Tensor,
    plausible: Tensor,
    presence: Tensor,
    vertices: Tensor,
    wrist: Tensor,
    forearm: Tensor,
) -> View:
    """A camera for each scene.

    Args:
        size: (B, 2) width and height of the images, pixels.
        plausible, presence: of the scene.
        vertices: (B, 2, 778, 3) of both hands in the person's frame, metres. wrist: (B, 2, 3), likewise.
        forearm: (B, 2, 3) unit vectors from the wrists along the forearms, the person's frame.
    """
    egocentric = draws.bernoulli("view/ego", EGOCENTRIC)
    rotation = _draw_rotation(draws, plausible, egocentric, presence, forearm)
    shown = presence | ~presence.any(1, keepdim=True)  # an empty scene's camera looks at where hands would be
    cloud = vertices @ rotation[:, None].transpose(-1, -2)  # (B, 2, V, 3)
    low, high = _bounds(cloud, shown)
    cloud = cloud - ((low + high) / 2)[:, None, None]
    reach = (high - low)[:, 2] / 2

    fov = draws.uniform("view/fov", low=FIELD_OF_VIEW[0], high=FIELD_OF_VIEW[1]) * (math.pi / 180)
    focal = size[:, 0] / 2 / torch.tan(fov / 2)
    ego_depth = draws.uniform("view/ego depth", low=0.27, high=0.7)
    third_depth = torch.exp(draws.uniform("view/depth", low=math.log(0.35), high=math.log(DEPTH_RANGE[1])))
    depth = torch.where(plausible & egocentric, ego_depth, third_depth)
    # The hands' width over its depth is their part of the image, so a depth gives a part and a part a depth.
    width = (high - low)[:, :2].amax(1) * focal / size[:, 1]
    depth = torch.maximum(depth, width / EXTENT_RANGE[1] + 0.5 * reach)
    depth = torch.minimum(depth, width / EXTENT_RANGE[0])
    depth = torch.maximum(depth, reach + _NEAREST)
    wrist_low, wrist_high = _bounds((wrist @ rotation.transpose(1, 2))[:, :, None, 2:], shown)
    middle = (low + high)[:, 2] / 2
    depth = torch.maximum(depth, DEPTH_RANGE[0] + middle - wrist_low[:, 0])
    depth = torch.minimum(depth, DEPTH_RANGE[1] + middle - wrist_high[:, 0])

    centred = cloud + torch.nn.functional.pad(depth[:, None], (2, 0))[:, None, None]
    box_low, box_high = _bounds(centred[..., :2] / centred[..., 2:].clamp_min(0.05), shown)
    # A wide angle makes near parts large: lengthen or shorten the lens so that the box fits all the same.
    extent = (box_high - box_low).amax(1) * focal / size[:, 1]
    focal = focal * (EXTENT_RANGE[1] / extent).clamp_max(1.0)
    half = (box_high - box_low) / 2 * focal[:, None] / size  # of the image
    inside = (0.5 - half).clamp_min(0)
    spread = torch.where(draws.bernoulli("view/border", 0.12)[:, None], 0.5, inside)
    # Of the box's centre, as a fraction of the image; two dice make the middle more frequent.
    place = 0.5 + spread * draws.uniform("view/place", 2, 2, low=-1.0, high=1.0).mean(-1)
    principal = (size - 1) / 2 + draws.normal("view/principal", 2, std=0.008) * size[:, :1]
    pixel = place * size - 0.5
    ray = (pixel - principal) / focal[:, None] - (box_low + box_high) / 2
    offset = torch.cat([ray * depth[:, None], depth[:, None]], 1)

    intrinsics = torch.zeros(len(draws), 3, 3, device=draws.device)
    intrinsics[:, 0, 0] = focal
    intrinsics[:, 1, 1] = focal
    intrinsics[:, :2, 2] = principal
    intrinsics[:, 2, 2] = 1
    return View(rotation, offset - (low + high) / 2, intrinsics, size)


def _draw_rotation(draws: Draws, plausible: Tensor, egocentric: Tensor, presence: Tensor, forearm: Tensor) -> Tensor:
    """(B, 3, 3) camera from person: of a few candidates, the one whose view the forearms block least."""
    device, degrees = draws.device, math.pi / 180
    facing = torch.diag(torch.tensor([-1.0, -1.0, 1.0], device=device))
    wearing = torch.diag(torch.tensor([1.0, -1.0, -1.0], device=device))
    ego = egocentric[:, None]

    def either(name: str, ego_mean: float, ego_std: float, mean: float, std: float) -> Tensor:
        unit = draws.normal(name, _CANDIDATES).clamp(-2, 2)
        return torch.where(ego, ego_mean + ego_std * unit, mean + std * unit) * degrees

    yaw = either("view/yaw", 0, 15, 0, 40)
    pitch = either("view/pitch", 35, 15, 18, 20)  # downwards
    roll = either("view/roll", 0, 6, 0, 6)
    base = torch.where(ego[..., None], wearing, facing)[:, None]
    arms = _turn(roll, 2) @ _turn(pitch, 0) @ base @ _turn(yaw, 1)
    anywhere = draws.rotation("view/anywhere", _CANDIDATES)
    candidates = torch.where(plausible[:, None, None, None], arms, anywhere)  # (B, K, 3, 3)
    towards = -(candidates[:, :, 2] @ forearm.transpose(1, 2))  # (B, K, 2) cosine to the line of sight
    blocked = ((towards - 0.5).clamp_min(0) * presence[:, None]).sum(-1)
    best = blocked.argmin(1)
    return candidates.gather(1, best[:, None, None, None].expand(-1, 1, 3, 3))[:, 0]


def _turn(angle: Tensor, axis: int) -> Tensor:
    """Rotations (..., 3, 3) about a coordinate axis."""
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.zeros(*angle.shape, 3, 3, device=angle.device)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = matrix[..., j, j] = cos
    matrix[..., j, i] = sin
    matrix[..., i, j] = -sin
    return matrix


def _bounds(points: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest coordinates (B, D) of the shown hands' points (B, 2, N, D)."""
    hidden = ~shown[:, :, None]
    low = points.amin(2).masked_fill(hidden, torch.inf).amin(1)
    high = points.amax(2).masked_fill(hidden, -torch.inf).amax(1)
    return low, high


def hands_apart(low: Tensor, high: Tensor) -> Tensor:
    """Whether two hands get a crop each: the gap between their boxes exceeds half of a box's longer side, in the mean.

    Shapes:
        low, high: (B, 2, 2) corners of the boxes, pixels; returns (B,) bool.
    """
    gap = (torch.maximum(low[:, 0], low[:, 1]) - torch.minimum(high[:, 0], high[:, 1])).amax(1)
    return gap > 0.5 * (high - low).amax(-1).mean(1)


def draw_crops(draws: Draws, view: View, presence: Tensor, vertices: Tensor, size: int) -> Tensor:
    """Affines of square crops around the hands as an estimator would cut them, with jitter.

    Around both hands unless they are apart (:func:`hands_apart`), else around one of them; anywhere if there is none.
    A hand whose middle is outside of the image counts only if there is no other.

    Args:
        vertices: (B, 2, 778, 3) in the camera's frame, metres.
        size: side of the crop, pixels.

    Shapes:
        returns (B, 2, 3), pixels of the full image -> pixels of the crop.
    """
    pixels = project(vertices, view.intrinsics[:, None], min_depth=0.05)
    middle = pixels.mean(2)
    seen = presence & (middle > 0).all(-1) & (middle < view.size[:, None] - 1).all(-1)
    presence = torch.where(seen.any(1, keepdim=True), seen, presence)
    border = 0.1 * view.size[:, None]
    low = torch.maximum(pixels.amin(2), -border)  # (B, 2, 2): what lies far outside of the image draws no crop
    high = torch.minimum(pixels.amax(2), view.size[:, None] - 1 + border)
    low = torch.minimum(low, high - 8)

    apart = presence.all(1) & hands_apart(low, high)
    chosen = torch.nn.functional.one_hot(draws.choice("crop/hand", [1.0, 1.0]), 2).bool()
    around = torch.where(apart[:, None], chosen, presence)
    low, high = (
        torch.where(around[..., None], low, torch.inf).amin(1),
        torch.where(around[..., None], high, -torch.inf).amax(1),
    )
    centre, side = (low + high) / 2, (high - low).amax(1)

    anywhere = draws.uniform("crop/anywhere", 3)
    empty = ~presence.any(1)
    centre = torch.where(empty[:, None], (0.2 + 0.6 * anywhere[:, :2]) * view.size, centre)
    side = torch.where(empty, (0.2 + 0.7 * anywhere[:, 2]) * view.size[:, 1], side)

    side = side * torch.where(
        draws.bernoulli("crop/wide", 0.25),
        draws.uniform("crop/margin", low=1.3, high=1.9),
        draws.uniform("crop/margin", low=1.0, high=1.5),
    )
    centre = centre + draws.normal("crop/shift", 2, std=0.05).clamp(-0.15, 0.15) * side[:, None]
    turn = draws.normal("crop/turn", std=8.0).clamp(-25, 25) * (math.pi / 180)
    linear = _turn(turn, 2)[:, :2, :2] * (size / side)[:, None, None]
    shift = (size - 1) / 2 - (linear @ centre[..., None])[..., 0]
    return torch.cat([linear, shift[..., None]], -1)


def crop_cameras(affine: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """K' of the crops and the rotations R_z of the camera frame: A K = K' R_z, for batches.

    Shapes:
        affine: (B, 2, 3); intrinsics: (B, 3, 3); returns (B, 3, 3) twice.
    """
    linear = affine[:, :, :2]
    turn = linear / torch.linalg.det(linear).sqrt()[:, None, None]
    cropped = torch.zeros_like(intrinsics)
    cropped[:, :2, :2] = linear @ intrinsics[:, :2, :2] @ turn.transpose(1, 2)
    cropped[:, :2, 2] = (linear @ intrinsics[:, :2, 2:])[..., 0] + affine[:, :, 2]
    cropped[:, 2, 2] = 1
    rotation = torch.zeros_like(intrinsics)
    rotation[:, :2, :2] = turn
    rotation[:, 2, 2] = 1
    return cropped, rotation
