"""Single-image estimation of both hands: the facade of the pipeline for commands, evaluation and the ROS node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lgnet_core.engines.base import Engine
from lgnet_core.engines.factory import make_engine
from lgnet_core.engines.graphs import load_graph_engines, runs_graphs
from lgnet_core.hand_model import HandModel, load_hand_model
from lgnet_core.inference.assembly import HandAssembler, check_hand_length
from lgnet_core.inference.association import associate
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.depth_alignment import measure_scales, scale_hands
from lgnet_core.inference.detection import HandDetector
from lgnet_core.inference.exposure import normalise_exposure
from lgnet_core.inference.observation import HandObservation, HandObserver
from lgnet_core.inference.palms import PalmDetection
from lgnet_core.inference.reconstruction import HandReconstructor, PairReconstructor, Reconstructor
from lgnet_core.inference.retarget import Retargeter
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.network.checkpoint_metadata import crop_size, resolve_hand_model
from lgnet_core.types import Camera, DepthMap, ImageArray, ImageHands, Side, SizeSource, TwoHands

if TYPE_CHECKING:
    from lgnet_core.network import HandsNetwork


class HandEstimator:
    """Estimates both hands of a single image; stateless, so the same image always gives the same hands.

    1. Preprocessing: validation, exposure normalisation.
    2. Detection: palm candidates in the whole image; the hand-landmark network finds joints, presence and side of each
       in an upright crop, and again in a second crop around the first joints.
    3. Association: at most one right and one left hand of each person (``thresholds.max_people``).
    4. Reconstruction by the two-hand network.
    5. Assembly: scaling to the user's hand, placement in the camera frame, scaling to a depth map, retargeting to
       another hand model.

    A single image cannot distinguish a small near hand from a large far one. With hand sizes that vary by 6.5 %, about
    6 mm of wrist-relative error and 5 to 6 % of depth error remain for any network. ``hand_length`` resolves the
    ambiguity: the hands, and with them their depth, are scaled to the user's. So does a depth map.

    Args:
        detector: of hands in an image.
        reconstructor: of the two-hand network.
        hand_model: with which the network was built.
        thresholds: of detection, association and tracking. The attribute may be reassigned at any time, and
            ``presence_threshold`` sets one of them; changes apply from the next image on, as for ``hand_length``.
        hand_length: metres from the wrist to the tip of the middle finger of the user's flat hand; None: as predicted.
        target_model: hand model of the output; None: the network's own. The hands of another model are its parametric
            surface, fitted to the refined joints (:mod:`lgnet_core.inference.retarget`), including a given
            ``hand_length``; 2D joints and standard deviations remain those of the network's own joints.

    Attributes:
        hand_model: of the output.
        retargeter: None if that is the network's own hand model.

    Raises:
        ValueError: if ``hand_length`` is implausible.
    """

    def __init__(
        self,
        detector: HandDetector,
        reconstructor: Reconstructor,
        hand_model: HandModel,
        thresholds: Thresholds | None = None,
        hand_length: float | None = None,
        target_model: HandModel | None = None,
    ) -> None:
        self.detector, self.reconstructor = detector, reconstructor
        self.assembler = HandAssembler(hand_model, hand_length)
        self.thresholds = thresholds or Thresholds()
        self.hand_model = hand_model if target_model is None else target_model
        same_model = self.hand_model.digest == hand_model.digest
        self.retargeter = None if same_model else Retargeter(hand_model, self.hand_model)

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
        """Load an estimator from files.

        Where ONNX Runtime runs the bundled networks, or others of their architecture, torch is neither needed nor
        imported (:mod:`lgnet_core.engines.graphs`).

        Args:
            weights: a checkpoint; None: the bundled weights.
            device: ``"auto"`` (a GPU if torch has one), ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
            hand_model: of the output: a model, or a folder written by ``lgnet mano convert``; None: the bundled hand.
                The weights may have been trained with this one or with the bundled one.
            engine: ``"auto"`` (CUDA graphs on a GPU, ONNX Runtime on a CPU), ``"eager"``, ``"cuda-graph"``, ``"onnx"``.
            presence_threshold: minimum probability of a reported hand; None: the default of :class:`Thresholds`.
            hand_length: see :class:`HandEstimator`.
            threads: CPU threads; None: the number of cores available to this process.

        Raises:
            ValueError, RuntimeError, ImportError, OSError: with the remedy, from the part that failed.
        """
        if not isinstance(hand_model, HandModel):
            hand_model = load_hand_model(hand_model)
        thresholds = Thresholds() if presence_threshold is None else Thresholds(presence=presence_threshold)
        if runs_graphs(weights, engine, device):
            trained = resolve_hand_model(weights, hand_model)
            engines = load_graph_engines(weights, device if engine == "onnx" else "cpu", threads)
            detector = HandDetector(PalmDetection(engines.palms), HandObserver(engines.landmarks))
            return cls(detector, HandReconstructor(engines.stages), trained, thresholds, hand_length, hand_model)
        from lgnet_core.network.checkpoint import load_network_for

        network, metadata = load_network_for(weights, hand_model)
        return cls.from_network(
            network,
            engine,
            device,
            threads,
            size=crop_size(metadata),
            thresholds=thresholds,
            hand_length=hand_length,
            target_model=hand_model,
        )

    @classmethod
    def from_network(
        cls,
        network: HandsNetwork,
        engine: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        size: int = 256,
        thresholds: Thresholds | None = None,
        hand_length: float | None = None,
        target_model: HandModel | None = None,
    ) -> HandEstimator:
        """Build an estimator from a network in memory and the bundled palm detector.

        Networks without a landmark network of their own are preceded by that of the bundled weights.

        Args:
            size: side of the crop of both hands, pixels; only for networks of one such crop.

        For the other arguments see :meth:`load`.
        """
        from lgnet_core.network import HandLGNet
        from lgnet_core.network.checkpoint import load_bundled_landmarker
        from lgnet_core.network.detector.palm_detector import load_palm_detector

        palms = PalmDetection(make_engine(load_palm_detector(), engine, device, threads))
        if isinstance(network, HandLGNet):
            landmarker = network.landmarker
            reconstructor: Reconstructor = HandReconstructor(make_engine(network.stages, engine, device, threads))
        else:
            landmarker = load_bundled_landmarker()
            inputs = network.example_inputs(size)
            reconstructor = PairReconstructor(make_engine(network, engine, device, threads, inputs))
        detector = HandDetector(palms, HandObserver(make_engine(landmarker, engine, device, threads)))
        hand_model = HandModel(*network.hand_model.assets)
        return cls(detector, reconstructor, hand_model, thresholds, hand_length, target_model)

    @property
    def engines(self) -> dict[str, Engine]:
        """The networks' engines by task: ``palms``, ``landmarks``, ``hands``."""
        return {
            "palms": self.detector.palms.engine,
            "landmarks": self.detector.observer.engine,
            "hands": self.reconstructor.engine,
        }

    @property
    def presence_threshold(self) -> float:
        """Minimum probability of a reported hand."""
        return self.thresholds.presence

    @presence_threshold.setter
    def presence_threshold(self, value: float) -> None:
        self.thresholds = replace(self.thresholds, presence=value)

    @property
    def hand_length(self) -> float | None:
        """Metres from the wrist to the tip of the middle finger of the user's flat hand; None: as predicted."""
        return self.assembler.hand_length

    @hand_length.setter
    def hand_length(self, value: float | None) -> None:
        check_hand_length(value)
        self.assembler.hand_length = value

    def estimate(self, image: ImageArray, camera: Camera | None = None, depth: DepthMap | None = None) -> TwoHands:
        """Estimate both hands of an image; of several people's, those of the first (:meth:`estimate_people`).

        Args:
            image: (H, W, 3) RGB, uint8; :mod:`lgnet_core.io.images` converts other formats.
            camera: of this image, including its distortion. None: the hands are wrist-relative (``metric=False``), as
                their position is undefined without a calibration.
            depth: registered to the image, to which the hands are scaled where it shows their skin; used with a camera
                only.

        Raises:
            ValueError: if the image is invalid, or the camera or the depth map has another size.
        """
        return self.estimate_people(image, camera, depth).first

    def estimate_people(
        self, image: ImageArray, camera: Camera | None = None, depth: DepthMap | None = None
    ) -> ImageHands:
        """Estimate the hands of at most ``thresholds.max_people`` people.

        Arguments and exceptions as for :meth:`estimate`.
        """
        context = self.preprocess(image, camera)
        observations = self.detector.detect(context)
        people = []
        for person, pair in associate(context, observations, self.detector.observer).items():
            hands = self.reconstruct(context, pair, person)
            if depth is not None and hands.metric:
                factors = measure_scales({hand.side: hand for hand in hands.hands}, depth, context.camera)
                hands = scale_hands(hands, factors, SizeSource.DEPTH)
            people.append(self.retarget(context, hands))
        return ImageHands([hands for hands in people if hands.hands], context.metric)

    def preprocess(self, image: ImageArray, camera: Camera | None) -> ImageContext:
        """Validate an image and normalise its exposure; arguments and exceptions as for :meth:`estimate`."""
        context = ImageContext.from_image(image, camera, self.thresholds)
        return replace(context, image=normalise_exposure(image, context.thresholds))

    def reconstruct(self, context: ImageContext, hands: Mapping[Side, HandObservation], person: int) -> TwoHands:
        """Reconstruct the hands of a person, at least one, scale them to the user's and place them in the camera frame.

        Args:
            person: index of the person.
        """
        reconstruction = self.reconstructor(context, hands)
        with context.stopwatch("place"):
            return self.assembler(context, reconstruction, hands, person)

    def retarget(self, context: ImageContext, hands: TwoHands) -> TwoHands:
        """Convert placed hands to the hand model of the output, if it is not the network's."""
        if self.retargeter is None:
            return hands
        with context.stopwatch("place"):
            return self.retargeter.retarget(hands)

    def warm_up(self) -> None:
        """Run every network once, with each of its batch sizes if the engine prepares them separately, so that no image
        pays for initialisation."""
        palm_count = self.thresholds.palm_count
        batch_sizes = {"landmarks": range(1, palm_count + 1), "hands": self.reconstructor.batch_sizes}
        for name, engine in self.engines.items():
            sizes = batch_sizes.get(name, (1,)) if engine.prepares_each_batch_size else (1,)
            for size in sizes:
                engine(*(np.full((size, *shape), 0.5, np.float32) for shape in engine.input_shapes.values()))

    def free_memory(self) -> None:
        """Release the device's cached memory: the remedy to try after an ``OutOfMemoryError``."""
        for engine in self.engines.values():
            engine.free_memory()
