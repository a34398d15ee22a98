"""Relation of two hand crops: against explicit transforms, and its invariances."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.geometry.affine import inverse_transform_points, transform_points
from lgnet_core.geometry.camera import project
from lgnet_core.geometry.coordinates import pixels_to_normalised
from lgnet_core.geometry.crop_pairs import RELATION_FEATURES, CropPairGeometry, crop_pair_geometry
from lgnet_core.geometry.crops import crop_projection
from lgnet_core.geometry.hand_crops import HandCrops

SIZE, MAP = 224, 7
MATRIX = torch.tensor([[610.0, 0, 331.0], [0, 560.0, 228.0], [0, 0, 1]], dtype=torch.float64)
SEEDS = st.integers(0, 999)


def random_crops(seed: int, batch: int = 2) -> HandCrops:
    """Crops of a right and a left hand in each image."""
    random = torch.Generator().manual_seed(seed)
    numbers = torch.rand(2 * batch, 4, generator=random, dtype=torch.float64)
    mirrored = torch.tensor([False, True]).repeat(batch)
    return HandCrops(numbers[:, :2] * 200 + 200, numbers[:, 2] * 80 + 80, (numbers[:, 3] - 0.5) * 6, mirrored)


OTHER = torch.tensor([1, 0, 3, 2])
"""The row of the other hand."""


def geometry_of(crops: HandCrops, other: Tensor = OTHER) -> CropPairGeometry:
    return crop_pair_geometry(
        crop_projection(crops.affine(SIZE), MATRIX), crops.canonical_frames(MATRIX), other, SIZE, MAP
    )


@given(seed=SEEDS)
def test_cells_of_the_other_map_match_the_chain_of_transforms(seed):
    """Centre of a cell -> pixel of the other crop -> of the image -> of this crop -> its [-1, 1]."""
    crops = random_crops(seed)
    affine = crops.affine(SIZE)
    steps = (torch.arange(MAP, dtype=torch.float64) + 0.5) * SIZE / MAP - 0.5
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    pixels = torch.stack([u, v], -1).reshape(1, -1, 2)
    own_pixels = transform_points(affine, inverse_transform_points(affine[OTHER], pixels))
    expected = (2 * own_pixels + 1) / SIZE - 1
    cells = geometry_of(crops).cells
    assert cells.shape == (4, MAP * MAP, 2)
    assert_close(cells, torch.tanh(expected / 4) * 4)


@given(seed=SEEDS)
def test_relation_holds_relative_axes_and_affine_transform(seed):
    crops = random_crops(seed)
    geometry = geometry_of(crops)
    assert geometry.relation.shape == (4, RELATION_FEATURES)
    axes = geometry.relation[..., :9].unflatten(-1, (3, 3))
    frames = crops.canonical_frames(MATRIX)
    assert_close(axes @ frames[OTHER], frames)  # axes of the other hand in this hand's frame
    assert_close(axes, axes[OTHER].mT)
    assert_close(torch.linalg.det(axes), -torch.ones(4, dtype=torch.float64))  # a right and a left hand
    affine = torch.atanh(geometry.relation[..., 9:] / 4) * 4
    linear, centre = affine[..., :4].unflatten(-1, (2, 2)), affine[..., 4:]
    cells = torch.atanh(geometry.cells / 4) * 4
    corner = torch.full((2,), 1 / MAP - 1, dtype=torch.float64)  # the centre of the first cell
    assert_close(cells[..., 0, :], linear @ corner + centre, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("alone", [True, False])
def test_relation_of_a_crop_to_itself_is_the_identity(alone):
    """For a hand without a counterpart, and for two hands with the same crop."""
    crops = random_crops(3)
    if alone:
        geometry = geometry_of(crops, torch.arange(4))
    else:
        geometry = geometry_of(crops.select(torch.tensor([0, 0, 2, 2])))
    assert geometry.paired.tolist() == [0.0 if alone else 1.0] * 4
    axes, affine = geometry.relation.split([9, 6], -1)
    identity = torch.tensor([1.0, 0, 0, 1, 0, 0], dtype=torch.float64)
    assert_close(axes, torch.eye(3, dtype=torch.float64).flatten().expand(4, 9), atol=1e-12, rtol=0)
    assert_close(affine, (torch.tanh(identity / 4) * 4).expand(4, 6), atol=1e-12, rtol=0)


def test_rows_may_be_in_any_order():
    order = torch.tensor([2, 0, 3, 1])
    shuffled = geometry_of(random_crops(5).select(order), torch.tensor([2, 3, 0, 1]))
    for name, a, b in zip(CropPairGeometry._fields, shuffled, geometry_of(random_crops(5))):
        if name != "other":
            assert_close(a, b[order])


@given(seed=SEEDS, angle=st.floats(-3.1, 3.1))
def test_relation_is_independent_of_the_camera_axes(seed, angle):
    """Invariant to rotation about the optical axis, and to mirroring with the sides swapped."""
    crops = random_crops(seed)
    intrinsics, frames = crop_projection(crops.affine(SIZE), MATRIX), crops.canonical_frames(MATRIX)
    original = crop_pair_geometry(intrinsics, frames, OTHER, SIZE, MAP)
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float64)
    rotated = crop_pair_geometry(intrinsics @ rotation.mT, frames @ rotation.mT, OTHER, SIZE, MAP)
    mirror = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    swapped = crop_pair_geometry((intrinsics @ mirror)[OTHER], (frames @ mirror)[OTHER], OTHER, SIZE, MAP)
    for name in ("log_focal", "relation", "cells"):
        assert_close(getattr(rotated, name), getattr(original, name))
        assert_close(getattr(swapped, name)[OTHER], getattr(original, name))
    assert_close(rotated.reflection, original.reflection)
    assert_close(swapped.reflection, original.reflection)


@given(seed=SEEDS)
def test_projection_and_its_inverse(seed):
    """Normalised coordinates agree with pixels of the crop, and rays are recovered from them."""
    crops = random_crops(seed)
    intrinsics = crop_projection(crops.affine(SIZE), MATRIX)
    geometry = geometry_of(crops)
    points = torch.rand(4, 9, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.5
    normalised = project(points, geometry.projection)
    assert_close(normalised, pixels_to_normalised(project(points, intrinsics), SIZE))
    rays = (normalised - geometry.projection[:, None, :2, 2]) @ geometry.inverse.mT
    assert_close(rays, points[..., :2] / points[..., 2:])


def test_reflection_of_mirrored_crops_negates_x():
    reflection = geometry_of(random_crops(0)).reflection
    assert torch.equal(reflection[0], torch.ones(3, 3, dtype=torch.float64))
    mirror = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    any_matrix = torch.rand(3, 3, dtype=torch.float64)
    assert_close(reflection[1] * any_matrix, mirror @ any_matrix @ mirror)


@given(seed=SEEDS, factor=st.floats(0.3, 3))
def test_focal_length_is_relative_to_the_crop_side(seed, factor):
    crops = random_crops(seed)
    focal = math.sqrt(610 * 560)
    own = torch.log(focal / crops.side)
    assert_close(geometry_of(crops).focal[:, 0], 2 * focal / crops.side)
    assert_close(geometry_of(crops).log_focal, torch.stack([own, own[OTHER]], 1))
    larger = geometry_of(crops._replace(side=crops.side * factor))
    assert_close(larger.log_focal, geometry_of(crops).log_focal - math.log(factor))


def test_features_of_distant_crops_are_bounded():
    crops = random_crops(0)
    far = crops._replace(centre=crops.centre + torch.tensor([[0.0, 0], [1e5, 0]]).repeat(2, 1))
    geometry = geometry_of(far)
    assert geometry.cells.abs().max() <= 4
    assert geometry.relation.abs().max() <= 4
