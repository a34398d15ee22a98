"""Training images of the palm detector: augmented real images, and synthetic images composited over them.

A real image is shifted, rotated, scaled and mirrored; the frozen teacher labels its palms before the photometric
augmentation. A synthetic image, composited whole or cut out along hands and arms, adds the palms that the teacher
misses: those of hands that touch, occlude each other or are truncated.
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
from lgnet_core.geometry.affine import transform_points
from lgnet_core.geometry.crops import letterbox, warp
from lgnet_core.geometry.hand_crops import PALM_JOINTS
from lgnet_core.hand_model import HandLayer
from lgnet_core.network.detector.palm_detector import PalmDetector
from lgnet_core.network.prediction import PALM_IMAGE_SIZE
from lgnet_core.synthetic.render.visibility import MIN_JOINTS
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.palms.targets import PalmTargets, assign_targets, composite_targets, label_from_teacher
from lgnet_core.types import FloatArray, ImageArray

MIN_KEYPOINTS = 4
"""Minimum number of a palm's seven keypoints inside the image for the palm to be a target."""


@dataclass(frozen=True)
class PalmAugmentation:
    """Strength of the augmentation.

    Args:
        letterbox_probability: probability that a real image is only letterboxed and mirrored.
        zoom_range: scale of a real image relative to its letterboxed size, sampled log-uniformly.
        max_shift: maximum shift of a real image, in sides of the letterboxed image.
        palm_side_range: side of a synthetic palm in pixels of the letterboxed image, sampled log-uniformly. A hand is
            about twice as long, so it fills from an eighth to nearly all of the image.
        palm_position_range: position of the centre of that palm in each axis, in sides of the image.
        rotation_std: standard deviation of the rotation, radians.
        uniform_rotation_probability: probability of a uniformly distributed rotation instead.
        cut_out_probability: probability that only the foreground of a synthetic image is composited.
        photometry: photometric augmentation; without erasing, which would hide palms.
    """

    letterbox_probability: float = 0.3
    zoom_range: tuple[float, float] = (0.6, 1.8)
    max_shift: float = 0.25
    palm_side_range: tuple[float, float] = (12.0, 96.0)
    palm_position_range: tuple[float, float] = (0.1, 0.9)
    rotation_std: float = 0.45
    uniform_rotation_probability: float = 0.15
    cut_out_probability: float = 0.5
    photometry: Photometry = field(default_factory=lambda: Photometry(erase=0.0))


class PalmBatch(NamedTuple):
    """Images and targets. Shapes: images: (B, 3, 192, 192) RGB in [0, 1]."""

    images: Tensor
    targets: PalmTargets


