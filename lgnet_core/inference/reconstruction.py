"""From the observed hands of an image to their meshes, by a network of either kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from lgnet_core.engines.base import Engine
from lgnet_core.geometry.camera import (
    crop_intrinsics,
    grid_to_pixels,
    invert_affine,
    square_crop,
    transform_points,
)
from lgnet_core.inference.crops import cut, local_intrinsics
from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.network import HandsPrediction
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE
from lgnet_core.network.lgnet.joint_stage import GRID_STRIDE
from lgnet_core.network.per_hand.batching import relative_translation
from lgnet_core.network.prediction import StackedHands
from lgnet_core.types import Camera, FloatArray, Side

PAIR_MARGIN = 1.25
"""Side of a crop of both hands over the longer side of the box around them: LGNet's, max extent / 2 / 0.8 each way."""
HAND_OUTLINE = 0.05
"""Of the longer side of the joints' box: how far a hand reaches beyond its joints on every side."""


@dataclass(frozen=True, eq=False)
class ReconstructedHand:
    """One hand relative to its wrist, metres, the camera's axes.

    Shapes:
        joints: (21, 3); vertices: (778, 3); std: (21,) metres; rotations: (16, 3, 3); shape: (10,);
        pixels: (21, 2) of the image.
    """

    joints: FloatArray
    vertices: FloatArray
    std: FloatArray
    rotations: FloatArray
    shape: FloatArray
    pixels: FloatArray

    @property
    def finite(self) -> bool:
        """Whether every number is one."""
        return all(bool(np.isfinite(value).all()) for value in vars(self).values())


class Reconstruction(dict[Side, ReconstructedHand]):
    """The hands of an image by side, right first.

    Attributes:
        relative_translation: (3,) wrist_left - wrist_right, metres, camera axes; None unless both hands are there.
    """

    relative_translation: FloatArray | None = None


class Reconstructor(ABC):
    """Runs the network of both hands; its kinds are networks of one crop per hand and of one crop of both.

    Attributes:
        engine: of the network, or of its stages.
        batch_sizes: that the engine is called with.
    """

    engine: Engine[Any]
    batch_sizes: tuple[int, ...] = (1,)

    @abstractmethod
    def __call__(
        self, image: FloatArray, camera: Camera, hands: Mapping[Side, HandObservation], watch: Stopwatch
    ) -> Reconstruction:
        """Reconstruct the hands of an image.

        Args:
            image: (H, W, 3) RGB, uint8. camera: of the image, or the one that stands in for an unknown one.
            hands: at least one; each seen in a crop that is mirrored as its side asks.
        """

    @abstractmethod
    def network_inputs(
        self, image: FloatArray, camera: Camera, hands: Mapping[Side, HandObservation]
    ) -> tuple[FloatArray, ...]:
        """The inputs of the whole network, a batch of one, the crops first: for what no engine gives, as attention is.

        Where a crop for each hand is asked for, that of an absent one is black.

        Args:
            As for a call.
        """


class HandReconstructor(Reconstructor):
    """LGNet's stages over the landmark network's features, one crop per hand.

    Args:
        engine: of :class:`lgnet_core.network.per_hand.stages.HandStages`.
    """

    batch_sizes = (1, 2)

    def __init__(self, engine: Engine[StackedHands]) -> None:
        self.engine = engine

    def __call__(
        self, image: FloatArray, camera: Camera, hands: Mapping[Side, HandObservation], watch: Stopwatch
    ) -> Reconstruction:
        sides = [side for side in Side if side in hands]
        seen = [hands[side] for side in sides]
        names = ("early", "middle", "deep", "landmarks", "world_landmarks")
        # By numpy: torch would wake the threads of a pool of its own for maps of this size.
        features = [np.stack([getattr(hand.features, name).numpy() for hand in seen]) for name in names]
        intrinsics = np.stack([hand.intrinsics for hand in seen]).astype(np.float32)
        frames = np.stack([hand.frame for hand in seen]).astype(np.float32)
        other = np.arange(len(seen), dtype=np.float32)[::-1].copy()  # its own row for a hand that is alone
        with watch("network"):
            rows = self.engine(*features, intrinsics, frames, other)
        relative = relative_translation(rows.to_other) if len(seen) == len(Side) else None
        found = {side: {name: getattr(rows, name)[k] for name in _FIELDS} for k, side in enumerate(sides)}
        return _collect(found, [hand.affine for hand in seen], HAND_CROP_SIZE, np.eye(3), relative)

    def network_inputs(
        self, image: FloatArray, camera: Camera, hands: Mapping[Side, HandObservation]
    ) -> tuple[FloatArray, ...]:
        crops = np.zeros((len(Side), 3, HAND_CROP_SIZE, HAND_CROP_SIZE), np.float32)
        for side, hand in hands.items():
            crops[side] = cut(image, hand.affine[None], HAND_CROP_SIZE)[0]
        both = [hands.get(side) or hands[side.other] for side in Side]
        intrinsics = np.stack([hand.intrinsics for hand in both]).astype(np.float32)
        frames = np.stack([hand.frame for hand in both]).astype(np.float32)
        given = np.array([side in hands for side in Side], np.float32)
        return tuple(value[None] for value in (crops, intrinsics, frames, given))


