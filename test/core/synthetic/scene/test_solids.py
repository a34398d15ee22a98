"""Rays meet solids where a march along them, and geometry by hand, say they do."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.scene.solids import Form, Solids, cast

SIZE = 48
CAMERA = torch.tensor([[60.0, 0, 23.5], [0, 60, 23.5], [0, 0, 1]])


def one(form, centre=(0.0, 0.0, 1.0), half=(0.2, 0.2, 0.2), axes=None):
    axes = torch.eye(3) if axes is None else axes
    return Solids(
        torch.tensor([[int(form)]]),
        torch.ones(1, 1, dtype=torch.bool),
        torch.tensor(centre).view(1, 1, 3),
        axes.view(1, 1, 3, 3),
        torch.tensor(half).view(1, 1, 3),
    )


def look(solids, size=SIZE):
    return cast(solids, CAMERA.expand(len(solids.form), 3, 3), size, size)


def inside(form, local):
    """The definition, for the march."""
    if form == Form.BOX:
        return local.abs().amax(-1) <= 1
    if form == Form.CYLINDER:
        return ((local[..., :2] ** 2).sum(-1) <= 1) & (local[..., 2].abs() <= 1)
    return (local**2).sum(-1) <= 1


@given(form=st.sampled_from(Form), seed=st.integers(0, 1000))
def test_depths_are_those_of_a_march_along_the_rays(form, seed):
    draws = Draws(seed, torch.arange(1))
    half = draws.uniform("half", 3, low=0.08, high=0.3)[0]
    centre = torch.cat([draws.uniform("xy", 2, low=-0.2, high=0.2)[0], torch.tensor([0.9])])
    axes = draws.rotation("axes")[0]
    hits = look(one(form, centre.tolist(), half.tolist(), axes))
    depth = torch.full((SIZE * SIZE,), torch.inf)
    depth[hits.pixel] = hits.depth
    v, u = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    rays = torch.stack([u, v, torch.ones_like(u)], -1).float() @ torch.linalg.inv(CAMERA).T
    steps = torch.arange(0.4, 1.6, 2e-3)
    local = ((rays[:, :, None] * steps[:, None] - centre) @ axes) / half
    within = inside(form, local)
    marched = torch.where(within.any(-1), steps[within.float().argmax(-1)], torch.inf).flatten()
    both = torch.isfinite(marched) & torch.isfinite(depth)
    assert (marched[both] - depth[both]).abs().max() < 4e-3
    assert (torch.isfinite(marched) & ~torch.isfinite(depth)).sum() == 0
    assert (torch.isfinite(depth) & ~torch.isfinite(marched)).float().mean() < 0.02, "grazed between two steps"


def test_a_sphere_by_hand():
    hits = look(one(Form.ELLIPSOID), 47)  # 47 pixels: one ray goes through the middle, nearly
    middle = (hits.pixel == 24 * 47 + 24).nonzero()[0, 0]
    assert hits.depth[middle] == pytest.approx(0.8, abs=1e-3)
    torch.testing.assert_close(hits.normal[:, middle], torch.tensor([0.0, 0, -1]), atol=0.05, rtol=0)
    torch.testing.assert_close(
        (hits.position - torch.tensor([[0.0], [0], [1]])).norm(dim=0), torch.full_like(hits.depth, 0.2)
    )


@pytest.mark.parametrize("form", Form)
def test_normals_are_unit_and_face_the_camera(form):
    hits = look(one(form, half=(0.1, 0.2, 0.25), axes=Draws(3, torch.arange(1)).rotation("r")[0]))
    torch.testing.assert_close(hits.normal.norm(dim=0), torch.ones_like(hits.depth))
    assert ((hits.normal * hits.position).sum(0) < 1e-4).float().mean() > 0.99
    on_surface = hits.local.abs().amax(0) if form == Form.BOX else None
    if on_surface is not None:
        torch.testing.assert_close(on_surface, torch.ones_like(on_surface), atol=1e-4, rtol=0)


def test_the_nearer_of_two_is_seen_and_absent_ones_are_not():
    near, far = one(Form.BOX, (0.0, 0, 0.6), (0.05, 0.05, 0.05)), one(Form.BOX, (0.0, 0, 1.0), (0.3, 0.3, 0.1))
    both = Solids.joined(far, near)
    hits = look(both)
    middle = hits.pixel == 24 * SIZE + 24
    assert hits.solid[middle].tolist() == [1]
    assert hits.depth[middle].item() == pytest.approx(0.55, abs=1e-4)
    hidden = look(both._replace(there=torch.tensor([[True, False]])))
    assert set(hidden.solid.tolist()) == {0}
    assert len(look(both._replace(there=torch.zeros(1, 2, dtype=torch.bool))).pixel) == 0


def test_what_surrounds_or_is_behind_the_camera_is_not_seen():
    assert len(look(one(Form.ELLIPSOID, (0.0, 0, 0), (1.0, 1, 1))).pixel) == 0
    assert len(look(one(Form.BOX, (0.0, 0, -1))).pixel) == 0


def test_images_do_not_mix():
    draws = Draws(4, torch.arange(3))
    many = Solids(
        draws.choice("form", [1.0, 1.0, 1.0], 2),
        draws.bernoulli("there", 0.8, 2),
        draws.uniform("centre", 2, 3, low=-0.2, high=0.2) + torch.tensor([0.0, 0, 1]),
        draws.rotation("axes", 2),
        draws.uniform("half", 2, 3, low=0.05, high=0.2),
    )
    together = look(many)
    for k in range(3):
        alone = look(Solids(*(x[k : k + 1] for x in many)))
        mine = together.batch == k
        torch.testing.assert_close(together.depth[mine], alone.depth)
        assert torch.equal(together.pixel[mine] - k * SIZE * SIZE, alone.pixel)


def test_turned_solids_are_seen_as_by_a_turned_camera():
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    solid = one(Form.BOX, (0.1, 0.0, 1.0), (0.05, 0.1, 0.2))
    straight, turned = look(solid), look(solid.turned(turn[None]))
    assert len(straight.pixel) == pytest.approx(len(turned.pixel), rel=0.05)
    torch.testing.assert_close(turned.position.mean(1), turn @ straight.position.mean(1), atol=5e-3, rtol=0)
