"""From the observed hands of an image to their meshes, by a network of either kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from lgnet_core.camera import (
    crop_intrinsics,
    grid_to_pixels,
    invert_affine,
    square_crop,
    transform_points,
)
from lgnet_core.inference.crops import cut, local_intrinsics
from lgnet_core.inference.engine import Engine
from lgnet_core.inference.observation import HandObservation, stack
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.network import HandsPrediction
from lgnet_core.network.hand_landmark import HAND_CROP_SIZE
from lgnet_core.network.joint_stage import GRID_STRIDE
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
    """

    engine: Engine[HandsPrediction]

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
        engine: of :class:`lgnet_core.network.hand_stages.HandStages`.
    """

    def __init__(self, engine: Engine[HandsPrediction]) -> None:
        self.engine = engine

    def __call__(
        self, image: FloatArray, camera: Camera, hands: Mapping[Side, HandObservation], watch: Stopwatch
    ) -> Reconstruction:
        seen = _both(hands)
        names = ("early", "middle", "deep", "landmarks", "world_landmarks", "presence_logits")
        inputs = [stack([getattr(hand.features, name) for hand in seen]) for name in names]
        with watch("network"):
            prediction = self.engine(*(value[None] for value in (*inputs, *_geometry(hands))))
        affines = [hand.affine for hand in seen]
        return _collect(prediction, affines, HAND_CROP_SIZE, np.eye(3), hands)

    def network_inputs(
        self, image: FloatArray, camera: Camera, hands: Mapping[Side, HandObservation]
    ) -> tuple[FloatArray, ...]:
        crops = np.zeros((len(Side), 3, HAND_CROP_SIZE, HAND_CROP_SIZE), np.float32)
        for side, hand in hands.items():
            crops[side] = cut(image, hand.affine[None], HAND_CROP_SIZE)[0]
        return tuple(value[None] for value in (crops, *_geometry(hands)))


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
        return _collect(prediction, [affine, affine], self.engine.image_size, turn, hands)

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


def _collect(
    prediction: HandsPrediction,
    affines: list[FloatArray],
    size: int,
    turn: FloatArray,
    hands: Mapping[Side, HandObservation],
) -> Reconstruction:
    """The first item of a prediction as hands; ``turn``: camera axes of the image -> axes of the prediction."""
    fields = {name: value[0].double().numpy() for name, value in prediction._asdict().items()}
    found = Reconstruction()
    for side in Side:
        if side not in hands:
            continue
        cells = torch.from_numpy(fields["joints_grid"][side, :, :2])
        pixels = grid_to_pixels(cells, size, size // GRID_STRIDE).numpy()
        rotations = fields["rotations"][side]
        rotations[0] = turn.T @ rotations[0]
        hand = ReconstructedHand(
            joints=fields["joints"][side] @ turn,
            vertices=fields["vertices"][side] @ turn,
            std=np.exp(0.5 * fields["joint_log_variance"][side]),
            rotations=rotations,
            shape=fields["shape"][side],
            pixels=transform_points(invert_affine(affines[side]), pixels),
        )
        if hand.finite:
            found[side] = hand
    relative = fields["relative_translation"] @ turn
    if len(found) == len(Side) and np.isfinite(relative).all():
        found.relative_translation = relative
    return found


def _both(hands: Mapping[Side, HandObservation]) -> list[HandObservation]:
    """Right and left hand; an absent one repeats the other."""
    return [hands.get(side) or hands[side.other] for side in Side]


def _geometry(hands: Mapping[Side, HandObservation]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """K (2, 3, 3) of the hands' crops, their frames (2, 3, 3), and which hands are given (2,); float32."""
    seen = _both(hands)
    intrinsics = np.stack([hand.intrinsics for hand in seen]).astype(np.float32)
    frames = np.stack([hand.frame for hand in seen]).astype(np.float32)
    return intrinsics, frames, np.array([side in hands for side in Side], np.float32)
