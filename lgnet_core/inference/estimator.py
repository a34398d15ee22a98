"""From one picture to both hands in the camera's frame: the facade that the commands, tests and the node use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lgnet_core.checkpoint import BUNDLED_REGIONS, crop_size, load_own_network, load_region_net
from lgnet_core.data.images import MIN_SIDE
from lgnet_core.hand_model import HandModel, load_hand_model
from lgnet_core.inference.choose_hands import ChosenHand, choose_hands, crop_of_both
from lgnet_core.inference.crops import Crops, cut_crops, joints_in_picture
from lgnet_core.inference.detection import MOST_CROPS, RegionDetector, TrainedDetector, WholePictureDetector
from lgnet_core.inference.engine import Engine
from lgnet_core.inference.engine_choice import make_engine
from lgnet_core.inference.other_hand import DOUBT, mirror_in_depth, of_the_other_hand
from lgnet_core.inference.placement import place_in_camera
from lgnet_core.inference.regions import Region, box_of_hand, length
from lgnet_core.inference.retarget import Retarget
from lgnet_core.network import HandsPrediction
from lgnet_core.types import Camera, FloatArray, Hand, Side, TwoHands

MIDDLE_CHAIN = (0, 9, 10, 11, 12)  # wrist to middle fingertip
LARGEST_SIDE = 32_000  # pixels; OpenCV's warp counts in 16 bits
HAND_LENGTHS = (0.08, 0.30)  # metres: a child's to the longest on record, rounded
SMALLEST_HAND = 0.035
"""Of the picture's longer side. Detector and weights were trained on hands from a twentieth of it on, and an unsure
network draws their joints together; most of what is still smaller is no hand (the model card has figures)."""


class HandEstimator:
    """Stateless: the same picture gives the same hands, whatever came before.

    The hands are taken for one person's. Where the network sees two right ones (or two left ones), it has mistaken a
    side: the less sure is reported as the other hand, mirrored in depth (:mod:`lgnet_core.inference.other_hand`).

    A single picture cannot tell a small near hand from a large far one. With a 6.5 % spread of hand sizes about 6 mm of
    wrist-relative error and 5 to 6 % of the depth remain whatever a network does. ``hand_length`` is the cure: the
    hands, their depth with them, are scaled to the size of the user's.

    Args:
        engine: runs the network.
        hand_model: the model the network was built with.
        detector: finds the regions; None: the network itself, :class:`WholePictureDetector`.
        presence_threshold: a hand is reported from this probability on.
        smallest_hand: a hand is reported if the box around its joints is at least this fraction of the picture's
            longer side; 0: any, for regions of your own in large pictures.
        hand_length: metres from the wrist to the tip of the middle finger of the user's flat hand; None: as predicted.
        target: the model whose hands are wanted; None: the network's own. Hands of another model are its parametric
            surface, fitted to the refined joints (:mod:`lgnet_core.inference.retarget`), a given ``hand_length`` too;
            2D joints and standard deviations remain those of the network's own joints.

    Attributes:
        hand_model: the one whose hands are reported.
        retarget: None where that is the network's own.

    Raises:
        ValueError: for a threshold outside (0, 1), a smallest hand outside [0, 1) or a length that no hand has.
    """

    def __init__(
        self,
        engine: Engine,
        hand_model: HandModel,
        detector: RegionDetector | None = None,
        presence_threshold: float = 0.5,
        hand_length: float | None = None,
        target: HandModel | None = None,
        smallest_hand: float = SMALLEST_HAND,
    ) -> None:
        if not 0 < presence_threshold < 1:
            raise ValueError(f"presence_threshold: expected a probability between 0 and 1, got {presence_threshold}")
        if not 0 <= smallest_hand < 1:
            raise ValueError(
                f"smallest_hand: expected a fraction of the picture's longer side, 0 to below 1, got {smallest_hand}"
            )
        if hand_length is not None and not HAND_LENGTHS[0] <= hand_length <= HAND_LENGTHS[1]:
            raise ValueError(
                f"hand_length: expected metres from wrist to middle fingertip, {HAND_LENGTHS[0]} to {HAND_LENGTHS[1]}, "
                f"got {hand_length}; an adult's is about 0.18"
            )
        self.engine = engine
        self.hand_model = hand_model if target is None else target
        self.retarget = None if self.hand_model.digest == hand_model.digest else Retarget(hand_model, self.hand_model)
        self.detector = detector or WholePictureDetector(engine, threshold=presence_threshold)
        self.presence_threshold = presence_threshold
        self.smallest_hand = smallest_hand
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
        detector: RegionDetector | None = None,
        presence_threshold: float = 0.5,
        hand_length: float | None = None,
        smallest_hand: float = SMALLEST_HAND,
        threads: int | None = None,
    ) -> HandEstimator:
        """Everything that is needed to estimate, from files.

        Args:
            weights: a checkpoint; None: the bundled weights.
            device: ``"auto"`` (a GPU where torch sees one), ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
            hand_model: whose hands are wanted: a model, or a folder that ``lgnet mano convert`` wrote; None: the
                bundled hand. The weights may have been trained with this one or with the bundled one.
            engine: ``"auto"`` (CUDA graphs on a GPU, ONNX Runtime on a CPU), ``"eager"``, ``"cuda-graph"``, ``"onnx"``.
            threads: CPU threads of ONNX Runtime; None: one for each physical core.
            detector: None: the bundled region detector if it is installed, else as :class:`HandEstimator` says.
            presence_threshold, hand_length, smallest_hand: see :class:`HandEstimator`.

        Raises:
            ValueError, RuntimeError, ImportError, OSError: with the cure, from the part that failed.
        """
        if not isinstance(hand_model, HandModel):
            hand_model = load_hand_model(hand_model)
        network, metadata = load_own_network(weights, hand_model)
        runner = make_engine(network, engine, device, threads, network.example_inputs(crop_size(metadata)))
        if detector is None and BUNDLED_REGIONS.is_file():
            detector = TrainedDetector(load_region_net()[0])
        return cls(runner, network.hand_model, detector, presence_threshold, hand_length, hand_model, smallest_hand)

    def estimate(self, image: FloatArray, camera: Camera | None = None) -> TwoHands:
        """Both hands of a picture.

        Args:
            image: (H, W, 3) RGB, uint8. Other pictures are converted where they are read, see
                :mod:`lgnet_core.data.images`.
            camera: of this picture; its distortion is honoured. None: the hands come back wrist-relative with
                ``metric=False``, since without a calibration nothing fixes their place.

        Raises:
            ValueError: if the picture is none, or the camera is of another size than the picture.
        """
        check_picture(image, camera)
        return self.estimate_regions(image, camera, self.detector.find(image, camera))

    def estimate_regions(self, image: FloatArray, camera: Camera | None, regions: Sequence[Region]) -> TwoHands:
        """Both hands of a picture, looked for in given regions only: for callers that know where the hands are.

        Of what the network sees in them :func:`~lgnet_core.inference.choose_hands.choose_hands` chooses. Where regions
        say what a detector saw (:attr:`Region.detected`), that must support it.

        Args, Raises: see :meth:`estimate`.
        """
        check_picture(image, camera)
        if not regions:
            return TwoHands(None, None, None, metric=camera is not None)
        crops = self.cut(image, camera, regions)
        prediction = self.engine(crops.images, crops.intrinsics)
        return self.assemble(regions, crops, prediction, camera)

    def warm_up(self) -> None:
        """Run every part once, so that no picture pays for first uses.

        With one crop and as many as a picture can have; with every number between them where the engine prepares each.
        """
        image, box = np.zeros((480, 640, 3), np.uint8), np.array([160, 120, 480, 360])
        self.detector.find(image, None)
        for crops in range(1, MOST_CROPS + 1) if self.engine.prepares_each_size else (1, MOST_CROPS):
            self.estimate_regions(image, None, [Region(box, tuple(Side))] * crops)

    def free_memory(self) -> None:
        """Give the device back what is only kept to be faster: the cure to try after an ``OutOfMemoryError``."""
        self.engine.free_memory()

    def cut(self, image: FloatArray, camera: Camera | None, regions: Sequence[Region]) -> Crops:
        """First step: the crops of each region in turn, :meth:`Region.crops`."""
        affines = np.concatenate([region.crops(self.engine.image_size) for region in regions])
        return cut_crops(image, camera, affines, self.engine.image_size)

    def assemble(
        self, regions: Sequence[Region], crops: Crops, prediction: HandsPrediction, camera: Camera | None
    ) -> TwoHands:
        """Last step: choose, turn back into the picture's camera axes, scale to the user's hand, place, retarget."""
        pixels = joints_in_picture(prediction.joints_grid, crops)
        presence, boxes = self._seen(crops, prediction, pixels)
        chosen = choose_hands(regions, presence, boxes, self.presence_threshold)
        sightings = [self._sighting(hand, crops, prediction, pixels, presence) for hand in chosen]
        relative = None
        both = crop_of_both(chosen, presence, boxes, self.presence_threshold)
        if both is not None:
            said = prediction.relative_translation[both].double().numpy()
            scale = np.mean([seen.scale for seen in sightings])
            relative = said @ crops.turns[both] * scale if np.isfinite(said).all() else None
        wrists = np.zeros((len(sightings), 3))
        if camera is not None and sightings:
            wrists = place_in_camera(
                np.stack([s.joints for s in sightings]),
                np.stack([s.pixels for s in sightings]),
                np.stack([s.std for s in sightings]),
                camera,
                relative,
            )
            relative = wrists[Side.LEFT] - wrists[Side.RIGHT] if len(sightings) == 2 else None
        hands = {s.side: self._hand(s, wrist, crops, prediction) for s, wrist in zip(sightings, wrists)}
        found = TwoHands(hands.get(Side.RIGHT), hands.get(Side.LEFT), relative, metric=camera is not None)
        return found if self.retarget is None else self.retarget.hands(found)

    def _seen(self, crops: Crops, prediction: HandsPrediction, pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Presence (N, 2) of the hands in the crops, 0 of those that cannot count, and their boxes (N, 2, 4)."""
        presence = torch.sigmoid(prediction.presence_logits).numpy()
        smallest = self.smallest_hand * crops.longer_side
        boxes = np.array([[box_of_hand(points) for points in crop] for crop in pixels])
        large_enough = [[length(box) >= smallest for box in crop] for crop in boxes]
        return np.where(_finite(prediction) & large_enough, presence, 0.0), boxes

    def _sighting(
        self, hand: ChosenHand, crops: Crops, prediction: HandsPrediction, pixels: FloatArray, presence: FloatArray
    ) -> _Sighting:
        side, k, slot = hand
        joints = prediction.joints[k, slot].double().numpy()
        scale = 1.0
        if self.hand_length is not None:
            scale = self.hand_length / (_chain_length(joints) * self._straightness)
        axes, doubt = crops.turns[k], 1.0
        if slot is not side:
            axes, doubt = mirror_in_depth(crops.ray(k, pixels[k, slot].mean(0))) @ axes, DOUBT
        return _Sighting(
            side=side,
            crop=k,
            slot=slot,
            axes=axes,
            presence=float(presence[k, slot]),
            scale=scale,
            joints=joints @ axes * scale,
            pixels=pixels[k, slot],
            std=np.exp(0.5 * prediction.joint_log_variance[k, slot].double().numpy()) * scale * doubt,
        )

    def _hand(self, seen: _Sighting, wrist: FloatArray, crops: Crops, prediction: HandsPrediction) -> Hand:
        index = (seen.crop, seen.slot)
        rotations = prediction.rotations[index].double().numpy()
        rotations[0] = seen.axes.T @ rotations[0]
        if seen.slot is not seen.side:
            rotations = of_the_other_hand(rotations)
        return Hand(
            side=seen.side,
            presence=seen.presence,
            joints=seen.joints + wrist,
            vertices=prediction.vertices[index].double().numpy() @ seen.axes * seen.scale + wrist,
            faces=self._faces[seen.side],
            joints_image=seen.pixels,
            joint_std=seen.std,
            rotations=rotations,
            shape=prediction.shape[index].double().numpy(),
        )


