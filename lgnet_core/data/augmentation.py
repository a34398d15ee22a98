"""Geometric augmentation of labelled images: rotation, scale, translation and horizontal flip.

A HandsBatch stores parameters, not meshes, so a transformed batch is a transformed camera plus transformed parameters,
and every label follows from them. An affine A = [s R | t] on the pixels of a camera K is equivalent to the camera
K' = [s R K_2x2 R^T | A c] rotated about its optical axis by R_z (:func:`lgnet_core.geometry.crops.crop_intrinsics`):
wrists and root rotations rotate by R_z. A horizontal flip is x -> -x with M = diag(-1, 1, 1): R -> M R M for every
joint, and the hands change sides.

The flip is exact for hand models whose left hand is the mirror image of the right (``HandLayer.mirrored``), such as the
bundled one. For others leave ``flip`` at 0.

Everything is batched and draws from one torch.Generator, on CPU and CUDA.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.data import photometry
from lgnet_core.data.photometry import Photometry
from lgnet_core.data.sample import BACKGROUND, LEFT_HAND, RIGHT_HAND, HandsBatch, joints_inside
from lgnet_core.hand_model import HandLayer

MIN_JOINTS_INSIDE = 7
"""A hand with fewer of its 21 joints inside the transformed image counts as absent."""


@dataclass(frozen=True)
class Augmentation:
    """Strength of the augmentation.

    Args:
        rotation: standard deviation of the in-plane rotation, radians, clipped at two standard deviations.
        rotation_probability: probability that an image is rotated at all.
        scale: standard deviation of the relative scale, clipped at one standard deviation.
        shift: largest translation, as a fraction of the image side.
        flip: probability of a horizontal flip (see the module docstring on hand models that are not symmetric).
        background: probability that the background (neither hand nor arm) is replaced.
        photometry: colour, blur, noise and erasing; None: none of them.

    Source of the geometric ranges: EANet and InterWild (30 degrees, p = 0.6; scale 0.25; flip 0.5).
    """

    rotation: float = math.radians(30)
    rotation_probability: float = 0.6
    scale: float = 0.25
    shift: float = 0.08
    flip: float = 0.5
    background: float = 0.4
    photometry: Photometry | None = field(default_factory=Photometry)

    @classmethod
    def mirror_only(cls, flip: float = 0.5) -> Augmentation:
        """Flips only: for images that are never seen twice and are varied enough by their generator."""
        return cls(0, 0, 0, 0, flip, 0, None)

    @property
    def is_geometric(self) -> bool:
        """Whether images are rotated, scaled or translated."""
        return bool(self.rotation * self.rotation_probability or self.scale or self.shift)


def augment(
    batch: HandsBatch,
    generator: torch.Generator,
    hand_model: HandLayer,
    settings: Augmentation | None = None,
    backgrounds: Tensor | None = None,
) -> HandsBatch:
    """Augment every image of a batch at random, together with its labels.

    Args:
        batch: images of equal size, on the generator's device.
        backgrounds: images without hands; None: the backgrounds of the batch's other images.

    Shapes:
        backgrounds: (N, 3, h, w) uint8.
    """
    settings = settings or Augmentation()
    count, device = len(batch), batch.image.device

    affine = draw_affines(count, generator, settings, batch.image.shape[-1])
    batch = mirror_some(batch, torch.rand(count, generator=generator, device=device) < settings.flip)
    replaced = torch.rand(count, generator=generator, device=device) < settings.background
    replacement = photometry.draw_backgrounds(batch, generator, backgrounds) if bool(replaced.any()) else None
    if settings.is_geometric or replacement is not None:
        batch, foreground = apply_affine(batch, affine, hand_model)
        if replacement is not None:
            batch = photometry.replace_background(batch, foreground, replacement, replaced)
    if settings.photometry is not None:
        batch = photometry.distort(batch, generator, settings.photometry, hand_model)
    return batch


def draw_affines(count: int, generator: torch.Generator, settings: Augmentation, size: int) -> Tensor:
    """Random rotations, scales and translations of the strength in ``settings``.

    Args:
        size: side of the images, pixels.

    Shapes:
        returns (count, 2, 3) pixels -> pixels, on the generator's device.
    """
    device = generator.device

    def normal(clip: float) -> Tensor:
        return torch.randn(count, generator=generator, device=device).clamp(-clip, clip)

    rotated = torch.rand(count, generator=generator, device=device) < settings.rotation_probability
    angle = settings.rotation * normal(2.0) * rotated
    scale = 1.0 + settings.scale * normal(1.0)
    shift = torch.rand(count, 2, generator=generator, device=device) * (2 * settings.shift) - settings.shift
    return centred_affine(angle, scale, shift, size)


def centred_affine(angle: Tensor, scale: Tensor, shift: Tensor, size: int) -> Tensor:
    """Affines that rotate (clockwise in the image) and scale images about their centre, then translate them.

    Shapes:
        angle: (B,) radians; scale: (B,); shift: (B, 2) fractions of the side; returns (B, 2, 3) pixels -> pixels.
    """
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    linear = torch.stack([cos, -sin, sin, cos], -1).view(-1, 2, 2)
    centre = torch.full((2,), (size - 1) / 2, device=angle.device)
    return torch.cat([linear, (centre + shift * size - linear @ centre)[..., None]], -1)


def mirror(batch: HandsBatch) -> HandsBatch:
    """Flip images horizontally: u -> W - 1 - u, x -> -x, and right hands become left hands."""
    width = batch.image.shape[-1]
    signs = batch.wrist.new_tensor([-1.0, 1.0, 1.0])
    linear = batch.intrinsics * signs[:, None] * signs  # M K M
    intrinsics = linear.clone()
    intrinsics[:, 0, 2] = width - 1 - batch.intrinsics[:, 0, 2]
    affine = batch.affine * signs[:2, None]
    affine[:, 0, 2] += width - 1
    labels = torch.arange(256, dtype=torch.uint8, device=batch.image.device)
    labels[[RIGHT_HAND, LEFT_HAND]] = labels[[LEFT_HAND, RIGHT_HAND]]
    return batch.replace(
        image=batch.image.flip(-1),
        intrinsics=intrinsics,
        affine=affine,
        rotations=batch.rotations.flip(1) * signs[:, None] * signs,
        shape=batch.shape.flip(1),
        wrist=batch.wrist.flip(1) * signs,
        presence=batch.presence.flip(1),
        visibility=batch.visibility.flip(1),
        segmentation=labels[batch.segmentation.flip(-1).int()],
    )


def mirror_some(batch: HandsBatch, chosen: Tensor) -> HandsBatch:
    """Flip the images where ``chosen`` (B,) bool is true."""
    mirrored = mirror(batch)

    def select(name: str) -> Tensor:
        old, new = getattr(batch, name), getattr(mirrored, name)
        return torch.where(chosen.view(-1, *[1] * (old.ndim - 1)), new, old)

    return HandsBatch(**{name: select(name) for name in batch.__dataclass_fields__})


def resize(batch: HandsBatch, size: int) -> HandsBatch:
    """Resize images with antialiasing; the camera is scaled about the pixel edges: u' = (u + 1/2) s - 1/2."""
    old = batch.image.shape[-1]
    if old == size:
        return batch
    ratio = size / old
    image = F.interpolate(batch.image.float(), (size, size), mode="bilinear", antialias=True, align_corners=False)
    segmentation = F.interpolate(batch.segmentation[:, None], (size, size), mode="nearest-exact")[:, 0]
    scale = batch.intrinsics.new_tensor([ratio, ratio, 1.0])
    intrinsics = batch.intrinsics * scale[:, None]
    intrinsics[:, :2, 2] += (ratio - 1) / 2
    affine = batch.affine * ratio
    affine[:, :, 2] += (ratio - 1) / 2
    return batch.replace(
        image=image.round().clamp(0, 255).byte(), intrinsics=intrinsics, affine=affine, segmentation=segmentation
    )


