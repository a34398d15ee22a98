"""How two crops lie to each other: against affines written out, and what does not change it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.geometry.camera import pixels_to_normalised, project
from lgnet_core.geometry.crop_geometry import RELATION_SIZE, CropGeometry, crop_geometry
from lgnet_core.geometry.hand_crops import HandCrops, crop_projection, to_crop, to_image

SIZE, MAP = 224, 7
MATRIX = torch.tensor([[610.0, 0, 331.0], [0, 560.0, 228.0], [0, 0, 1]], dtype=torch.float64)
SEEDS = st.integers(0, 999)


def some_crops(seed: int, batch: int = 2) -> HandCrops:
    """A right and a left hand's in each image."""
    random = torch.Generator().manual_seed(seed)
    numbers = torch.rand(2 * batch, 4, generator=random, dtype=torch.float64)
    mirrored = torch.tensor([False, True]).repeat(batch)
    return HandCrops(numbers[:, :2] * 200 + 200, numbers[:, 2] * 80 + 80, (numbers[:, 3] - 0.5) * 6, mirrored)


OTHER = torch.tensor([1, 0, 3, 2])
"""The row of the other hand."""


def geometry_of(crops: HandCrops, other: Tensor = OTHER) -> CropGeometry:
    return crop_geometry(crop_projection(crops.affine(SIZE), MATRIX), crops.frame(MATRIX), other, SIZE, MAP)


@given(seed=SEEDS)
def test_cells_of_the_other_map_lie_where_the_image_has_them(seed):
    """From the centre of a cell to a pixel of the other crop, of the image, of the own crop, and to its [-1, 1]."""
    crops = some_crops(seed)
    affine = crops.affine(SIZE)
    steps = (torch.arange(MAP, dtype=torch.float64) + 0.5) * SIZE / MAP - 0.5
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    pixels = torch.stack([u, v], -1).reshape(1, -1, 2)
    places = to_crop(affine, to_image(affine[OTHER], pixels))
    expected = (2 * places + 1) / SIZE - 1
    found = geometry_of(crops).cells
    assert found.shape == (4, MAP * MAP, 2)
    assert_close(found, torch.tanh(expected / 4) * 4)


@given(seed=SEEDS)
def test_the_relation_is_both_frames_and_the_affine(seed):
    crops = some_crops(seed)
    geometry = geometry_of(crops)
    assert geometry.relation.shape == (4, RELATION_SIZE)
    axes = geometry.relation[..., :9].unflatten(-1, (3, 3))
    frames = crops.frame(MATRIX)
    assert_close(axes @ frames[OTHER], frames)  # the other's axes, in own ones
    assert_close(axes, axes[OTHER].mT)
    assert_close(torch.linalg.det(axes), -torch.ones(4, dtype=torch.float64))  # a right and a left hand
    affine = torch.atanh(geometry.relation[..., 9:] / 4) * 4
    linear, centre = affine[..., :4].unflatten(-1, (2, 2)), affine[..., 4:]
    cells = torch.atanh(geometry.cells / 4) * 4
    corner = torch.full((2,), 1 / MAP - 1, dtype=torch.float64)  # the centre of the first cell
    assert_close(cells[..., 0, :], linear @ corner + centre, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("alone", [True, False])
def test_one_crop_twice_is_the_identity(alone):
    """A hand without another one is its own; so are two hands in one crop."""
    crops = some_crops(3)
    if alone:
        geometry = geometry_of(crops, torch.arange(4))
    else:
        geometry = geometry_of(crops.select(torch.tensor([0, 0, 2, 2])))
    assert geometry.paired.tolist() == [0.0 if alone else 1.0] * 4
    axes, affine = geometry.relation.split([9, 6], -1)
    identity = torch.tensor([1.0, 0, 0, 1, 0, 0], dtype=torch.float64)
    assert_close(axes, torch.eye(3, dtype=torch.float64).flatten().expand(4, 9), atol=1e-12, rtol=0)
    assert_close(affine, (torch.tanh(identity / 4) * 4).expand(4, 6), atol=1e-12, rtol=0)


def test_other_hands_may_be_in_any_rows():
    order = torch.tensor([2, 0, 3, 1])
    mixed = geometry_of(some_crops(5).select(order), torch.tensor([2, 3, 0, 1]))
    for name, a, b in zip(CropGeometry._fields, mixed, geometry_of(some_crops(5))):
        if name != "other":
            assert_close(a, b[order])


@given(seed=SEEDS, angle=st.floats(-3.1, 3.1))
def test_axes_of_the_camera_do_not_matter(seed, angle):
    """Turned about the optical axis, or mirrored with the hands' sides swapped: for all that compares two crops."""
    crops = some_crops(seed)
    intrinsics, frames = crop_projection(crops.affine(SIZE), MATRIX), crops.frame(MATRIX)
    plain = crop_geometry(intrinsics, frames, OTHER, SIZE, MAP)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float64)
    turned = crop_geometry(intrinsics @ turn.mT, frames @ turn.mT, OTHER, SIZE, MAP)
    mirror = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    swapped = crop_geometry((intrinsics @ mirror)[OTHER], (frames @ mirror)[OTHER], OTHER, SIZE, MAP)
    for name in ("log_focal", "relation", "cells"):
        assert_close(getattr(turned, name), getattr(plain, name))
        assert_close(getattr(swapped, name)[OTHER], getattr(plain, name))
    assert_close(turned.reflection, plain.reflection)
    assert_close(swapped.reflection, plain.reflection)


@given(seed=SEEDS)
def test_points_are_projected_and_their_rays_lead_back(seed):
    """To the crop's [-1, 1] as to its pixels."""
    crops = some_crops(seed)
    intrinsics = crop_projection(crops.affine(SIZE), MATRIX)
    geometry = geometry_of(crops)
    points = torch.rand(4, 9, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.5
    places = project(points, geometry.projection)
    assert_close(places, pixels_to_normalised(project(points, intrinsics), SIZE))
    rays = (places - geometry.projection[:, None, :2, 2]) @ geometry.inverse.mT
    assert_close(rays, points[..., :2] / points[..., 2:])


def test_left_hands_turn_x_around():
    reflection = geometry_of(some_crops(0)).reflection
    assert torch.equal(reflection[0], torch.ones(3, 3, dtype=torch.float64))
    mirror = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    any_matrix = torch.rand(3, 3, dtype=torch.float64)
    assert_close(reflection[1] * any_matrix, mirror @ any_matrix @ mirror)


@given(seed=SEEDS, factor=st.floats(0.3, 3))
def test_the_focal_length_is_in_sides_of_the_crop(seed, factor):
    crops = some_crops(seed)
    focal = math.sqrt(610 * 560)
    own = torch.log(focal / crops.side)
    assert_close(geometry_of(crops).focal[:, 0], 2 * focal / crops.side)
    assert_close(geometry_of(crops).log_focal, torch.stack([own, own[OTHER]], 1))
    larger = geometry_of(crops._replace(side=crops.side * factor))
    assert_close(larger.log_focal, geometry_of(crops).log_focal - math.log(factor))


def test_crops_that_lie_far_apart_give_bounded_numbers():
    crops = some_crops(0)
    far = crops._replace(centre=crops.centre + torch.tensor([[0.0, 0], [1e5, 0]]).repeat(2, 1))
    geometry = geometry_of(far)
    assert geometry.cells.abs().max() <= 4
    assert geometry.relation.abs().max() <= 4
