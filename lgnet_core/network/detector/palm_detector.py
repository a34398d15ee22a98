"""MediaPipe's palm detector: boxes around palms with seven key points each, from one letterboxed image.

Sources: Zhang et al. 2020, "MediaPipe Hands"; the graphs and weights of ``palm_detection_full.tflite`` and
``_lite.tflite`` in the wheel of MediaPipe 0.10.21 (Apache-2.0), the anchors of its ``palm_detection_cpu.pbtxt``.

Candidates come in the order of the anchors: the 24x24 cells row by row with 2 each, then the 12x12 cells with 6 each.
An anchor is its cell's centre and has no size of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lgnet_core.geometry.camera import grid_to_pixels
from lgnet_core.geometry.hand_crops import PALM_KEYPOINTS
from lgnet_core.network.detector.palm_net import PalmNet
from lgnet_core.network.exportable import ExportableModule
from lgnet_core.network.pretrained import MEDIAPIPE_PALM_DETECTOR, PALM_DETECTOR, Variant, load_strictly

PALM_IMAGE_SIZE = 192
"""Side of the letterboxed image, pixels."""
GRIDS = ((24, 2), (12, 6))
"""Cells per side and anchors per cell, in the order of the candidates."""
PALM_CANDIDATES = sum(grid * grid * anchors for grid, anchors in GRIDS)
_VALUES = 4 + 2 * len(PALM_KEYPOINTS)


class PalmCandidates(NamedTuple):
    """Every anchor's candidate, most of them of no palm. Pixels of the letterboxed image.

    Shapes:
        logits: (B, 2016); the sigmoid is the score.
        boxes: (B, 2016, 4) left, top, right, bottom.
        keypoints: (B, 2016, 7, 2), in the order of :data:`~lgnet_core.geometry.hand_crops.PALM_KEYPOINTS`.
    """

    logits: Tensor
    boxes: Tensor
    keypoints: Tensor


def anchors() -> Tensor:
    """Centres of the candidates' cells, pixels (u, v). Shapes: (2016, 2)."""
    centres = []
    for grid, count in GRIDS:
        cells = grid_to_pixels(torch.arange(grid, dtype=torch.float32), PALM_IMAGE_SIZE, grid)
        v, u = torch.meshgrid(cells, cells, indexing="ij")
        centres.append(torch.stack([u, v], -1).view(-1, 1, 2).expand(-1, count, -1).reshape(-1, 2))
    return torch.cat(centres)


class PalmHead(nn.Module):
    """Scores and raw boxes of one map, two 1x1 convolutions.

    Shapes:
        map (B, C, G, G) -> logits (B, G * G * A), values (B, G * G * A, 18): box centre and key points relative to the
        anchor, and the box's width and height between them; pixels.
    """

    def __init__(self, channels: int, per_cell: int) -> None:
        super().__init__()
        self.logits = nn.Conv2d(channels, per_cell, 1)
        self.boxes = nn.Conv2d(channels, per_cell * _VALUES, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(x).permute(0, 2, 3, 1).flatten(1)
        return logits, self.boxes(x).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, _VALUES))


class PalmDetector(ExportableModule[PalmCandidates]):
    """Palms of an image, by anchors.

    Shapes:
        image: (B, 3, 192, 192) RGB in [0, 1], its longer side scaled to 192 and centred on black.
        returns: :class:`PalmCandidates`.

    Args:
        variant: lite has one block less at each stride.

    Raises:
        ValueError: of an image of another size, for which the anchors do not hold.
    """

    INPUTS = ("image",)
    OUTPUTS = PalmCandidates
    anchors: Tensor

    def __init__(self, variant: Variant = "full") -> None:
        super().__init__()
        self.variant = variant
        self.body = PalmNet(variant)
        widths = (PalmNet.channels, PalmNet.coarse_channels)
        self.heads = nn.ModuleList(PalmHead(width, count) for width, (_, count) in zip(widths, GRIDS, strict=True))
        self.register_buffer("anchors", anchors(), persistent=False)

    def example_inputs(self) -> tuple[Tensor, ...]:
        return (torch.rand(2, 3, PALM_IMAGE_SIZE, PALM_IMAGE_SIZE, generator=torch.Generator().manual_seed(0)),)

    def description(self) -> dict[str, str]:
        return {"variant": self.variant}

    def forward(self, image: Tensor) -> PalmCandidates:
        if tuple(image.shape[-2:]) != (PALM_IMAGE_SIZE, PALM_IMAGE_SIZE):
            raise ValueError(
                f"palm detector: an image of {tuple(image.shape)}; letterbox it to {PALM_IMAGE_SIZE}x{PALM_IMAGE_SIZE}"
            )
        outputs = [head(x) for head, x in zip(self.heads, self.body(image), strict=True)]
        logits, values = (torch.cat(parts, 1) for parts in zip(*outputs, strict=True))
        centre, half_size = values[..., :2] + self.anchors, values[..., 2:4] / 2
        keypoints = values[..., 4:].unflatten(-1, (-1, 2)) + self.anchors[:, None]
        return PalmCandidates(logits, torch.cat([centre - half_size, centre + half_size], -1), keypoints)


def load_palm_detector(path: str | Path | None = None) -> PalmDetector:
    """The detector that this package uses: MediaPipe's full variant, fine-tuned; strictly, in evaluation mode.

    Args:
        path: a file of ``lgnet train-palms``; None is the package's own.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds other weights.
    """
    network = PalmDetector()
    load_strictly(network, PALM_DETECTOR, network.variant, path)
    return network.eval()


def load_mediapipe_palm_detector(variant: Variant = "full", path: str | Path | None = None) -> PalmDetector:
    """The detector as MediaPipe published it, strictly, in evaluation mode.

    Args:
        path: a file of tools/read_mediapipe.py; None is the package's own, which has the full variant only.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds other weights.
    """
    network = PalmDetector(variant)
    load_strictly(network, MEDIAPIPE_PALM_DETECTOR, variant, path)
    return network.eval()
