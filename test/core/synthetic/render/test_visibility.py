"""Visibility and presence labels on constructed depth and segmentation maps."""

import torch
from torch.testing import assert_close

from lgnet_core.synthetic.render.visibility import (
    hand_presence,
    joint_radii,
    joint_visibility,
    sample_nearest,
)

SIZE = 40


def joints_in_a_row(depth: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Joints (1, 2, 21, 3) and pixels: joint j of both hands at column j, row 10 (right) or 20 (left)."""
    columns = torch.arange(21.0)
    pixels = torch.stack([torch.stack([columns, torch.full((21,), row)], -1) for row in (10.0, 20.0)])[None]
    joints = torch.zeros(1, 2, 21, 3)
    joints[..., 2] = depth
    return joints, pixels


def test_joint_radii_are_plausible(hand_model):
    radii = joint_radii(hand_model)
    assert radii.shape == (21,)
    assert radii.min() > 0.001
    assert radii.max() < 0.03
    assert radii[0] > radii[8]  # a wrist is thicker than a fingertip


def test_nearest_sampling_and_outside_mask():
    maps = torch.arange(SIZE * SIZE).view(1, SIZE, SIZE)
    pixels = torch.tensor([[[3.4, 7.0], [-0.6, 0.0], [39.4, 39.4], [39.6, 1.0], [1e30, -1e30]]])
    values, inside = sample_nearest(maps, pixels)
    assert inside.tolist() == [[True, False, True, False, False]]
    assert values[0, 0] == 7 * SIZE + 3
    assert values[0, 2] == SIZE * SIZE - 1


def test_own_tissue_does_not_occlude_but_other_surfaces_do():
    joints, pixels = joints_in_a_row()
    radii = torch.full((21,), 0.01)
    depth = torch.full((1, SIZE, SIZE), 0.49)  # skin 1 cm in front of every joint
    segmentation = torch.zeros(1, SIZE, SIZE, dtype=torch.uint8)
    segmentation[:, :15], segmentation[:, 15:] = 1, 2
    assert joint_visibility(joints, pixels, depth, segmentation, radii).all()

    depth[:, :, 5] = 0.40  # an object or a finger of the same hand 10 cm in front of joint 5
    visible = joint_visibility(joints, pixels, depth, segmentation, radii)
    assert not visible[:, :, 5].any()
    assert visible.sum() == 40

    segmentation[:, 10, 7] = 2  # left hand 1 cm in front of the joint of the right hand
    assert not joint_visibility(joints, pixels, depth, segmentation, radii)[0, 0, 7]
    depth[:, 10, 7] = 0.51  # ... and behind it
    assert joint_visibility(joints, pixels, depth, segmentation, radii)[0, 0, 7]


def test_joints_without_surface_are_visible_and_outside_joints_are_not():
    joints, pixels = joints_in_a_row()
    empty = torch.zeros(1, SIZE, SIZE)
    segmentation = torch.zeros(1, SIZE, SIZE, dtype=torch.uint8)
    pixels[0, 0, 3] = torch.tensor([-3.0, 5.0])
    joints[0, 1, 4, 2] = -0.2  # behind the camera
    visible = joint_visibility(joints, pixels, empty, segmentation, torch.full((21,), 0.01))
    expected = torch.ones(1, 2, 21, dtype=torch.bool)
    expected[0, 0, 3] = expected[0, 1, 4] = False
    assert torch.equal(visible, expected)


def test_presence_requires_joints_inside_and_minimum_area():
    _, pixels = joints_in_a_row()
    segmentation = torch.zeros(1, SIZE, SIZE, dtype=torch.uint8)
    segmentation[:, 5:10, 5:10] = 1
    segmentation[:, 20, 0] = 2  # a single pixel of the left hand
    rendered = torch.ones(1, 2, dtype=torch.bool)
    assert hand_presence(rendered, pixels, segmentation).tolist() == [[True, False]]
    assert hand_presence(~rendered, pixels, segmentation).tolist() == [[False, False]]
    away = pixels.clone()
    away[0, 0, 6:] += 100  # six joints are left inside
    assert hand_presence(rendered, away, segmentation).tolist() == [[False, False]]
    away[0, 0, 6] -= 100
    assert hand_presence(rendered, away, segmentation).tolist() == [[True, False]]
    assert_close(pixels[0, 0, 6], away[0, 0, 6])
