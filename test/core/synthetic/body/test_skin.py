"""Skin texture: position of details, symmetry, table lookups, noise statistics."""

import pytest
import torch

from lgnet_core.synthetic.body.skin import (
    CREASE,
    NAIL,
    NOISE_SIZE,
    PALM,
    TEXELS,
    lookup_details,
    lookup_noise,
    noise_volume,
    paint_details,
)
from lgnet_core.types import Side


@pytest.fixture(scope="module")
def details(hand_model):
    return paint_details(hand_model)


def face_geometry(hand_model, side):
    corners = hand_model.v_template[side][hand_model.faces[side]]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return corners.mean(1), torch.nn.functional.normalize(normals, dim=1)


@pytest.mark.parametrize("side", list(Side))
def test_each_finger_has_one_nail_near_its_tip(hand_model, details, side):
    centres, _ = face_geometry(hand_model, side)
    tips = hand_model.v_template[side][hand_model.tip_vertices]
    nailed = details[side, :, :, NAIL].mean(1)
    nearest = torch.cdist(centres, tips)
    assert nearest.amin(1)[nailed > 0.1].max() < 0.02
    owner = nearest.argmin(1)
    assert all((nailed[owner == finger] > 0.5).any() for finger in range(5))


def test_skin_details_match_between_sides(details):
    for channel in range(4):
        right, left = (details[side, :, :, channel].mean() for side in Side)
        assert right > 0.002
        torch.testing.assert_close(right, left, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("side", list(Side))
def test_palm_details_are_on_palmar_side(hand_model, details, side):
    centres, normals = face_geometry(hand_model, side)
    palm = details[side, :, :, PALM].mean(1)
    assert (normals[palm > 0.7, 1] < 0).float().mean() > 0.98  # the palm faces -y on both rest hands
    beyond_wrist = centres[:, 0].abs() > hand_model.rest_joints[side, 0, 0].abs() + 0.005
    assert palm[beyond_wrist].max() == 0
    assert (details[side, :, :, CREASE] <= 1).all()
    assert (details[side] >= 0).all()


def test_lookup_returns_matching_texels():
    table = torch.arange(3 * TEXELS**2).float().expand(4, -1)
    barycentric = torch.tensor([[0.01, 0.99, 0.51], [0.98, 0.005, 0.26], [0.01, 0.005, 0.23]])
    result = lookup_details(table, torch.tensor([0, 1, 2]), barycentric)[0]
    assert result.tolist() == [TEXELS - 1, TEXELS**2 + (TEXELS - 1) * TEXELS, 2 * TEXELS**2 + 4 * TEXELS + 2]


def test_noise_is_standardized_and_periodic():
    volume = noise_volume()
    assert volume.shape == (4, NOISE_SIZE**3)
    torch.testing.assert_close(volume.mean(1), torch.zeros(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(volume.std(1), torch.ones(4), rtol=0, atol=1e-3)
    cells = torch.tensor([[1.5, -0.5, 70.2], [2.1, 63.9, -3.0], [0.0, 5.0, 200.0]])
    assert torch.equal(lookup_noise(volume, cells), lookup_noise(volume, cells + NOISE_SIZE))
    assert torch.equal(lookup_noise(volume, torch.tensor([[1.5], [2.1], [0.0]]))[:, 0], volume[:, 2 * NOISE_SIZE + 1])
    cube = volume.view(4, NOISE_SIZE, NOISE_SIZE, NOISE_SIZE)
    seam, inner = (cube[0, 0] - cube[0, -1]).abs().mean(), (cube[0, 1] - cube[0, 0]).abs().mean()
    assert seam < 2 * inner
