"""Images that the palm detector is trained on: real ones, and the same ones with a synthetic one laid over them.

A real image is moved, turned, scaled and mirrored; the frozen detector says where it sees palms in it, before its
colours are changed. The synthetic one, laid over it whole or cut out along its hands and arms, brings the palms that
the frozen detector misses: of hands that touch and hide each other, and that are cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.photometry import Photometry, distort_images
from lgnet_core.data.realhands import RealImage
from lgnet_core.data.sample import BACKGROUND, HandsBatch, concatenate
from lgnet_core.geometry.camera import letterbox, transform_points, warp
from lgnet_core.geometry.hand_crops import PALM_JOINTS
from lgnet_core.hand_model import HandModel
from lgnet_core.network.detector.palm_detector import PALM_IMAGE_SIZE, PalmDetector
from lgnet_core.synthetic.render.visibility import MIN_JOINTS
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.palms.labels import PalmTargets, label_from_teacher, label_palms, lay_over
from lgnet_core.types import FloatArray

MIN_KEYPOINTS = 4
"""Of a palm's seven that lie in the image, or the palm is not asked for."""


@dataclass(frozen=True)
class PalmViews:
    """How images are moved, and their colours changed.

    Args:
        whole: probability that a real image is letterboxed as it is, besides being mirrored.
        zoom: least and largest, of a real image's letterboxed size.
        shift: of a real image at most, in its letterboxed sides.
        palm_sides: of a synthetic palm, pixels of the letterboxed image, least and largest: a hand is about twice as
            long, so it fills an eighth of the image to nearly all of it.
        place: least and largest place of that palm's centre in each axis, in sides of the image.
        turn: standard deviation, radians. any_turn: probability of a turn that is as likely as any other.
        cut_out: probability that of a synthetic image only what is not background is laid over the real one.
        photometry: of the colours; no patch is erased, since that would hide palms.
    """

    whole: float = 0.3
    zoom: tuple[float, float] = (0.6, 1.8)
    shift: float = 0.25
    palm_sides: tuple[float, float] = (12.0, 96.0)
    place: tuple[float, float] = (0.1, 0.9)
    turn: float = 0.45
    any_turn: float = 0.15
    cut_out: float = 0.5
    photometry: Photometry = field(default_factory=lambda: Photometry(erase=0.0))


class PalmBatch(NamedTuple):
    """Images and what the detector shall see in them. Shapes: images: (B, 3, 192, 192) RGB in [0, 1]."""

    images: Tensor
    targets: PalmTargets


