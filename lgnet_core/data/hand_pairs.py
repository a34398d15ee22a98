"""Crops of both hands of labelled images, the input of networks with one crop per hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.data.sample import HandsBatch
from lgnet_core.geometry.affine import inverse_transform_points
from lgnet_core.geometry.coordinates import normalised_to_pixels, pixels_to_grid, pixels_to_normalised
from lgnet_core.geometry.crops import crop_projection
from lgnet_core.geometry.hand_crops import HandCrops, crops_from_joints
from lgnet_core.network import HandLGNet, HandsNetwork, HandsPrediction
from lgnet_core.network.prediction import GRID_STRIDE, HAND_CROP_SIZE
from lgnet_core.types import Side


@dataclass(frozen=True)
class CropJitter:
    """Random displacement of training crops: standard deviations.

    The defaults approximate how far crops around predicted joints lie from crops around the true ones.

    Args:
        shift: of the centre, in crop sides. scale: of the log of the side. angle: radians.
    """

    shift: float = 0.04
    scale: float = 0.10
    angle: float = 0.17


class HandPairs(NamedTuple):
    """The crops of both hands of each image.

    Shapes:
        images: (B, 2, 3, 224, 224) RGB in [0, 1], left hands mirrored; black where there is no hand.
        intrinsics: (B, 2, 3, 3) K of each crop in the camera axes of the image, pixels.
        frames: (B, 2, 3, 3) camera axes -> canonical axes.
        given: (B, 2) 1 where the hand is present, else 0: the other values are then those of the other hand.
        affine: (B, 2, 2, 3) pixels of the image -> pixels of each crop.
    """

    images: Tensor
    intrinsics: Tensor
    frames: Tensor
    given: Tensor
    affine: Tensor


def crop_hand_pairs(
    batch: HandsBatch, joints_2d: Tensor, jitter: CropJitter | None = None, generator: torch.Generator | None = None
) -> HandPairs:
    """Cut a crop of each hand that is present; an image without hands gets two black crops that span the whole image.

    Args:
        batch: images with their cameras. joints_2d: of both hands, pixels of the images.
        jitter: random displacement of the crops; None: none.
        generator: for the jitter, on the batch's device.

    Shapes:
        joints_2d: (B, 2, 21, 2).
    """
    count = len(batch)
    given = batch.presence
    # An absent hand takes the crop of the other one, which is finite even if its own labels are not.
    crop_joints = torch.where(given[..., None, None], joints_2d, joints_2d.flip(1))
    has_hands = given.any(1).repeat_interleave(2)
    crops = _where(has_hands, crops_from_joints(crop_joints.flatten(0, 1)), _full_image_crops(batch.image, 2 * count))
    sides = torch.tensor(list(Side), device=given.device).repeat(count)
    sides = torch.where(given.flatten(), sides, 1 - sides)
    crops = crops.mirror_left(sides)
    if jitter is not None:
        crops = jitter_crops(crops, jitter, generator)
    affine = crops.affine(HAND_CROP_SIZE)
    intrinsics = batch.intrinsics.repeat_interleave(2, 0)
    rows = given.flatten().nonzero()[:, 0]
    images = torch.zeros(2 * count, 3, HAND_CROP_SIZE, HAND_CROP_SIZE, device=given.device)
    images[rows] = crop_images(batch.image, affine[rows], rows // 2)
    return HandPairs(
        images.unflatten(0, (count, 2)),
        crop_projection(affine, intrinsics).unflatten(0, (count, 2)),
        crops.canonical_frames(intrinsics).unflatten(0, (count, 2)),
        given.float(),
        affine.unflatten(0, (count, 2)),
    )


def crop_images(image: Tensor, affine: Tensor, source: Tensor) -> Tensor:
    """Bilinear crops of images; black outside.

    Args:
        image: uint8. affine: pixels of the image -> pixels of the crop. source: index of the image of each crop.

    Shapes:
        image: (B, 3, H, W); affine: (N, 2, 3); source: (N,); returns (N, 3, 224, 224) in [0, 1].
    """
    height, width = image.shape[-2:]
    steps = torch.arange(HAND_CROP_SIZE, device=affine.device, dtype=affine.dtype)
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    pixels = inverse_transform_points(affine, torch.stack([u, v], -1).reshape(1, -1, 2))  # (N, S S, 2)
    grids = torch.stack(
        [pixels_to_normalised(pixels[..., 0], width), pixels_to_normalised(pixels[..., 1], height)], -1
    ).unflatten(1, (HAND_CROP_SIZE, HAND_CROP_SIZE))
    crops = [
        F.grid_sample(image[b, None].float() / 255, grid[None], padding_mode="zeros", align_corners=False)
        for b, grid in zip(source.tolist(), grids)
    ]
    return torch.cat(crops) if crops else grids.new_zeros(0, 3, HAND_CROP_SIZE, HAND_CROP_SIZE)


def uncrop_prediction(prediction: HandsPrediction, affine: Tensor, image_size: int) -> HandsPrediction:
    """Convert a prediction in per-hand crops to the square image that the crops were cut from.

    Meshes already are in the camera axes of the image; 2.5D joints and weak-perspective cameras are converted.

    Args:
        affine: pixels of the image -> pixels of each crop. image_size: side of the image, pixels.

    Shapes:
        affine: (B, 2, 2, 3).
    """
    size = HAND_CROP_SIZE

    def to_pixels(normalised: Tensor) -> Tensor:  # [-1, 1] of the crop -> pixels of the image
        return inverse_transform_points(affine, normalised_to_pixels(normalised, size))

    pixels = to_pixels((2 * prediction.joints_grid[..., :2] + 1) / (size // GRID_STRIDE) - 1)
    cells = pixels_to_grid(pixels, image_size, image_size // GRID_STRIDE)
    grid = torch.cat([cells, prediction.joints_grid[..., 2:]], -1)
    magnification = torch.linalg.det(affine[..., :2]).abs().sqrt()[..., None]  # crop pixels per image pixel
    scale = prediction.camera[..., :1] * size / (magnification * image_size)
    centre = pixels_to_normalised(to_pixels(prediction.camera[..., None, 1:])[..., 0, :], image_size)
    return prediction._replace(joints_grid=grid, camera=torch.cat([scale, centre], -1))


def predict_batch(network: HandsNetwork, batch: HandsBatch, joints_2d: Tensor, known: Tensor) -> HandsPrediction:
    """Predict labelled images with a network of either kind; networks with one crop per hand get ground-truth crops.

    Args:
        network: in eval mode, on the batch's device.
        joints_2d: of both hands, pixels of the images. known: which of them are known; unknown joints are placed at the
            centroid of the known ones, and a hand without known joints counts as absent.

    Shapes:
        joints_2d: (B, 2, 21, 2); known: (B, 2, 21) bool.

    Returns:
        Predictions in image coordinates, see :func:`uncrop_prediction`.
    """
    if not isinstance(network, HandLGNet):
        return network(batch.image.float() / 255, batch.intrinsics)
    weights = known[..., None].float()
    centroid = (joints_2d * weights).sum(-2, keepdim=True) / weights.sum(-2, keepdim=True).clamp_min(1)
    filled = torch.where(known[..., None], joints_2d, centroid)
    batch = batch.replace(presence=batch.presence & known.any(-1))
    return predict_pairs(network, crop_hand_pairs(batch, filled), batch.image.shape[-1])


def predict_pairs(network: HandLGNet, pairs: HandPairs, image_size: int) -> HandsPrediction:
    """Predict crops of square images; the result is in image coordinates."""
    prediction = network(pairs.images, pairs.intrinsics, pairs.frames, pairs.given)
    return uncrop_prediction(prediction, pairs.affine, image_size)


def _full_image_crops(image: Tensor, count: int) -> HandCrops:
    """``count`` crops that span the whole square image."""
    size = image.shape[-1]
    side = torch.full((count,), float(size), device=image.device)
    centre = torch.full((count, 2), (size - 1) / 2, device=image.device)
    return HandCrops(centre, side, torch.zeros_like(side), torch.zeros_like(side, dtype=torch.bool))


def _where(condition: Tensor, a: HandCrops, b: HandCrops) -> HandCrops:
    """Rows of ``a`` where ``condition`` (N,) holds, else of ``b``."""
    return HandCrops(*(torch.where(condition.view(-1, *[1] * (x.ndim - 1)), x, y) for x, y in zip(a, b)))


def jitter_crops(crops: HandCrops, jitter: CropJitter, generator: torch.Generator | None) -> HandCrops:
    """Displace crops at random."""
    random = torch.randn(len(crops.side), 4, generator=generator, device=crops.side.device)
    return crops._replace(
        centre=crops.centre + jitter.shift * crops.side[:, None] * random[:, :2],
        side=crops.side * torch.exp(jitter.scale * random[:, 2]),
        angle=crops.angle + jitter.angle * random[:, 3],
    )
