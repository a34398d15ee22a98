"""From one image to both hands in the camera's frame: the facade that the commands, tests and the node use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lgnet_core.engines.base import Engine
from lgnet_core.engines.factory import make_engine
from lgnet_core.geometry.hand_crops import HandCrops
from lgnet_core.hand_model import HandModel, load_hand_model
from lgnet_core.inference.association import assign_sides, same_hand
from lgnet_core.inference.crops import image_camera
from lgnet_core.inference.detection import HandDetector
from lgnet_core.inference.exposure import normalise_exposure
from lgnet_core.inference.observation import HandObservation, HandObserver, crops_of_observations
from lgnet_core.inference.palms import PalmDetection
from lgnet_core.inference.placement import place_in_camera
from lgnet_core.inference.reconstruction import (
    HandReconstructor,
    PairReconstructor,
    ReconstructedHand,
    Reconstruction,
    Reconstructor,
)
from lgnet_core.inference.retarget import Retarget
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.io.images import MIN_SIDE
from lgnet_core.network import HandLGNet, HandsNetwork
from lgnet_core.network.checkpoint import crop_size, load_own_network
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.network.detector.palm_detector import load_palm_detector
from lgnet_core.types import Camera, FloatArray, Hand, Side, TwoHands

MIDDLE_CHAIN = (0, 9, 10, 11, 12)  # wrist to middle fingertip
LARGEST_SIDE = 32_000  # pixels; OpenCV's warp counts in 16 bits
HAND_LENGTHS = (0.08, 0.30)  # metres: a child's to the longest on record, rounded


class HandEstimator:
    """Stateless: the same image gives the same hands, whatever came before.

    Palms are detected in the whole image; each candidate gets an upright crop, in which the hand-landmark network finds
    joints, presence and side, twice, the second time in a crop that follows from the first joints. At most one right
    and one left hand remain (:mod:`lgnet_core.inference.association`), taken for one person's. The network of both
    hands reconstructs them, and they are placed in the camera's frame.

    A single image cannot tell a small near hand from a large far one. With a 6.5 % spread of hand sizes about 6 mm of
    wrist-relative error and 5 to 6 % of the depth remain whatever a network does. ``hand_length`` is the cure: the
    hands, their depth with them, are scaled to the size of the user's.

    Args:
        detector: finds hands in an image. reconstructor: of the network of both hands.
        hand_model: the model the network was built with.
        thresholds: of detection, association and tracking. They may be assigned; ``presence_threshold`` is one of them.
        hand_length: metres from the wrist to the tip of the middle finger of the user's flat hand; None: as predicted.
        target: the model whose hands are wanted; None: the network's own. Hands of another model are its parametric
            surface, fitted to the refined joints (:mod:`lgnet_core.inference.retarget`), a given ``hand_length`` too;
            2D joints and standard deviations remain those of the network's own joints.

    Attributes:
        hand_model: the one whose hands are reported.
        retarget: None where that is the network's own.

    Raises:
        ValueError: for a length that no hand has.
    """

    def __init__(
        self,
        detector: HandDetector,
        reconstructor: Reconstructor,
        hand_model: HandModel,
        thresholds: Thresholds | None = None,
        hand_length: float | None = None,
        target: HandModel | None = None,
    ) -> None:
        if hand_length is not None and not HAND_LENGTHS[0] <= hand_length <= HAND_LENGTHS[1]:
            raise ValueError(
                f"hand_length: expected metres from wrist to middle fingertip, {HAND_LENGTHS[0]} to {HAND_LENGTHS[1]}, "
                f"got {hand_length}; an adult's is about 0.18"
            )
        self.detector, self.reconstructor = detector, reconstructor
        self.thresholds = thresholds or Thresholds()
        self.hand_model = hand_model if target is None else target
        self.retarget = None if self.hand_model.digest == hand_model.digest else Retarget(hand_model, self.hand_model)
        self.hand_length = hand_length
        self._faces = hand_model.faces.cpu().numpy()
        rest = hand_model.joints_from_vertices(hand_model.v_template).detach().cpu().numpy()[Side.RIGHT]
        straight = np.linalg.norm(rest[MIDDLE_CHAIN[-1]] - rest[MIDDLE_CHAIN[0]])
        self._straightness = float(straight / _chain_length(rest))

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        device: str = "auto",
        hand_model: HandModel | str | Path | None = None,
        engine: str = "auto",
        *,
        presence_threshold: float | None = None,
        hand_length: float | None = None,
        threads: int | None = None,
    ) -> HandEstimator:
        """Everything that is needed to estimate, from files.

        Args:
            weights: a checkpoint; None: the bundled weights.
            device: ``"auto"`` (a GPU where torch sees one), ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
            hand_model: whose hands are wanted: a model, or a folder that ``lgnet mano convert`` wrote; None: the
                bundled hand. The weights may have been trained with this one or with the bundled one.
            engine: ``"auto"`` (CUDA graphs on a GPU, ONNX Runtime on a CPU), ``"eager"``, ``"cuda-graph"``, ``"onnx"``.
            threads: CPU threads; None: as many as there are cores for this process.
            presence_threshold: a hand is reported from this probability on; None: of :class:`Thresholds`.
            hand_length: see :class:`HandEstimator`.

        Raises:
            ValueError, RuntimeError, ImportError, OSError: with the cure, from the part that failed.
        """
        if not isinstance(hand_model, HandModel):
            hand_model = load_hand_model(hand_model)
        network, metadata = load_own_network(weights, hand_model)
        thresholds = Thresholds() if presence_threshold is None else Thresholds(presence=presence_threshold)
        return cls.of_network(
            network, engine, device, threads, crop_size(metadata), thresholds, hand_length, hand_model
        )

    @classmethod
    def of_network(
        cls,
        network: HandsNetwork,
        engine: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        size: int = 256,
        thresholds: Thresholds | None = None,
        hand_length: float | None = None,
        target: HandModel | None = None,
    ) -> HandEstimator:
        """An estimator over a network in memory, with the bundled palm detector.

        Args:
            size: side of the crops of both hands, of a network that sees these, pixels. The rest: see :meth:`load`.
        """
        palms = PalmDetection(make_engine(load_palm_detector(), engine, device, threads))
        if isinstance(network, HandLGNet):
            observer = HandObserver(make_engine(network.landmarker, engine, device, threads))
            reconstructor: Reconstructor = HandReconstructor(make_engine(network.stages, engine, device, threads))
        else:
            observer = HandObserver(make_engine(load_hand_landmark_net(), engine, device, threads))
            inputs = network.example_inputs(size)
            reconstructor = PairReconstructor(make_engine(network, engine, device, threads, inputs))
        detector = HandDetector(palms, observer)
        return cls(detector, reconstructor, network.hand_model, thresholds, hand_length, target)

    @property
    def engines(self) -> dict[str, Engine]:
        """The engines of the networks, by what these do."""
        detector = self.detector
        return {
            "palms": detector.palms.engine,
            "landmarks": detector.observer.engine,
            "hands": self.reconstructor.engine,
        }

    @property
    def presence_threshold(self) -> float:
        """Probability from which on a hand is reported."""
        return self.thresholds.presence

    @presence_threshold.setter
    def presence_threshold(self, value: float) -> None:
        self.thresholds = replace(self.thresholds, presence=value)

    def estimate(self, image: FloatArray, camera: Camera | None = None) -> TwoHands:
        """Both hands of an image.

        Args:
            image: (H, W, 3) RGB, uint8. Other images are converted where they are read, see
                :mod:`lgnet_core.io.images`.
            camera: of this image; its distortion is honoured. None: the hands come back wrist-relative with
                ``metric=False``, since without a calibration nothing fixes their place.

        Raises:
            ValueError: if the image is none, or the camera is of another size than the image.
        """
        check_image(image, camera)
        watch = Stopwatch()
        view = image_camera(image, camera)
        image = normalise_exposure(image, self.thresholds)
        hands = self.associate(image, view, self.detector.detect(image, view, self.thresholds, watch), watch)
        return self.reconstruct(image, camera, hands, watch)

    def associate(
        self, image: FloatArray, view: Camera, hands: Sequence[HandObservation], watch: Stopwatch
    ) -> dict[Side, HandObservation]:
        """At most one right and one left hand, each observed in a crop that is mirrored as its side asks.

        A hand whose crop has to be mirrored anew is observed once more; one that is not found there is left out.

        Args:
            image: (H, W, 3) RGB, uint8. view: its camera, or the one that stands in for it. hands: each hand once.
        """
        chosen = assign_sides(hands, self.thresholds)
        turned = {side: hand for side, hand in chosen.items() if hand.mirrored != (side is Side.LEFT)}
        if turned:
            crops = crops_of_observations(list(turned.values())).mirror_left(_sides(turned))
            thresholds = self.thresholds
            for (side, before), seen in zip(turned.items(), self._observe(image, view, crops, watch)):
                if seen is None or seen.presence < thresholds.presence or not same_hand(before, seen, thresholds):
                    del chosen[side]
                else:
                    chosen[side] = seen.with_right_probability(before.right_probability)
        return chosen

    def reconstruct(
        self, image: FloatArray, camera: Camera | None, hands: Mapping[Side, HandObservation], watch: Stopwatch
    ) -> TwoHands:
        """The hands that were seen, reconstructed, scaled to the user's hand, placed and retargeted."""
        if not hands:
            return TwoHands(None, None, None, metric=camera is not None)
        found = self.reconstructor(image, image_camera(image, camera), hands, watch)
        with watch("place"):
            placed = self._place(found, camera, hands)
            return placed if self.retarget is None else self.retarget.hands(placed)

    def warm_up(self) -> None:
        """Run every network once, so that no image pays for first uses; with every batch size that images bring where
        the engine prepares each."""
        most = self.thresholds.palm_count
        for name, engine in self.engines.items():
            sizes = {"landmarks": range(1, most + 1), "hands": self.reconstructor.batch_sizes}.get(name, (1,))
            for size in sizes if engine.prepares_each_size else (1,):
                engine(*(np.zeros((size, *shape), np.float32) + 0.5 for shape in engine.input_shapes.values()))

    def free_memory(self) -> None:
        """Give the device back what is only kept to be faster: the cure to try after an ``OutOfMemoryError``."""
        for engine in self.engines.values():
            engine.free_memory()

    def _observe(
        self, image: FloatArray, view: Camera, crops: HandCrops, watch: Stopwatch
    ) -> list[HandObservation | None]:
        return self.detector.observer.observe(image, view, crops, watch)

    def _place(self, found: Reconstruction, camera: Camera | None, seen: Mapping[Side, HandObservation]) -> TwoHands:
        scales = {side: self._scale(hand) for side, hand in found.items()}
        relative = found.relative_translation
        if relative is not None:
            relative = relative * np.mean(list(scales.values()))
        wrists = dict.fromkeys(found, np.zeros(3))
        if camera is not None and found:
            places = place_in_camera(
                np.stack([hand.joints * scales[side] for side, hand in found.items()]),
                np.stack([hand.pixels for hand in found.values()]),
                np.stack([hand.std * scales[side] for side, hand in found.items()]),
                camera,
                relative,
            )
            wrists = dict(zip(found, places))
            relative = wrists[Side.LEFT] - wrists[Side.RIGHT] if len(found) == len(Side) else None
        hands = {
            side: Hand(
                side=side,
                presence=seen[side].presence,
                joints=hand.joints * scales[side] + wrists[side],
                vertices=hand.vertices * scales[side] + wrists[side],
                faces=self._faces[side],
                joints_2d=hand.pixels,
                joint_std=hand.std * scales[side],
                rotations=hand.rotations,
                shape=hand.shape,
            )
            for side, hand in found.items()
        }
        return TwoHands(hands.get(Side.RIGHT), hands.get(Side.LEFT), relative, metric=camera is not None)

    def _scale(self, hand: ReconstructedHand) -> float:
        """By which a hand is multiplied to be of the user's size."""
        if self.hand_length is None:
            return 1.0
        return self.hand_length / (_chain_length(hand.joints) * self._straightness)


