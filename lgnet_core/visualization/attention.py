"""Visualisation of a network's attention: heatmaps over the crops of an image, as in LGNet's fig. 4."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from lgnet_core.inference.association import associate
from lgnet_core.inference.estimator import HandEstimator
from lgnet_core.network import HandsNetwork
from lgnet_core.types import Camera, ImageArray
from lgnet_core.visualization.drawing import contact_sheet, draw_heatmap

COLUMNS, TILE_SIZE = 3, 256
"""Tiles in a row, and their side, pixels, independent of the network's input size."""


class AttentionView:
    """Draws the attention of the network that an estimator runs.

    Engines return a network's predictions only, so the attention is computed by torch, in a second pass.

    Args:
        network: of the estimator; moved to the engine's device and set to evaluation mode, in place.
        estimator: detects the hands, and cuts the crops.
    """

    def __init__(self, network: HandsNetwork, estimator: HandEstimator) -> None:
        self.estimator = estimator
        self.network = network.to(estimator.engines["hands"].device).eval()

    @torch.inference_mode()
    def draw(self, image: ImageArray, camera: Camera | None = None) -> ImageArray | None:
        """One sheet per crop of the network's input, stacked: the crop, then one heatmap per part of the network.

        Crops of single hands are mirrored for left hands, as the network gets them.

        Args, Raises: see :meth:`lgnet_core.inference.HandEstimator.estimate`.

        Returns:
            (H, W, 3); None if no hand is found, or the network has no attention.
        """
        estimator = self.estimator
        context = estimator.preprocess(image, camera)
        people = associate(context, estimator.detector.detect(context), estimator.detector.observer)
        hands = next(iter(people.values()), None)
        if hands is None:
            return None
        inputs = estimator.reconstructor.network_inputs(context, hands)
        device = estimator.engines["hands"].device
        maps = self.network.attention_maps(*(torch.from_numpy(value).to(device) for value in inputs))
        if not maps:
            return None
        sheets = []
        for k, crop in enumerate(inputs[0].reshape(-1, *inputs[0].shape[-3:])):
            if not crop.any():  # of an absent hand
                continue
            tile = cv2.resize(np.rint(crop.transpose(1, 2, 0) * 255).astype(np.uint8), (TILE_SIZE, TILE_SIZE))
            heatmaps = [draw_heatmap(tile, each.weights[k].float().cpu().numpy(), each.name) for each in maps]
            sheets.append(contact_sheet([tile, *heatmaps], COLUMNS, TILE_SIZE))
        return np.vstack(sheets)
