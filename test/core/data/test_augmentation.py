import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lgnet_core.data import augmentation as aug
from lgnet_core.data import photometry
from lgnet_core.data.augmentation import Augmentation, apply_affine, augment, mirror, resize
from lgnet_core.data.photometry import Photometry
from lgnet_core.data.sample import BACKGROUND, LEFT_HAND, OTHER, RIGHT_HAND, HandsBatch, concatenate, joints_inside
from lgnet_core.geometry import crops
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Side

SIZE = 64


def random_batch(hand_model: HandModel, seed: int, count: int = 3, size: int = SIZE) -> HandsBatch:
    """Two posed hands near the optical axis of a camera with unequal focal lengths and skew; a random image."""
    g = torch.Generator().manual_seed(seed)
    pose = 0.4 * torch.randn(count, 2, 48, generator=g)
    wrist = torch.tensor([0.0, 0.0, 0.8]) + 0.08 * torch.randn(count, 2, 3, generator=g)
    intrinsics = torch.tensor([[2.4 * size, 3.0, 0.45 * size], [2.0, 2.2 * size, 0.52 * size], [0.0, 0.0, 1.0]])
    segmentation = torch.zeros(count, size, size, dtype=torch.uint8)
    segmentation[:, 10:30, 8:25] = RIGHT_HAND
    segmentation[:, 35:60, 30:50] = LEFT_HAND
    batch = HandsBatch(
        image=torch.randint(0, 256, (count, 3, size, size), generator=g, dtype=torch.uint8),
        intrinsics=intrinsics.repeat(count, 1, 1),
        affine=torch.eye(3)[:2].repeat(count, 1, 1) * 0.7,
        rotations=hand_model.pose_to_rotations(pose),
        shape=torch.randn(count, 2, 10, generator=g),
        wrist=wrist,
        presence=torch.tensor([[True, True], [True, False], [True, True]])[:count],
        visibility=torch.rand(count, 2, 21, generator=g) < 0.8,
        segmentation=segmentation,
    )
    return batch.replace(visibility=batch.visibility & joints_inside(batch, batch.labels(hand_model)))


def transform_pixels(affine: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    return pixels @ affine[:, None, :, :2].transpose(-1, -2) + affine[:, None, None, :, 2]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(-math.pi, math.pi), st.floats(0.5, 2.0), st.floats(-0.3, 0.3))
def test_affine_transforms_labels(hand_model, seed, angle, scale, shift):
    """Projections of the new labels are the transformed old projections; the meshes keep their shape."""
    batch = random_batch(hand_model, seed)
    count = len(batch)
    affine = aug.centred_affine(
        torch.full((count,), angle), torch.full((count,), scale), torch.full((count, 2), shift), SIZE
    )
    warped, _ = apply_affine(batch, affine, hand_model)
    old, new = batch.labels(hand_model), warped.labels(hand_model)
    torch.testing.assert_close(new.joints_2d, transform_pixels(affine, old.joints_2d), atol=2e-3, rtol=1e-5)
    torch.testing.assert_close(new.vertices[..., 2], old.vertices[..., 2], atol=1e-6, rtol=0)
    torch.testing.assert_close(
        torch.cdist(new.joints, new.joints), torch.cdist(old.joints, old.joints), atol=2e-4, rtol=0
    )
    corner = torch.tensor([[[10.0, 20.0]]]).repeat(count, 1, 1, 1)
    torch.testing.assert_close(
        transform_pixels(warped.affine, corner),
        transform_pixels(affine, transform_pixels(batch.affine, corner)),
        atol=1e-3,
        rtol=0,
    )


