"""Dense supervision of the enhanced maps F*_h: segmentation and depth of each hand's crop.

Synthetic images come with both for free. A linear head on the maps predicts them at stride 8, so that the maps have to
tell the hand from the other one and from what occludes it, and to know its shape where it is occluded. The head is
trained together with the network and never exported, so it costs nothing at run time.

Source: Fan et al. 2021, "Learning to Disambiguate Strongly Interacting Hands via Probabilistic Per-pixel Part
Segmentation", which supervises a segmentation in the same way; the depth is our addition.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.data.sample import LEFT_HAND, RIGHT_HAND, HandsLabels
from lgnet_core.geometry.affine import inverse_transform_points
from lgnet_core.geometry.camera import project
from lgnet_core.geometry.coordinates import pixels_to_grid, pixels_to_normalised
from lgnet_core.hand_model import HandLayer
from lgnet_core.network.prediction import HAND_CROP_SIZE
from lgnet_core.training.features.batch import FeatureBatch
from lgnet_core.training.losses.terms import masked_mean

STRIDE = 8
"""Crop pixels per cell of the targets."""
GRID = HAND_CROP_SIZE // STRIDE
NUM_CLASSES = 5
"""Classes of ``HandsBatch.segmentation``, but RIGHT_HAND is the crop's own hand and LEFT_HAND the other one."""
DEPTH_SCALE = 0.1
"""Metres of depth per unit of the head's output."""
_UPSAMPLING = 32 // STRIDE


class DenseHead(nn.Module):
    """Linear head with sub-pixel upsampling (Shi et al. 2016).

    Shapes:
        enhanced: (N, c*, 7, 7); returns logits (N, 5, 28, 28), and depth (N, 28, 28) metres relative to the wrist.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(channels, (NUM_CLASSES + 1) * _UPSAMPLING**2, 1)

    def forward(self, enhanced: Tensor) -> tuple[Tensor, Tensor]:
        maps = F.pixel_shuffle(self.linear(enhanced), _UPSAMPLING)
        return maps[:, :NUM_CLASSES], DEPTH_SCALE * maps[:, NUM_CLASSES]


def segmentation_target(sample: FeatureBatch) -> Tensor:
    """Classes of the cells of each hand's crop; cells outside the image, which are black, are background.

    Shapes:
        returns (B, 2, 28, 28) long.
    """
    segmentation, affine = sample.batch.segmentation, sample.affine
    size = segmentation.shape[-1]
    centres = (torch.arange(GRID, device=affine.device) + 0.5) * STRIDE - 0.5
    v, u = torch.meshgrid(centres, centres, indexing="ij")
    pixels = inverse_transform_points(affine, torch.stack([u, v], -1).reshape(-1, 2).expand(*affine.shape[:2], -1, 2))
    grid = pixels_to_normalised(pixels, size)
    sampled = F.grid_sample(segmentation[:, None].float(), grid, mode="nearest", align_corners=False)
    classes = sampled[:, 0].long().unflatten(-1, (GRID, GRID))  # (B, 2, 28, 28)
    left = classes[:, 1]
    swapped = torch.where(left == LEFT_HAND, RIGHT_HAND, torch.where(left == RIGHT_HAND, LEFT_HAND, left))
    return torch.stack([classes[:, 0], swapped], 1)


def depth_target(sample: FeatureBatch, labels: HandsLabels, hand_model: HandLayer) -> Tensor:
    """Depth of the front surface of each hand in its crop, relative to its wrist, whether occluded or not.

    The surface is splatted as points, its vertices and face centres, which are denser than the cells.

    Shapes:
        returns (B, 2, 28, 28) metres; infinite where the hand does not project.
    """
    vertices = labels.vertices
    centres = vertices[:, :, hand_model.faces[0].to(vertices.device)].mean(3)  # both sides share the connectivity
    points = torch.cat([vertices, centres], 2)
    pixels = project(points, sample.intrinsics, min_depth=0.05)
    cells = pixels_to_grid(pixels, HAND_CROP_SIZE, GRID).round().long()
    depth = points[..., 2] - sample.batch.wrist[..., None, 2]
    inside = ((cells >= 0) & (cells < GRID)).all(-1)
    index = torch.where(inside, cells[..., 1] * GRID + cells[..., 0], GRID**2)  # the last cell takes all others
    front = depth.new_full((*depth.shape[:2], GRID**2 + 1), torch.inf)
    return front.scatter_reduce(2, index, depth, "amin")[..., :-1].unflatten(-1, (GRID, GRID))


def dense_terms(
    head: DenseHead, enhanced: Tensor, sample: FeatureBatch, labels: HandsLabels, hand_model: HandLayer
) -> dict[str, Tensor]:
    """Cross-entropy of the segmentation and mean absolute error of the depth, metres, of labelled hands.

    Shapes:
        enhanced: (B, 2, c*, 7, 7).
    """
    present = sample.batch.presence
    logits, depth = head(enhanced.flatten(0, 1))
    with torch.no_grad():
        classes = segmentation_target(sample)
        target = depth_target(sample, labels, hand_model)
        surface = torch.isfinite(target) & present[..., None, None]
    entropy = F.cross_entropy(logits, classes.flatten(0, 1), reduction="none").view_as(classes)
    error = (depth.view_as(target) - torch.where(surface, target, 0)).abs()
    return {"segmentation": masked_mean(entropy, present), "depth": masked_mean(error, surface)}
