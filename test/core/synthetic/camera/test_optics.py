"""Blurs keep light and place, spread what they should where they should, and scale with the image."""

import math

import pytest
import torch

from lgnet_core.synthetic.camera.optics import (
    DEFOCUS,
    MOTION,
    defocus,
    defocus_kernels,
    lens_kernels,
    motion_blur,
    motion_kernels,
    vignette,
)
from lgnet_core.synthetic.random import Draws

MANY = torch.arange(64)
WIDTH = 256
KERNELS = {
    "lens": lens_kernels,
    "motion": lambda draws: motion_kernels(draws, WIDTH),
    "defocus": lambda draws: defocus_kernels(draws, WIDTH),
}


def spread(kernels):
    """(B, 2, 2) covariance of kernels (B, K, K) in pixels, of u and v."""
    axis = torch.arange(kernels.shape[-1]) - kernels.shape[-1] // 2
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    offsets = torch.stack([u, v]).flatten(1).float()
    return torch.einsum("bk,ik,jk->bij", kernels.flatten(1), offsets, offsets)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_keep_light_and_place(name):
    kernels = KERNELS[name](Draws(1, MANY))
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(64))
    torch.testing.assert_close(kernels, kernels.flip(1, 2))  # symmetric about the centre: nothing moves
    assert (kernels >= 0).all()


def test_lenses_are_almost_sharp_to_soft():
    centre = lens_kernels(Draws(1, MANY))[:, 2, 2]
    assert centre.max() > 0.8
    assert centre.min() < 0.25


def test_motion_spreads_along_its_direction_and_hardly_across():
    draws = Draws(1, MANY)
    variances, directions = torch.linalg.eigh(spread(motion_kernels(draws, WIDTH)))
    length = WIDTH * draws.uniform("sensor/motion/length", low=MOTION[0], high=MOTION[1])
    assert (variances[:, 0] < 0.3).all(), "across: less than what interpolation between pixels does"
    torch.testing.assert_close(variances[:, 1], length**2 / 12, rtol=0.1, atol=0.4)
    angle = draws.uniform("sensor/motion/angle", high=math.pi)
    towards = torch.stack([angle.cos(), angle.sin()], 1)
    long = length > 4
    assert long.sum() > 30
    assert ((directions[..., 1] * towards).sum(1).abs()[long] > 0.99).all()


@pytest.mark.parametrize(("turn", "blurred", "kept"), [(0.0, -1, -2), (0.5, -2, -1)])
def test_motion_smears_the_edges_it_crosses_and_no_others(monkeypatch, turn, blurred, kept):
    """Along u (no turn) a vertical edge becomes a ramp and a horizontal one stays; along v the other way round."""
    uniform = Draws.uniform

    def turned(self, name, *shape, **limits):
        drawn = uniform(self, name, *shape, **limits)
        return torch.full_like(drawn, turn * limits["high"]) if name == "sensor/motion/angle" else drawn

    monkeypatch.setattr(Draws, "uniform", turned)
    step = (torch.arange(64) >= 32).float()
    for axis, expected in ((blurred, True), (kept, False)):
        edge = step.view(64, 1) if axis == -2 else step.view(1, 64)
        image = edge.expand(8, 3, 64, 64)
        assert (motion_blur(image, Draws(1, MANY[:8])) - image).abs().max().item() > (0.2 if expected else -1)
        if not expected:
            torch.testing.assert_close(motion_blur(image, Draws(1, MANY[:8])), image)


def test_defocus_makes_a_flat_disc_of_a_point():
    draws = Draws(1, MANY)
    point = torch.zeros(64, 1, WIDTH, WIDTH)
    point[..., 128, 128] = 1
    seen = defocus(point, draws)[:, 0]
    radius = WIDTH * draws.uniform("sensor/defocus/radius", low=DEFOCUS[0], high=DEFOCUS[1])
    large = (radius > 1.5).nonzero()[:, 0]
    assert len(large) > 10
    v, u = torch.meshgrid(torch.arange(WIDTH) - 128.0, torch.arange(WIDTH) - 128.0, indexing="ij")
    for k in large.tolist():
        inside, outside = torch.hypot(u, v) < radius[k] - 0.5, torch.hypot(u, v) > radius[k] + 0.5
        torch.testing.assert_close(seen[k][inside], torch.full_like(seen[k][inside], seen[k, 128, 128].item()))
        assert (seen[k][outside] == 0).all()


@pytest.mark.parametrize("kernels", [motion_kernels, defocus_kernels])
def test_blur_grows_with_the_image(kernels):
    small, large = (spread(kernels(Draws(1, MANY), width)).diagonal(dim1=1, dim2=2).sum(1) for width in (128, 512))
    strong = small > small.median()
    ratio = (large[strong] / small[strong]).sqrt()
    assert (ratio - 4).abs().max() < 0.9


def test_vignettes_darken_corners_smoothly_and_never_brighten():
    seen = vignette(torch.ones(64, 3, 48, 64), Draws(1, MANY))
    assert (seen <= 1).all()
    assert (seen > 0.2).all()
    corners = seen[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners.mean(1) < seen[:, 0, 24, 32]).all()
    assert (corners.amin(1) < 0.97 * seen.amax((1, 2, 3))).all()
    assert (seen.amax((1, 2, 3)) > 0.99).all(), "somewhere it lets all light through"
    assert seen.diff(dim=3).abs().max() < 0.05
