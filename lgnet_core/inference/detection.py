"""Finding the regions of a picture that hold hands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from lgnet_core.camera import invert_affine, letterbox, transform_points, warp
from lgnet_core.inference.crops import cut_crops, joints_in_picture
from lgnet_core.inference.engine import Engine
from lgnet_core.inference.regions import Detected, Region, box_of_hand, box_to_follow, share_crops
from lgnet_core.network.region_net import REGION_IMAGE_SIZE, REGION_THRESHOLD, RegionNet, decode_hands
from lgnet_core.types import Camera, FloatArray, Side

LOOKS = (1.0, 1.2)
"""Sizes of the crops around what the trained detector finds. Its boxes are rough, and the network loses hands in crops
that are too tight; the one of two that agrees with the detector tells better than either (the model card has figures).
"""
CANDIDATES = 3
"""Boxes of the trained detector that are looked at: one more than a person has hands, since some are of none."""
MOST_CROPS = len(Side) + CANDIDATES * len(LOOKS)
"""Crops of a picture, at most: of two hands that are followed, and of what the detector finds elsewhere."""
LOOK_MARGIN = 1.5  # the first look's boxes are coarse, so the second one sees more around them


class RegionDetector(ABC):
    """Says where in a picture hands are."""

    @abstractmethod
    def find(self, image: FloatArray, camera: Camera | None) -> list[Region]:
        """Regions that may hold hands, with the sides to look for in each; empty if there are none.

        Args:
            image: (H, W, 3) RGB, uint8.
            camera: the picture's camera, or None.
        """


class WholePictureDetector(RegionDetector):
    """The pose network itself, first on the whole letter-boxed picture, then on what it found there.

    The first look's presence and 2D joints give a box for each hand; the second looks at crops around them, drops
    what does not hold and tightens the boxes. It costs one or two more passes of the network and no weights of its
    own.

    Args:
        engine: runs the network.
        first_threshold: presence that the first look asks for; low, since hands are small there.
        threshold: presence that the second look asks for.
    """

    def __init__(self, engine: Engine, first_threshold: float = 0.3, threshold: float = 0.5) -> None:
        self.engine = engine
        self.first_threshold = first_threshold
        self.threshold = threshold

    def find(self, image: FloatArray, camera: Camera | None) -> list[Region]:
        whole = letterbox(image.shape[1], image.shape[0], self.engine.image_size)
        found = self._look(image, camera, [whole], self.first_threshold)
        if not found:
            return []
        crops = [region.crop(self.engine.image_size, LOOK_MARGIN) for region in share_crops(found)]
        seen = self._look(image, camera, crops, self.threshold)
        return share_crops([replace(region, box=box_to_follow(region.box)) for region in seen])

    def _look(
        self, image: FloatArray, camera: Camera | None, affines: Sequence[FloatArray], threshold: float
    ) -> list[Region]:
        """A region for each side that any of the crops shows, from the crop that shows it best."""
        crops = cut_crops(image, camera, np.stack(affines), self.engine.image_size)
        prediction = self.engine(crops.images, crops.intrinsics)
        presence = torch.sigmoid(prediction.presence_logits).numpy()
        pixels = joints_in_picture(prediction.joints_grid, crops)
        regions = []
        for side in Side:
            best = int(presence[:, side].argmax())
            if presence[best, side] >= threshold:
                regions.append(Region(box_of_hand(pixels[best, side]), (side,)))
        return regions


class TrainedDetector(RegionDetector):
    """The small detector of our own (:mod:`lgnet_core.network.region_net`): one pass over the letter-boxed picture.

    It finds hands without telling sides: both are looked for in every region, in crops of two sizes. The two surest
    hands share a region if they are near each other, and are also looked at one by one.

    Args:
        net: with its weights.
        threshold: confidence from which on hands are looked for.
    """

    def __init__(self, net: RegionNet, threshold: float = REGION_THRESHOLD) -> None:
        self.net = net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.threshold = threshold

    def find(self, image: FloatArray, camera: Camera | None) -> list[Region]:
        affine = letterbox(image.shape[1], image.shape[0], REGION_IMAGE_SIZE)
        small = torch.from_numpy(warp(image, affine, REGION_IMAGE_SIZE)).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            scores, boxes = (x[0].numpy() for x in decode_hands(self.net(small), CANDIDATES))
        to_picture = invert_affine(affine)
        seen = [
            Detected(transform_points(to_picture, box.reshape(2, 2)).ravel(), float(score))
            for score, box in zip(scores, boxes)
            if score >= self.threshold
        ]
        hands = [Region(hand.box, tuple(Side), looks=LOOKS, detected=(hand,)) for hand in seen]
        return [*share_crops(hands[: len(Side)]), *hands[len(Side) :]]
