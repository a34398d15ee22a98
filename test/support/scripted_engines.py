"""Scripted engines that replace the networks in tests of the inference pipeline.

They run on an image whose pixels encode their own coordinates, :func:`coordinate_image`, so that an engine can recover
a crop's affine transform from its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lgnet_core.engines.base import Engine
from lgnet_core.geometry.affine import invert_affine, transform_points
from lgnet_core.geometry.coordinates import pixels_to_grid
from lgnet_core.geometry.hand_crops import PALM_JOINTS, crops_from_joints
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.detection import HandDetector
from lgnet_core.inference.estimator import HandEstimator
from lgnet_core.inference.observation import HandObserver
from lgnet_core.inference.palms import PalmDetection
from lgnet_core.inference.reconstruction import HandReconstructor
from lgnet_core.network.detector.palm_detector import PALM_CANDIDATES
from lgnet_core.network.per_hand.stages import HandStages
from lgnet_core.network.prediction import HAND_CROP_SIZE, PALM_IMAGE_SIZE, HandLandmarks, PalmCandidates, StackedHands
from lgnet_core.types import Camera, Side
from support.scene import Scene

WIDTH, HEIGHT = 240, 180
CAMERA = Camera(np.array([[230.0, 0, 124.0], [0, 215.0, 86.0], [0, 0, 1]]), WIDTH, HEIGHT)
LENS = Camera(
    np.array([[155.0, 0, 121.0], [0, 156.0, 91.0], [0, 0, 1]]),
    *(WIDTH, HEIGHT),
    np.array([-0.12, 0.03, 0.001, -0.0008, 0.0]),
)
OPEN_HAND = np.array(
    [
        *[[0, 0], [-9, -4], [-16, -10], [-21, -15], [-25, -19], [-9, -24], [-10, -33], [-10, -39], [-10, -44]],
        *[[-2, -25], [-2, -36], [-2, -42], [-2, -48], [5, -24], [6, -33], [6, -39], [6, -44]],
        *[[11, -21], [13, -27], [14, -32], [15, -36]],
    ],
    float,
)
"""(21, 2) pixels from the wrist: joints of an upright right hand with spread fingers, its back to the camera."""


def coordinate_image(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H, W, 3): red is u, green is v, blue is 255."""
    assert max(width, height) <= 256
    image = np.full((height, width, 3), 255, np.uint8)
    image[..., 0], image[..., 1] = np.arange(width), np.arange(height)[:, None]
    return image


def read_affine(crop: np.ndarray) -> np.ndarray | None:
    """(2, 3) pixels of a :func:`coordinate_image` -> pixels of its crop (3, S, S) in [0, 1]; None if it is empty."""
    inside = crop[2] > 0.999
    inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    v, u = np.nonzero(inside)
    if len(u) < 100:
        return None
    pixels = np.column_stack([u, v, np.ones(len(u))])
    coordinates = 255 * crop[:2, v, u].T.astype(float)
    return invert_affine(np.linalg.lstsq(pixels, coordinates, rcond=None)[0].T)


@dataclass(eq=False)
class ScriptedHand:
    """A hand as the scripted networks detect it.

    Args:
        joints: (21, 2) pixels of the image. right_probability, presence: probabilities.
        palm_score: of its palm candidate; 0: no candidate.
    """

    joints: np.ndarray
    right_probability: float = 0.95
    presence: float = 0.9
    palm_score: float = 0.8

    @property
    def palm_box(self) -> np.ndarray:
        """(4,) square around the palm's keypoints: left, top, right, bottom."""
        points = self.joints[list(PALM_JOINTS)]
        middle, half = (points.min(0) + points.max(0)) / 2, np.ptp(points, axis=0).max() / 2
        return np.concatenate([middle - half, middle + half])

    def move(self, u: float, v: float) -> None:
        """Translate by pixels."""
        self.joints = self.joints + np.array([u, v])


def hand_at(u: float, v: float, side: Side = Side.RIGHT, size: float = 1.0, **settings: float) -> ScriptedHand:
    """An open hand, :data:`OPEN_HAND`, with its wrist at a pixel; mirrored for a left hand."""
    right_probability = settings.pop("right_probability", 0.95 if side is Side.RIGHT else 0.05)
    flip = np.array([1 if side is Side.RIGHT else -1, 1])
    return ScriptedHand(OPEN_HAND * flip * size + [u, v], right_probability, **settings)


