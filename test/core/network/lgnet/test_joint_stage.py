"""Joint stage: soft-argmax, coordinate conventions and sampling at the joints."""

import pytest
import torch
from torch.testing import assert_close

from lgnet_core.geometry.coordinates import depth_to_grid, pixels_to_grid, pixels_to_normalised
from lgnet_core.network.lgnet.joint_stage import DEPTH_CELLS, JointStage, MeanTokens, normalise_joints, soft_argmax_3d


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_one_hot_volume_gives_its_index():
    d, h, w = 8, 8, 8
    index = torch.arange(d * h * w)
    volume = torch.full((1, d * h * w, d * h * w), -1e4)
    volume[0, index, index] = 0
    joints = soft_argmax_3d(volume.view(1, -1, d, h, w))[0]
    expected = torch.stack([index % w, index // w % h, index // (w * h)], 1).float()
    assert_close(joints, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_shifting_the_volume_shifts_the_joint(axis):
    volume = torch.full((1, 1, 8, 8, 8), -1e4, dtype=torch.float64)
    volume[..., 2:5, 2:5, 2:5] = torch.randn(3, 3, 3, dtype=torch.float64)
    shift = torch.zeros(3, dtype=torch.float64)
    shift[axis] = 2
    moved = soft_argmax_3d(volume.roll(2, 4 - axis))
    assert_close(moved[0, 0], soft_argmax_3d(volume)[0, 0] + shift)


def test_uniform_volume_gives_its_centre():
    assert_close(soft_argmax_3d(torch.zeros(1, 1, 8, 4, 6)), torch.tensor([[[2.5, 1.5, 3.5]]]))


def test_gradients_of_soft_argmax():
    volume = torch.randn(1, 2, 3, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soft_argmax_3d, volume)


def test_normalised_joints_agree_with_the_camera_conventions():
    pixels, depth = torch.rand(50, 2) * 256, torch.rand(50, 1) * 0.5 - 0.25
    cells = torch.cat([pixels_to_grid(pixels, 256, 8), depth_to_grid(depth, 0.5, DEPTH_CELLS)], 1)
    expected = torch.cat([pixels_to_normalised(pixels, 256), depth / 0.25], 1)
    assert_close(normalise_joints(cells, 8), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [8, 4])
def test_shapes(size):
    joints, tokens = JointStage(20, 16)(torch.randn(2, 20, size, size))
    assert joints.shape == (2, 21, 3)
    assert tokens.shape == (2, 21, 16)
    assert MeanTokens(20, 16)(torch.randn(2, 20, size, size)).shape == (2, 21, 16)


def test_joints_are_initialised_to_the_centre_of_the_crop():
    joints, _ = JointStage(20, 16)(torch.randn(2, 20, 8, 8))
    assert_close(joints, torch.full((2, 21, 3), 3.5), atol=0.02, rtol=0)


def test_tokens_are_sampled_at_the_detached_joints():
    stage = JointStage(20, 16).eval()
    torch.nn.init.zeros_(stage.volume.weight)
    enhanced = torch.randn(1, 20, 8, 8, requires_grad=True)
    joints, tokens = stage(enhanced)
    points = joints[..., :2]
    features = stage.features(enhanced)
    corners = features[..., 3:5, 3:5].mean((-2, -1))  # all joints lie between the four central cells
    assert_close(points, torch.full_like(points, 3.5))
    assert_close(tokens, corners[:, None].expand_as(tokens))
    gradient = torch.autograd.grad(tokens.sum(), stage.volume.weight, allow_unused=True)[0]
    assert gradient is None
