"""Copy-paste augmentation: occlude the hands of a real image with rendered hands and objects, or other real hands.

Source: Ghiasi et al. 2021, "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from lgnet_core.data.sample import ARM, LEFT_HAND, OTHER, RIGHT_HAND
from lgnet_core.geometry.affine import transform_points
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.features.teacher import PseudoLabel, TeacherSettings
from lgnet_core.types import JOINT_PARENTS, FloatArray, ImageArray

_MIN_FRACTION = 0.03
"""Minimum fraction of a rendered image that an occluder covers."""
_MAX_ATTEMPTS = 64
"""Rendered images that are searched for an occluder; a small set may have none of a kind."""
_CUTOUT_SIZE = 128
"""Longer side of the image region in which a real hand is segmented, pixels: GrabCut takes 20 ms."""
_CUTOUT_MARGIN = 0.35
"""Margin of this region around the joints, in hand sizes."""
_PALM = (0, 1, 5, 9, 13, 17)


class Occluder(NamedTuple):
    """Something to paste.

    Args:
        hand: pseudo-label of a real hand, in pixels of the patch; None for everything else.

    Shapes:
        patch: (h, w, 3) uint8; mask: (h, w) in [0, 1].
    """

    patch: ImageArray
    mask: FloatArray
    hand: PseudoLabel | None = None


def paste_occluders(
    image: ImageArray,
    hands: Sequence[PseudoLabel],
    cutouts: Sequence[Occluder],
    rendered: StoredHands,
    settings: TeacherSettings,
    random: np.random.Generator,
) -> tuple[ImageArray, list[PseudoLabel]]:
    """Copy of an image with occluders pasted over some of its hands, and the hands of the result.

    A real hand that is pasted into an image of one hand becomes its other hand, mirrored if necessary: both are
    labelled, also where one occludes the other.

    Args:
        hands: hands of the image.
        cutouts: of other images, see :func:`cut_out_hand`.
        rendered: stored set of rendered hands and objects.
    """
    result = list(hands)
    for hand in hands:
        if random.random() >= settings.paste_probability:
            continue
        occluder = _draw_occluder(cutouts, rendered, settings, random)
        if occluder is None:
            continue
        mirrored = occluder.hand is not None and occluder.hand.side == hand.side
        affine = _random_placement(occluder, hand.joints_2d, mirrored, settings, random)
        pasted, alpha = _paste(image, occluder, affine)
        if _fraction_inside(hand.joints_2d, alpha > 0.5) > settings.max_occluded:
            continue
        image = pasted
        if occluder.hand is not None and len(hands) == 1:
            joints = transform_points(affine, occluder.hand.joints_2d)
            if _fraction_inside(joints, np.ones_like(alpha, bool)) >= settings.min_inside:
                result.append(PseudoLabel(hand.side.other, joints))
    return image, result


def cut_out_hand(image: ImageArray, hand: PseudoLabel) -> Occluder | None:
    """Segment a real hand along its joints by GrabCut (Rother et al. 2004); None if that fails.

    The skeleton is certainly hand, and everything far from it is not.
    """
    size = float((hand.joints_2d.max(0) - hand.joints_2d.min(0)).max())
    margin = _CUTOUT_MARGIN * size
    height, width = image.shape[:2]
    left, top = np.floor(np.clip(hand.joints_2d.min(0) - margin, 0, None)).astype(int)
    right, bottom = np.ceil(np.minimum(hand.joints_2d.max(0) + margin, (width, height))).astype(int)
    if right - left < 8 or bottom - top < 8:
        return None
    scale = min(1.0, _CUTOUT_SIZE / max(right - left, bottom - top))
    region = image[top:bottom, left:right]
    patch = cv2.resize(region, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    joints = (hand.joints_2d + 0.5 - (left, top)) * (patch.shape[1] / (right - left)) - 0.5
    size *= scale
    labels = np.full(patch.shape[:2], cv2.GC_BGD, np.uint8)
    _draw_hand(labels, joints, 0.24 * size, cv2.GC_PR_BGD)
    _draw_hand(labels, joints, 0.12 * size, cv2.GC_PR_FGD)
    _draw_hand(labels, joints, 0.03 * size, cv2.GC_FGD)
    if not (labels == cv2.GC_FGD).any() or not (labels == cv2.GC_BGD).any():
        return None
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # so that the mask depends on nothing that OpenCV did before
    cv2.grabCut(patch, labels, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)
    mask = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    return Occluder(patch, cv2.GaussianBlur(mask, (3, 3), 0), PseudoLabel(hand.side, joints))


def _draw_hand(labels: FloatArray, joints: FloatArray, thickness: float, value: int) -> None:
    """Draw a hand's palm and bones into an image of labels, in place."""
    points = np.rint(np.clip(joints, -1e4, 1e4)).astype(np.int32)
    width = max(1, round(thickness))
    cv2.fillConvexPoly(labels, cv2.convexHull(points[list(_PALM)]), value)
    for child, parent in enumerate(JOINT_PARENTS):
        if parent >= 0:
            cv2.line(labels, tuple(map(int, points[parent])), tuple(map(int, points[child])), value, width)