class ScriptedPalms(Engine[PalmCandidates]):
    """Palm detector: one candidate per scripted hand.

    Attributes:
        max_scale: nothing is detected at larger scales, in network pixels per image pixel.
        scales: of the image, call by call.
    """

    name, device, precision = "scripted", "cpu", "fp32"

    def __init__(self, hands: list[ScriptedHand]) -> None:
        self.hands = hands
        self.input_shapes = {"image": (3, PALM_IMAGE_SIZE, PALM_IMAGE_SIZE)}
        self.max_scale = np.inf
        self.scales: list[float] = []

    def __call__(self, image: np.ndarray) -> PalmCandidates:
        assert image.shape == (1, 3, PALM_IMAGE_SIZE, PALM_IMAGE_SIZE)
        assert image.dtype == np.float32
        affine = read_affine(image[0])
        assert affine is not None
        self.scales.append(float(affine[0, 0]))
        logits = np.full(PALM_CANDIDATES, -9.0)
        boxes, keypoints = np.zeros((PALM_CANDIDATES, 4)), np.zeros((PALM_CANDIDATES, 7, 2))
        for k, hand in enumerate(self.hands if affine[0, 0] <= self.max_scale else []):
            if hand.palm_score:
                logits[k] = np.log(hand.palm_score / (1 - hand.palm_score))
            boxes[k] = transform_points(affine, hand.palm_box.reshape(2, 2)).ravel()
            keypoints[k] = transform_points(affine, hand.joints[list(PALM_JOINTS)])
        return PalmCandidates(*(x[None].astype(np.float32) for x in (logits, boxes, keypoints)))


@dataclass(eq=False)
class ScriptedLandmarks(Engine[HandLandmarks]):
    """Hand-landmark network: detects in each crop the scripted hand nearest to its centre, if its size fits.

    Attributes:
        batches: number of crops of each call.
        affines: (2, 3) image -> crop, of the last call.
    """

    hands: list[ScriptedHand]
    batches: list[int] = field(default_factory=list)
    affines: list[np.ndarray | None] = field(default_factory=list)

    name, device, precision = "scripted", "cpu", "fp32"
    input_shapes = {"crop": (3, HAND_CROP_SIZE, HAND_CROP_SIZE)}  # noqa: RUF012

    def __call__(self, crops: np.ndarray) -> HandLandmarks:
        assert crops.dtype == np.float32
        assert crops.shape[1:] == (3, HAND_CROP_SIZE, HAND_CROP_SIZE)
        self.batches.append(len(crops))
        self.affines = [read_affine(crop) for crop in crops]
        landmarks = np.full((len(crops), 21, 3), HAND_CROP_SIZE / 2)
        presence, right, hand_index = (np.full(len(crops), value) for value in (0.001, 0.5, -1.0))
        for k, affine in enumerate(self.affines):
            hand = None if affine is None else self.find_hand(affine)
            if hand is None:
                continue
            landmarks[k, :, :2] = transform_points(affine, hand.joints)
            presence[k], right[k], hand_index[k] = hand.presence, hand.right_probability, self.hands.index(hand)
            if np.linalg.det(affine[:, :2]) < 0:
                right[k] = 1 - right[k]
        count = len(crops)
        fields = {
            "early": np.zeros((count, 24, 56, 56)),
            "middle": np.zeros((count, 112, 14, 14)),
            "deep": np.broadcast_to(hand_index[:, None, None, None], (count, 1152, 7, 7)),
            "landmarks": landmarks,
            "world_landmarks": np.zeros((count, 21, 3)),
            "presence_logits": np.log(presence / (1 - presence)),
            "side_logits": np.log(right / (1 - right)),
        }
        return HandLandmarks(**{name: value.astype(np.float32) for name, value in fields.items()})

    def find_hand(self, affine: np.ndarray) -> ScriptedHand | None:
        side = HAND_CROP_SIZE / np.sqrt(abs(np.linalg.det(affine[:, :2])))
        centre = transform_points(invert_affine(affine), np.full(2, (HAND_CROP_SIZE - 1) / 2))
        nearest, min_distance = None, 0.5
        for hand in self.hands:
            crop = crops_from_joints(hand.joints[None])
            distance = float(np.linalg.norm(crop.centre[0] - centre)) / float(crop.side[0])
            if distance < min_distance and 0.4 < side / float(crop.side[0]) < 2.5:
                nearest, min_distance = hand, distance
        return nearest


