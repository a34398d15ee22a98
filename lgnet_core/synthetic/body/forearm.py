r"""Geometry of forearms and sleeves, which extend the hand mesh beyond the wrist.

The arm is a tube that extends the open wrist loop of the posed mesh. Its centre line starts along the axis of the hand,
follows a circular arc by the flexion and deviation of the wrist, and continues straight:

.. math:: p(s) = \frac{\sin\varphi}{\kappa} a + \frac{1-\cos\varphi}{\kappa} m
    + (s-\hat s)(a\cos\varphi + m\sin\varphi), \quad \hat s = \mathrm{clamp}(s, 0, S), \; \varphi = \kappa \hat s

with a the axis from the fingers to the elbow and m the direction of the bend. The sleeve is a second, wider tube around
the same line. Lengths are in metres. The frames of left hands are mirrored.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.hand_model import HandLayer
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.types import MIDDLE_MCP, WRIST, Side

LOOP_SIZE = 16
"""Vertices of the wrist loop and of each ring of the tubes."""
ARM_STATIONS = (0.010, 0.022, 0.036, 0.052, 0.08, 0.12, 0.17, 0.23, 0.30)
"""Distances of the rings of the arm from the wrist loop, metres."""
SLEEVE_RINGS = 14
BEND_LENGTH = 0.055
"""Length of the arc, metres."""
MAX_FLEXION, MAX_DEVIATION = 0.7, 0.3
"""Maximum wrist angles, radians."""
_BEND_CANDIDATES = 4  # sampled bends, of which the one with the largest clearance is used

SKIN, SLEEVE, HEM = range(3)
"""Materials of the faces; HEM is the inside of the opening of a sleeve."""


class HandArmMesh(NamedTuple):
    """Both hands with forearms and sleeves as one mesh of 2 V vertices, right hand first.

    Shapes:
        vertices: (B, 2 V, 3) metres, camera frame; rest: (B, 2 V, 3) corresponding points of the rest pose, metres.
    """

    vertices: Tensor
    rest: Tensor


def boundary_loop(faces: Tensor) -> Tensor:
    """Vertices (L,) around the single hole of a mesh (F, 3), ordered like the edges of the adjacent faces."""
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    present = {(a, b) for a, b in edges}
    successor = {a: b for a, b in edges if (b, a) not in present}
    loop = [min(successor)]
    while (vertex := successor[loop[-1]]) != loop[0]:
        loop.append(vertex)
    if len(loop) != len(successor):
        raise ValueError(
            f"hand mesh: expected one hole at the wrist, found several with {len(successor)} boundary edges"
        )
    return torch.tensor(loop)


def _strip(near: Tensor, far: Tensor) -> Tensor:
    """Faces between two rings (L,), facing outwards if the rings are ordered like :func:`boundary_loop`."""
    near_next, far_next = near.roll(-1), far.roll(-1)
    return torch.cat([torch.stack([near_next, near, far], 1), torch.stack([near_next, far, far_next], 1)])


def _tube(rings: list[Tensor], apex: int) -> Tensor:
    """Faces of a tube through ``rings``, closed by a fan at the vertex ``apex``."""
    last = rings[-1]
    fan = torch.stack([last.roll(-1), last, torch.full_like(last, apex)], 1)
    return torch.cat([*(_strip(near, far) for near, far in pairwise(rings)), fan])


class ForearmGeometry(torch.nn.Module):
    """Adds forearms and sleeves to posed hands.

    Buffers:
        faces (F, 3), face_side (F,), face_material (F,), face_is_hand (F,): faces of the combined mesh of both hands.
    """

    faces: Tensor
    face_side: Tensor
    face_material: Tensor
    face_is_hand: Tensor
    loop: Tensor
    rest_axes: Tensor
    rest_centre: Tensor
    rest_loop: Tensor
    rigid: Tensor
    template: Tensor

    def __init__(self, hand_model: HandLayer) -> None:
        super().__init__()
        template = hand_model.v_template.detach().cpu()
        joints = hand_model.joints_from_vertices(template).detach().cpu()
        hand_faces = hand_model.faces.cpu()
        loops = torch.stack([boundary_loop(hand_faces[side]) for side in Side])
        if loops.shape[1] != LOOP_SIZE:
            raise ValueError(f"hand mesh: expected {LOOP_SIZE} vertices around the wrist, found {loops.shape[1]}")
        ring = template.gather(1, loops[..., None].expand(-1, -1, 3))  # (2, 16, 3)
        centre = ring.mean(1)
        axes = torch.stack([_rest_axes(joints[side], centre[side], side) for side in Side])

        hand_count = template.shape[1]
        arm_start, sleeve_start = hand_count, hand_count + len(ARM_STATIONS) * LOOP_SIZE + 1
        self.vertex_count = sleeve_start + (SLEEVE_RINGS + 1) * LOOP_SIZE + 1
        faces, sides, materials, is_hand = [], [], [], []
        for side in Side:
            around = torch.arange(LOOP_SIZE)
            arm_rings = [loops[side]] + [arm_start + k * LOOP_SIZE + around for k in range(len(ARM_STATIONS))]
            sleeve_rings = [sleeve_start + k * LOOP_SIZE + around for k in range(SLEEVE_RINGS + 1)]
            arm = _tube(arm_rings, sleeve_start - 1)
            hem = _strip(*sleeve_rings[:2])
            sleeve = _tube(sleeve_rings[1:], self.vertex_count - 1)
            parts = [(hand_faces[side], SKIN), (arm, SKIN), (hem, HEM), (sleeve, SLEEVE)]
            faces += [part + side * self.vertex_count for part, _ in parts]
            materials += [torch.full((len(part),), material) for part, material in parts]
            sides.append(torch.full((sum(len(part) for part, _ in parts),), int(side)))
            is_hand += [torch.full((len(part),), k == 0) for k, (part, _) in enumerate(parts)]
        for name, value in {
            "faces": torch.cat(faces),
            "face_side": torch.cat(sides),
            "face_material": torch.cat(materials),
            "face_is_hand": torch.cat(is_hand),
            "loop": loops,
            "rest_axes": axes,
            "rest_centre": centre,
            "rest_loop": torch.einsum("snc,sck->snk", ring - centre[:, None], axes),
            "template": template,
            # vertices that move rigidly with the wrist, which define its rotation
            "rigid": (hand_model.weights.detach().cpu()[Side.RIGHT, :, 0] > 0.9).nonzero()[:, 0],
        }.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, hands: Tensor, rng: CounterRng) -> tuple[HandArmMesh, Tensor]:
        """Add arms and sleeves.

        Returns:
            The combined mesh, and a mask (B, 2) of arms with sleeves.

        Shapes:
            hands: (B, 2, 778, 3) vertices, camera frame, metres.
        """
        batch = len(hands)
        pairs = torch.arange(2, device=hands.device)[:, None]
        ring = hands[:, pairs, self.loop]  # (B, 2, 16, 3)
        centre = ring.mean(2)
        rotation = rigid_rotation(self.template[:, self.rigid].expand(batch, -1, -1, -1), hands[:, :, self.rigid])
        axes = rotation @ self.rest_axes  # (B, 2, 3, 3) columns: elbow, back of the hand, across
        local = (ring - centre[:, :, None]) @ axes  # (B, 2, 16, 3)
        bend = self._choose_bend(hands, centre, axes, rng)

        thickness = rng.uniform("arm/thickness", 1, 1, 1, low=0.9, high=1.15)
        stations = torch.tensor(ARM_STATIONS, device=hands.device).expand(batch, 2, -1)
        arm = self._bent(stations, self._section(stations, local) * thickness[..., None], bend)
        fade = (1 - stations / 0.03).clamp_min(0)[..., None]
        arm = torch.cat([arm[..., :1] + fade[..., None] * local[:, :, None, :, :1], arm[..., 1:]], -1)
        arm_rest = self._straight(stations, self._section(stations, self.rest_loop.expand(batch, -1, -1, -1)))

        sleeve_stations, widening, has_sleeve = self._sample_sleeves(rng)
        section = self._section(sleeve_stations, local) * thickness[..., None] * widening
        sleeve = self._bent(sleeve_stations, section, bend)
        rest_section = self._section(sleeve_stations, self.rest_loop.expand(batch, -1, -1, -1))
        sleeve_rest = self._straight(sleeve_stations, rest_section)

        rest_axes = self.rest_axes.expand(batch, -1, -1, -1)
        rest_centre = self.rest_centre.expand(batch, -1, -1)
        posed = [hands, *(_cap_tube(part, centre, axes) for part in (arm, sleeve))]
        rest = [
            self.template.expand(batch, -1, -1, -1),
            *(_cap_tube(part, rest_centre, rest_axes) for part in (arm_rest, sleeve_rest)),
        ]
        return HandArmMesh(torch.cat(posed, 2).flatten(1, 2), torch.cat(rest, 2).flatten(1, 2)), has_sleeve

    def _section(self, stations: Tensor, local: Tensor) -> Tensor:
        """Cross-sections (B, 2, K, 16, 2) of the arm: that of the wrist, rounder and thicker towards the elbow."""
        profile = (stations / 0.20).clamp(0, 1.2) ** 1.2
        scale = torch.stack([1 + 0.75 * profile, 1 + 0.45 * profile], -1)  # back of the hand, across
        return local[:, :, None, :, 1:] * scale[..., None, :]

    def _bent(self, stations: Tensor, section: Tensor, bend: Tensor) -> Tensor:
        """Points of cross-sections along the bent centre line, wrist frame.

        Shapes:
            stations: (B, 2, K); section: (B, 2, K, 16, 2); bend: (B, 2, 2) total angles towards the back of the hand
            and across, radians; returns (B, 2, K, 16, 3).
        """
        angle = bend.norm(dim=-1).clamp_min(1e-6)
        cos_m, sin_m = (bend / angle[..., None]).unbind(-1)  # direction of the bend in the cross-section
        arc = stations.clamp(0, BEND_LENGTH)
        phi = angle[..., None] * arc / BEND_LENGTH
        beyond_arc = stations - arc
        along = arc * torch.sinc(phi / torch.pi) + beyond_arc * phi.cos()
        aside = arc * phi / 2 * torch.sinc(phi / (2 * torch.pi)) ** 2 + beyond_arc * phi.sin()
        y, z = section.unbind(-1)
        cos_m, sin_m = cos_m[..., None, None], sin_m[..., None, None]
        m, n = y * cos_m + z * sin_m, z * cos_m - y * sin_m
        along = along[..., None] - phi.sin()[..., None] * m
        m = aside[..., None] + phi.cos()[..., None] * m
        return torch.stack([along, m * cos_m - n * sin_m, m * sin_m + n * cos_m], -1)

    def _straight(self, stations: Tensor, section: Tensor) -> Tensor:
        """Points of cross-sections on the straight centre line; shapes as for :meth:`_bent`."""
        return torch.cat([stations[..., None, None].expand(*section.shape[:-1], 1), section], -1)

    def _choose_bend(self, hands: Tensor, centre: Tensor, axes: Tensor, rng: CounterRng) -> Tensor:
        """Bend angles (B, 2, 2): the first random candidate with enough clearance to the other hand, else the best."""
        limit = torch.tensor([MAX_FLEXION, MAX_DEVIATION], device=hands.device)
        candidates = rng.uniform("arm/bend", 2, _BEND_CANDIDATES, 2, low=-1, high=1) ** 3 * limit
        stations = torch.tensor([0.06, 0.12, 0.18, 0.24], device=hands.device).expand(len(hands), 2, -1)
        section = torch.zeros(len(hands), 2, 4, 1, 2, device=hands.device)
        other = hands.flip(1)[:, :, ::23]  # (B, 2, 34, 3)
        clearances = []
        for k in range(_BEND_CANDIDATES):
            line = self._bent(stations, section, candidates[:, :, k])[:, :, :, 0]
            line = line @ axes.transpose(-1, -2) + centre[:, :, None]
            clearances.append(torch.cdist(line, other).amin((-1, -2)))
        clearance = torch.stack(clearances, -1).clamp_max(0.06)  # (B, 2, candidates)
        best = clearance.argmax(-1)[..., None, None].expand(-1, -1, 1, 2)
        return candidates.gather(2, best)[:, :, 0]

    def _sample_sleeves(self, rng: CounterRng) -> tuple[Tensor, Tensor, Tensor]:
        """Stations (B, 2, K), widening (B, 2, K, 16, 1) of the arm's cross-section, and a mask (B, 2) of sleeves.

        The first ring lies inside of the arm and forms the hem together with the second.
        """
        batch, device = len(rng), rng.device
        start = rng.uniform("sleeve/start", 1, 1, low=-0.025, high=0.16) + rng.normal("sleeve/slip", 2, 1, std=0.01)
        steps = torch.linspace(0, 1, SLEEVE_RINGS, device=device)
        stations = start + (ARM_STATIONS[-1] + 0.005 - start) * steps
        stations = torch.cat([stations[..., :1], stations], -1)
        slack = rng.uniform("sleeve/slack", 1, 1, 1, 1, low=1.08, high=1.5)
        cuff = rng.uniform("sleeve/cuff", 1, 1, 1, 1, low=-0.12, high=0.15)
        cuff_profile = torch.exp(-((stations - start) / 0.03))[..., None, None]
        folds = torch.nn.functional.interpolate(
            rng.normal("sleeve/folds", 2, 8, 8),
            size=(SLEEVE_RINGS + 1, LOOP_SIZE),
            mode="bilinear",
        ) * rng.uniform("sleeve/fold_depth", 1, 1, 1, low=0.01, high=0.09)
        widening = (slack + cuff * cuff_profile + folds[..., None]).clamp_min(1.05)
        inner = torch.full((batch, 2, 1, LOOP_SIZE, 1), 0.9, device=device)
        worn = rng.bernoulli("sleeve/worn", 0.6, 1) ^ rng.bernoulli("sleeve/uneven", 0.04, 2)
        return stations, torch.cat([inner, widening[:, :, 1:]], 2), worn


def _rest_axes(joints: Tensor, centre: Tensor, side: Side) -> Tensor:
    """Axes (3, 3) of a rest hand with ``joints`` (21, 3), as columns: fingers to elbow, back of the hand, across."""
    axis = torch.nn.functional.normalize(centre - joints[MIDDLE_MCP], dim=0)
    across = joints[5] - joints[17]  # from the pinky to the index knuckle
    back = torch.linalg.cross(joints[MIDDLE_MCP] - joints[WRIST], across) * (1 if side is Side.RIGHT else -1)
    back = torch.nn.functional.normalize(back - axis * (back @ axis), dim=0)
    return torch.stack([axis, back, torch.linalg.cross(axis, back)], 1)


def rigid_rotation(source: Tensor, target: Tensor) -> Tensor:
    """Least-squares rotations (..., 3, 3) between point sets (..., N, 3), independent of translation (Kabsch)."""
    source = source - source.mean(-2, keepdim=True)
    target = target - target.mean(-2, keepdim=True)
    u, _, vh = torch.linalg.svd(target.transpose(-1, -2) @ source)
    sign = torch.linalg.det(u @ vh)
    u = torch.cat([u[..., :2], u[..., 2:] * sign[..., None, None]], -1)
    return u @ vh


def _cap_tube(rings: Tensor, centre: Tensor, axes: Tensor) -> Tensor:
    """Points (B, 2, 16 K + 1, 3) of rings (B, 2, K, 16, 3) given in the wrist frame; the last one closes the tube."""
    points = torch.cat([rings.flatten(2, 3), rings[:, :, -1].mean(2, keepdim=True)], 2)
    return points @ axes.transpose(-1, -2) + centre[:, :, None]