def apply_affine(batch: HandsBatch, affine: Tensor, hand_model: HandLayer) -> tuple[HandsBatch, Tensor]:
    """Warp images by affines at constant size; pixels from outside the source image are black.

    Args:
        affine: old pixels -> new pixels: a rotation, a positive scale and a translation.

    Shapes:
        affine: (B, 2, 3); returns the batch and a soft foreground mask (B, 1, H, W), 1 where there is no background.
    """
    linear, offset = affine[:, :, :2], affine[:, :, 2]
    rotation = linear / torch.linalg.det(linear).sqrt()[:, None, None]
    rotation_3d = torch.eye(3, device=affine.device).repeat(len(affine), 1, 1)
    rotation_3d[:, :2, :2] = rotation

    intrinsics = batch.intrinsics.clone()
    intrinsics[:, :2, :2] = linear @ batch.intrinsics[:, :2, :2] @ rotation.transpose(1, 2)
    intrinsics[:, :2, 2] = torch.einsum("bij,bj->bi", linear, batch.intrinsics[:, :2, 2]) + offset
    crop_affine = linear @ batch.affine
    crop_affine[:, :, 2] += offset
    rotations = batch.rotations.clone()
    rotations[:, :, 0] = rotation_3d[:, None] @ batch.rotations[:, :, 0]

    grid = _sampling_grid(affine, batch.image.shape[-2:])
    foreground = (batch.segmentation != BACKGROUND)[:, None]
    stack = torch.cat([batch.image.float(), foreground.float()], 1)
    stack = F.grid_sample(stack, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    segmentation = F.grid_sample(batch.segmentation[:, None].float(), grid, mode="nearest", align_corners=False)
    warped = batch.replace(
        image=stack[:, :3].round().clamp(0, 255).byte(),
        intrinsics=intrinsics,
        affine=crop_affine,
        rotations=rotations,
        wrist=torch.einsum("bij,bsj->bsi", rotation_3d, batch.wrist),
        segmentation=segmentation[:, 0].byte(),
    )
    inside = joints_inside(warped, warped.labels(hand_model))
    return warped.replace(
        visibility=batch.visibility & inside, presence=batch.presence & (inside.sum(-1) >= MIN_JOINTS_INSIDE)
    ), stack[:, 3:]


def _sampling_grid(affine: Tensor, size: torch.Size) -> Tensor:
    """(B, H, W, 2) source position of each output pixel, in the normalised coordinates of ``grid_sample``."""
    height, width = size
    linear = torch.linalg.inv(affine[:, :, :2])
    offset = -(linear @ affine[:, :, 2:])[..., 0]
    # In normalised coordinates n = (2 u + 1) / S - 1 affine_grid takes the affine n_old = A n_new + b.
    extent = affine.new_tensor([width, height])
    scaled = linear * (extent / extent[:, None])
    shift = (2 * offset + 1 + (linear @ (extent - 1)[:, None])[..., 0]) / extent - 1
    return F.affine_grid(
        torch.cat([scaled, shift[..., None]], -1), [len(affine), 1, height, width], align_corners=False
    )