def _draw_occluder(
    cutouts: Sequence[Occluder], rendered: StoredHands, settings: TeacherSettings, random: np.random.Generator
) -> Occluder | None:
    """A random occluder; None if the data have none of the chosen kind."""
    kind = random.random()
    if kind < settings.real_probability:
        return cutouts[int(random.integers(len(cutouts)))] if cutouts else None
    if kind < settings.real_probability + settings.object_probability:
        return _rendered_occluder(rendered, (OTHER,), random)
    return _rendered_occluder(rendered, (RIGHT_HAND, LEFT_HAND, ARM), random)


def _rendered_occluder(rendered: StoredHands, classes: tuple[int, ...], random: np.random.Generator) -> Occluder | None:
    """The parts of a rendered image with the given segmentation classes."""
    for _ in range(_MAX_ATTEMPTS):
        sample = rendered[int(random.integers(len(rendered)))]
        mask = torch.isin(sample.segmentation[0], torch.tensor(classes)).numpy()
        if mask.mean() > _MIN_FRACTION:
            return Occluder(sample.image[0].permute(1, 2, 0).numpy(), mask.astype(np.float32))
    return None


def _random_placement(
    occluder: Occluder, joints: FloatArray, mirrored: bool, settings: TeacherSettings, random: np.random.Generator
) -> FloatArray:
    """(2, 3) pixels of the patch -> pixels of the image: a random rotation, position and scale relative to a hand."""
    rows, columns = np.nonzero(occluder.mask > 0.5)
    extent = max(int(np.ptp(rows)), int(np.ptp(columns)), 4)
    size = float((joints.max(0) - joints.min(0)).max())
    scale = size * random.uniform(*settings.paste_scale) / extent
    centre = joints.mean(0) + random.uniform(-settings.max_paste_offset, settings.max_paste_offset, 2) * size
    angle = random.uniform(-np.pi, np.pi)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    linear = np.array([[cos, -sin], [sin, cos]]) * ([-1, 1] if mirrored else [1, 1])
    return np.column_stack([linear, centre - linear @ np.array([columns.mean(), rows.mean()])])


def _paste(image: ImageArray, occluder: Occluder, affine: FloatArray) -> tuple[ImageArray, FloatArray]:
    """Copy of an image with the masked part of a patch pasted over it, and the mask in the image (H, W)."""
    height, width = image.shape[:2]
    patch = np.ascontiguousarray(occluder.patch)
    warped = cv2.warpAffine(patch, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(occluder.mask, affine, (width, height), flags=cv2.INTER_LINEAR)
    weight = alpha[..., None]
    return np.rint(image * (1 - weight) + warped * weight).astype(np.uint8), alpha


def _fraction_inside(joints: FloatArray, region: FloatArray) -> float:
    """Fraction of joints (21, 2) within a region (H, W) bool of the image."""
    height, width = region.shape
    u, v = np.rint(np.clip(joints, -1, (width, height))).astype(int).T
    inside = (u >= 0) & (v >= 0) & (u < width) & (v < height)
    return float((inside & region[np.clip(v, 0, height - 1), np.clip(u, 0, width - 1)]).mean())
