"""Reconstruction of observed hands as meshes, by a network of one crop per hand or of one crop of both hands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lgnet_core.engines.base import Engine
from lgnet_core.geometry.affine import invert_affine, transform_points
from lgnet_core.geometry.coordinates import grid_to_pixels
from lgnet_core.geometry.crops import crop_intrinsics, square_crop
from lgnet_core.inference.camera import local_intrinsics
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.crops import extract_crops
from lgnet_core.inference.observation import HandObservation
from lgnet_core.network import HandsPrediction
from lgnet_core.network.prediction import GRID_STRIDE, HAND_CROP_SIZE, StackedHands, relative_translation
from lgnet_core.types import FloatArray, Side

PAIR_CROP_SCALE = 1.25
"""Side of a crop of both hands over the longer side of their box: LGNet's training crops, max extent / 2 / 0.8."""

JOINT_BOX_PADDING = 0.05
"""How far a hand's surface extends beyond its joints on every side, relative to the longer side of the joints' box."""


@dataclass(frozen=True, eq=False)
class ReconstructedHand:
    """One hand relative to its wrist, metres, camera axes.

    Shapes:
        joints: (21, 3); vertices: (778, 3); joint_std: (21,) metres; rotations: (16, 3, 3); shape: (10,);
        joints_2d: (21, 2) pixels of the image.
    """

    joints: FloatArray
    vertices: FloatArray
    joint_std: FloatArray
    rotations: FloatArray
    shape: FloatArray
    joints_2d: FloatArray

    @property
    def is_finite(self) -> bool:
        """Whether all values are finite."""
        return all(bool(np.isfinite(value).all()) for value in vars(self).values())


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """The reconstructed hands of an image.

    Args:
        hands: right first.
        relative_translation: (3,) wrist_left - wrist_right, metres, camera axes; None unless both hands are present.
    """

    hands: dict[Side, ReconstructedHand]
    relative_translation: FloatArray | None


class Reconstructor(ABC):
    """Runs the two-hand network.

    Attributes:
        engine: of the network, or of its stages.
        batch_sizes: with which the engine is called.
    """

    engine: Engine[Any]
    batch_sizes: tuple[int, ...] = (1,)

    @abstractmethod
    def __call__(self, context: ImageContext, hands: Mapping[Side, HandObservation]) -> Reconstruction:
        """Reconstruct the hands of an image.

        Args:
            hands: at least one, each observed in a crop that is mirrored according to its side.
        """

    @abstractmethod
    def network_inputs(self, context: ImageContext, hands: Mapping[Side, HandObservation]) -> tuple[FloatArray, ...]:
        """Inputs of the whole network as a batch of one, crops first, for outputs that engines omit (attention).

        A network of one crop per hand gets a black crop for an absent hand.

        Args:
            hands: as for a call.
        """


class HandReconstructor(Reconstructor):
    """LGNet's stages on the features of the hand-landmark network, one crop per hand.

    Args:
        engine: of :class:`lgnet_core.network.per_hand.stages.HandStages`.
    """

    batch_sizes = (1, 2)

    def __init__(self, engine: Engine[StackedHands]) -> None:
        self.engine = engine

    def __call__(self, context: ImageContext, hands: Mapping[Side, HandObservation]) -> Reconstruction:
        sides = [side for side in Side if side in hands]
        observations = [hands[side] for side in sides]
        names = ("early", "middle", "deep", "landmarks", "world_landmarks")
        features = [np.stack([getattr(hand.features, name) for hand in observations]) for name in names]
        intrinsics, frames = _stack_geometry(observations)
        # Index of the other hand in the batch; a single hand refers to itself.
        other = np.arange(len(observations), dtype=np.float32)[::-1].copy()
        with context.stopwatch("network"):
            output = self.engine(*features, intrinsics, frames, other)
        relative = relative_translation(output.to_other) if len(sides) == len(Side) else None
        predictions = {side: {name: getattr(output, name)[k] for name in _FIELDS} for k, side in enumerate(sides)}
        return _to_reconstruction(
            predictions, [hand.affine for hand in observations], HAND_CROP_SIZE, np.eye(3), relative
        )

    def network_inputs(self, context: ImageContext, hands: Mapping[Side, HandObservation]) -> tuple[FloatArray, ...]:
        crops = np.zeros((len(Side), 3, HAND_CROP_SIZE, HAND_CROP_SIZE), np.float32)
        for side, hand in hands.items():
            crops[side] = extract_crops(context.image, hand.affine[None], HAND_CROP_SIZE)[0]
        intrinsics, frames = _stack_geometry([hands.get(side) or hands[side.other] for side in Side])
        present = np.array([side in hands for side in Side], np.float32)
        return tuple(value[None] for value in (crops, intrinsics, frames, present))