@settings(max_examples=15, deadline=None)
@given(st.floats(-math.pi, math.pi), st.floats(0.5, 2.0), st.integers(0, 100))
def test_affine_camera_equals_crop_camera(hand_model, angle, scale, seed):
    """The batched K' and R_z equal those of lgnet_core.geometry.crops.crop_intrinsics."""
    batch = random_batch(hand_model, seed, 1)
    affine = aug.centred_affine(torch.tensor([angle]), torch.tensor([scale]), torch.tensor([[0.1, -0.05]]), SIZE)
    warped, _ = apply_affine(batch, affine, hand_model)
    matrix, turn = crops.crop_intrinsics(affine[0].double().numpy(), batch.intrinsics[0].double().numpy())
    np.testing.assert_allclose(warped.intrinsics[0], matrix, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(warped.wrist[0], batch.wrist[0].numpy() @ turn.T, atol=1e-6)
    np.testing.assert_allclose(warped.rotations[0, :, 0], turn @ batch.rotations[0, :, 0].numpy(), atol=1e-6)


def test_affine_warps_image_like_opencv(hand_model):
    """The warped image agrees with OpenCV's warp by the same affine."""
    batch = random_batch(hand_model, 3)
    smooth = torch.nn.functional.avg_pool2d(batch.image.float(), 9, 1, 4).byte()
    batch = batch.replace(image=smooth)
    affine = aug.centred_affine(torch.tensor([0.4, -1.0, 0.0]), torch.tensor([1.1, 0.9, 1.0]), torch.zeros(3, 2), SIZE)
    warped, _ = apply_affine(batch, affine, hand_model)
    for k in range(3):
        expected = crops.warp(smooth[k].permute(1, 2, 0).numpy(), affine[k].numpy(), SIZE)
        difference = np.abs(expected.astype(int) - warped.image[k].permute(1, 2, 0).numpy())
        assert np.quantile(difference, 0.98) <= 2  # OpenCV samples at 1/32 pixel


def test_identity_affine_changes_nothing(hand_model):
    batch = random_batch(hand_model, 4)
    warped, _ = apply_affine(batch, torch.eye(3)[:2].repeat(3, 1, 1), hand_model)
    assert torch.equal(warped.image, batch.image)
    assert torch.equal(warped.segmentation, batch.segmentation)
    assert torch.equal(warped.visibility, batch.visibility)
    torch.testing.assert_close(warped.intrinsics, batch.intrinsics)


def test_hand_shifted_out_of_image_is_absent(hand_model):
    batch = random_batch(hand_model, 5)
    shifted, _ = apply_affine(batch, torch.tensor([[[1.0, 0, 3 * SIZE], [0, 1, 0]]]).repeat(3, 1, 1), hand_model)
    assert not shifted.presence.any()
    assert not shifted.visibility.any()
    assert shifted.image.sum() == 0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_flip_mirrors_every_label(hand_model, seed):
    """v -> (-x, y, z) with the hands exchanged; u -> W - 1 - u; rel keeps x and negates y and z."""
    batch = random_batch(hand_model, seed)
    old, new = batch.labels(hand_model), mirror(batch).labels(hand_model)
    sign = torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(new.vertices, old.vertices.flip(1) * sign, atol=1e-6, rtol=0)
    torch.testing.assert_close(new.joints, old.joints.flip(1) * sign, atol=1e-6, rtol=0)
    expected = old.joints_2d.flip(1).clone()
    expected[..., 0] = SIZE - 1 - expected[..., 0]
    torch.testing.assert_close(new.joints_2d, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(new.relative_translation, old.relative_translation * -sign)


def test_flipping_twice_is_identity(hand_model):
    batch = random_batch(hand_model, 6)
    flipped_twice = mirror(mirror(batch))
    for name in batch.__dataclass_fields__:
        torch.testing.assert_close(getattr(flipped_twice, name), getattr(batch, name), atol=1e-5, rtol=1e-6)
    flipped_once = mirror(batch)
    assert torch.equal(flipped_once.segmentation.flip(-1) == LEFT_HAND, batch.segmentation == RIGHT_HAND)
    assert torch.equal(flipped_once.presence[:, Side.LEFT], batch.presence[:, Side.RIGHT])


def test_flipped_crop_maps_from_full_image(hand_model):
    batch = random_batch(hand_model, 7)
    flipped_once = mirror(batch)
    point = torch.tensor([[[5.0, 9.0]]]).repeat(3, 1, 1, 1)
    seen = transform_pixels(batch.affine, point)
    expected = torch.stack([SIZE - 1 - seen[..., 0], seen[..., 1]], -1)
    torch.testing.assert_close(transform_pixels(flipped_once.affine, point), expected)


@pytest.mark.parametrize("size", [32, 96, 128])
def test_resize_keeps_labels(hand_model, size):
    """Pixels keep their relative position: (u' + 1/2) / S' = (u + 1/2) / S."""
    batch = random_batch(hand_model, 8)
    small = resize(batch, size)
    old, new = batch.labels(hand_model).joints_2d, small.labels(hand_model).joints_2d
    torch.testing.assert_close((new + 0.5) / size, (old + 0.5) / SIZE, atol=1e-5, rtol=1e-5)
    assert small.image.shape[-1] == small.segmentation.shape[-1] == size
    assert abs(small.image.float().mean() - batch.image.float().mean()) < 1


def test_augment_is_determined_by_generator(hand_model):
    batch = random_batch(hand_model, 9)
    first, second, third = (augment(batch, torch.Generator().manual_seed(s), hand_model) for s in (1, 1, 2))
    assert all(torch.equal(getattr(first, n), getattr(second, n)) for n in batch.__dataclass_fields__)
    assert not torch.equal(first.image, third.image)
    assert first.image.dtype == torch.uint8
    assert first.segmentation.dtype == torch.uint8


def test_disabled_augmentation_changes_nothing(hand_model):
    no_photometry = Photometry(0.0, 0.0, 0.0, 0.0, 0.0, grey=0, blur=0, noise=0, erase=0)
    batch = random_batch(hand_model, 10)
    same = augment(batch, torch.Generator(), hand_model, Augmentation(0, 0, 0, 0, 0, 0, no_photometry))
    assert (same.image.int() - batch.image.int()).abs().max() <= 1
    torch.testing.assert_close(same.wrist, batch.wrist)


def test_flips_only_keep_every_pixel(hand_model):
    batch = concatenate([random_batch(hand_model, seed) for seed in range(20)])
    mirrored = augment(batch, torch.Generator().manual_seed(0), hand_model, Augmentation.mirror_only())
    flipped = mirror(batch)
    same = (mirrored.image == batch.image).flatten(1).all(1)
    other = (mirrored.image == flipped.image).flatten(1).all(1)
    assert (same | other).all()
    assert 10 < same.sum() < 50
    torch.testing.assert_close(mirrored.wrist[other & ~same], flipped.wrist[other & ~same], rtol=0, atol=0)


def test_only_chosen_images_are_flipped(hand_model):
    batch = random_batch(hand_model, 11, 1)
    many = HandsBatch(
        *(getattr(batch, n).repeat(400, *[1] * (getattr(batch, n).ndim - 1)) for n in batch.__dataclass_fields__)
    )
    chosen = torch.rand(400, generator=torch.Generator().manual_seed(0)) < 0.5
    flipped = aug.mirror_some(many, chosen)
    assert torch.equal((flipped.image != many.image).flatten(1).any(1), chosen)


def test_erased_patch_occludes_joints(hand_model):
    batch = concatenate([random_batch(hand_model, seed) for seed in range(12, 20)])
    erased = photometry.erase(
        batch, torch.Generator().manual_seed(4), Photometry(erase=1.0, erase_side=0.6), hand_model
    )
    patch = erased.segmentation == OTHER
    assert patch.flatten(1).any(1).all()
    pixels = batch.labels(hand_model).joints_2d.round().long().clamp(0, SIZE - 1)
    behind = torch.stack([patch[k][pixels[k, ..., 1], pixels[k, ..., 0]] for k in range(len(batch))])
    hidden = batch.visibility & ~erased.visibility
    assert hidden.any()
    assert (hidden == (behind & batch.visibility)).float().mean() > 0.97  # rounding at the patch's border
    for k in range(len(batch)):
        assert len(erased.image[k][:, patch[k]].unique(dim=1).T) == 1
    assert torch.equal(erased.image * ~patch[:, None], batch.image * ~patch[:, None])


def test_inpainting_removes_masked_colour(hand_model):
    """Pull-push removes the masked colour and keeps everything else."""
    image = torch.full((2, 3, 40, 40), 50.0)
    mask = torch.zeros(2, 1, 40, 40, dtype=torch.bool)
    mask[:, :, 10:25, 12:30] = True
    image = torch.where(mask, 255.0, image)
    filled = photometry.inpaint(image, mask)
    torch.testing.assert_close(filled, torch.full_like(image, 50.0), atol=1e-3, rtol=0)


def test_replaced_background_keeps_foreground(hand_model):
    batch = random_batch(hand_model, 13)
    pool = torch.full((1, 3, 20, 30), 7, dtype=torch.uint8)
    no_photometry = Photometry(0.0, 0.0, 0.0, 0.0, 0.0, grey=0, blur=0, noise=0, erase=0)
    changed = augment(batch, torch.Generator(), hand_model, Augmentation(0, 0, 0, 0, 0, 1.0, no_photometry), pool)
    behind = (batch.segmentation == BACKGROUND)[:, None].expand_as(batch.image)
    assert ((changed.image.int() - 7).abs()[behind] <= 1).all()
    assert ((changed.image.int() - batch.image.int()).abs()[~behind] <= 1).all()


def test_greyscale_images_have_equal_channels(hand_model):
    image = random_batch(hand_model, 14).replace()
    grey = photometry.distort(
        image, torch.Generator().manual_seed(0), Photometry(grey=1.0, erase=0, noise=0), hand_model
    )
    assert (grey.image.int().amax(1) - grey.image.int().amin(1)).max() <= 1


@pytest.mark.gpu
def test_augment_on_cuda(hand_model):
    batch = random_batch(hand_model, 15).to("cuda")
    warped = augment(batch, torch.Generator("cuda").manual_seed(0), deepcopy(hand_model).to("cuda"))
    assert warped.image.is_cuda
