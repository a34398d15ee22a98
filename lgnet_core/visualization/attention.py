"""Drawings of where a network attends: its attention over the crops of an image, part by part, as in LGNet's fig. 4."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from lgnet_core.inference.crops import image_camera
from lgnet_core.inference.estimator import HandEstimator, check_image
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.network import HandsNetwork
from lgnet_core.types import Camera, FloatArray
from lgnet_core.visualization.drawing import contact_sheet, draw_heatmap

COLUMNS, TILE = 3, 256
"""Tiles in a row, and their side, pixels, whatever size the network sees."""


class AttentionView:
    """Draws the attention of the network that an estimator runs.

    Engines give a network's answers alone, so its attention comes from torch, in another pass.

    Args:
        network: the estimator's; it is moved to the engine's device and set to evaluation, in place.
        estimator: finds the hands, and cuts the crops.
    """

    def __init__(self, network: HandsNetwork, estimator: HandEstimator) -> None:
        self.estimator = estimator
        self.network = network.to(estimator.engines["hands"].device).eval()

    @torch.inference_mode()
    def draw(self, image: FloatArray, camera: Camera | None = None) -> FloatArray | None:
        """For each crop that the network is given the crop itself, left hands' mirrored where each hand has its own,
        and one tile for each part of the network.

        Args, Raises: see :meth:`lgnet_core.inference.HandEstimator.estimate`.

        Returns:
            RGB (H, W, 3) uint8; None where no hand is found, or the network has no attention.
        """
        check_image(image, camera)
        estimator, view, watch = self.estimator, image_camera(image, camera), Stopwatch()
        found = estimator.detector.detect(image, view, estimator.thresholds, watch)
        hands = estimator.associate(image, view, found, watch)
        if not hands:
            return None
        inputs = estimator.reconstructor.network_inputs(image, view, hands)
        device = estimator.engines["hands"].device
        looks = self.network.attention_maps(*(torch.from_numpy(value).to(device) for value in inputs))
        if not looks:
            return None
        sheets = []
        for k, crop in enumerate(inputs[0].reshape(-1, *inputs[0].shape[-3:])):
            if not crop.any():  # of a hand that is not there
                continue
            shown = cv2.resize(np.rint(crop.transpose(1, 2, 0) * 255).astype(np.uint8), (TILE, TILE))
            tiles = [shown, *(draw_heatmap(shown, look.share[k].float().cpu().numpy(), look.part) for look in looks)]
            sheets.append(contact_sheet(tiles, COLUMNS, TILE))
        return np.vstack(sheets)
