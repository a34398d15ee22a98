"""Contact sheets of predictions: images of each category, and the images with the largest errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.augmentation import resize
from lgnet_core.data.hand_pairs import predict_batch
from lgnet_core.data.sample import HandsBatch, HandsGroundTruth, concatenate
from lgnet_core.evaluation.comparison import Comparison, place_wrists
from lgnet_core.evaluation.datasets.base import EvaluationImages, LabelledImages
from lgnet_core.geometry.coordinates import grid_to_pixels
from lgnet_core.hand_model import HandLayer
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.network import HandsNetwork, HandsPrediction
from lgnet_core.network.prediction import GRID_STRIDE
from lgnet_core.types import Camera, Hand, ImageArray, Side, TwoHands
from lgnet_core.visualization.drawing import contact_sheet, draw_overlay, write_png

TILE_SIZE, TILES_PER_CATEGORY = 256, 8


def write_sheet(path: Path, network: HandsNetwork, images: EvaluationImages, size: int, indices: Tensor) -> None:
    """Draw the predictions in the first images of each category among ``indices``, one row per category.

    Nothing is written if none of the images can be read.

    Args:
        network: in eval mode. size: side of its input images, pixels.
    """
    read = images.read(indices, TILE_SIZE)
    if read is None:
        return
    batch, category, truth, *_ = read.to(next(network.parameters()).device)
    tiles: list[ImageArray] = []
    for number in sorted(set(category.tolist())):
        selected = (category == number).nonzero()[:TILES_PER_CATEGORY, 0]
        row = draw_predictions(network, batch[selected], truth.select(selected), size)
        tiles += row + [np.full((TILE_SIZE, TILE_SIZE, 3), 255, np.uint8)] * (TILES_PER_CATEGORY - len(row))
    write_png(path, contact_sheet(tiles, TILES_PER_CATEGORY, TILE_SIZE))


class WorstImages:
    """Keeps the images with the largest joint errors: mean of a hand, wrist-raw, of the worse hand of the image.

    An :class:`~lgnet_core.evaluation.evaluate.Observer`.

    Args:
        count: number of images kept.
    """

    def __init__(self, count: int = 2 * TILES_PER_CATEGORY) -> None:
        self.count = count
        self.errors = torch.zeros(0)
        self.batch: HandsBatch | None = None
        """By decreasing error, at the network's input size, on the CPU."""
        self.truth: HandsGroundTruth | None = None
        """Ground truth of :attr:`batch`."""

    def update(self, comparison: Comparison, read: LabelledImages) -> None:
        """Add images; those without a hand with known joints are ignored."""
        known = comparison.joints_known & comparison.presence[..., None]
        distances = (comparison.joints - comparison.true_joints).norm(dim=-1).where(known, 0)
        errors = (distances.sum(-1) / known.sum(-1).clamp_min(1)).amax(1).cpu()
        new = known.any(-1).any(1).nonzero()[:, 0].cpu()
        errors = torch.cat([self.errors, errors[new]])
        batch, truth = read.batch.to("cpu")[new], read.truth.to("cpu").select(new)
        if self.batch is not None and self.truth is not None:
            batch = concatenate([self.batch, batch])
            truth = HandsGroundTruth(*(torch.cat(values) for values in zip(self.truth, truth)))
        worst = errors.argsort(descending=True, stable=True)[: self.count]
        self.errors, self.batch, self.truth = errors[worst], batch[worst], truth.select(worst)

    def write(self, path: Path, network: HandsNetwork, size: int) -> None:
        """Draw the predictions in these images by decreasing error; arguments as of :func:`write_sheet`."""
        if self.batch is not None and self.truth is not None and len(self.batch):
            device = next(network.parameters()).device
            batch, truth = _resized(self.batch.to(device), self.truth.to(device), TILE_SIZE)
            tiles = draw_predictions(network, batch, truth, size)
            write_png(path, contact_sheet(tiles, TILES_PER_CATEGORY, TILE_SIZE))


def draw_predictions(network: HandsNetwork, batch: HandsBatch, truth: HandsGroundTruth, size: int) -> list[ImageArray]:
    """Draw the hands that the network reports, placed as in the estimator.

    A network with one crop per hand gets crops around the true joints, and so reports present hands only.

    Args:
        network: in eval mode. batch, truth: on its device. size: side of its input images, pixels.

    Shapes:
        returns (H, W, 3) uint8 for each image of the batch.
    """
    input_batch, input_truth = _resized(batch, truth, size)
    with torch.inference_mode():
        prediction = predict_batch(network, input_batch, input_truth.joints_2d, input_truth.joints_known)
    return draw_prediction(prediction, input_batch, batch, network.hand_model)


def draw_prediction(
    prediction: HandsPrediction, input_batch: HandsBatch, batch: HandsBatch, hand_model: HandLayer
) -> list[ImageArray]:
    """Draw the hands of a prediction.

    Args:
        input_batch: the images at the network's input size. batch: the same images at the size to draw on.
        hand_model: the network's.

    Shapes:
        returns (H, W, 3) uint8 for each image of the batch.
    """
    size = batch.image.shape[-1]
    presence = prediction.presence_logits.sigmoid()
    reported = presence >= Thresholds().presence
    wrists = place_wrists(prediction, input_batch.replace(presence=reported))
    reported = reported & wrists.isfinite().all(-1)
    pixels = grid_to_pixels(prediction.joints_grid[..., :2], size, input_batch.image.shape[-1] // GRID_STRIDE)
    fields = {
        "presence": presence,
        "joints": prediction.joints + wrists[:, :, None],
        "vertices": prediction.vertices + wrists[:, :, None],
        "joints_2d": pixels,
        "joint_std": (0.5 * prediction.joint_log_variance).exp(),
        "rotations": prediction.rotations,
        "shape": prediction.shape,
    }
    values = {name: value.double().cpu().numpy() for name, value in fields.items()}
    faces = hand_model.faces.cpu().numpy()
    drawn = []
    for k, image in enumerate(batch.image.permute(0, 2, 3, 1).cpu().numpy()):
        right, left = (
            Hand(side=side, faces=faces[side], **{name: value[k, side] for name, value in values.items()})
            if reported[k, side]
            else None
            for side in Side
        )
        camera = Camera(batch.intrinsics[k].cpu().numpy(), size, size)
        drawn.append(draw_overlay(image, TwoHands(right, left, None, metric=True), camera))
    return drawn


def _resized(batch: HandsBatch, truth: HandsGroundTruth, size: int) -> tuple[HandsBatch, HandsGroundTruth]:
    joints = grid_to_pixels(truth.joints_2d, size, batch.image.shape[-1])
    return resize(batch, size), truth._replace(joints_2d=joints)