class PairReconstructor(Reconstructor):
    """A network that sees one crop of both hands, as the paper's do.

    Args:
        engine: of a :class:`lgnet_core.network.HandsNetwork` with the inputs ``image`` and ``intrinsics``.
    """

    def __init__(self, engine: Engine[HandsPrediction]) -> None:
        self.engine = engine

    def __call__(
        self, image: FloatArray, camera: Camera, hands: Mapping[Side, HandObservation], watch: Stopwatch
    ) -> Reconstruction:
        with watch("crop"):
            affine, intrinsics, turn = self._place(camera, hands)
            crop = self._cut(image, affine)
        with watch("network"):
            prediction = self.engine(crop, intrinsics)
        found = {side: {name: getattr(prediction, name)[0, side] for name in _FIELDS} for side in Side if side in hands}
        relative = prediction.relative_translation[0] if len(found) == len(Side) else None
        return _collect(found, [affine] * len(found), self.engine.image_size, turn, relative)

    def network_inputs(
        self, image: FloatArray, camera: Camera, hands: Mapping[Side, HandObservation]
    ) -> tuple[FloatArray, ...]:
        affine, intrinsics, _ = self._place(camera, hands)
        return self._cut(image, affine), intrinsics

    def _place(
        self, camera: Camera, hands: Mapping[Side, HandObservation]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The crop around all hands: (2, 3) pixels of the image -> pixels of the crop; its K, (1, 3, 3); (3, 3) camera
        axes of the image -> those of the crop."""
        boxes = [hand.box + HAND_OUTLINE * hand.size * np.array([-1, -1, 1, 1]) for hand in hands.values()]
        box = np.concatenate([np.min(boxes, 0)[:2], np.max(boxes, 0)[2:]])
        affine = square_crop(box, self.engine.image_size, PAIR_MARGIN)
        intrinsics, turn = crop_intrinsics(affine, local_intrinsics(camera, (box[:2] + box[2:]) / 2))
        return affine, intrinsics[None].astype(np.float32), turn

    def _cut(self, image: FloatArray, affine: FloatArray) -> FloatArray:
        return cut(image, affine[None], self.engine.image_size)


_FIELDS = ("joints", "vertices", "joint_log_variance", "rotations", "shape", "joints_grid")


def _collect(
    hands: Mapping[Side, Mapping[str, Tensor]],
    affines: Sequence[FloatArray],
    size: int,
    turn: FloatArray,
    relative: Tensor | None,
) -> Reconstruction:
    """Predicted hands by side, in numpy, their axes turned to the image's camera; those that are finite.

    Args:
        hands: what is predicted of each, :data:`_FIELDS` without the batch axis. affines: of the crop of each, (2, 3).
        size: of the crops. turn: camera axes of the image -> axes of the prediction.
        relative: (3,) wrist_left - wrist_right, None unless both are there.
    """
    found = Reconstruction()
    for (side, tensors), affine in zip(hands.items(), affines, strict=True):
        fields = {name: value.numpy().astype(np.float64) for name, value in tensors.items()}
        pixels = grid_to_pixels(fields["joints_grid"][:, :2], size, size // GRID_STRIDE)
        rotations = fields["rotations"]
        rotations[0] = turn.T @ rotations[0]
        hand = ReconstructedHand(
            joints=fields["joints"] @ turn,
            vertices=fields["vertices"] @ turn,
            std=np.exp(0.5 * fields["joint_log_variance"]),
            rotations=rotations,
            shape=fields["shape"],
            pixels=transform_points(invert_affine(affine), pixels),
        )
        if hand.finite:
            found[side] = hand
    if relative is not None and len(found) == len(Side):
        vector = relative.numpy().astype(np.float64) @ turn
        found.relative_translation = vector if np.isfinite(vector).all() else None
    return found
