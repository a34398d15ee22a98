"""Shadows: shadow map of a plate in front of a plane against ray geometry, and background shadow."""

import pytest
import torch
from torch.nn.functional import normalize

from lgnet_core.synthetic.render.shadows import NORMAL_OFFSET, ShadowMap, background_shadow
from lgnet_core.synthetic.rng import CounterRng


def plate(centre, half_extents, normal_z=-1.0):
    """A square facing the camera (outward normal -z): vertices (4, 3) and faces (2, 3)."""
    corners = torch.tensor([[-1.0, -1, 0], [-1, 1, 0], [1, -1, 0], [1, 1, 0]])
    return corners * half_extents + torch.tensor(centre), torch.tensor([[0, 1, 2], [2, 1, 3]])


@pytest.fixture
def scene():
    big, faces = plate((0.0, 0, 0.8), 0.15)
    small, _ = plate((0.02, 0, 0.7), 0.04)
    return torch.cat([big, small])[None], torch.cat([faces, faces + 4])


def shine(scene, direction, points, focus=None, softness=0.0):
    vertices, faces = scene
    mask = torch.ones(1, len(faces), dtype=torch.bool)
    focus = torch.ones(1, vertices.shape[1], dtype=torch.bool) if focus is None else focus
    shadows = ShadowMap(vertices, faces, mask, focus, normalize(torch.tensor([direction]), dim=1))
    lifted = points + NORMAL_OFFSET * torch.tensor([0.0, 0, -1])
    placed = shadows.project(lifted[None])[0].T
    return shadows.visibility(placed, torch.zeros(len(points), dtype=torch.int64), torch.full((1, 1), softness))


@pytest.mark.parametrize("direction", [(0.0, 0, -1), (0.5, -0.3, -1), (-0.6, 0.2, -0.7), (0.05, -3.0, -1.5)])
def test_shadow_matches_ray_geometry(scene, direction):
    axis = torch.linspace(-0.13, 0.13, 40)
    u, v = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([u, v, torch.full_like(u, 0.8)], -1).view(-1, 3)
    key_visibility = shine(scene, direction, points)
    towards = torch.tensor(direction) / abs(direction[2])
    crossing = points + towards * 0.1  # in the plane of the small plate
    beyond = (crossing[:, :2] - torch.tensor([0.02, 0.0])).abs().amax(1) - 0.04  # < 0: occluded by the plate
    assert (key_visibility[beyond < -0.008] == 0).all()
    assert (key_visibility[beyond > 0.008] == 1).all()


def test_soft_shadow_has_penumbra(scene):
    points = torch.stack([torch.linspace(0.0, 0.12, 400), torch.zeros(400), torch.full((400,), 0.8)], 1)
    key_visibility = shine(scene, (0.0, 0, -1), points, softness=4.0)
    assert {0.0, 0.5, 1.0} <= set(key_visibility.tolist())
    assert (key_visibility.diff() >= 0).all()


def test_empty_scene_has_no_shadow(scene):
    vertices, faces = scene
    focus = torch.zeros(1, vertices.shape[1], dtype=torch.bool)
    shadows = ShadowMap(
        vertices, faces, torch.zeros(1, len(faces), dtype=torch.bool), focus, torch.tensor([[0.0, 0, -1]])
    )
    placed = shadows.project(vertices)[0].T
    assert (shadows.visibility(placed, torch.zeros(8, dtype=torch.int64), torch.ones(1, 1)) == 1).all()


def test_background_shadow_falls_away_from_light():
    covered = torch.zeros(200, 64, 96)
    covered[:, 24:40, 40:56] = 1
    left_above = normalize(torch.tensor([[-1.0, -1.0, -0.5]]), dim=1).expand(200, 3)
    remaining = background_shadow(covered, left_above, CounterRng(1, torch.arange(200)))
    assert remaining.shape == (200, 1, 64, 96)
    assert remaining.min() > 0.2
    assert remaining.max() <= 1
    dark = 1 - remaining[:, 0]
    shaded = dark.amax((1, 2)) > 0.05
    assert 0.3 < shaded.float().mean() < 0.9
    dark = dark[shaded]
    weight = dark.sum((1, 2))
    assert ((dark.sum(1) @ torch.arange(96.0)) / weight > 46).float().mean() > 0.9
    assert ((dark.sum(2) @ torch.arange(64.0)) / weight > 30).float().mean() > 0.9
