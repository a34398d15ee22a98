"""Labelled images as networks of one crop per hand see them: a crop of each hand, cut around its joints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.data.sample import HandsBatch
from lgnet_core.geometry.camera import normalised_to_pixels, pixels_to_grid, pixels_to_normalised
from lgnet_core.geometry.hand_crops import HandCrops, crop_projection, crops_of_joints, to_image
from lgnet_core.network import HandLGNet, HandsNetwork, HandsPrediction
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE
from lgnet_core.network.lgnet.joint_stage import GRID_STRIDE
from lgnet_core.types import Side


@dataclass(frozen=True)
class CropJitter:
    """How far the crops of a training are moved at random: standard deviations.

    The defaults are about how far crops of predicted joints lie from crops of the true ones.

    Args:
        shift: of the centre, in sides of the crop. scale: of the log of the side. angle: radians.
    """

    shift: float = 0.04
    scale: float = 0.10
    angle: float = 0.17


class HandPairs(NamedTuple):
    """The crops of both hands of each image.

    Shapes:
        images: (B, 2, 3, 224, 224) RGB in [0, 1], left hands mirrored; black where no crop is given.
        intrinsics: (B, 2, 3, 3) K of each crop in the image's camera axes, pixels.
        frames: (B, 2, 3, 3) camera axes -> canonical axes.
        given: (B, 2) 1 where the hand is there, else 0: the other values are then the other hand's.
        affine: (B, 2, 2, 3) pixels of the image -> pixels of each crop.
    """

    images: Tensor
    intrinsics: Tensor
    frames: Tensor
    given: Tensor
    affine: Tensor


def cut_pairs(
    batch: HandsBatch, joints_2d: Tensor, jitter: CropJitter | None = None, generator: torch.Generator | None = None
) -> HandPairs:
    """Cut a crop for each hand that is there; of an image without hands the crops are all of it, and black.

    Args:
        batch: images with their cameras. joints_2d: of both hands, pixels of the images.
        jitter: None leaves the crops where the joints put them.
        generator: of the jitter, on the batch's device.

    Shapes:
        joints_2d: (B, 2, 21, 2).
    """
    count = len(batch)
    given = batch.presence
    # What is not given repeats the other hand's, finite whatever its labels are.
    known = torch.where(given[..., None, None], joints_2d, joints_2d.flip(1))
    shown = given.any(1).repeat_interleave(2)
    crops = _choose(shown, crops_of_joints(known.flatten(0, 1)), _whole(batch.image, 2 * count))
    sides = torch.tensor(list(Side), device=given.device).repeat(count)
    sides = torch.where(given.flatten(), sides, 1 - sides)
    crops = crops.mirror_left(sides)
    if jitter is not None:
        crops = moved(crops, jitter, generator)
    affine = crops.affine(HAND_CROP_SIZE)
    intrinsics = batch.intrinsics.repeat_interleave(2, 0)
    rows = given.flatten().nonzero()[:, 0]
    images = torch.zeros(2 * count, 3, HAND_CROP_SIZE, HAND_CROP_SIZE, device=given.device)
    images[rows] = cut(batch.image, affine[rows], rows // 2)
    return HandPairs(
        images.unflatten(0, (count, 2)),
        crop_projection(affine, intrinsics).unflatten(0, (count, 2)),
        crops.frame(intrinsics).unflatten(0, (count, 2)),
        given.float(),
        affine.unflatten(0, (count, 2)),
    )


def cut(image: Tensor, affine: Tensor, source: Tensor) -> Tensor:
    """Crops of images, bilinear; black outside.

    Args:
        image: uint8. affine: pixels of the image -> pixels of the crop. source: which image each crop is of.

    Shapes:
        image: (B, 3, H, W); affine: (N, 2, 3); source: (N,); returns (N, 3, 224, 224) in [0, 1].
    """
    height, width = image.shape[-2:]
    steps = torch.arange(HAND_CROP_SIZE, device=affine.device, dtype=affine.dtype)
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    pixels = to_image(affine, torch.stack([u, v], -1).reshape(1, -1, 2))  # (N, S S, 2)
    places = torch.stack(
        [pixels_to_normalised(pixels[..., 0], width), pixels_to_normalised(pixels[..., 1], height)], -1
    ).unflatten(1, (HAND_CROP_SIZE, HAND_CROP_SIZE))
    found = [
        F.grid_sample(image[b, None].float() / 255, place[None], padding_mode="zeros", align_corners=False)
        for b, place in zip(source.tolist(), places)
    ]
    return torch.cat(found) if found else places.new_zeros(0, 3, HAND_CROP_SIZE, HAND_CROP_SIZE)


def in_image(prediction: HandsPrediction, affine: Tensor, image_size: int) -> HandsPrediction:
    """What was predicted in each hand's own crop, as a prediction in the square image that the crops were cut from.

    Meshes are in the image's camera axes already; 2.5D joints and weak-perspective cameras move to the image.

    Args:
        affine: pixels of the image -> pixels of each crop. image_size: side of the image, pixels.

    Shapes:
        affine: (B, 2, 2, 3).
    """
    size = HAND_CROP_SIZE

    def to_pixels(normalised: Tensor) -> Tensor:  # [-1, 1] of the crop -> pixels of the image
        return to_image(affine, normalised_to_pixels(normalised, size))

    places = to_pixels((2 * prediction.joints_grid[..., :2] + 1) / (size // GRID_STRIDE) - 1)
    cells = pixels_to_grid(places, image_size, image_size // GRID_STRIDE)
    grid = torch.cat([cells, prediction.joints_grid[..., 2:]], -1)
    enlarged = torch.linalg.det(affine[..., :2]).abs().sqrt()[..., None]  # pixels of the crop per pixel of the image
    scale = prediction.camera[..., :1] * size / (enlarged * image_size)
    centre = pixels_to_normalised(to_pixels(prediction.camera[..., None, 1:])[..., 0, :], image_size)
    return prediction._replace(joints_grid=grid, camera=torch.cat([scale, centre], -1))


def predict_batch(network: HandsNetwork, batch: HandsBatch, joints_2d: Tensor, known: Tensor) -> HandsPrediction:
    """What a network of either kind predicts for labelled images: one of crops per hand is given the true ones.

    Args:
        network: in evaluation, on the batch's device.
        joints_2d: of both hands, pixels of the images. known: which of them are known; the others are taken to lie
            amid those, and a hand with none is given no crop.

    Shapes:
        joints_2d: (B, 2, 21, 2); known: (B, 2, 21) bool.

    Returns:
        Predictions in the images, as :func:`in_image` has them.
    """
    if not isinstance(network, HandLGNet):
        return network(batch.image.float() / 255, batch.intrinsics)
    weights = known[..., None].float()
    middle = (joints_2d * weights).sum(-2, keepdim=True) / weights.sum(-2, keepdim=True).clamp_min(1)
    places = torch.where(known[..., None], joints_2d, middle)
    shown = batch.replace(presence=batch.presence & known.any(-1))
    return predict_pairs(network, cut_pairs(shown, places), batch.image.shape[-1])


def predict_pairs(network: HandLGNet, pairs: HandPairs, image_size: int) -> HandsPrediction:
    """A prediction for crops of square images, in the images."""
    prediction = network(pairs.images, pairs.intrinsics, pairs.frames, pairs.given)
    return in_image(prediction, pairs.affine, image_size)


def _whole(image: Tensor, count: int) -> HandCrops:
    """The whole of square images, ``count`` times."""
    size = image.shape[-1]
    side = torch.full((count,), float(size), device=image.device)
    centre = torch.full((count, 2), (size - 1) / 2, device=image.device)
    return HandCrops(centre, side, torch.zeros_like(side), torch.zeros_like(side, dtype=torch.bool))


def _choose(first: Tensor, a: HandCrops, b: HandCrops) -> HandCrops:
    """Those of ``a`` where ``first`` (N,) says so, else those of ``b``."""
    return HandCrops(*(torch.where(first.view(-1, *[1] * (x.ndim - 1)), x, y) for x, y in zip(a, b)))


def moved(crops: HandCrops, jitter: CropJitter, generator: torch.Generator | None) -> HandCrops:
    """Crops moved at random."""
    random = torch.randn(len(crops.side), 4, generator=generator, device=crops.side.device)
    return crops._replace(
        centre=crops.centre + jitter.shift * crops.side[:, None] * random[:, :2],
        side=crops.side * torch.exp(jitter.scale * random[:, 2]),
        angle=crops.angle + jitter.angle * random[:, 3],
    )