@dataclass(frozen=True, eq=False)
class _Sighting:
    """One hand in one crop: wrist-relative joints (metres, the picture's camera axes), pixels of the picture, std.

    Args:
        slot: the hand that the network took it for.
        axes: (3, 3) rows of the crop's axes -> rows of the picture's camera axes; a reflection where ``slot`` is not
            ``side``.
    """

    side: Side
    crop: int
    slot: Side
    axes: FloatArray
    presence: float
    scale: float
    joints: FloatArray
    pixels: FloatArray
    std: FloatArray


def _finite(prediction: HandsPrediction) -> FloatArray:
    """(B, 2) bool: half precision can overflow, and a hand of which any number is none counts as not seen."""
    fields = [value for name, value in prediction._asdict().items() if name != "relative_translation"]
    flat = [value.flatten(2) if value.ndim > 2 else value[..., None] for value in fields]
    return torch.stack([torch.isfinite(value).all(2) for value in flat]).all(0).numpy()


def _chain_length(joints: FloatArray) -> float:
    """Metres along the bones from the wrist to the tip of the middle finger: the same in every pose."""
    return float(np.linalg.norm(np.diff(joints[list(MIDDLE_CHAIN)], axis=0), axis=-1).sum())


def check_picture(image: FloatArray, camera: Camera | None) -> None:
    """Raise a ValueError that says what is wrong with a picture and how to mend it."""
    cure = "read files with lgnet_core.data.images, which converts grey, RGBA and 16-bit pictures"
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image: expected a numpy array (H, W, 3) uint8, got {type(image).__name__}; {cure}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image: expected RGB, shape (H, W, 3), uint8; got {image.shape}, {image.dtype}; {cure}")
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE or max(height, width) > LARGEST_SIDE:
        raise ValueError(
            f"image: {width}x{height} pixels; each side must have {MIN_SIDE} to {LARGEST_SIDE}: "
            "give the whole picture, or shrink it (and scale its camera)"
        )
    if camera is not None and (camera.width, camera.height) != (width, height):
        raise ValueError(
            f"camera: calibrated for {camera.width}x{camera.height} pixels, but the picture has {width}x{height}; "
            "give the camera of this picture, or resize the picture to the camera's size"
        )
