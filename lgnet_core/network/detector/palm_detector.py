"""MediaPipe's palm detector: palm boxes with seven keypoints each from a letterboxed image.

Sources: Zhang et al. 2020, "MediaPipe Hands"; the graphs and weights of ``palm_detection_full.tflite`` and
``_lite.tflite`` in the wheel of MediaPipe 0.10.21 (Apache-2.0), the anchors of its ``palm_detection_cpu.pbtxt``.

Candidates are ordered like the anchors: the 24x24 cells row by row with 2 anchors each, then the 12x12 cells with 6
each. An anchor is the centre of its cell and has no size.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from lgnet_core.geometry.coordinates import grid_to_pixels
from lgnet_core.geometry.hand_crops import PALM_KEYPOINTS
from lgnet_core.network.detector.palm_backbone import PalmBackbone
from lgnet_core.network.exportable import ExportableModule
from lgnet_core.network.prediction import PALM_IMAGE_SIZE, PalmCandidates
from lgnet_core.network.pretrained import MEDIAPIPE_PALM_DETECTOR, PALM_DETECTOR, Variant, load_weights

GRIDS = ((24, 2), (12, 6))
"""Cells per side and anchors per cell, in the order of the candidates."""
PALM_CANDIDATES = sum(grid * grid * anchors for grid, anchors in GRIDS)
_BOX_CHANNELS = 4 + 2 * len(PALM_KEYPOINTS)


def anchors() -> Tensor:
    """Anchor centres, pixels (u, v). Shapes: (2016, 2)."""
    centres = []
    for grid, count in GRIDS:
        cells = grid_to_pixels(torch.arange(grid, dtype=torch.float32), PALM_IMAGE_SIZE, grid)
        v, u = torch.meshgrid(cells, cells, indexing="ij")
        centres.append(torch.stack([u, v], -1).view(-1, 1, 2).expand(-1, count, -1).reshape(-1, 2))
    return torch.cat(centres)


class PalmHead(nn.Module):
    """Score and box head of one feature map, two 1x1 convolutions.

    Shapes:
        map (B, C, G, G) -> logits (B, G G A), boxes (B, G G A, 18): box centre relative to the anchor, box width and
        height, keypoints relative to the anchor; pixels.
    """

    def __init__(self, channels: int, anchors_per_cell: int) -> None:
        super().__init__()
        self.logits = nn.Conv2d(channels, anchors_per_cell, 1)
        self.boxes = nn.Conv2d(channels, anchors_per_cell * _BOX_CHANNELS, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(x).permute(0, 2, 3, 1).flatten(1)
        return logits, self.boxes(x).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, _BOX_CHANNELS))


class PalmDetector(ExportableModule[PalmCandidates]):
    """Anchor-based palm detector.

    Shapes:
        image: (B, 3, 192, 192) RGB in [0, 1], its longer side scaled to 192 and centred on black.
        returns: :class:`PalmCandidates`.

    Args:
        variant: the lite variant has one block less at each stride.

    Raises:
        ValueError: for images of another size, for which the anchors are not valid.
    """

    INPUTS = ("image",)
    OUTPUTS = PalmCandidates
    anchors: Tensor

    def __init__(self, variant: Variant = "full") -> None:
        super().__init__()
        self.variant = variant
        self.body = PalmBackbone(variant)
        widths = (PalmBackbone.channels, PalmBackbone.coarse_channels)
        self.heads = nn.ModuleList(PalmHead(width, count) for width, (_, count) in zip(widths, GRIDS, strict=True))
        self.register_buffer("anchors", anchors(), persistent=False)

    def example_inputs(self) -> tuple[Tensor, ...]:
        return (torch.rand(2, 3, PALM_IMAGE_SIZE, PALM_IMAGE_SIZE, generator=torch.Generator().manual_seed(0)),)

    def description(self) -> dict[str, str]:
        return {"variant": self.variant}

    def forward(self, image: Tensor) -> PalmCandidates:
        if tuple(image.shape[-2:]) != (PALM_IMAGE_SIZE, PALM_IMAGE_SIZE):
            raise ValueError(
                f"palm detector: image of shape {tuple(image.shape)}; letterbox it to "
                f"{PALM_IMAGE_SIZE}x{PALM_IMAGE_SIZE}"
            )
        outputs = [head(x) for head, x in zip(self.heads, self.body(image), strict=True)]
        logits, values = (torch.cat(parts, 1) for parts in zip(*outputs, strict=True))
        centre, half_size = values[..., :2] + self.anchors, values[..., 2:4] / 2
        keypoints = values[..., 4:].unflatten(-1, (-1, 2)) + self.anchors[:, None]
        return PalmCandidates(logits, torch.cat([centre - half_size, centre + half_size], -1), keypoints)


def load_palm_detector(path: str | Path | None = None) -> PalmDetector:
    """The detector that this package uses: MediaPipe's full variant, fine-tuned by ``lgnet train-palms``.

    Arguments and errors: see :func:`lgnet_core.network.pretrained.load_weights`.
    """
    return load_weights(PalmDetector(), PALM_DETECTOR, "full", path)


def load_mediapipe_palm_detector(variant: Variant = "full", path: str | Path | None = None) -> PalmDetector:
    """The detector as published by MediaPipe.

    Arguments and errors: see :func:`lgnet_core.network.pretrained.load_weights`.
    """
    return load_weights(PalmDetector(variant), MEDIAPIPE_PALM_DETECTOR, variant, path)