class ScriptedStages(Engine[StackedHands]):
    """Stages of the hand network: a scene's hands, independent of the features; 2D joints are the landmarks.

    The side of each hand follows from the handedness of its canonical frame.

    Attributes:
        scene: may be changed between calls.
        presence: (right, left) of each call, 1 for a hand in the batch.
        max_reprojection_error: between landmarks and the scene's joints, projected with the input intrinsics, pixels.
    """

    name, device, precision = "scripted", "cpu", "fp32"

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.input_shapes = dict.fromkeys(HandStages.INPUTS, (2,))
        self.presence: list[tuple[float, ...]] = []
        self.max_reprojection_error = 0.0

    def __call__(self, *inputs: np.ndarray) -> StackedHands:
        assert all(value.dtype == np.float32 and len(value) == len(inputs[0]) for value in inputs)
        named = dict(zip(HandStages.INPUTS, inputs, strict=True))
        landmarks = named["landmarks"]
        sides = [Side.RIGHT if np.linalg.det(frame) > 0 else Side.LEFT for frame in named["frames"]]
        assert sides in ([Side.RIGHT, Side.LEFT], [Side.RIGHT], [Side.LEFT])
        assert named["other"].tolist() == ([1, 0] if len(sides) == 2 else [0])
        self.presence.append(tuple(float(side in sides) for side in Side))
        scene = self.scene
        for side, detected, matrix in zip(sides, landmarks, named["intrinsics"]):
            rays = scene.joints[side, :, :2] / scene.joints[side, :, 2:]
            pixels = rays @ matrix[:2, :2].T + matrix[:2, 2]
            error = float(np.linalg.norm(pixels - detected[:, :2], axis=-1).max())
            self.max_reprojection_error = max(self.max_reprojection_error, error)
        count = len(sides)
        wrist = scene.joints[sides, :1]
        cells = pixels_to_grid(landmarks[..., :2], HAND_CROP_SIZE, 7)
        others = scene.joints[[side.other for side in sides], :1]
        fields = {
            "joints_grid": np.concatenate([cells, np.zeros((count, 21, 1))], -1),
            "joint_log_variance": np.full((count, 21), 2 * np.log(0.005)),
            "rotations": scene.rotations[sides],
            "shape": scene.shape[sides],
            "camera": np.zeros((count, 3)),
            "rough_vertices": scene.vertices[sides] - wrist,
            "rough_joints": scene.joints[sides] - wrist,
            "vertices": scene.vertices[sides] - wrist,
            "joints": scene.joints[sides] - wrist,
            "to_other": (others - wrist)[:, 0],
        }
        return StackedHands(**{name: value.astype(np.float32) for name, value in fields.items()})


@dataclass(eq=False)
class Script:
    """The three scripted engines, and estimators that run them.

    Args:
        hands: detected by the networks; tests may modify the list and its hands.
    """

    hand_model: HandModel
    scene: Scene
    hands: list[ScriptedHand]

    def __post_init__(self) -> None:
        self.palms, self.landmarks = ScriptedPalms(self.hands), ScriptedLandmarks(self.hands)
        self.stages = ScriptedStages(self.scene)
        self.detector = HandDetector(PalmDetection(self.palms), HandObserver(self.landmarks))

    def estimator(self, **settings: object) -> HandEstimator:
        return HandEstimator(self.detector, HandReconstructor(self.stages), self.hand_model, **settings)


def script_of(hand_model: HandModel, scene: Scene) -> Script:
    """Scripted engines that detect the present hands of a scene where its camera sees them."""
    hands = [
        ScriptedHand(scene.pixels[side], 0.95 if side is Side.RIGHT else 0.05) for side in Side if scene.presence[side]
    ]
    return Script(hand_model, scene, hands)
