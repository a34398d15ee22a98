"""Noise model of a stereo depth camera, applied to exact depth maps.

In this order, as in a real sensor:

- Edges: each pixel shows the depth of a pixel nearby (the matching window has a width). At a discontinuity the value is
  that of the near side, of the far side, anything between them (a flying pixel), or missing.
- Noise of the disparity with a standard deviation of :data:`DISPARITY_STD`, constant over blocks of
  :data:`CORRELATION_PIXELS`, as the matching windows of neighbours overlap.
- Quantisation of the disparity to 1 / :data:`SUBPIXELS` pixel: the step in depth grows with its square.
- Holes: pixels without texture, in blobs.
- Millimetres in 16 bits.

The figures are those of an Intel RealSense D435 (baseline 50 mm, subpixel error 0.08 pixels, 1/32 pixel steps).
"""

from __future__ import annotations

import cv2
import numpy as np

from lgnet_core.types import Camera, FloatArray

BASELINE = 0.05  # metres
DISPARITY_STD = 0.08  # pixels
SUBPIXELS = 32
CORRELATION_PIXELS = 3
EDGE_STD = 0.7  # pixels: displacement of edges
EDGE_STEP = 0.015  # metres between neighbours: larger is a discontinuity
HOLE_FRACTION = 0.05  # of the pixels, in blobs
HOLE_PIXELS = 6.0  # their size
EDGE_OUTCOMES = (0.4, 0.25, 0.35)  # probabilities at a discontinuity: unchanged, missing, flying


def add_background(depth: FloatArray, camera: Camera, rng: np.random.Generator) -> FloatArray:
    """Replace 0, nothing rendered, by a slanted wall 0.1 to 1.5 m behind the farthest rendered surface.

    Shapes: depth: (H, W) metres; returns (H, W) float32.
    """
    height, width = depth.shape
    distance = float(depth.max()) + rng.uniform(0.1, 1.5)
    slope = rng.uniform(-0.3, 0.3, 2)
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    ray = (u - camera.matrix[0, 2]) / camera.matrix[0, 0], (v - camera.matrix[1, 2]) / camera.matrix[1, 1]
    wall = distance / np.clip(1 + slope[0] * ray[0] + slope[1] * ray[1], 0.5, None)
    return np.where(depth > 0, depth, wall).astype(np.float32)


def observe_depth(depth: FloatArray, camera: Camera, rng: np.random.Generator) -> FloatArray:
    """What the sensor measures of an exact depth map without missing values.

    Shapes: depth: (H, W) metres; returns (H, W) float32 metres in whole millimetres, 0 where the sensor has no value.
    """
    observed = _displace_edges(depth.astype(np.float32), rng)
    scale = camera.matrix[0, 0] * BASELINE
    height, width = depth.shape
    coarse = rng.normal(0, DISPARITY_STD, (height // CORRELATION_PIXELS + 1, width // CORRELATION_PIXELS + 1))
    noise = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    disparity = np.round((scale / np.maximum(observed, 0.05) + noise) * SUBPIXELS) / SUBPIXELS
    measured = scale / np.maximum(disparity, 1 / SUBPIXELS)
    blobs = cv2.GaussianBlur(rng.normal(size=depth.shape).astype(np.float32), (0, 0), HOLE_PIXELS)
    holes = (blobs > np.quantile(blobs, 1 - HOLE_FRACTION)) | (observed == 0)
    millimetres = np.round(np.where(holes, 0, np.minimum(measured, 65.0)) * 1000)
    return (millimetres / 1000).astype(np.float32)


def _displace_edges(depth: FloatArray, rng: np.random.Generator) -> FloatArray:
    height, width = depth.shape
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    shift = rng.normal(0, EDGE_STD, (2, height, width)).astype(np.float32)
    displaced = cv2.remap(depth, u + shift[0], v + shift[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    window = np.ones((3, 3), np.uint8)
    near, far = cv2.erode(displaced, window), cv2.dilate(displaced, window)
    outcome = np.searchsorted(np.cumsum(EDGE_OUTCOMES), rng.uniform(size=depth.shape))
    flying = near + rng.uniform(size=depth.shape).astype(np.float32) * (far - near)
    at_edge = far - near > EDGE_STEP
    changed = np.select([outcome == 0, outcome == 1], [displaced, np.zeros_like(displaced)], flying)
    return np.where(at_edge, changed, displaced)
