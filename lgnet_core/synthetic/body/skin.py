"""Procedural skin texture: nails, creases, palms, reddened skin, and noise.

Two tables are precomputed and looked up per pixel: skin details on the faces of the hand mesh (a square of texels per
face, indexed by barycentric coordinates), and a periodic noise volume, indexed by the position on the rest hand.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.hand_model import HandLayer
from lgnet_core.hand_model.anatomy import anatomical_frames
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.types import Side

TEXELS = 8
"""Texels along the edge of a face, about half a millimetre each."""
NAIL, CREASE, PALM, REDNESS = range(4)
"""Channels of the skin details, each in [0, 1]."""

NOISE_SIZE = 64
"""Cells along an edge of the noise volume."""
COARSE, MIDDLE, FINE, GRAIN = range(4)
"""Channels of the noise volume, each with mean 0 and standard deviation 1."""

_CHAINS = ((13, 0), (1, 1), (4, 2), (10, 3), (7, 4))  # (MCP joint in MANO order, index of the fingertip)
_NOISE_SEED = 20240


def noise_volume() -> Tensor:
    """Periodic noise (4, 64^3), x fastest."""
    rng = CounterRng(_NOISE_SEED, torch.zeros(1, dtype=torch.int64))
    grids = {}
    for cells in (4, 8, 16, 32, 64):
        grid = rng.normal(f"noise/{cells}", 2, cells, cells, cells)
        grid = F.pad(grid, (0, 1) * 3, mode="circular")
        size = (NOISE_SIZE + 1,) * 3
        grids[cells] = F.interpolate(grid, size=size, mode="trilinear", align_corners=True)[0, :, :-1, :-1, :-1]
    channels = [
        grids[4][0] + 0.5 * grids[8][0],
        grids[8][1] + 0.6 * grids[16][0],
        grids[16][1] + 0.7 * grids[32][0],
        grids[64][0] + 0.5 * grids[32][1],
    ]
    return torch.stack([(c - c.mean()) / c.std() for c in channels]).flatten(1)


def lookup_noise(volume: Tensor, cells: Tensor) -> Tensor:
    """Noise (4, N) of the cells that contain the positions (3, N), in cells."""
    x, y, z = cells.floor().long() & (NOISE_SIZE - 1)
    return volume.index_select(1, (z * NOISE_SIZE + y) * NOISE_SIZE + x)


def lookup_details(details: Tensor, face: Tensor, barycentric: Tensor) -> Tensor:
    """Skin details (4, N) at faces (N,) and barycentric coordinates (3, N); details: (4, F * TEXELS^2)."""
    column, row = (barycentric[:2] * TEXELS).long().clamp_max(TEXELS - 1)
    return details.index_select(1, (face * TEXELS + column) * TEXELS + row)


def paint_details(hand_model: HandLayer) -> Tensor:
    """Skin details (2, 1538, TEXELS^2, 4) of the faces of both hands."""
    return torch.stack([_paint_side(hand_model, side) for side in Side])


def _paint_side(hand_model: HandLayer, side: Side) -> Tensor:
    faces = hand_model.faces[side].cpu()
    template = hand_model.v_template[side].cpu()
    mirror = torch.tensor([1.0 if side is Side.RIGHT else -1.0, 1.0, 1.0])
    corners = template[faces]
    normals = torch.zeros_like(template)
    normals.index_add_(
        0,
        faces.flatten(),
        torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).repeat_interleave(3, 0),
    )
    centres = (torch.arange(TEXELS) + 0.5) / TEXELS
    b0, b1 = torch.meshgrid(centres, centres, indexing="ij")
    weights = torch.stack([b0, b1, 1 - b0 - b1], -1).reshape(-1, 3).clamp_min(0)
    weights = weights / weights.sum(1, keepdim=True)
    point = (weights @ corners) * mirror  # (F, T, 3) on the right rest hand
    normal = F.normalize(weights @ F.normalize(normals, dim=1)[faces], dim=-1) * mirror
    joints = hand_model.rest_joints[side].cpu() * mirror
    tips = template[hand_model.tip_vertices.cpu()] * mirror
    return _paint(point, normal, joints, tips)


def _paint(point: Tensor, normal: Tensor, joints: Tensor, tips: Tensor) -> Tensor:
    frames = torch.from_numpy(anatomical_frames())
    nail, crease, red = (torch.zeros(point.shape[:-1]) for _ in range(3))
    palm = ((0.25 - normal[..., 1]) * 1.2).clamp(0, 1)
    palm = palm * ((joints[0, 0] - point[..., 0]) / 0.025).clamp(0, 1)  # fades out at the wrist
    for chain, tip in _CHAINS:
        thumb = chain == 13
        for level in range(3):
            joint = chain + level
            bone, flexion, back = frames[joint]
            end = joints[joint + 1] if level < 2 else tips[tip]
            length = (end - joints[joint]).norm()
            offset = point - joints[joint]
            along, across, above = offset @ bone, offset @ flexion, normal @ back
            near = (offset.norm(dim=-1) < 0.016).float()
            if level > 0:  # dorsal wrinkles, palmar flexion creases
                wrinkles = torch.exp(-((along / 0.006) ** 2)) * (0.5 + 0.5 * torch.cos(along * 2600 + across * 150))
                crease = torch.maximum(crease, near * wrinkles * ((above - 0.2) * 2).clamp(0, 1) * 0.8)
                red = torch.maximum(red, near * torch.exp(-((along / 0.009) ** 2)) * above.clamp(0, 1) * 0.8)
            lines = torch.exp(-((along / 0.0009) ** 2)) + torch.exp(-(((along - 0.0025) / 0.0007) ** 2))
            if level > 0 or not thumb:
                crease = torch.maximum(crease, near * lines.clamp_max(1) * ((-above - 0.1) * 3).clamp(0, 1))
            if level == 2:
                on_finger = ((along > 0) & (offset.norm(dim=-1) < 0.042) & (across.abs() < 0.014)).float()
                half_width = 0.0092 if thumb else (0.0055 if chain == 7 else 0.0066)
                shape = ((along / length - 0.74) / 0.25).abs() ** 3 + (across / half_width).abs() ** 4
                plate = ((1 - shape) * 3).clamp(0, 1) * ((above - 0.15) * 4).clamp(0, 1) * on_finger
                nail = torch.maximum(nail, plate)
                rim = torch.exp(-(((shape - 1.1) / 0.25) ** 2)) * ((above - 0.1) * 3).clamp(0, 1) * on_finger
                crease = torch.maximum(crease, rim * 0.7)
                pulp = ((along / length - 0.3) * 1.5).clamp(0, 1) * (0.4 - 0.6 * above).clamp(0, 1) * on_finger
                red = torch.maximum(red, pulp)
    crease = torch.maximum(crease, _palm_lines(point, normal, joints))
    return torch.stack([nail, crease * (1 - nail), palm, red], -1)


def _palm_lines(point: Tensor, normal: Tensor, joints: Tensor) -> Tensor:
    """The three main palm lines, as polylines between points defined relative to wrist and knuckles."""
    wrist, index, middle, pinky, thumb = (joints[j] for j in (0, 1, 4, 7, 13))

    def at(*weights: float) -> Tensor:
        return sum((w * p for w, p in zip(weights, (wrist, index, middle, pinky, thumb))), torch.zeros(3))

    lines = (
        (at(0.22, 0, 0, 0.78, 0), at(0.2, 0.1, 0.35, 0.35, 0), at(0.08, 0.42, 0.5, 0, 0)),
        (at(0.42, 0, 0.08, 0.5, 0), at(0.34, 0.22, 0.3, 0.14, 0), at(0.2, 0.72, 0, 0, 0.08)),
        (at(0.2, 0.72, 0, 0, 0.08), at(0.38, 0.2, 0.2, 0, 0.22), at(0.62, 0.05, 0.13, 0.05, 0.15)),
    )
    plane = point[..., [0, 2]]
    strength = torch.zeros(point.shape[:-1])
    for line in lines:
        for start, end in pairwise(line):
            a, b = start[[0, 2]], end[[0, 2]]
            t = ((plane - a) @ (b - a) / ((b - a) @ (b - a))).clamp(0, 1)
            distance = (plane - a - t[..., None] * (b - a)).norm(dim=-1)
            strength = torch.maximum(strength, torch.exp(-((distance / 0.0009) ** 2)))
    return strength * ((-normal[..., 1] - 0.3) * 3).clamp(0, 1) * 0.8
