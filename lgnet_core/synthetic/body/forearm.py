r"""Forearms and sleeves to draw the hands with; the hand model ends at the wrist.

The arm is a tube grown out of the open wrist loop of the posed mesh. Its centre line leaves along the hand's own axis,
bends by the wrist's flexion and deviation over a circular arc, and goes on straight:

.. math:: p(s) = \frac{\sin\varphi}{\kappa} a + \frac{1-\cos\varphi}{\kappa} m
    + (s-\hat s)(a\cos\varphi + m\sin\varphi), \quad \hat s = \mathrm{clamp}(s, 0, S), \; \varphi = \kappa \hat s

with a the axis from the fingers to the elbow and m the direction of the bend. The sleeve is a second, wider tube
around the same line. Everything is metres; right and left share the code, the frames alone are mirrored.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.random import Draws
from lgnet_core.types import MIDDLE_MCP, WRIST, Side

LOOP_SIZE = 16
ARM_STATIONS = (0.010, 0.022, 0.036, 0.052, 0.08, 0.12, 0.17, 0.23, 0.30)
"""Distances of the arm's rings from the wrist loop, metres."""
SLEEVE_RINGS = 14
BEND_LENGTH = 0.055
MAX_FLEXION, MAX_DEVIATION = 0.7, 0.3
_BEND_TRIALS = 4

SKIN, SLEEVE, HEM = range(3)
"""Materials of the faces; HEM is the inside of a sleeve's opening."""


class ArmedHands(NamedTuple):
    """Both hands with forearms and sleeves as one mesh of 2 V vertices, right hand first.

    Shapes:
        vertices: (B, 2 V, 3) metres, camera frame; rest: (B, 2 V, 3) the same points on the unbent rest hand, metres.
    """

    vertices: Tensor
    rest: Tensor


def boundary_loop(faces: Tensor) -> Tensor:
    """Vertices (L,) around the one hole of a mesh (F, 3), in the direction in which its faces run along the hole."""
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    present = {(a, b) for a, b in edges}
    following = {a: b for a, b in edges if (b, a) not in present}
    loop = [min(following)]
    while (vertex := following[loop[-1]]) != loop[0]:
        loop.append(vertex)
    if len(loop) != len(following):
        raise ValueError(f"hand mesh: expected one hole at the wrist, found an edge of {len(following)} in pieces")
    return torch.tensor(loop)


def _strip(near: Tensor, far: Tensor) -> Tensor:
    """Faces between two rings (L,); outward where the rings run as the edge of the hole that the tube grows out of."""
    near_next, far_next = near.roll(-1), far.roll(-1)
    return torch.cat([torch.stack([near_next, near, far], 1), torch.stack([near_next, far, far_next], 1)])


def _tube(rings: list[Tensor], apex: int) -> Tensor:
    """Faces of a tube through rings, closed by a fan at the vertex ``apex``."""
    last = rings[-1]
    fan = torch.stack([last.roll(-1), last, torch.full_like(last, apex)], 1)
    return torch.cat([*(_strip(near, far) for near, far in pairwise(rings)), fan])


