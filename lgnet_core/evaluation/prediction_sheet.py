"""Predictions drawn over the pictures that they are of, a few of each category: figures do not show how hands fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from lgnet_core.camera import letterbox
from lgnet_core.data.sample import HandsBatch
from lgnet_core.drawing import contact_sheet, draw_overlay, write_png
from lgnet_core.evaluation.pictures import Pictures
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


def overlays(network: HandsNetwork, batch: HandsBatch, size: int) -> list[FloatArray]:
    """The pictures with what the estimator reports in them if it is given them as the one region of both hands.

    Shapes:
        returns (H, W, 3) uint8 for each picture of the batch.
    """
    engine = EagerEngine(network, str(next(network.parameters()).device), size)
    estimator = HandEstimator(engine, network.hand_model)
    side = batch.image.shape[-1]
    regions = [Region(np.array([-0.5, -0.5, side - 0.5, side - 0.5]), tuple(Side))]
    drawn = []
    for image, intrinsics in zip(batch.image.permute(0, 2, 3, 1).cpu().numpy(), batch.intrinsics.cpu().numpy()):
        camera = Camera(intrinsics, side, side)
        crops = cut_crops(image, camera, letterbox(side, side, size)[None], size)
        hands = estimator.assemble(regions, crops, engine(crops.images, crops.intrinsics), camera)
        drawn.append(draw_overlay(image, hands, camera))
    return drawn