def _sides(hands: Mapping[Side, HandObservation]) -> Tensor:
    return torch.tensor([int(side) for side in hands])


def _chain_length(joints: FloatArray) -> float:
    """Metres along the bones from the wrist to the tip of the middle finger: the same in every pose."""
    return float(np.linalg.norm(np.diff(joints[list(MIDDLE_CHAIN)], axis=0), axis=-1).sum())


def check_image(image: FloatArray, camera: Camera | None) -> None:
    """Check an image and its camera before anything is computed.

    Raises:
        ValueError: with what is wrong and how to mend it.
    """
    cure = "read files with lgnet_core.io.images, which converts grey, RGBA and 16-bit images"
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image: expected a numpy array (H, W, 3) uint8, got {type(image).__name__}; {cure}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image: expected RGB, shape (H, W, 3), uint8; got {image.shape}, {image.dtype}; {cure}")
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE or max(height, width) > LARGEST_SIDE:
        raise ValueError(
            f"image: {width}x{height} pixels; each side must have {MIN_SIDE} to {LARGEST_SIDE}: "
            "give the whole image, or shrink it (and scale its camera)"
        )
    if camera is not None and (camera.width, camera.height) != (width, height):
        raise ValueError(
            f"camera: calibrated for {camera.width}x{camera.height} pixels, but the image has {width}x{height}; "
            "give the camera of this image, or resize the image to the camera's size"
        )
