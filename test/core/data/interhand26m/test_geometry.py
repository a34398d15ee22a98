"""World-to-camera transformation: independent formulations agree to 1e-4 mm in double precision."""

from __future__ import annotations

import pytest
import roma
import torch

from lgnet_core.data.interhand26m.geometry import fits_to_camera, to_camera
from lgnet_core.hand_model import HandLayer, load_hand_layer

LIMIT = 1e-7
"""Metres: 1e-4 mm."""


@pytest.fixture(scope="module")
def mano(mano_folder) -> HandLayer:
    """In double precision."""
    return load_hand_layer(mano_folder).double()


@pytest.fixture(scope="module")
def captures() -> tuple[torch.Tensor, torch.Tensor]:
    """Cameras one to two metres from the hands, as in the studio."""
    generator = torch.Generator().manual_seed(0)
    rotation = roma.random_rotmat(20, generator=generator, dtype=torch.float64)
    return rotation, torch.randn(20, 3, generator=generator, dtype=torch.float64) * 1.5


def test_joints_by_position_and_translation(captures):
    """R (X - c) in metres equals R X + t in millimetres, t = -R c."""
    rotation, position = captures
    world = torch.randn(20, 2, 21, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    translation = -(rotation @ (position * 1000)[..., None])[..., 0]
    other = torch.einsum("bij,bshj->bshi", rotation, world * 1000) + translation[:, None, None]
    torch.testing.assert_close(to_camera(world, rotation, position), other / 1000, atol=LIMIT, rtol=0)


def test_fits_by_vertices_and_by_parameters(mano, captures):
    """Transformed vertices of the hand posed in the world equal those from the transformed root and wrist."""
    rotation, position = captures
    generator = torch.Generator().manual_seed(2)
    pose, shape, translation = (torch.randn(20, 2, n, generator=generator, dtype=torch.float64) for n in (48, 10, 3))
    in_world = mano(mano.pose_to_rotations(pose), shape, translation)
    transformed = torch.einsum("bij,bsvj->bsvi", rotation, in_world.vertices - position[:, None, None])
    transformed_joints = torch.einsum("bij,bsvj->bsvi", rotation, in_world.joints - position[:, None, None])

    rotations, wrist = fits_to_camera(mano, pose, shape, translation, rotation, position)
    mesh = mano(rotations, shape).wrist_relative()
    torch.testing.assert_close(mesh.vertices + wrist[:, :, None], transformed, atol=LIMIT, rtol=0)
    torch.testing.assert_close(mesh.joints + wrist[:, :, None], transformed_joints, atol=LIMIT, rtol=0)


def test_translation_correction_of_the_official_tool(mano, captures):
    """t' = R trans - j0 + R j0 + t: the formulation that keeps MANO's own translation."""
    rotation, position = captures
    generator = torch.Generator().manual_seed(3)
    pose, shape, translation = (torch.randn(20, 2, n, generator=generator, dtype=torch.float64) for n in (48, 10, 3))
    rest = mano(torch.eye(3, dtype=torch.float64).expand(20, 2, 16, 3, 3), shape).joints[:, :, 0]
    transformed = (
        (rotation[:, None] @ (translation + rest)[..., None])[..., 0]
        - rest
        - (rotation @ position[..., None])[:, None, :, 0]
    )
    rotations, wrist = fits_to_camera(mano, pose, shape, translation, rotation, position)
    theirs = mano(rotations, shape, transformed).joints[:, :, 0]
    torch.testing.assert_close(wrist, theirs, atol=LIMIT, rtol=0)
