"""Conversions between pixel, grid-cell and normalised coordinates, and between depth and grid cells.

Pixels: the centre of the top-left pixel is (0, 0); an image of width W spans [-0.5, W - 0.5], and mirroring it maps u
to W - 1 - u. A grid of G cells over S pixels has its cell centres at integers: g = (u + 0.5) G / S - 0.5. The same rule
converts depth within a box. :func:`torch.nn.functional.grid_sample` is always called with ``align_corners=False``,
whose normalised coordinates are (2 u + 1) / W - 1.
"""

from __future__ import annotations

from lgnet_core.types import Array


def pixels_to_grid(pixels: Array, image_size: float, grid_size: float) -> Array:
    """Pixel coordinates to grid cells, both with centres at integers: (u + 0.5) G / S - 0.5."""
    return (pixels + 0.5) * (grid_size / image_size) - 0.5


def grid_to_pixels(cells: Array, image_size: float, grid_size: float) -> Array:
    """Inverse of :func:`pixels_to_grid`."""
    return (cells + 0.5) * (image_size / grid_size) - 0.5


def depth_to_grid(depth: Array, box_size: float, grid_size: float) -> Array:
    """Wrist-relative depth in metres, within a box of ``box_size`` metres centred on the wrist, to grid cells."""
    return (depth / box_size + 0.5) * grid_size - 0.5


def grid_to_depth(cells: Array, box_size: float, grid_size: float) -> Array:
    """Inverse of :func:`depth_to_grid`, metres."""
    return ((cells + 0.5) / grid_size - 0.5) * box_size


def pixels_to_normalised(pixels: Array, image_size: float) -> Array:
    """Pixel coordinates to the [-1, 1] of ``grid_sample(align_corners=False)``: (2 u + 1) / S - 1."""
    return (2.0 * pixels + 1.0) / image_size - 1.0


def normalised_to_pixels(normalised: Array, image_size: float) -> Array:
    """Inverse of :func:`pixels_to_normalised`."""
    return ((normalised + 1.0) * image_size - 1.0) / 2.0
