"""From the world into a camera: two routes, in double precision, agree to 1e-4 mm."""

from __future__ import annotations

import pytest
import roma
import torch

from lgnet_core.data.interhand26m.geometry import fits_to_camera, to_camera
from lgnet_core.hand_model import HandModel, load_hand_model

LIMIT = 1e-7
"""Metres: 1e-4 mm."""


@pytest.fixture(scope="module")
def mano(mano_folder) -> HandModel:
    """In double precision."""
    return load_hand_model(mano_folder).double()


@pytest.fixture(scope="module")
def captures() -> tuple[torch.Tensor, torch.Tensor]:
    """Cameras one to two metres from the hands, as in the studio."""
    generator = torch.Generator().manual_seed(0)
    turn = roma.random_rotmat(20, generator=generator, dtype=torch.float64)
    return turn, torch.randn(20, 3, generator=generator, dtype=torch.float64) * 1.5


def test_joints_by_position_and_by_translation(captures):
    """R (X - c) in metres against R X + t in millimetres, t = -R c."""
    turn, position = captures
    world = torch.randn(20, 2, 21, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    translation = -(turn @ (position * 1000)[..., None])[..., 0]
    other = torch.einsum("bij,bshj->bshi", turn, world * 1000) + translation[:, None, None]
    torch.testing.assert_close(to_camera(world, turn, position), other / 1000, atol=LIMIT, rtol=0)


def test_fits_by_moved_vertices_and_by_moved_parameters(mano, captures):
    """The hand posed in the world, its vertices taken to the camera one by one, against turned root and moved wrist."""
    turn, position = captures
    generator = torch.Generator().manual_seed(2)
    pose, shape, translation = (torch.randn(20, 2, n, generator=generator, dtype=torch.float64) for n in (48, 10, 3))
    in_world = mano(mano.pose_to_rotations(pose), shape, translation)
    moved = torch.einsum("bij,bsvj->bsvi", turn, in_world.vertices - position[:, None, None])
    moved_joints = torch.einsum("bij,bsvj->bsvi", turn, in_world.joints - position[:, None, None])

    rotations, wrist = fits_to_camera(mano, pose, shape, translation, turn, position)
    mesh = mano(rotations, shape).wrist_relative()
    torch.testing.assert_close(mesh.vertices + wrist[:, :, None], moved, atol=LIMIT, rtol=0)
    torch.testing.assert_close(mesh.joints + wrist[:, :, None], moved_joints, atol=LIMIT, rtol=0)


def test_the_correction_of_the_data_sets_own_tool(mano, captures):
    """t' = R trans - j0 + R j0 + t: the third formulation, by which others keep MANO's own translation."""
    turn, position = captures
    generator = torch.Generator().manual_seed(3)
    pose, shape, translation = (torch.randn(20, 2, n, generator=generator, dtype=torch.float64) for n in (48, 10, 3))
    rest = mano(torch.eye(3, dtype=torch.float64).expand(20, 2, 16, 3, 3), shape).joints[:, :, 0]
    moved = (
        (turn[:, None] @ (translation + rest)[..., None])[..., 0] - rest - (turn @ position[..., None])[:, None, :, 0]
    )
    rotations, wrist = fits_to_camera(mano, pose, shape, translation, turn, position)
    theirs = mano(rotations, shape, moved).joints[:, :, 0]
    torch.testing.assert_close(wrist, theirs, atol=LIMIT, rtol=0)
