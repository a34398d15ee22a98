"""Ray casting of solids against ray marching and analytic solutions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.solids import Primitive, Solids, cast_rays

SIZE = 48
CAMERA = torch.tensor([[60.0, 0, 23.5], [0, 60, 23.5], [0, 0, 1]])


def single_solid(primitive, centre=(0.0, 0.0, 1.0), half_extents=(0.2, 0.2, 0.2), axes=None):
    axes = torch.eye(3) if axes is None else axes
    return Solids(
        torch.tensor([[int(primitive)]]),
        torch.ones(1, 1, dtype=torch.bool),
        torch.tensor(centre).view(1, 1, 3),
        axes.view(1, 1, 3, 3),
        torch.tensor(half_extents).view(1, 1, 3),
    )


def cast(solids, size=SIZE):
    return cast_rays(solids, CAMERA.expand(len(solids.primitive), 3, 3), size, size)


def inside(primitive, local):
    """Mask of points inside the unit primitive."""
    if primitive == Primitive.BOX:
        return local.abs().amax(-1) <= 1
    if primitive == Primitive.CYLINDER:
        return ((local[..., :2] ** 2).sum(-1) <= 1) & (local[..., 2].abs() <= 1)
    return (local**2).sum(-1) <= 1


@given(primitive=st.sampled_from(Primitive), seed=st.integers(0, 1000))
def test_depth_matches_ray_marching(primitive, seed):
    rng = CounterRng(seed, torch.arange(1))
    half_extents = rng.uniform("half", 3, low=0.08, high=0.3)[0]
    centre = torch.cat([rng.uniform("xy", 2, low=-0.2, high=0.2)[0], torch.tensor([0.9])])
    axes = rng.rotation("axes")[0]
    hits = cast(single_solid(primitive, centre.tolist(), half_extents.tolist(), axes))
    depth = torch.full((SIZE * SIZE,), torch.inf)
    depth[hits.pixel] = hits.depth
    v, u = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    rays = torch.stack([u, v, torch.ones_like(u)], -1).float() @ torch.linalg.inv(CAMERA).T
    steps = torch.arange(0.4, 1.6, 2e-3)
    local = ((rays[:, :, None] * steps[:, None] - centre) @ axes) / half_extents
    within = inside(primitive, local)
    marched = torch.where(within.any(-1), steps[within.float().argmax(-1)], torch.inf).flatten()
    both = torch.isfinite(marched) & torch.isfinite(depth)
    assert (marched[both] - depth[both]).abs().max() < 4e-3
    assert (torch.isfinite(marched) & ~torch.isfinite(depth)).sum() == 0
    assert (torch.isfinite(depth) & ~torch.isfinite(marched)).float().mean() < 0.02, (
        "grazing rays missed between two steps"
    )


def test_sphere_matches_analytic_solution():
    hits = cast(single_solid(Primitive.ELLIPSOID), 47)  # odd size: one ray passes almost through the centre
    middle = (hits.pixel == 24 * 47 + 24).nonzero()[0, 0]
    assert hits.depth[middle] == pytest.approx(0.8, abs=1e-3)
    torch.testing.assert_close(hits.normal[:, middle], torch.tensor([0.0, 0, -1]), atol=0.05, rtol=0)
    torch.testing.assert_close(
        (hits.position - torch.tensor([[0.0], [0], [1]])).norm(dim=0), torch.full_like(hits.depth, 0.2)
    )


@pytest.mark.parametrize("primitive", Primitive)
def test_normals_are_unit_and_face_camera(primitive):
    hits = cast(
        single_solid(primitive, half_extents=(0.1, 0.2, 0.25), axes=CounterRng(3, torch.arange(1)).rotation("r")[0])
    )
    torch.testing.assert_close(hits.normal.norm(dim=0), torch.ones_like(hits.depth))
    assert ((hits.normal * hits.position).sum(0) < 1e-4).float().mean() > 0.99
    on_surface = hits.local.abs().amax(0) if primitive == Primitive.BOX else None
    if on_surface is not None:
        torch.testing.assert_close(on_surface, torch.ones_like(on_surface), atol=1e-4, rtol=0)


def test_nearest_present_solid_is_hit():
    near, far = (
        single_solid(Primitive.BOX, (0.0, 0, 0.6), (0.05, 0.05, 0.05)),
        single_solid(Primitive.BOX, (0.0, 0, 1.0), (0.3, 0.3, 0.1)),
    )
    both = Solids.concatenate(far, near)
    hits = cast(both)
    middle = hits.pixel == 24 * SIZE + 24
    assert hits.solid[middle].tolist() == [1]
    assert hits.depth[middle].item() == pytest.approx(0.55, abs=1e-4)
    hidden = cast(both._replace(present=torch.tensor([[True, False]])))
    assert set(hidden.solid.tolist()) == {0}
    assert len(cast(both._replace(present=torch.zeros(1, 2, dtype=torch.bool))).pixel) == 0


def test_solids_around_or_behind_camera_are_not_hit():
    assert len(cast(single_solid(Primitive.ELLIPSOID, (0.0, 0, 0), (1.0, 1, 1))).pixel) == 0
    assert len(cast(single_solid(Primitive.BOX, (0.0, 0, -1))).pixel) == 0


def test_images_of_batch_are_independent():
    rng = CounterRng(4, torch.arange(3))
    many = Solids(
        rng.choice("form", [1.0, 1.0, 1.0], 2),
        rng.bernoulli("there", 0.8, 2),
        rng.uniform("centre", 2, 3, low=-0.2, high=0.2) + torch.tensor([0.0, 0, 1]),
        rng.rotation("axes", 2),
        rng.uniform("half", 2, 3, low=0.05, high=0.2),
    )
    together = cast(many)
    for k in range(3):
        alone = cast(Solids(*(x[k : k + 1] for x in many)))
        selected = together.batch == k
        torch.testing.assert_close(together.depth[selected], alone.depth)
        assert torch.equal(together.pixel[selected] - k * SIZE * SIZE, alone.pixel)


def test_rotated_solids_match_rotated_camera():
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    solid = single_solid(Primitive.BOX, (0.1, 0.0, 1.0), (0.05, 0.1, 0.2))
    straight, rotated = cast(solid), cast(solid.rotated(turn[None]))
    assert len(straight.pixel) == pytest.approx(len(rotated.pixel), rel=0.05)
    torch.testing.assert_close(rotated.position.mean(1), turn @ straight.position.mean(1), atol=5e-3, rtol=0)
