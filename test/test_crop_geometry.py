"""How two crops lie to each other: against affines written out, and what does not change it."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.hand_crops import HandCrops, crop_projection, to_crop, to_image
from lgnet_core.network.crop_geometry import RELATION_SIZE, crop_geometry
from lgnet_core.types import Side

SIZE, MAP = 224, 7
MATRIX = torch.tensor([[610.0, 0, 331.0], [0, 560.0, 228.0], [0, 0, 1]], dtype=torch.float64)
SEEDS = st.integers(0, 999)


def some_crops(seed: int, batch: int = 2) -> HandCrops:
    """A right and a left hand's in each image."""
    random = torch.Generator().manual_seed(seed)
    numbers = torch.rand(2 * batch, 4, generator=random, dtype=torch.float64)
    mirrored = torch.tensor([False, True]).repeat(batch)
    return HandCrops(numbers[:, :2] * 200 + 200, numbers[:, 2] * 80 + 80, (numbers[:, 3] - 0.5) * 6, mirrored)


def geometry_of(crops: HandCrops, matrix: Tensor = MATRIX):
    intrinsics = crop_projection(crops.affine(SIZE), matrix).unflatten(0, (-1, 2))
    return crop_geometry(intrinsics, crops.frame(matrix).unflatten(0, (-1, 2)), SIZE, MAP)


@given(seed=SEEDS)
def test_cells_of_the_other_map_lie_where_the_image_has_them(seed):
    """From the centre of a cell to a pixel of the other crop, of the image, of the own crop, and to its [-1, 1]."""
    crops = some_crops(seed)
    affine = crops.affine(SIZE).unflatten(0, (-1, 2))
    steps = (torch.arange(MAP, dtype=torch.float64) + 0.5) * SIZE / MAP - 0.5
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    pixels = torch.stack([u, v], -1).reshape(1, 1, -1, 2)
    places = to_crop(affine, to_image(affine.flip(1), pixels))
    expected = (2 * places + 1) / SIZE - 1
    found = geometry_of(crops).cells
    assert found.shape == (2, 2, MAP * MAP, 2)
    assert_close(found, torch.tanh(expected / 4) * 4)


@given(seed=SEEDS)
def test_the_relation_is_both_frames_and_the_affine(seed):
    crops = some_crops(seed)
    geometry = geometry_of(crops)
    assert geometry.relation.shape == (2, 2, RELATION_SIZE)
    axes = geometry.relation[..., :9].unflatten(-1, (3, 3))
    frames = crops.frame(MATRIX).unflatten(0, (-1, 2))
    assert_close(axes @ frames.flip(1), frames)  # the other's axes, in own ones
    assert_close(axes, axes.flip(1).mT)
    assert_close(torch.linalg.det(axes), -torch.ones(2, 2, dtype=torch.float64))  # a right and a left hand
    affine = torch.atanh(geometry.relation[..., 9:] / 4) * 4
    linear, centre = affine[..., :4].unflatten(-1, (2, 2)), affine[..., 4:]
    cells = torch.atanh(geometry.cells / 4) * 4
    corner = torch.full((2,), 1 / MAP - 1, dtype=torch.float64)  # the centre of the first cell
    assert_close(cells[..., 0, :], linear @ corner + centre, atol=1e-6, rtol=1e-6)


def test_one_crop_twice_is_the_identity():
    crops = some_crops(3)
    same = crops.select(torch.tensor([0, 0, 2, 2]))
    geometry = geometry_of(same)
    axes, affine = geometry.relation.split([9, 6], -1)
    identity = torch.tensor([1.0, 0, 0, 1, 0, 0], dtype=torch.float64)
    assert_close(axes, torch.eye(3, dtype=torch.float64).flatten().expand(2, 2, 9), atol=1e-12, rtol=0)
    assert_close(affine, (torch.tanh(identity / 4) * 4).expand(2, 2, 6), atol=1e-12, rtol=0)


@given(seed=SEEDS, angle=st.floats(-3.1, 3.1))
def test_axes_of_the_camera_do_not_matter(seed, angle):
    """Turned about the optical axis, or mirrored with the hands' sides swapped."""
    crops = some_crops(seed)
    intrinsics = crop_projection(crops.affine(SIZE), MATRIX).unflatten(0, (-1, 2))
    frames = crops.frame(MATRIX).unflatten(0, (-1, 2))
    plain = crop_geometry(intrinsics, frames, SIZE, MAP)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float64)
    for a, b in zip(plain, crop_geometry(intrinsics @ turn.mT, frames @ turn.mT, SIZE, MAP)):
        assert_close(a, b)
    mirror = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    swapped = crop_geometry((intrinsics @ mirror).flip(Side.LEFT), (frames @ mirror).flip(1), SIZE, MAP)
    for a, b in zip(plain, swapped):
        assert_close(a.flip(1), b)


@given(seed=SEEDS, factor=st.floats(0.3, 3))
def test_the_focal_length_is_in_sides_of_the_crop(seed, factor):
    crops = some_crops(seed)
    focal = math.sqrt(610 * 560)
    assert_close(geometry_of(crops).log_focal.flatten(), torch.log(focal / crops.side))
    larger = geometry_of(crops._replace(side=crops.side * factor))
    assert_close(larger.log_focal, geometry_of(crops).log_focal - math.log(factor))


def test_crops_that_lie_far_apart_give_bounded_numbers():
    crops = some_crops(0)
    far = crops._replace(centre=crops.centre + torch.tensor([[0.0, 0], [1e5, 0]]).repeat(2, 1))
    geometry = geometry_of(far)
    assert geometry.cells.abs().max() <= 4
    assert geometry.relation.abs().max() <= 4
