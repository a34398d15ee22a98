"""Crops around the hands: agreement with lgnet_core.geometry.crops, jitter, and grouping of hands."""

import numpy as np
import pytest
import torch
from support.sampled_views import sample_views
from torch.testing import assert_close

from lgnet_core.geometry.camera import project
from lgnet_core.geometry.crops import crop_intrinsics, square_crop
from lgnet_core.synthetic.camera.crops import crop_cameras, sample_crops
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.interactions import SceneKind

COUNT = 300


@pytest.fixture(scope="module")
def sampled(hand_model):
    return sample_views(hand_model, CounterRng(4, torch.arange(COUNT)))


def test_crop_cameras_match_single_image_functions(sampled):
    rng, scene, view, vertices, _ = sampled
    affine = sample_crops(rng, view, scene.presence, vertices, 256)
    intrinsics, rotation = crop_cameras(affine, view.intrinsics)
    for k in range(0, COUNT, 29):
        one = crop_intrinsics(affine[k].double().numpy(), view.intrinsics[k].double().numpy())
        assert_close(intrinsics[k].double(), torch.from_numpy(one[0]), atol=1e-3, rtol=1e-5)
        assert_close(rotation[k].double(), torch.from_numpy(one[1]), atol=1e-6, rtol=0)


def test_cropping_and_projection_commute(sampled):
    """Project, then cut: the same pixel as turn the frame, then project with the crop's K."""
    rng, scene, view, vertices, _ = sampled
    points = vertices[:, :, ::50]
    affine = sample_crops(rng, view, scene.presence, vertices, 256)
    intrinsics, rotation = crop_cameras(affine, view.intrinsics)
    full = project(points, view.intrinsics[:, None])
    cut = full @ affine[:, None, :, :2].transpose(-1, -2) + affine[:, None, None, :, 2]
    direct = project(points @ rotation[:, None].transpose(-1, -2), intrinsics[:, None])
    near = scene.presence[..., None, None] & (full.abs() < 5000)
    assert_close(direct[near.expand_as(cut)], cut[near.expand_as(cut)], atol=1e-2, rtol=1e-5)


def test_crop_without_jitter_is_square_crop(sampled, monkeypatch):
    """Without jitter a crop is camera.square_crop around the hands' box."""
    rng, scene, view, vertices, _ = sampled
    monkeypatch.setattr(CounterRng, "normal", lambda self, name, *shape, **_: torch.zeros(len(self), *shape))
    affine = sample_crops(rng, view, scene.presence, vertices, 256)
    checked = 0
    for k in (scene.kind == SceneKind.SINGLE_RIGHT).nonzero()[:, 0]:
        pixels = project(vertices[k, 0], view.intrinsics[k])
        if not ((pixels > 0) & (pixels < view.size[k] - 1)).all():
            continue
        box = torch.cat([pixels.amin(0), pixels.amax(0)]).double().numpy()
        side = 256 / np.sqrt(np.linalg.det(affine[k, :, :2].double().numpy()))
        margin = side / (box[2:] - box[:2]).max()
        assert margin + 1e-4 >= 1.0
        assert margin < 1.9
        assert_close(affine[k].double(), torch.from_numpy(square_crop(box, 256, margin)), atol=2e-3, rtol=1e-4)
        checked += 1
    assert checked > 10


def test_close_hands_share_a_crop_and_distant_hands_do_not(sampled):
    rng, scene, view, vertices, _ = sampled
    affine = sample_crops(rng, view, scene.presence, vertices, 256)
    pixels = project(vertices, view.intrinsics[:, None])
    cut = pixels @ affine[:, None, :, :2].transpose(-1, -2) + affine[:, None, None, :, 2]
    inside = ((cut > -0.5) & (cut < 255.5)).all(-1).float().mean(-1)  # (B, 2)
    coupled = (scene.kind < SceneKind.FREE) & ((cut.amax(2) - cut.amin(2)).amax(-1) > 40).all(1)
    assert inside[coupled].mean() > 0.9
    separate = scene.kind == SceneKind.SEPARATE
    assert inside[separate].amax(1).mean() > 0.85  # one of them is whole
    assert (inside[separate].amin(1) < 0.3).any()  # and the other one may be outside


def test_views_and_crops_are_independent_of_batch(hand_model):
    def crops(indices: list[int]) -> torch.Tensor:
        rng, scene, view, vertices, _ = sample_views(hand_model, CounterRng(0, torch.tensor(indices)))
        return sample_crops(rng, view, scene.presence, vertices, 256)

    assert_close(crops([1, 2, 3, 4, 5])[2:3], crops([3]), atol=5e-3, rtol=1e-4)
