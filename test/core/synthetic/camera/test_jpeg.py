"""JPEG artefacts against the encoder of OpenCV and properties of the format."""

import cv2
import numpy as np
import pytest
import torch

from lgnet_core.synthetic.camera.jpeg import QUALITY_RANGE, jpeg_artefacts, jpeg_round_trip
from lgnet_core.synthetic.rng import CounterRng


def smooth_image(count=2, height=96, width=112, seed=3):
    """Photograph-like images: smooth colours with an edge and slight noise."""
    rng = CounterRng(seed, torch.arange(count))
    coarse = rng.uniform("coarse", 3, 7, 7)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    disc = ((u - 50) ** 2 + (v - 40) ** 2 < 900).float()
    return (smooth * (1 - 0.5 * disc) + 0.006 * rng.normal("grain", 3, height, width)).clamp(0, 1)


def levels(image):
    return (image * 255).round().to(torch.uint8)


def psnr(a, b):
    return -10 * (a - b).square().mean().log10()


def by_opencv(image, quality):
    """Encode and decode (B, 3, H, W) uint8 images with OpenCV."""
    decoded = []
    for one in image:
        bgr = np.ascontiguousarray(one.permute(1, 2, 0).numpy()[..., ::-1])
        sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
        _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling])
        decoded.append(torch.from_numpy(cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1].copy()).permute(2, 0, 1))
    return torch.stack(decoded)


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
@pytest.mark.parametrize("size", [(96, 112), (101, 75)])
def test_losses_match_opencv(quality, size):
    before = levels(smooth_image(2, *size))
    ours = levels(jpeg_round_trip(before.float() / 255, torch.full((2,), float(quality)))).float()
    theirs = by_opencv(before, quality).float()
    difference, loss = (ours - theirs).abs().mean(), (theirs - before.float()).abs().mean()
    assert difference < 1.0, "levels of 255: the reference rounds chroma at every step"
    assert difference < 0.6 * loss
    if quality == 30:
        assert difference < 0.25 * loss


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
def test_losses_of_grey_images_match_opencv(quality):
    before = levels(smooth_image()[:, :1].expand(-1, 3, -1, -1))
    ours = levels(jpeg_round_trip(before.float() / 255, torch.full((2,), float(quality)))).float()
    assert (ours - by_opencv(before, quality).float()).abs().mean() < 0.3, (
        "integer and float transforms round differently"
    )


def test_error_decreases_with_quality():
    before = smooth_image()
    good, bad = (jpeg_round_trip(before, torch.full((2,), quality)) for quality in (95.0, 30.0))
    assert psnr(good, before) > 35
    assert psnr(bad, before) < psnr(good, before) - 4


def test_block_grid_starts_at_image_corner():
    """A change within a chroma block (16 pixels) only affects that block and the interpolation at its border."""
    one = smooth_image(1, 96, 96)
    other = one.clone()
    other[..., 32:48, 48:64] = 1 - other[..., 32:48, 48:64]
    changed = (jpeg_round_trip(one, torch.tensor([40.0])) - jpeg_round_trip(other, torch.tensor([40.0]))).abs().amax(
        (0, 1)
    ) > 1e-5
    v, u = changed.nonzero().T
    assert (v.min(), v.max(), u.min(), u.max()) == (31, 48, 47, 64)  # one pixel of interpolated chroma beyond
    jumps = jpeg_round_trip(one, torch.tensor([30.0])).mean((0, 1)).diff(dim=1).abs().mean(0)  # between columns
    seams = jumps[7::8].mean()
    assert seams > 1.15 * jumps[3::8].mean()


def test_grey_and_flat_images_are_preserved():
    grey = smooth_image()[:, :1].expand(-1, 3, -1, -1)
    output = jpeg_round_trip(grey, torch.full((2,), 40.0))
    assert (output == output[:, :1]).all()
    flat = torch.full((1, 3, 32, 32), 0.5)
    torch.testing.assert_close(jpeg_round_trip(flat, torch.tensor([30.0])), flat, rtol=0, atol=0.02)


def test_images_have_different_qualities():
    rng = CounterRng(1, torch.arange(40))
    same = smooth_image(1).expand(40, -1, -1, -1)
    together = jpeg_artefacts(same, rng)
    losses = (together - same).square().mean((1, 2, 3))
    assert losses.max() > 3 * losses.min()
    torch.testing.assert_close(
        jpeg_artefacts(same[:1], CounterRng(1, torch.tensor([7]))), together[7:8], rtol=0, atol=1e-5
    )
    best, worst = (jpeg_round_trip(same[:1], torch.tensor([q])) for q in reversed(QUALITY_RANGE))
    assert losses.min() >= 0.9 * (best - same[:1]).square().mean()
    assert losses.max() <= 1.1 * (worst - same[:1]).square().mean()
