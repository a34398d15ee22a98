"""Optical degradations: energy preservation, kernel shapes, scaling with the image size."""

import math

import pytest
import torch

from lgnet_core.synthetic.camera.optics import (
    DEFOCUS_RADIUS,
    MOTION_LENGTH,
    defocus,
    defocus_kernels,
    lens_kernels,
    motion_blur,
    motion_kernels,
    vignette,
)
from lgnet_core.synthetic.rng import CounterRng

MANY = torch.arange(64)
WIDTH = 256
KERNELS = {
    "lens": lens_kernels,
    "motion": lambda rng: motion_kernels(rng, WIDTH),
    "defocus": lambda rng: defocus_kernels(rng, WIDTH),
}


def spread(kernels):
    """(B, 2, 2) covariance of kernels (B, K, K) in pixels, of u and v."""
    axis = torch.arange(kernels.shape[-1]) - kernels.shape[-1] // 2
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    offsets = torch.stack([u, v]).flatten(1).float()
    return torch.einsum("bk,ik,jk->bij", kernels.flatten(1), offsets, offsets)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_preserve_energy_and_position(name):
    kernels = KERNELS[name](CounterRng(1, MANY))
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(64))
    torch.testing.assert_close(kernels, kernels.flip(1, 2))  # symmetric about the centre: no displacement
    assert (kernels >= 0).all()


def test_lens_blur_ranges_from_sharp_to_soft():
    centre = lens_kernels(CounterRng(1, MANY))[:, 2, 2]
    assert centre.max() > 0.8
    assert centre.min() < 0.25


def test_motion_kernel_is_a_line():
    rng = CounterRng(1, MANY)
    variances, directions = torch.linalg.eigh(spread(motion_kernels(rng, WIDTH)))
    length = WIDTH * rng.uniform("sensor/motion/length", low=MOTION_LENGTH[0], high=MOTION_LENGTH[1])
    assert (variances[:, 0] < 0.3).all(), "less than the spread by interpolation between pixels"
    torch.testing.assert_close(variances[:, 1], length**2 / 12, rtol=0.1, atol=0.4)
    angle = rng.uniform("sensor/motion/angle", high=math.pi)
    towards = torch.stack([angle.cos(), angle.sin()], 1)
    long = length > 4
    assert long.sum() > 30
    assert ((directions[..., 1] * towards).sum(1).abs()[long] > 0.99).all()


@pytest.mark.parametrize(("turn", "blurred", "unchanged"), [(0.0, -1, -2), (0.5, -2, -1)])
def test_motion_blurs_only_edges_across_its_direction(monkeypatch, turn, blurred, unchanged):
    """Motion along u blurs vertical edges only; motion along v blurs horizontal edges only."""
    uniform = CounterRng.uniform

    def rotated(self, name, *shape, **limits):
        sample = uniform(self, name, *shape, **limits)
        return torch.full_like(sample, turn * limits["high"]) if name == "sensor/motion/angle" else sample

    monkeypatch.setattr(CounterRng, "uniform", rotated)
    step = (torch.arange(64) >= 32).float()
    for axis, expected in ((blurred, True), (unchanged, False)):
        edge = step.view(64, 1) if axis == -2 else step.view(1, 64)
        image = edge.expand(8, 3, 64, 64)
        assert (motion_blur(image, CounterRng(1, MANY[:8])) - image).abs().max().item() > (0.2 if expected else -1)
        if not expected:
            torch.testing.assert_close(motion_blur(image, CounterRng(1, MANY[:8])), image)


def test_defocused_point_is_a_uniform_disc():
    rng = CounterRng(1, MANY)
    point = torch.zeros(64, 1, WIDTH, WIDTH)
    point[..., 128, 128] = 1
    output = defocus(point, rng)[:, 0]
    radius = WIDTH * rng.uniform("sensor/defocus/radius", low=DEFOCUS_RADIUS[0], high=DEFOCUS_RADIUS[1])
    large = (radius > 1.5).nonzero()[:, 0]
    assert len(large) > 10
    v, u = torch.meshgrid(torch.arange(WIDTH) - 128.0, torch.arange(WIDTH) - 128.0, indexing="ij")
    for k in large.tolist():
        inside, outside = torch.hypot(u, v) < radius[k] - 0.5, torch.hypot(u, v) > radius[k] + 0.5
        torch.testing.assert_close(output[k][inside], torch.full_like(output[k][inside], output[k, 128, 128].item()))
        assert (output[k][outside] == 0).all()


@pytest.mark.parametrize("kernels", [motion_kernels, defocus_kernels])
def test_blur_grows_with_the_image(kernels):
    small, large = (spread(kernels(CounterRng(1, MANY), width)).diagonal(dim1=1, dim2=2).sum(1) for width in (128, 512))
    strong = small > small.median()
    ratio = (large[strong] / small[strong]).sqrt()
    assert (ratio - 4).abs().max() < 0.9


def test_vignette_darkens_corners_smoothly():
    output = vignette(torch.ones(64, 3, 48, 64), CounterRng(1, MANY))
    assert (output <= 1).all()
    assert (output > 0.2).all()
    corners = output[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners.mean(1) < output[:, 0, 24, 32]).all()
    assert (corners.amin(1) < 0.97 * output.amax((1, 2, 3))).all()
    assert (output.amax((1, 2, 3)) > 0.99).all(), "no attenuation at the optical centre"
    assert output.diff(dim=3).abs().max() < 0.05
