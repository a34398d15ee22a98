"""Hand crops: MediaPipe's rules, equivariance to image transforms, and canonical frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.geometry.affine import inverse_transform_points, transform_points
from lgnet_core.geometry.camera import project
from lgnet_core.geometry.crops import crop_projection
from lgnet_core.geometry.hand_crops import CropConfig, HandCrops, crops_from_joints, crops_from_palms, valid_crops
from lgnet_core.inference.crops import extract_crops
from lgnet_core.types import Side

SIZE = 224
SEEDS = st.integers(0, 999)
INTRINSICS = torch.tensor([[610.0, 0, 331.0], [0, 560.0, 228.0], [0, 0, 1]], dtype=torch.float64)
SQUARE_PIXELS = torch.tensor([[600.0, 0, 320.0], [0, 600.0, 240.0], [0, 0, 1]], dtype=torch.float64)


def random_joints(seed: int, count: int = 3) -> Tensor:
    """(N, 21, 2) pixels in a 640 x 480 image, with the extent of a hand."""
    random = torch.Generator().manual_seed(seed)
    centre = torch.rand(count, 1, 2, generator=random, dtype=torch.float64) * 300 + 100
    return centre + torch.randn(count, 21, 2, generator=random, dtype=torch.float64) * 40


def random_crops(seed: int, count: int = 6) -> HandCrops:
    random = torch.Generator().manual_seed(seed)
    centre, side, angle = torch.rand(count, 4, generator=random, dtype=torch.float64).split([2, 1, 1], -1)
    mirrored = torch.arange(count) % 2 > 0
    return HandCrops(centre * 400 + 50, side[:, 0] * 300 + 30, (angle[:, 0] - 0.5) * 2 * torch.pi, mirrored)


def compose(affine: Tensor, image_map: Tensor) -> Tensor:
    """Crop transforms applied after a transform of the image: (N, 2, 3), (2, 3) -> (N, 2, 3)."""
    last = torch.tensor([[0.0, 0, 1]], dtype=image_map.dtype)
    return affine @ torch.cat([image_map, last])


def wrap_angle(angle: Tensor) -> Tensor:
    """Wrap to (-pi, pi]."""
    return torch.atan2(torch.sin(angle), torch.cos(angle))


# Reference implementation of MediaPipe 0.10.21: rotation = pi / 2 - atan2(-(y1 - y0), x1 - x0); boxes in axes rotated
# about the centre of the upright box; shift along the rotated y axis before the box is extended to a square.


def mediapipe_rotation(start: np.ndarray, end: np.ndarray) -> float:
    return float(np.pi / 2 - np.arctan2(-(end[1] - start[1]), end[0] - start[0]))


def mediapipe_crop(centre, width: float, height: float, rotation: float, scale: float, shift_y: float):
    x = centre[0] - height * shift_y * np.sin(rotation)
    y = centre[1] + height * shift_y * np.cos(rotation)
    return np.array([x, y]), max(width, height) * scale


def test_crop_from_palm_matches_mediapipe():
    box = np.array([100.0, 200, 160, 260])
    keypoints = np.random.default_rng(0).uniform(100, 260, (7, 2))
    keypoints[0], keypoints[2] = [110, 250], [150, 220]  # wrist and middle MCP
    rotation = mediapipe_rotation(keypoints[0], keypoints[2])
    centre, side = mediapipe_crop([130, 230], 60, 60, rotation, 2.6, -0.5)
    crops = crops_from_palms(torch.from_numpy(box)[None], torch.from_numpy(keypoints)[None])
    np.testing.assert_allclose(crops.centre[0], centre)
    assert float(crops.side) == pytest.approx(side) == 156
    assert float(wrap_angle(crops.angle - rotation)) == pytest.approx(0, abs=1e-12)
    assert not crops.mirrored.any()


def test_palm_pointing_right_is_rotated_by_90_degrees():
    keypoints = torch.zeros(1, 7, 2)
    keypoints[0, 2, 0] = 40  # the middle MCP, right of the wrist
    crops = crops_from_palms(torch.tensor([[0.0, -20, 40, 20]]), keypoints)
    assert_close(crops.centre, torch.tensor([[40.0, 0]]))  # half a box further towards the fingers
    assert_close(crops.angle, torch.tensor([torch.pi / 2]))


@given(seed=SEEDS)
def test_crop_from_joints_matches_mediapipe(seed):
    joints = random_joints(seed, 1)[0].numpy()
    end = ((joints[5] + joints[13]) / 2 + joints[9]) / 2
    rotation = mediapipe_rotation(joints[0], end)
    chosen = joints[[0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]]
    middle = (chosen.max(0) + chosen.min(0)) / 2
    reverse = np.array([[np.cos(-rotation), -np.sin(-rotation)], [np.sin(-rotation), np.cos(-rotation)]])
    upright = (chosen - middle) @ reverse.T
    projected = (upright.max(0) + upright.min(0)) / 2
    width, height = upright.max(0) - upright.min(0)
    centre, side = mediapipe_crop(reverse.T @ projected + middle, width, height, rotation, 2.0, -0.1)
    crops = crops_from_joints(torch.from_numpy(joints)[None])
    np.testing.assert_allclose(crops.centre[0], centre, atol=1e-9)
    assert float(crops.side) == pytest.approx(side)
    assert float(wrap_angle(crops.angle - rotation)) == pytest.approx(0, abs=1e-9)


def test_configured_scale_and_shift_are_applied():
    joints = random_joints(0)
    default, wide = crops_from_joints(joints), crops_from_joints(joints, CropConfig(joint_scale=3.0, joint_shift=0.0))
    assert_close(wide.side, 1.5 * default.side)
    moved = (default.centre - wide.centre).norm(dim=-1)
    assert (moved > 0).all()
    assert (moved <= 0.1 * default.side / 2 + 1e-9).all()


@given(seed=SEEDS)
def test_points_round_trip_through_the_crop(seed):
    affine = random_crops(seed).affine(SIZE).float()
    points = random_joints(seed, 6).float()
    assert_close(inverse_transform_points(affine, transform_points(affine, points)), points, atol=1e-4, rtol=0)


def test_crop_is_centred_and_upright():
    crops = random_crops(1)
    affine = crops.affine(SIZE)
    middle = torch.full((6, 1, 2), (SIZE - 1) / 2, dtype=torch.float64)
    assert_close(transform_points(affine, crops.centre[:, None]), middle)
    up = torch.stack([torch.sin(crops.angle), -torch.cos(crops.angle)], -1)  # clockwise from up, in the image
    top = transform_points(affine, (crops.centre + up * crops.side[:, None] / 2)[:, None])
    assert_close(top, middle - torch.tensor([0.0, SIZE / 2], dtype=torch.float64))


@given(seed=SEEDS, angle=st.floats(-3.1, 3.1), scale=st.floats(0.5, 2), u=st.floats(-50, 50), v=st.floats(-50, 50))
def test_crops_are_equivariant_to_similarity_transforms(seed, angle, scale, u, v):
    """The content of the crop does not change when the image is rotated, scaled and shifted."""
    joints = random_joints(seed)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    similarity = torch.tensor([[cos, -sin, u], [sin, cos, v]], dtype=torch.float64)
    moved = crops_from_joints(transform_points(similarity, joints)).affine(SIZE)
    assert_close(compose(moved, similarity), crops_from_joints(joints).affine(SIZE), atol=1e-7, rtol=1e-9)


@given(seed=SEEDS)
def test_left_crop_of_a_mirrored_image_is_the_right_crop(seed):
    joints = random_joints(seed)
    mirror = torch.tensor([[-1.0, 0, 639], [0, 1, 0]], dtype=torch.float64)
    left = crops_from_joints(transform_points(mirror, joints)).mirror_left(torch.full((3,), int(Side.LEFT)))
    right = crops_from_joints(joints).mirror_left(torch.full((3,), int(Side.RIGHT)))
    assert left.mirrored.all()
    assert not right.mirrored.any()
    assert_close(compose(left.affine(SIZE), mirror), right.affine(SIZE), atol=1e-8, rtol=1e-9)
    # Its canonical frame is that of the right hand in mirrored camera axes.
    matrix = INTRINSICS.clone()
    matrix[0, 2] = 639 - matrix[0, 2]
    mirrored_axes = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    assert_close(left.canonical_frames(matrix), right.canonical_frames(INTRINSICS) @ mirrored_axes)


def test_pixels_of_mirrored_crops_agree():
    """Within two grey levels: OpenCV interpolates in steps of 1/32 pixel."""
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    image = torch.nn.functional.avg_pool2d(torch.from_numpy(image).permute(2, 0, 1).float(), 9, 1, 4)  # smooth
    image = image.permute(1, 2, 0).byte().numpy()
    joints = random_joints(2, 2)
    right = crops_from_joints(joints).affine(SIZE).numpy()
    left = crops_from_joints(torch.stack([639 - joints[..., 0], joints[..., 1]], -1)).mirror_left(torch.ones(2))
    flipped = np.ascontiguousarray(image[:, ::-1])
    np.testing.assert_allclose(
        extract_crops(flipped, left.affine(SIZE).numpy(), SIZE), extract_crops(image, right, SIZE), atol=2.01 / 255
    )


@given(seed=SEEDS)
def test_canonical_axes_are_aligned_with_the_crop(seed):
    """z passes through the centre of the crop; steps along y and x move down and to the right in the crop."""
    crops = random_crops(seed)
    frames, affine = crops.canonical_frames(INTRINSICS), crops.affine(SIZE)
    assert_close(frames @ frames.mT, torch.eye(3, dtype=torch.float64).expand(6, 3, 3), atol=1e-12, rtol=0)
    assert_close(torch.linalg.det(frames), torch.where(crops.mirrored, -1.0, 1.0).double())
    x, y, z = frames.unbind(-2)

    def crop_pixels(points: Tensor) -> Tensor:  # (N, 3) camera axes -> (N, 2) pixels of the crops
        return transform_points(affine, project(points[:, None], INTRINSICS))[:, 0]

    middle = torch.full((6, 2), (SIZE - 1) / 2, dtype=torch.float64)
    assert_close(crop_pixels(z), middle)
    step = 1e-6
    down, right = (crop_pixels(z + step * y) - middle) / step, (crop_pixels(z + step * x) - middle) / step
    assert (down[:, 1] > 0).all()
    assert (down[:, 0].abs() < 1e-3 * down[:, 1]).all()
    assert (right[:, 0] > 0).all()


@given(seed=SEEDS, angle=st.floats(-3.1, 3.1))
def test_canonical_joints_are_invariant_to_camera_roll(seed, angle):
    """For square pixels."""
    random = torch.Generator().manual_seed(seed)
    joints = torch.randn(2, 21, 3, generator=random, dtype=torch.float64) * 0.05 + torch.tensor([0.02, 0.05, 0.6])
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float64)
    canonical = []
    for points in (joints, joints @ rotation.mT):
        crops = crops_from_joints(project(points, SQUARE_PIXELS)).mirror_left(torch.tensor(list(Side)))
        canonical.append(points @ crops.canonical_frames(SQUARE_PIXELS).mT)
    assert_close(*canonical, atol=1e-9, rtol=1e-9)


@given(seed=SEEDS)
def test_canonical_joints_are_invariant_to_mirroring(seed):
    random = torch.Generator().manual_seed(seed)
    joints = torch.randn(1, 21, 3, generator=random, dtype=torch.float64) * 0.05 + torch.tensor([0.1, 0.05, 0.6])
    mirrored_axes = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    canonical = []
    for side, points, centre in ((Side.RIGHT, joints, 331.0), (Side.LEFT, joints @ mirrored_axes, 639 - 331.0)):
        matrix = INTRINSICS.clone()
        matrix[0, 2] = centre
        crops = crops_from_joints(project(points, matrix)).mirror_left(torch.tensor([int(side)]))
        canonical.append(points @ crops.canonical_frames(matrix).mT)
    assert_close(*canonical)


@given(seed=SEEDS)
def test_crop_projection_equals_projection_followed_by_cropping(seed):
    random = torch.Generator().manual_seed(seed)
    points = torch.randn(6, 21, 3, generator=random, dtype=torch.float64) * 0.1 + torch.tensor([0.0, 0, 0.7])
    affine = random_crops(seed).affine(SIZE)
    pixels = project(points, crop_projection(affine, INTRINSICS))
    assert_close(pixels, transform_points(affine, project(points, INTRINSICS)))
    per_crop = crop_projection(affine, INTRINSICS.expand(6, 3, 3))
    assert_close(per_crop, crop_projection(affine, INTRINSICS))


def test_select_applies_to_all_fields():
    crops = random_crops(3)
    rows = torch.tensor([4, 0])
    for chosen, all_of_them in zip(crops.select(rows), crops):
        assert torch.equal(chosen, all_of_them[rows])


def test_valid_crops_are_finite_and_large_enough():
    crops = random_crops(4, 5)
    centre, side, angle = crops.centre.clone(), crops.side.clone(), crops.angle.clone()
    centre[0, 1], side[1], angle[2], side[3], side[4] = torch.nan, torch.inf, torch.nan, 7.9, 8
    assert valid_crops(HandCrops(centre, side, angle, crops.mirrored), 8.0).tolist() == [False] * 4 + [True]


def test_empty_input_gives_no_crops():
    for crops in (crops_from_joints(torch.zeros(0, 21, 2)), crops_from_palms(torch.zeros(0, 4), torch.zeros(0, 7, 2))):
        assert crops.affine(SIZE).shape == (0, 2, 3)
        assert valid_crops(crops, 8.0).shape == (0,)


def test_numpy_and_torch_give_the_same_crops():
    random = np.random.default_rng(0)
    joints, boxes, keypoints = random.uniform(0, 300, (3, 21, 2)), random.uniform(0, 99, (3, 4)), np.ones((3, 7, 2))
    boxes[:, 2:] += 100
    keypoints[:, 2] += random.uniform(1, 50, (3, 2))
    intrinsics = np.array([[500.0, 0, 160], [0, 480, 120], [0, 0, 1]])
    for make, arrays in ((crops_from_joints, (joints,)), (crops_from_palms, (boxes, keypoints))):
        crops, reference = make(*arrays), make(*map(torch.from_numpy, arrays))
        sides = np.array([0, 1, 1])
        crops, reference = crops.mirror_left(sides), reference.mirror_left(torch.from_numpy(sides))
        results = (*crops, crops.affine(224), crops.canonical_frames(intrinsics), valid_crops(crops, 20))
        frames = reference.canonical_frames(torch.from_numpy(intrinsics))
        for actual, expected in zip(results, (*reference, reference.affine(224), frames, valid_crops(reference, 20))):
            assert isinstance(actual, np.ndarray)
            np.testing.assert_allclose(actual, expected, atol=1e-9)