class PairReconstructor(Reconstructor):
    """A network of one crop of both hands, like the published ones.

    Args:
        engine: of a :class:`lgnet_core.network.HandsNetwork` with the inputs ``image`` and ``intrinsics``.
    """

    def __init__(self, engine: Engine[HandsPrediction]) -> None:
        self.engine = engine

    def __call__(self, context: ImageContext, hands: Mapping[Side, HandObservation]) -> Reconstruction:
        size = self.engine.image_size
        with context.stopwatch("crop"):
            affine, intrinsics, rotation = self._crop_camera(context, hands)
            crop = extract_crops(context.image, affine[None], size)
        with context.stopwatch("network"):
            output = self.engine(crop, intrinsics)
        sides = [side for side in Side if side in hands]
        predictions = {side: {name: getattr(output, name)[0, side] for name in _FIELDS} for side in sides}
        relative = output.relative_translation[0] if len(sides) == len(Side) else None
        return _to_reconstruction(predictions, [affine] * len(sides), size, rotation, relative)

    def network_inputs(self, context: ImageContext, hands: Mapping[Side, HandObservation]) -> tuple[FloatArray, ...]:
        affine, intrinsics, _ = self._crop_camera(context, hands)
        return extract_crops(context.image, affine[None], self.engine.image_size), intrinsics

    def _crop_camera(
        self, context: ImageContext, hands: Mapping[Side, HandObservation]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The crop around all hands: (2, 3) pixels of the image -> pixels of the crop; its K, (1, 3, 3); (3, 3) camera
        axes of the image -> camera axes of the crop."""
        boxes = [hand.box + JOINT_BOX_PADDING * hand.size * np.array([-1, -1, 1, 1]) for hand in hands.values()]
        box = np.concatenate([np.min(boxes, 0)[:2], np.max(boxes, 0)[2:]])
        affine = square_crop(box, self.engine.image_size, PAIR_CROP_SCALE)
        centre = (box[:2] + box[2:]) / 2
        intrinsics, rotation = crop_intrinsics(affine, local_intrinsics(context.camera, centre))
        return affine, intrinsics[None].astype(np.float32), rotation


_FIELDS = ("joints", "vertices", "joint_log_variance", "rotations", "shape", "joints_grid")
"""Outputs of the networks that describe one hand."""


def _stack_geometry(observations: Sequence[HandObservation]) -> tuple[FloatArray, FloatArray]:
    """Intrinsics and canonical frames of the hands' crops, (N, 3, 3) float32 each."""
    intrinsics = np.stack([hand.intrinsics for hand in observations]).astype(np.float32)
    frames = np.stack([hand.canonical_frame for hand in observations]).astype(np.float32)
    return intrinsics, frames


def _to_reconstruction(
    predictions: Mapping[Side, Mapping[str, FloatArray]],
    affines: Sequence[FloatArray],
    crop_size: int,
    rotation: FloatArray,
    relative: FloatArray | None,
) -> Reconstruction:
    """Convert predictions to double precision and the image's camera axes; hands that are not finite are dropped.

    Args:
        predictions: :data:`_FIELDS` of each hand, without the batch axis.
        affines: (2, 3) pixels of the image -> pixels of each hand's crop.
        rotation: (3, 3) camera axes of the image -> axes of the prediction.
        relative: (3,) wrist_left - wrist_right; None unless both hands are present.
    """
    hands = {}
    for (side, arrays), affine in zip(predictions.items(), affines, strict=True):
        fields = {name: value.astype(np.float64) for name, value in arrays.items()}
        pixels = grid_to_pixels(fields["joints_grid"][:, :2], crop_size, crop_size // GRID_STRIDE)
        rotations = fields["rotations"]
        rotations[0] = rotation.T @ rotations[0]
        hand = ReconstructedHand(
            joints=fields["joints"] @ rotation,
            vertices=fields["vertices"] @ rotation,
            joint_std=np.exp(0.5 * fields["joint_log_variance"]),
            rotations=rotations,
            shape=fields["shape"],
            joints_2d=transform_points(invert_affine(affine), pixels),
        )
        if hand.is_finite:
            hands[side] = hand
    translation = None
    if relative is not None and len(hands) == len(Side):
        vector = relative.astype(np.float64) @ rotation
        translation = vector if np.isfinite(vector).all() else None
    return Reconstruction(hands, translation)
