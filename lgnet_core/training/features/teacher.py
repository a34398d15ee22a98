"""Real images without labels: the frozen landmark network on a clean crop is the teacher of what follows it.

The student sees the same hand recoloured, blurred, in a moved crop, and with something pasted over it: a rendered hand
or a piece of another real image. Landmarks are asked for as the teacher gave them, also behind what was pasted: that
teaches real skin behind a second hand, which nobody has labelled. Source of the idea: Xie et al. 2020, "Self-training
with Noisy Student".
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import torch
from rich.progress import track
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from lgnet_core.data.hand_pairs import CropJitter, moved
from lgnet_core.data.photometry import Photometry, distort_images
from lgnet_core.data.realhands import read_index
from lgnet_core.data.sample import ARM, LEFT_HAND, RIGHT_HAND
from lgnet_core.engines.base import Engine
from lgnet_core.engines.factory import make_engine
from lgnet_core.geometry.camera import letterbox
from lgnet_core.geometry.hand_crops import HandCrops, crop_projection, crops_of_joints, crops_of_palms
from lgnet_core.inference.association import assign_sides
from lgnet_core.inference.crops import cut, image_camera
from lgnet_core.inference.detection import HandDetector
from lgnet_core.inference.observation import HandObserver
from lgnet_core.inference.palms import PalmDetection
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.io.images import InputError
from lgnet_core.network.detector.hand_landmark import (
    HAND_CROP_SIZE,
    HandLandmarkNet,
    HandLandmarks,
    load_hand_landmark_net,
)
from lgnet_core.network.detector.palm_detector import load_palm_detector
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.feature_shards import MAPS, FeatureBatch, empty_labels, maps_digest
from lgnet_core.training.negatives import MIRRORED, draw_place, mirror, without_hand
from lgnet_core.types import FloatArray, Side

VARIANTS = 6
"""How often each image is changed, differently each time."""
_CANDIDATES = 12


@dataclass(frozen=True)
class TeacherSettings:
    """Whom the teacher is believed, and what the student sees.

    Args:
        presence, side: least probabilities that the teacher gives a hand and its side.
        no_hand: largest probability that it gives a place without a hand.
        candidate: least score of the palm detector's candidates of which those that the teacher rejects are shown to
            the student as places without a hand. rejected: probability that one of them is, where there are any.
        paste: probability that something is pasted over a hand; rendered: that this is a rendered hand.
        offset: of what is pasted from the hand's centre, in sizes of the hand, at most.
        sizes: of what is pasted over the hand's, least and most.
        jitter, photometry: of the student's crops.
    """

    presence: float = 0.9
    side: float = 0.8
    no_hand: float = 0.1
    candidate: float = 0.02
    rejected: float = 0.6
    paste: float = 0.6
    rendered: float = 0.7
    offset: float = 0.6
    sizes: tuple[float, float] = (0.6, 1.3)
    jitter: CropJitter = field(default_factory=CropJitter)
    photometry: Photometry = field(default_factory=lambda: Photometry(erase=0.0))


class PseudoLabel(NamedTuple):
    """A hand by the teacher. Shapes: joints: (21, 2) pixels of the image."""

    side: Side
    joints: FloatArray


class TeacherCache:
    """Features of changed real hands and the teacher's joints; what is missing is computed at the start.

    Args:
        root: of the real images (:mod:`lgnet_core.data.realhands`), whose train split is used.
        folder: where the features are kept; one is made below it for each landmark network and setting.
        landmarker: whose maps are kept, on the CPU. The teacher is the pretrained one, whatever was trained since.
        rendered: a set whose hands are pasted over real ones.
        image_size: side of the square that images are fitted into, for the loss, pixels.
        threads: of the CPU. progress: show a bar.

    Raises:
        InputError: if the root holds no real images, or the teacher is sure of a hand in none of them.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        landmarker: HandLandmarkNet,
        rendered: StoredHands,
        image_size: int,
        settings: TeacherSettings | None = None,
        threads: int | None = None,
        progress: bool = True,
    ) -> None:
        self.image_size, self.settings = image_size, settings or TeacherSettings()
        self._images = read_index(root, "train")
        self._rendered = rendered
        self.folder = folder / f"teacher-{maps_digest(landmarker, f'{self.settings!r} {image_size} {VARIANTS}')}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._open: dict[int, Any] = {}
        missing = [number for number in range(VARIANTS) if not self._path(number).exists()]
        if missing:
            engine = make_engine(landmarker, "auto", "cpu", threads)
            observer = HandObserver(make_engine(load_hand_landmark_net(), "auto", "cpu", threads))
            detector = HandDetector(PalmDetection(make_engine(load_palm_detector(), "auto", "cpu", threads)), observer)
            images = [image.read() for image in self._images]
            taught = [
                self._teach(detector, image)
                for image in track(images, "asking the teacher", disable=not progress, transient=True)
            ]
            self._rejected = [self._reject(detector, image, hands) for image, hands in zip(images, taught)]
            if not any(taught):
                raise InputError(
                    f"{root}: the landmark network is sure of no hand in the images of the split train; "
                    "give images of hands"
                )
            for number in track(missing, "computing features", disable=not progress, transient=True):
                self._write(number, images, taught, engine, observer)
        with safe_open(self._path(0), "pt") as shard:
            self._length = int(shard.get_slice("given").get_shape()[0])

    def __len__(self) -> int:
        return self._length * VARIANTS

    def read(self, index: int) -> FeatureBatch:
        """One sample: an image's one or two hands in one of the variants."""
        place, number = divmod(index, VARIANTS)
        if number not in self._open:
            self._open[number] = safe_open(self._path(number), "pt")
        shard = self._open[number]

        def value(name: str) -> Tensor:
            return cast(Tensor, shard.get_slice(name)[place : place + 1]).float()

        names = [field.name for field in fields(FeatureBatch) if field.name != "batch"]
        return FeatureBatch(empty_labels(1, self.image_size), **{name: value(name) for name in names})

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def _path(self, number: int) -> Path:
        return self.folder / f"variant_{number:02d}.safetensors"

    def _teach(self, detector: HandDetector, image: FloatArray) -> list[PseudoLabel]:
        """The hands of an image of which the teacher is sure."""
        hands = detector.detect(image, image_camera(image, None), Thresholds(), Stopwatch())
        chosen = assign_sides(hands, Thresholds())
        return [
            PseudoLabel(side, hand.joints)
            for side, hand in chosen.items()
            if hand.presence >= self.settings.presence and hand.side_probability(side) >= self.settings.side
        ]

    def _reject(self, detector: HandDetector, image: FloatArray, hands: list[PseudoLabel]) -> list[Tensor]:
        """Crops (2, 3) of the palm detector's candidates in which the teacher sees no hand."""
        if not hands:
            return []
        settings = self.settings
        palms = detector.palms.find(image, Thresholds(palm_score=settings.candidate, palm_count=_CANDIDATES))
        crops = crops_of_palms(torch.from_numpy(palms.boxes), torch.from_numpy(palms.keypoints))
        seen = detector.observer.observe(image, image_camera(image, None), crops, Stopwatch())
        joints = torch.from_numpy(np.stack([hand.joints for hand in hands]))
        rejected = [torch.from_numpy(x.affine) for x in seen if x is not None and x.presence < settings.no_hand]
        return [affine for affine in rejected if without_hand(affine, joints)]

    def _write(
        self,
        number: int,
        images: list[FloatArray],
        taught: list[list[PseudoLabel]],
        engine: Engine[HandLandmarks],
        observer: HandObserver,
    ) -> None:
        random = np.random.default_rng(number)
        found: dict[str, list[Tensor]] = {}
        for index, (image, hands) in enumerate(zip(images, taught)):
            if not hands:
                continue
            changed = self._change(image, hands, images, index, random)
            sample = self._sample(changed, hands, engine, random)
            place = self._place(image, hands, self._rejected[index], sample["affine"], observer, random)
            sample |= self._negative(image if place is not None else changed, place, sample["affine"], engine)
            for name, value in sample.items():
                found.setdefault(name, []).append(value)
        path = self._path(number)
        partial = path.with_suffix(".partial")
        save_file({name: torch.stack(values).contiguous() for name, values in found.items()}, partial)
        partial.rename(path)

    def _sample(
        self, image: FloatArray, hands: list[PseudoLabel], engine: Engine[HandLandmarks], random: np.random.Generator
    ) -> dict[str, Tensor]:
        """Features and targets of an image; a hand that is not there repeats the other's."""
        by_side = {hand.side: hand for hand in hands}
        shown = [by_side.get(side) or by_side[side.other] for side in Side]
        crops = crops_of_joints(torch.from_numpy(np.stack([hand.joints for hand in shown])))
        crops = crops.mirror_left(torch.tensor([int(hand.side) for hand in shown]))
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        crops = HandCrops(*(v.double() if v.is_floating_point() else v for v in crops))
        crops = moved(crops, self.settings.jitter, generator)
        affine = crops.affine(HAND_CROP_SIZE)
        intrinsics = torch.from_numpy(image_camera(image, None).matrix).expand(2, 3, 3)
        seen = engine(cut(image, affine.numpy(), HAND_CROP_SIZE))
        fit = self._fit(image)
        given = torch.tensor([side in by_side for side in Side])
        joints = torch.from_numpy(np.stack([hand.joints for hand in shown]))
        teacher = joints @ fit[:2, :2].T + fit[:2, 2]
        return {name: getattr(seen, name).half() for name in MAPS} | {
            "intrinsics": crop_projection(affine, intrinsics).float(),
            "frames": crops.frame(intrinsics).float(),
            "given": given.float(),
            "affine": (affine @ torch.linalg.inv(fit)).float(),
            "teacher": torch.where(given[:, None, None], teacher, torch.nan).float(),
        }

    def _place(
        self,
        image: FloatArray,
        hands: list[PseudoLabel],
        rejected: list[Tensor],
        affine: Tensor,
        observer: HandObserver,
        random: np.random.Generator,
    ) -> Tensor | None:
        """A crop (2, 3) of an image in which the teacher sees no hand; None if the mirror's turn is.

        Args:
            affine: (2, 2, 3) of the crops of both hands, from pixels of the image fitted into a square.
        """
        if random.random() < MIRRORED:
            return None
        if rejected and random.random() < self.settings.rejected:
            return rejected[int(random.integers(len(rejected)))]
        height, width = image.shape[:2]
        joints = torch.from_numpy(np.stack([hand.joints for hand in hands]))
        side = HAND_CROP_SIZE / float(torch.linalg.det((affine.double() @ self._fit(image))[0, :, :2]).abs().sqrt())
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        place = draw_place(joints, side, (width, height), generator)
        if place is not None:
            seen = observer.engine(cut(image, place[None].numpy(), HAND_CROP_SIZE))
            if float(torch.sigmoid(seen.presence_logits)) < self.settings.no_hand:
                return place
        return None

    def _negative(
        self, image: FloatArray, place: Tensor | None, affine: Tensor, engine: Engine[HandLandmarks]
    ) -> dict[str, Tensor]:
        """One more crop, :mod:`lgnet_core.training.negatives`: a place without a hand, or a hand in the mirror."""
        crop = mirror(affine[0].double() @ self._fit(image)) if place is None else place
        labels = [1.0, 0.0] if place is None else [0.0, torch.nan]
        seen = engine(cut(image, crop[None].numpy(), HAND_CROP_SIZE))
        return {"negative": seen.middle[0].half(), "negative_labels": torch.tensor(labels)}

    def _fit(self, image: FloatArray) -> Tensor:
        """(3, 3) pixels of an image -> pixels of the square that it is fitted into."""
        height, width = image.shape[:2]
        return torch.from_numpy(np.vstack([letterbox(width, height, self.image_size), [0, 0, 1]]))

    def _change(
        self,
        image: FloatArray,
        hands: list[PseudoLabel],
        images: list[FloatArray],
        index: int,
        random: np.random.Generator,
    ) -> FloatArray:
        """An image with something pasted over its hands and other colours."""
        settings = self.settings
        image = image.copy()
        for hand in hands:
            if random.random() >= settings.paste:
                continue
            if random.random() < settings.rendered:
                patch, mask = self._rendered_hand(random)
            else:
                other = images[(index + 1 + int(random.integers(max(1, len(images) - 1)))) % len(images)]
                patch, mask = _piece(other, random)
            _paste(image, patch, mask, hand.joints, settings, random)
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        changed = distort_images(tensor, generator, settings.photometry)[0]
        return (changed.permute(1, 2, 0) * 255).round().byte().numpy()

    def _rendered_hand(self, random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """A rendered hand with its arm, and which pixels it covers: (h, w, 3) uint8 and (h, w) bool."""
        while True:
            sample = self._rendered[int(random.integers(len(self._rendered)))]
            shown = torch.isin(sample.segmentation[0], torch.tensor([RIGHT_HAND, LEFT_HAND, ARM])).numpy()
            if shown.mean() > 0.03:
                return sample.image[0].permute(1, 2, 0).numpy(), shown


def _piece(image: FloatArray, random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """An ellipse out of an image."""
    height, width = image.shape[:2]
    side = int(min(height, width) * random.uniform(0.2, 0.5))
    top, left = int(random.integers(height - side)), int(random.integers(width - side))
    mask = np.zeros((side, side), np.uint8)
    axes = (max(2, int(side / 2 * random.uniform(0.5, 1))), max(2, int(side / 2 * random.uniform(0.3, 0.7))))
    cv2.ellipse(mask, (side // 2, side // 2), axes, float(random.uniform(0, 180)), 0, 360, 1, -1)
    return image[top : top + side, left : left + side], mask > 0


def _paste(
    image: FloatArray,
    patch: FloatArray,
    mask: FloatArray,
    joints: FloatArray,
    settings: TeacherSettings,
    random: np.random.Generator,
) -> None:
    """Put the masked part of a patch over an image, in place, near a hand and about as large, turned at random."""
    rows, columns = np.nonzero(mask)
    extent = max(int(np.ptp(rows)), int(np.ptp(columns)), 4)
    size = float((joints.max(0) - joints.min(0)).max())
    scale = size * random.uniform(*settings.sizes) / extent
    centre = joints.mean(0) + random.uniform(-settings.offset, settings.offset, 2) * size
    turn = random.uniform(-np.pi, np.pi)
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    linear = np.array([[cos, -sin], [sin, cos]])
    middle = np.array([columns.mean(), rows.mean()])
    affine = np.column_stack([linear, centre - linear @ middle])
    height, width = image.shape[:2]
    laid = cv2.warpAffine(np.ascontiguousarray(patch), affine, (width, height), flags=cv2.INTER_LINEAR)
    cover = cv2.warpAffine(mask.astype(np.float32), affine, (width, height), flags=cv2.INTER_LINEAR)[..., None]
    image[:] = np.rint(image * (1 - cover) + laid * cover).astype(np.uint8)
