"""Cameras and crops: the crop equations equal lgnet_core.geometry.camera's, views keep what the docstrings promise."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from lgnet_core.geometry.camera import crop_intrinsics, project, square_crop
from lgnet_core.synthetic.camera import cameras
from lgnet_core.synthetic.camera.cameras import crop_cameras, draw_crops, draw_image_sizes, draw_view
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.scene.capsules import CapsuleHands
from lgnet_core.synthetic.scene.interactions import Kind, draw_scene, forearm_directions

COUNT = 300


@pytest.fixture(scope="module")
def drawn(hand_model):
    """(draws, scene, view, vertices in the camera's frame, wrists in the camera's frame)."""
    draws = Draws(4, torch.arange(COUNT))
    hands = CapsuleHands(hand_model)
    scene = draw_scene(draws, hands)
    mesh = hand_model(scene.rotations, scene.shape).wrist_relative()
    vertices = mesh.vertices + scene.wrist[:, :, None]
    arms = forearm_directions(hands, scene.rotations)
    size = draw_image_sizes(draws)
    view = draw_view(draws, size, scene.plausible, scene.presence, vertices, scene.wrist, arms)
    turn, shift = view.rotation[:, None].transpose(-1, -2), view.translation[:, None]
    return draws, scene, view, vertices @ turn + shift[:, None], scene.wrist @ turn[:, 0] + shift


def test_cameras_are_real_ones(drawn):
    _, _, view, _, _ = drawn
    sizes = {tuple(size) for size in view.size.int().tolist()}
    assert sizes <= set(cameras.IMAGE_SIZES)
    assert len(sizes) > 2
    fov = 2 * torch.rad2deg(torch.atan(view.size[:, 0] / 2 / view.intrinsics[:, 0, 0]))
    low, high = cameras.FIELD_OF_VIEW
    assert low - 1 < fov.min() < low + 10, "long lenses"
    assert high - 15 < fov.max() < high + 10, "wide ones, some of them shortened until the hands fit"
    assert_close(view.intrinsics[:, 0, 0], view.intrinsics[:, 1, 1])
    assert ((view.intrinsics[:, :2, 2] - (view.size - 1) / 2).abs() < 0.05 * view.size[:, :1]).all()
    assert_close(torch.linalg.det(view.rotation), torch.ones(COUNT))


def test_hands_stand_in_front_of_the_camera_within_range(drawn):
    _, scene, _, vertices, wrist = drawn
    depth = wrist[..., 2][scene.presence]
    assert depth.min() > cameras.DEPTH_RANGE[0] - 1e-4
    assert depth.max() < cameras.DEPTH_RANGE[1] + 1e-4
    assert depth.std() > 0.2
    assert vertices[scene.presence][..., 2].min() > 0.1


def test_hands_take_a_sensible_part_of_the_image_and_are_mostly_inside(drawn):
    _, scene, view, vertices, _ = drawn
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


def test_egocentric_and_facing_cameras_both_occur(drawn):
    """The person's back (z) is away from a facing camera's lens and towards an egocentric one's."""
    _, scene, view, _, _ = drawn
    backwards = view.rotation[scene.plausible][:, 2, 2]
    assert 0.2 < (backwards < 0).float().mean() < 0.5
    up = view.rotation[scene.plausible][:, 1, 1]  # the person's up in the image's down
    assert (up < 0).float().mean() > 0.95


def test_crop_cameras_equal_the_single_ones(drawn):
    draws, scene, view, vertices, _ = drawn
    affine = draw_crops(draws, view, scene.presence, vertices, 256)
    intrinsics, rotation = crop_cameras(affine, view.intrinsics)
    for k in range(0, COUNT, 29):
        one = crop_intrinsics(affine[k].double().numpy(), view.intrinsics[k].double().numpy())
        assert_close(intrinsics[k].double(), torch.from_numpy(one[0]), atol=1e-3, rtol=1e-5)
        assert_close(rotation[k].double(), torch.from_numpy(one[1]), atol=1e-6, rtol=0)


def test_a_point_goes_the_same_way_through_crop_and_camera(drawn):
    """Project, then cut: the same pixel as turn the frame, then project with the crop's K."""
    draws, scene, view, vertices, _ = drawn
    points = vertices[:, :, ::50]
    affine = draw_crops(draws, view, scene.presence, vertices, 256)
    intrinsics, rotation = crop_cameras(affine, view.intrinsics)
    full = project(points, view.intrinsics[:, None])
    cut = full @ affine[:, None, :, :2].transpose(-1, -2) + affine[:, None, None, :, 2]
    direct = project(points @ rotation[:, None].transpose(-1, -2), intrinsics[:, None])
    near = scene.presence[..., None, None] & (full.abs() < 5000)
    assert_close(direct[near.expand_as(cut)], cut[near.expand_as(cut)], atol=1e-2, rtol=1e-5)


def test_an_unshifted_crop_is_the_estimators(drawn, monkeypatch):
    """Without jitter a crop is camera.square_crop around the hands' box."""
    draws, scene, view, vertices, _ = drawn
    monkeypatch.setattr(Draws, "normal", lambda self, name, *shape, **_: torch.zeros(len(self), *shape))
    affine = draw_crops(draws, view, scene.presence, vertices, 256)
    checked = 0
    for k in (scene.kind == Kind.SINGLE_RIGHT).nonzero()[:, 0]:
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


def test_near_hands_share_a_crop_and_far_hands_do_not(drawn):
    draws, scene, view, vertices, _ = drawn
    affine = draw_crops(draws, view, scene.presence, vertices, 256)
    pixels = project(vertices, view.intrinsics[:, None])
    cut = pixels @ affine[:, None, :, :2].transpose(-1, -2) + affine[:, None, None, :, 2]
    inside = ((cut > -0.5) & (cut < 255.5)).all(-1).float().mean(-1)  # (B, 2)
    coupled = (scene.kind < Kind.FREE) & ((cut.amax(2) - cut.amin(2)).amax(-1) > 40).all(1)
    assert inside[coupled].mean() > 0.9
    separate = scene.kind == Kind.SEPARATE
    assert inside[separate].amax(1).mean() > 0.85  # one of them is whole
    assert (inside[separate].amin(1) < 0.3).any()  # and the other one may be outside


def test_a_view_does_not_depend_on_the_batch(hand_model):
    hands = CapsuleHands(hand_model)

    def views(indices: list[int]) -> torch.Tensor:
        draws = Draws(0, torch.tensor(indices))
        scene = draw_scene(draws, hands)
        vertices = hand_model(scene.rotations, scene.shape).wrist_relative().vertices + scene.wrist[:, :, None]
        arms = forearm_directions(hands, scene.rotations)
        view = draw_view(draws, draw_image_sizes(draws), scene.plausible, scene.presence, vertices, scene.wrist, arms)
        return draw_crops(draws, view, scene.presence, vertices, 256)

    assert_close(views([1, 2, 3, 4, 5])[2:3], views([3]), atol=5e-3, rtol=1e-4)