class ForearmGeometry(torch.nn.Module):
    """Grows forearms and sleeves on posed hands.

    Buffers:
        faces (F, 3), face_side (F,), face_material (F,), face_is_hand (F,): of the combined mesh of both hands.
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

    def __init__(self, hand_model: HandModel) -> None:
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
            # the part that moves with the wrist alone: its rigid motion is the wrist's frame
            "rigid": (hand_model.weights.detach().cpu()[Side.RIGHT, :, 0] > 0.9).nonzero()[:, 0],
        }.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, hands: Tensor, draws: Draws) -> tuple[ArmedHands, Tensor]:
        """Attach arms and sleeves.

        Shapes:
            hands: (B, 2, 778, 3) metres, camera frame; returns the mesh and sleeved (B, 2) bool.
        """
        batch = len(hands)
        pairs = torch.arange(2, device=hands.device)[:, None]
        ring = hands[:, pairs, self.loop]  # (B, 2, 16, 3)
        centre = ring.mean(2)
        rotation = rigid_rotation(self.template[:, self.rigid].expand(batch, -1, -1, -1), hands[:, :, self.rigid])
        axes = rotation @ self.rest_axes  # (B, 2, 3, 3) columns: elbow, back of the hand, across
        local = (ring - centre[:, :, None]) @ axes  # (B, 2, 16, 3)
        bend = self._choose_bend(hands, centre, axes, draws)

        thickness = draws.uniform("arm/thickness", 1, 1, 1, low=0.9, high=1.15)
        stations = torch.tensor(ARM_STATIONS, device=hands.device).expand(batch, 2, -1)
        arm = self._bent(stations, self._section(stations, local) * thickness[..., None], bend)
        fade = (1 - stations / 0.03).clamp_min(0)[..., None]
        arm = torch.cat([arm[..., :1] + fade[..., None] * local[:, :, None, :, :1], arm[..., 1:]], -1)
        arm_rest = self._straight(stations, self._section(stations, self.rest_loop.expand(batch, -1, -1, -1)))

        sleeve_stations, widening, sleeved = self._sleeve(draws)
        section = self._section(sleeve_stations, local) * thickness[..., None] * widening
        sleeve = self._bent(sleeve_stations, section, bend)
        rest_section = self._section(sleeve_stations, self.rest_loop.expand(batch, -1, -1, -1))
        sleeve_rest = self._straight(sleeve_stations, rest_section)

        rest_axes = self.rest_axes.expand(batch, -1, -1, -1)
        rest_centre = self.rest_centre.expand(batch, -1, -1)
        posed = [hands, *(_close(part, centre, axes) for part in (arm, sleeve))]
        rest = [
            self.template.expand(batch, -1, -1, -1),
            *(_close(part, rest_centre, rest_axes) for part in (arm_rest, sleeve_rest)),
        ]
        return ArmedHands(torch.cat(posed, 2).flatten(1, 2), torch.cat(rest, 2).flatten(1, 2)), sleeved

    def _section(self, stations: Tensor, local: Tensor) -> Tensor:
        """Cross-sections (B, 2, K, 16, 2) of the arm: the wrist's, growing rounder and thicker to the elbow."""
        grown = (stations / 0.20).clamp(0, 1.2) ** 1.2
        growth = torch.stack([1 + 0.75 * grown, 1 + 0.45 * grown], -1)  # back of the hand, across
        return local[:, :, None, :, 1:] * growth[..., None, :]

    def _bent(self, stations: Tensor, section: Tensor, bend: Tensor) -> Tensor:
        """Points (B, 2, K, 16, 3) in the wrist's frame of sections (B, 2, K, 16, 2) at stations (B, 2, K) of the bent
        centre line; bend (B, 2, 2) is the total angle towards the back of the hand and across, radians."""
        angle = bend.norm(dim=-1).clamp_min(1e-6)
        cos_m, sin_m = (bend / angle[..., None]).unbind(-1)  # direction of the bend in the cross-section
        arc = stations.clamp(0, BEND_LENGTH)
        phi = angle[..., None] * arc / BEND_LENGTH
        rest = stations - arc
        along = arc * torch.sinc(phi / torch.pi) + rest * phi.cos()
        aside = arc * phi / 2 * torch.sinc(phi / (2 * torch.pi)) ** 2 + rest * phi.sin()
        y, z = section.unbind(-1)
        cos_m, sin_m = cos_m[..., None, None], sin_m[..., None, None]
        m, n = y * cos_m + z * sin_m, z * cos_m - y * sin_m
        along = along[..., None] - phi.sin()[..., None] * m
        m = aside[..., None] + phi.cos()[..., None] * m
        return torch.stack([along, m * cos_m - n * sin_m, m * sin_m + n * cos_m], -1)

    def _straight(self, stations: Tensor, section: Tensor) -> Tensor:
        return torch.cat([stations[..., None, None].expand(*section.shape[:-1], 1), section], -1)

    def _choose_bend(self, hands: Tensor, centre: Tensor, axes: Tensor, draws: Draws) -> Tensor:
        """Bend angles (B, 2, 2): the first of a few random ones whose arm keeps clear of the other hand."""
        limit = torch.tensor([MAX_FLEXION, MAX_DEVIATION], device=hands.device)
        trials = draws.uniform("arm/bend", 2, _BEND_TRIALS, 2, low=-1, high=1) ** 3 * limit
        stations = torch.tensor([0.06, 0.12, 0.18, 0.24], device=hands.device).expand(len(hands), 2, -1)
        section = torch.zeros(len(hands), 2, 4, 1, 2, device=hands.device)
        other = hands.flip(1)[:, :, ::23]  # (B, 2, 34, 3)
        gaps = []
        for trial in range(_BEND_TRIALS):
            line = self._bent(stations, section, trials[:, :, trial])[:, :, :, 0]
            line = line @ axes.transpose(-1, -2) + centre[:, :, None]
            gaps.append(torch.cdist(line, other).amin((-1, -2)))
        gap = torch.stack(gaps, -1).clamp_max(0.06)  # (B, 2, trials)
        best = gap.argmax(-1)[..., None, None].expand(-1, -1, 1, 2)
        return trials.gather(2, best)[:, :, 0]

    def _sleeve(self, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        """Stations (B, 2, K), widening (B, 2, K, 16, 1) of the arm's section, and who has one (B, 2) bool.

        The first ring lies within the arm, so that the second makes the hem's edge with it.
        """
        batch, device = len(draws), draws.device
        start = draws.uniform("sleeve/start", 1, 1, low=-0.025, high=0.16) + draws.normal("sleeve/slip", 2, 1, std=0.01)
        steps = torch.linspace(0, 1, SLEEVE_RINGS, device=device)
        stations = start + (ARM_STATIONS[-1] + 0.005 - start) * steps
        stations = torch.cat([stations[..., :1], stations], -1)
        slack = draws.uniform("sleeve/slack", 1, 1, 1, 1, low=1.08, high=1.5)
        cuff = draws.uniform("sleeve/cuff", 1, 1, 1, 1, low=-0.12, high=0.15)
        tighten = torch.exp(-((stations - start) / 0.03))[..., None, None]
        folds = torch.nn.functional.interpolate(
            draws.normal("sleeve/folds", 2, 8, 8),
            size=(SLEEVE_RINGS + 1, LOOP_SIZE),
            mode="bilinear",
        ) * draws.uniform("sleeve/fold_depth", 1, 1, 1, low=0.01, high=0.09)
        widening = (slack + cuff * tighten + folds[..., None]).clamp_min(1.05)
        inner = torch.full((batch, 2, 1, LOOP_SIZE, 1), 0.9, device=device)
        worn = draws.bernoulli("sleeve/worn", 0.6, 1) ^ draws.bernoulli("sleeve/uneven", 0.04, 2)
        return stations, torch.cat([inner, widening[:, :, 1:]], 2), worn


def _rest_axes(joints: Tensor, centre: Tensor, side: Side) -> Tensor:
    """Columns: from the fingers to the elbow, out of the back of the hand, across; of one rest hand (21, 3)."""
    axis = torch.nn.functional.normalize(centre - joints[MIDDLE_MCP], dim=0)
    across = joints[5] - joints[17]  # from the little finger's knuckle to the index's
    back = torch.linalg.cross(joints[MIDDLE_MCP] - joints[WRIST], across) * (1 if side is Side.RIGHT else -1)
    back = torch.nn.functional.normalize(back - axis * (back @ axis), dim=0)
    return torch.stack([axis, back, torch.linalg.cross(axis, back)], 1)


def rigid_rotation(source: Tensor, target: Tensor) -> Tensor:
    """Rotations (..., 3, 3) that best take centred points (..., N, 3) to others in the least-squares sense (Kabsch)."""
    source = source - source.mean(-2, keepdim=True)
    target = target - target.mean(-2, keepdim=True)
    u, _, vh = torch.linalg.svd(target.transpose(-1, -2) @ source)
    sign = torch.linalg.det(u @ vh)
    u = torch.cat([u[..., :2], u[..., 2:] * sign[..., None, None]], -1)
    return u @ vh


def _close(rings: Tensor, centre: Tensor, axes: Tensor) -> Tensor:
    """Rings (B, 2, K, 16, 3) of the wrist's frame to points (B, 2, 16 K + 1, 3); the last one closes the far end."""
    points = torch.cat([rings.flatten(2, 3), rings[:, :, -1].mean(2, keepdim=True)], 2)
    return points @ axes.transpose(-1, -2) + centre[:, :, None]