class PalmImages:
    """Batches by their number: half of their images are real, half the same with a synthetic image over them.

    Args:
        real: images that the frozen detector is asked about.
        synthetic: sets of square crops around both hands.
        teacher: the frozen detector.
        seed: with a batch's number it says everything that is drawn.
    """

    def __init__(
        self,
        real: Sequence[RealImage],
        synthetic: Sequence[StoredHands],
        hand_model: HandModel,
        teacher: PalmDetector,
        seed: int,
        views: PalmViews | None = None,
    ) -> None:
        self.real, self.synthetic, self.hand_model, self.seed = real, synthetic, hand_model, seed
        self.teacher = teacher.requires_grad_(False).eval()
        self.teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.views = views or PalmViews()

    def draw(self, number: int, count: int) -> PalmBatch:
        """One batch of an even ``count`` of images."""
        random = np.random.default_rng([self.seed, number])
        half = count // 2
        moved = [self._move_real(self.real[int(random.integers(len(self.real)))], random) for _ in range(half)]
        shown = torch.from_numpy(np.stack([image for image, _ in moved])).permute(0, 3, 1, 2)
        taught = label_from_teacher(self.teacher(shown.float() / 255))  # channels last, as NumPy has them
        batch = concatenate([self._draw_synthetic(random) for _ in range(half)])
        joints = batch.labels(self.hand_model).joints_2d.double().numpy()
        images, targets = [image for image, _ in moved], [PalmTargets(*(x[k] for x in taught)) for k in range(half)]
        masks = [mask for _, mask in moved]
        for k in range(half):
            image, cover, above = self._move_synthetic(batch[k : k + 1], joints[k], random)
            mixed = moved[k][0] + cover[..., None] * (image.astype(np.float32) - moved[k][0])
            images.append(mixed.round().astype(np.uint8))
            masks.append(np.maximum(moved[k][1], cover))
            targets.append(lay_over(targets[k], above, torch.from_numpy(cover)))
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        pixels = distort_images(pixels, generator, self.views.photometry)
        pixels = pixels * torch.from_numpy(np.stack(masks))[:, None]  # around a letterboxed image it stays black
        return PalmBatch(pixels, PalmTargets(*(torch.stack(parts) for parts in zip(*targets, strict=True))))

    def _draw_synthetic(self, random: np.random.Generator) -> HandsBatch:
        index = int(random.integers(sum(map(len, self.synthetic))))
        for stored in self.synthetic:
            if index < len(stored):
                break
            index -= len(stored)
        return stored[index]

    def _move_real(self, real: RealImage, random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """A real image in the detector's square, (192, 192, 3) uint8, and which pixels are its own, (192, 192)."""
        views, image = self.views, real.read()
        height, width = image.shape[:2]
        fit = letterbox(width, height, PALM_IMAGE_SIZE)
        mirrored = random.random() < 0.5
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        middle = np.full(2, (PALM_IMAGE_SIZE - 1) / 2)
        if random.random() < views.whole:
            affine = _similarity(fit[0, 0], 0.0, mirrored, centre, middle)
        else:
            zoom = np.exp(random.uniform(*np.log(views.zoom)))
            attention_maps = centre + random.uniform(-views.shift, views.shift, 2) * PALM_IMAGE_SIZE / fit[0, 0]
            affine = _similarity(fit[0, 0] * zoom, self._turn(random), mirrored, attention_maps, middle)
        return warp(image, affine, PALM_IMAGE_SIZE), _inside(affine, width, height)

    def _move_synthetic(
        self, sample: HandsBatch, joints: FloatArray, random: np.random.Generator
    ) -> tuple[FloatArray, FloatArray, PalmTargets]:
        """A synthetic image in the detector's square, its opacity there, and its palms.

        Shapes:
            sample: of one image; joints: (2, 21, 2) its pixels;
            returns (192, 192, 3) uint8, (192, 192) float32 and targets of one image.
        """
        views, side = self.views, sample.image.shape[-1]
        present = sample.presence[0].numpy()
        palms = joints[:, list(PALM_JOINTS)]
        middle, extent = np.full(2, (side - 1) / 2), 0.3 * side  # of an image without hands
        if present.any():
            palm = palms[random.choice(np.flatnonzero(present))]
            low, high = palm.min(0), palm.max(0)
            middle, extent = (low + high) / 2, max(float((high - low).max()), 1.0)
        scale = np.exp(random.uniform(*np.log(views.palm_sides))) / extent
        place = random.uniform(*views.place, 2) * PALM_IMAGE_SIZE - 0.5
        affine = _similarity(scale, self._turn(random), random.random() < 0.5, middle, place)
        image = warp(sample.image[0].permute(1, 2, 0).contiguous().numpy(), affine, PALM_IMAGE_SIZE)
        cover = _inside(affine, side, side)
        if random.random() < views.cut_out:
            foreground = (sample.segmentation[0] != BACKGROUND).numpy().astype(np.float32)
            cover = cover * warp(foreground, affine, PALM_IMAGE_SIZE)
        visible = sample.visibility[0].numpy() & _in_image(transform_points(affine, joints))
        keypoints = transform_points(affine, palms)
        shown = (visible.sum(-1) >= MIN_JOINTS) & (_in_image(keypoints).sum(-1) >= MIN_KEYPOINTS)
        targets = label_palms(
            torch.from_numpy(keypoints[present]).float(), torch.from_numpy(shown[present]), self.teacher.anchors
        )
        return image, cover, targets

    def _turn(self, random: np.random.Generator) -> float:
        if random.random() < self.views.any_turn:
            return float(random.uniform(-np.pi, np.pi))
        return float(random.normal(0, self.views.turn))


def _similarity(scale: float, turn: float, mirrored: bool, source: FloatArray, target: FloatArray) -> FloatArray:
    """(2, 3): takes the pixel ``source`` (2,) to ``target`` (2,), scaled, turned and, before that, mirrored."""
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[cos, -sin], [sin, cos]]) * [-1.0 if mirrored else 1.0, 1.0]
    return np.column_stack([linear, target - linear @ source])


def _inside(affine: FloatArray, width: int, height: int) -> FloatArray:
    """(192, 192) float32: how much of each pixel an image of that size covers."""
    white = np.ones((height, width), np.float32)
    return cv2.warpAffine(white, affine, (PALM_IMAGE_SIZE, PALM_IMAGE_SIZE), flags=cv2.INTER_LINEAR)


def _in_image(points: FloatArray) -> FloatArray:
    """Which points (..., 2) lie in the detector's square."""
    return np.asarray(((points > -0.5) & (points < PALM_IMAGE_SIZE - 0.5)).all(-1))
