"""Predictions drawn over the pictures that they are of, a few of each category: figures do not show how hands fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lgnet_core.camera import letterbox
from lgnet_core.data.augment import resize
from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.drawing import contact_sheet, draw_overlay, write_png
from lgnet_core.evaluation.outcome import Outcome
from lgnet_core.evaluation.pictures import Labelled, Pictures
from lgnet_core.inference import HandEstimator
from lgnet_core.inference.crops import cut_crops
from lgnet_core.inference.eager import EagerEngine
from lgnet_core.inference.regions import Region
from lgnet_core.network import HandsNetwork
from lgnet_core.types import Camera, FloatArray, Side

DRAWN_SIZE, OF_EACH = 256, 8


def write_sheet(path: Path, network: HandsNetwork, pictures: Pictures, size: int, indices: Tensor) -> None:
    """The first pictures of each category that is among ``indices``, a row for each, with the hands reported in them.

    Nothing is written where none of them can be read.

    Args:
        network: in eval mode. size: side of the crops that it sees, pixels.
    """
    read = pictures.read(indices, DRAWN_SIZE)
    if read is None:
        return
    batch, category = read.batch, read.category
    tiles: list[FloatArray] = []
    for number in sorted(set(category.tolist())):
        row = overlays(network, batch[(category == number).nonzero()[:OF_EACH, 0]], size)
        tiles += row + [np.full((DRAWN_SIZE, DRAWN_SIZE, 3), 255, np.uint8)] * (OF_EACH - len(row))
    write_png(path, contact_sheet(tiles, OF_EACH, DRAWN_SIZE))


class WorstPictures:
    """Keeps the pictures whose joints are furthest off: the mean of a hand's, wrist-raw, of the picture's worse hand.

    An :class:`~lgnet_core.evaluation.evaluate.Observer`.

    Args:
        count: how many are kept.
    """

    def __init__(self, count: int = 2 * OF_EACH) -> None:
        self.count = count
        self.errors = torch.zeros(0)
        self.batch: HandsBatch | None = None
        """The worst first, as the network sees them, on the CPU."""

    def update(self, outcome: Outcome, read: Labelled) -> None:
        """Add pictures; those without a hand whose joints are known do not count."""
        known = outcome.known & outcome.hands[..., None]
        distance = (outcome.joints - outcome.true_joints).norm(dim=-1).where(known, 0)
        errors = (distance.sum(-1) / known.sum(-1).clamp_min(1)).amax(1).cpu()
        new = known.any(-1).any(1).nonzero()[:, 0].cpu()
        errors = torch.cat([self.errors, errors[new]])
        batch = read.batch.to("cpu")[new]
        batch = batch if self.batch is None else concatenate([self.batch, batch])
        worst = errors.argsort(descending=True, stable=True)[: self.count]
        self.errors, self.batch = errors[worst], batch[worst]

    def write(self, path: Path, network: HandsNetwork, size: int) -> None:
        """Draw them with the hands reported in them, the worst first; arguments as of :func:`write_sheet`."""
        if self.batch is not None and len(self.batch):
            tiles = overlays(network, resize(self.batch, DRAWN_SIZE), size)
            write_png(path, contact_sheet(tiles, OF_EACH, DRAWN_SIZE))


def overlays(network: HandsNetwork, batch: HandsBatch, size: int) -> list[FloatArray]:
    """The pictures with what the estimator reports in them if it is given them as the one region of both hands.

    Shapes:
        returns (H, W, 3) uint8 for each picture of the batch.
    """
    engine = EagerEngine(network, str(next(network.parameters()).device), inputs=network.example_inputs(size))
    # Networks that learnt little yet see hands small: they are drawn too.
    estimator = HandEstimator(engine, network.hand_model, smallest_hand=0.0)
    side = batch.image.shape[-1]
    regions = [Region(np.array([-0.5, -0.5, side - 0.5, side - 0.5]), tuple(Side))]
    drawn = []
    for image, intrinsics in zip(batch.image.permute(0, 2, 3, 1).cpu().numpy(), batch.intrinsics.cpu().numpy()):
        camera = Camera(intrinsics, side, side)
        crops = cut_crops(image, camera, letterbox(side, side, size)[None], size)
        hands = estimator.assemble(regions, crops, engine(crops.images, crops.intrinsics), camera)
        drawn.append(draw_overlay(image, hands, camera))
    return drawn
