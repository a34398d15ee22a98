"""Surface attributes: gathering of parameters, vertex normals and cloth patterns."""

import pytest
import torch

from lgnet_core.synthetic.body.surface import (
    BLOTCHES,
    CHECKS,
    PLAIN,
    STRIPES,
    Surface,
    incident_faces,
    pattern_blend,
    vertex_normals,
)


def test_parameters_are_gathered_per_image_and_per_hand():
    batch, side = torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 1, 1])
    vectors = torch.zeros(3, 4)
    surface = Surface(batch, side, torch.zeros_like(batch), vectors, vectors, vectors, torch.zeros(4, 4))
    images, hands = torch.rand(3, 5), torch.rand(3, 2, 5)
    assert torch.equal(surface.per_image(images), images[batch].T)
    assert torch.equal(surface.per_hand(hands), hands[batch, side].T)


def test_vertex_normals_of_sphere_point_outwards():
    axis = torch.linspace(0, torch.pi, 21)
    theta, phi = torch.meshgrid(axis[1:-1], 2 * axis[:-1], indexing="ij")
    ball = torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1).view(-1, 3)
    number = torch.arange(len(ball)).view(19, 20)
    a, b, c, d = number[:-1], number[:-1].roll(-1, 1), number[1:], number[1:].roll(-1, 1)
    faces = torch.cat([torch.stack([a, c, b], -1).view(-1, 3), torch.stack([b, c, d], -1).view(-1, 3)])
    normals = vertex_normals(ball[None], faces, incident_faces(faces, len(ball)))[0]
    inner = number[1:-1].flatten()
    assert ((normals * ball).sum(1)[inner] > 0.98).all()


@pytest.mark.parametrize("pattern", [PLAIN, STRIPES, CHECKS, BLOTCHES])
def test_cloth_patterns_vary_along_their_wave_vectors(pattern):
    """Stripes vary along the first wave vector, checks along both, blotches with the noise, plain cloth not at all."""
    generator = torch.Generator().manual_seed(0)
    points, noise = torch.rand(3, 400, generator=generator), torch.randn(400, generator=generator)
    wave, cross = (20.0 * torch.eye(3)[axis, :, None].expand(3, 400) for axis in (0, 1))

    def blend(keep):
        kept = points * torch.tensor([axis in keep for axis in range(3)])[:, None]
        blotches = noise if "noise" in keep else torch.full_like(noise, 0.1)
        return pattern_blend(torch.full((400,), pattern), kept + 0.03, blotches, wave, cross)

    full = blend((0, 1, 2, "noise"))
    assert full.min() >= 0
    assert full.max() <= 1
    varies = {source for source in (0, 1, 2, "noise") if blend((source,)).std() > 0.1}
    assert varies == {PLAIN: set(), STRIPES: {0}, CHECKS: {0, 1}, BLOTCHES: {"noise"}}[pattern]
