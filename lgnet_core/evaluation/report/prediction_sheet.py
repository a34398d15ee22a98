"""Predictions drawn over the images that they are of, a few of each category: figures do not show how hands fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.augmentation import resize
from lgnet_core.data.hand_pairs import predict_batch
from lgnet_core.data.sample import HandsBatch, HandsTruth, concatenate
from lgnet_core.evaluation.comparison import Comparison, place
from lgnet_core.evaluation.image_sets import Images, Labelled
from lgnet_core.geometry.camera import grid_to_pixels
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.network import HandsNetwork, HandsPrediction
from lgnet_core.network.lgnet.joint_stage import GRID_STRIDE
from lgnet_core.types import Camera, FloatArray, Hand, Side, TwoHands
from lgnet_core.visualization.drawing import contact_sheet, draw_overlay, write_png

DRAWN_SIZE, OF_EACH = 256, 8


def write_sheet(path: Path, network: HandsNetwork, images: Images, size: int, indices: Tensor) -> None:
    """The first images of each category that is among ``indices``, a row for each, with the hands reported in them.

    Nothing is written where none of them can be read.

    Args:
        network: in eval mode. size: side of the images that it is given, pixels.
    """
    read = images.read(indices, DRAWN_SIZE)
    if read is None:
        return
    batch, category, truth, *_ = read.to(next(network.parameters()).device)
    tiles: list[FloatArray] = []
    for number in sorted(set(category.tolist())):
        some = (category == number).nonzero()[:OF_EACH, 0]
        row = overlays(network, batch[some], truth.select(some), size)
        tiles += row + [np.full((DRAWN_SIZE, DRAWN_SIZE, 3), 255, np.uint8)] * (OF_EACH - len(row))
    write_png(path, contact_sheet(tiles, OF_EACH, DRAWN_SIZE))


class WorstImages:
    """Keeps the images whose joints are furthest off: the mean of a hand's, wrist-raw, of the image's worse hand.

    An :class:`~lgnet_core.evaluation.evaluate.Observer`.

    Args:
        count: how many are kept.
    """

    def __init__(self, count: int = 2 * OF_EACH) -> None:
        self.count = count
        self.errors = torch.zeros(0)
        self.batch: HandsBatch | None = None
        """The worst first, as the network sees them, on the CPU."""
        self.truth: HandsTruth | None = None
        """Of :attr:`batch`."""

    def update(self, outcome: Comparison, read: Labelled) -> None:
        """Add images; those without a hand whose joints are known do not count."""
        known = outcome.known & outcome.hands[..., None]
        distance = (outcome.joints - outcome.true_joints).norm(dim=-1).where(known, 0)
        errors = (distance.sum(-1) / known.sum(-1).clamp_min(1)).amax(1).cpu()
        new = known.any(-1).any(1).nonzero()[:, 0].cpu()
        errors = torch.cat([self.errors, errors[new]])
        batch, truth = read.batch.to("cpu")[new], read.truth.to("cpu").select(new)
        if self.batch is not None and self.truth is not None:
            batch = concatenate([self.batch, batch])
            truth = HandsTruth(*(torch.cat(values) for values in zip(self.truth, truth)))
        worst = errors.argsort(descending=True, stable=True)[: self.count]
        self.errors, self.batch, self.truth = errors[worst], batch[worst], truth.select(worst)

    def write(self, path: Path, network: HandsNetwork, size: int) -> None:
        """Draw them with the hands reported in them, the worst first; arguments as of :func:`write_sheet`."""
        if self.batch is not None and self.truth is not None and len(self.batch):
            device = next(network.parameters()).device
            batch, truth = _resized(self.batch.to(device), self.truth.to(device), DRAWN_SIZE)
            tiles = overlays(network, batch, truth, size)
            write_png(path, contact_sheet(tiles, OF_EACH, DRAWN_SIZE))


def overlays(network: HandsNetwork, batch: HandsBatch, truth: HandsTruth, size: int) -> list[FloatArray]:
    """The images with the hands that the network reports in them, placed as the estimator places them.

    A network of one crop per hand is given crops around the true joints, and so reports no hand that is not there.

    Args:
        network: in eval mode. batch, truth: on its device. size: side of the images that it is given, pixels.

    Shapes:
        returns (H, W, 3) uint8 for each image of the batch.
    """
    given, known = _resized(batch, truth, size)
    with torch.inference_mode():
        prediction = predict_batch(network, given, known.joints_2d, known.joints_known)
    return draw_prediction(prediction, given, batch, network.hand_model)


def draw_prediction(
    prediction: HandsPrediction, given: HandsBatch, batch: HandsBatch, hand_model: HandModel
) -> list[FloatArray]:
    """Images with the hands of a prediction.

    Args:
        given: the images as they were predicted from. batch: the same ones, of any size, as they are drawn on.
        hand_model: the network's.

    Shapes:
        returns (H, W, 3) uint8 for each image of the batch.
    """
    side = batch.image.shape[-1]
    presence = prediction.presence_logits.sigmoid()
    reported = presence >= Thresholds().presence
    wrists = place(prediction, given.replace(presence=reported))
    reported = reported & wrists.isfinite().all(-1)
    pixels = grid_to_pixels(prediction.joints_grid[..., :2], side, given.image.shape[-1] // GRID_STRIDE)
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
            Hand(side=one, faces=faces[one], **{name: value[k, one] for name, value in values.items()})
            if reported[k, one]
            else None
            for one in Side
        )
        camera = Camera(batch.intrinsics[k].cpu().numpy(), side, side)
        drawn.append(draw_overlay(image, TwoHands(right, left, None, metric=True), camera))
    return drawn


def _resized(batch: HandsBatch, truth: HandsTruth, size: int) -> tuple[HandsBatch, HandsTruth]:
    joints = grid_to_pixels(truth.joints_2d, size, batch.image.shape[-1])
    return resize(batch, size), truth._replace(joints_2d=joints)