class PalmImages:
    """Batches by number: half real images, half synthetic images composited over the same real images.

    Args:
        real: real images, labelled by the teacher.
        synthetic: stored sets of square crops around both hands.
        teacher: the frozen detector.
        seed: together with the number of a batch it determines all random draws.
    """

    def __init__(
        self,
        real: Sequence[RealImage],
        synthetic: Sequence[StoredHands],
        hand_model: HandLayer,
        teacher: PalmDetector,
        seed: int,
        augmentation: PalmAugmentation | None = None,
    ) -> None:
        self.real, self.synthetic, self.hand_model, self.seed = real, synthetic, hand_model, seed
        self.teacher = teacher.requires_grad_(False).eval()
        self.teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.augmentation = augmentation or PalmAugmentation()

    def batch(self, number: int, count: int) -> PalmBatch:
        """One batch of an even ``count`` of images."""
        random = np.random.default_rng([self.seed, number])
        half = count // 2
        real = [self._augment_real(self.real[int(random.integers(len(self.real)))], random) for _ in range(half)]
        teacher_input = torch.from_numpy(np.stack([image for image, _ in real])).permute(0, 3, 1, 2)  # channels last
        pseudo_labels = label_from_teacher(self.teacher(teacher_input.float() / 255))
        synthetic = concatenate([self._sample_synthetic(random) for _ in range(half)])
        joints = synthetic.labels(self.hand_model).joints_2d.double().numpy()
        images = [image for image, _ in real]
        masks = [mask for _, mask in real]
        targets = [PalmTargets(*(x[k] for x in pseudo_labels)) for k in range(half)]
        for k in range(half):
            foreground, alpha, foreground_targets = self._augment_synthetic(synthetic[k : k + 1], joints[k], random)
            background, background_mask = real[k]
            composite = background + alpha[..., None] * (foreground.astype(np.float32) - background)
            images.append(composite.round().astype(np.uint8))
            masks.append(np.maximum(background_mask, alpha))
            targets.append(composite_targets(targets[k], foreground_targets, torch.from_numpy(alpha)))
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        pixels = distort_images(pixels, generator, self.augmentation.photometry)
        pixels = pixels * torch.from_numpy(np.stack(masks))[:, None]  # keeps the borders of the letterbox black
        return PalmBatch(pixels, PalmTargets(*(torch.stack(parts) for parts in zip(*targets, strict=True))))

    def _sample_synthetic(self, random: np.random.Generator) -> HandsBatch:
        index = int(random.integers(sum(map(len, self.synthetic))))
        for stored in self.synthetic:
            if index < len(stored):
                break
            index -= len(stored)
        return stored[index]

    def _augment_real(self, real: RealImage, random: np.random.Generator) -> tuple[ImageArray, FloatArray]:
        """A real image in the detector's square, (192, 192, 3) uint8, and the mask of its pixels, (192, 192)."""
        settings, image = self.augmentation, real.read()
        height, width = image.shape[:2]
        letterbox_scale = letterbox(width, height, PALM_IMAGE_SIZE)[0, 0]
        mirrored = random.random() < 0.5
        image_centre = np.array([(width - 1) / 2, (height - 1) / 2])
        square_centre = np.full(2, (PALM_IMAGE_SIZE - 1) / 2)
        if random.random() < settings.letterbox_probability:
            affine = _similarity(letterbox_scale, 0.0, mirrored, image_centre, square_centre)
        else:
            zoom = np.exp(random.uniform(*np.log(settings.zoom_range)))
            shift = random.uniform(-settings.max_shift, settings.max_shift, 2) * PALM_IMAGE_SIZE / letterbox_scale
            affine = _similarity(
                letterbox_scale * zoom, self._rotation(random), mirrored, image_centre + shift, square_centre
            )
        return warp(image, affine, PALM_IMAGE_SIZE), _coverage(affine, width, height)

    def _augment_synthetic(
        self, sample: HandsBatch, joints: FloatArray, random: np.random.Generator
    ) -> tuple[ImageArray, FloatArray, PalmTargets]:
        """A synthetic image in the detector's square, its opacity and its targets.

        Shapes:
            sample: one image; joints: (2, 21, 2) its pixels;
            returns (192, 192, 3) uint8, (192, 192) float32 and targets of one image.
        """
        settings, side = self.augmentation, sample.image.shape[-1]
        present = sample.presence[0].numpy()
        palms = joints[:, list(PALM_JOINTS)]
        centre, extent = np.full(2, (side - 1) / 2), 0.3 * side  # for an image without hands
        if present.any():
            palm = palms[random.choice(np.flatnonzero(present))]
            low, high = palm.min(0), palm.max(0)
            centre, extent = (low + high) / 2, max(float((high - low).max()), 1.0)
        scale = np.exp(random.uniform(*np.log(settings.palm_side_range))) / extent
        position = random.uniform(*settings.palm_position_range, 2) * PALM_IMAGE_SIZE - 0.5
        affine = _similarity(scale, self._rotation(random), random.random() < 0.5, centre, position)
        image = warp(sample.image[0].permute(1, 2, 0).contiguous().numpy(), affine, PALM_IMAGE_SIZE)
        alpha = _coverage(affine, side, side)
        if random.random() < settings.cut_out_probability:
            foreground = (sample.segmentation[0] != BACKGROUND).numpy().astype(np.float32)
            alpha = alpha * warp(foreground, affine, PALM_IMAGE_SIZE)
        joints_visible = sample.visibility[0].numpy() & _in_square(transform_points(affine, joints))
        keypoints = transform_points(affine, palms)
        visible = (joints_visible.sum(-1) >= MIN_JOINTS) & (_in_square(keypoints).sum(-1) >= MIN_KEYPOINTS)
        targets = assign_targets(
            torch.from_numpy(keypoints[present]).float(), torch.from_numpy(visible[present]), self.teacher.anchors
        )
        return image, alpha, targets

    def _rotation(self, random: np.random.Generator) -> float:
        if random.random() < self.augmentation.uniform_rotation_probability:
            return float(random.uniform(-np.pi, np.pi))
        return float(random.normal(0, self.augmentation.rotation_std))


def _similarity(scale: float, angle: float, mirrored: bool, source: FloatArray, target: FloatArray) -> FloatArray:
    """(2, 3) affine that optionally mirrors, then rotates and scales, and maps pixel ``source`` (2,) to ``target``."""
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) * [-1.0 if mirrored else 1.0, 1.0]
    return np.column_stack([linear, target - linear @ source])


def _coverage(affine: FloatArray, width: int, height: int) -> FloatArray:
    """(192, 192) float32: fraction of each pixel that is covered by a warped image of the given size."""
    white = np.ones((height, width), np.float32)
    return cv2.warpAffine(white, affine, (PALM_IMAGE_SIZE, PALM_IMAGE_SIZE), flags=cv2.INTER_LINEAR)


def _in_square(points: FloatArray) -> FloatArray:
    """Which points (..., 2) lie in the detector's square."""
    return np.asarray(((points > -0.5) & (points < PALM_IMAGE_SIZE - 0.5)).all(-1))
