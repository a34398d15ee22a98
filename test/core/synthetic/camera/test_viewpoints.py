"""Viewpoint sampling: intrinsics, depth and size of the hands, egocentric and third-person cameras."""

import pytest
import torch
from support.sampled_views import sample_views
from torch.testing import assert_close

from lgnet_core.geometry.camera import project
from lgnet_core.synthetic.camera import viewpoints
from lgnet_core.synthetic.rng import CounterRng

COUNT = 300


@pytest.fixture(scope="module")
def sampled(hand_model):
    return sample_views(hand_model, CounterRng(4, torch.arange(COUNT)))


def test_intrinsics_are_realistic(sampled):
    _, _, view, _, _ = sampled
    sizes = {tuple(size) for size in view.size.int().tolist()}
    assert sizes <= set(viewpoints.IMAGE_SIZES)
    assert len(sizes) > 2
    fov = 2 * torch.rad2deg(torch.atan(view.size[:, 0] / 2 / view.intrinsics[:, 0, 0]))
    low, high = viewpoints.FIELD_OF_VIEW
    assert low - 1 < fov.min() < low + 10, "telephoto lenses"
    assert high - 15 < fov.max() < high + 10, "wide-angle lenses, some widened further to fit the hands"
    assert_close(view.intrinsics[:, 0, 0], view.intrinsics[:, 1, 1])
    assert ((view.intrinsics[:, :2, 2] - (view.size - 1) / 2).abs() < 0.05 * view.size[:, :1]).all()
    assert_close(torch.linalg.det(view.rotation), torch.ones(COUNT))


def test_hands_are_in_depth_range(sampled):
    _, scene, _, vertices, wrist = sampled
    depth = wrist[..., 2][scene.presence]
    assert depth.min() > viewpoints.DEPTH_RANGE[0] - 1e-4
    assert depth.max() < viewpoints.DEPTH_RANGE[1] + 1e-4
    assert depth.std() > 0.2
    assert vertices[scene.presence][..., 2].min() > 0.1


def test_hands_have_plausible_size_and_are_mostly_inside(sampled):
    _, scene, view, vertices, _ = sampled
    pixels = project(vertices, view.intrinsics[:, None])
    extent = (pixels.amax(2) - pixels.amin(2)).amax(-1) / view.size[:, 1:]
    extent = extent[scene.presence]
    assert extent.min() > 0.03
    assert extent.max() < 1.2
    inside = ((pixels > -0.5) & (pixels < view.size[:, None, None] - 0.5)).all(-1).float().mean(-1)
    inside = inside[scene.presence]
    assert inside.mean() > 0.93
    assert (inside == 1).float().mean() > 0.8
    assert (inside < 1).any()  # hands at the image's border occur


def test_egocentric_and_third_person_cameras_occur(sampled):
    """Third-person cameras look along +z of the person frame (backwards), egocentric cameras along -z."""
    _, scene, view, _, _ = sampled
    backwards = view.rotation[scene.plausible][:, 2, 2]
    assert 0.2 < (backwards < 0).float().mean() < 0.5
    up = view.rotation[scene.plausible][:, 1, 1]  # up in the person frame, down in the image
    assert (up < 0).float().mean() > 0.95
