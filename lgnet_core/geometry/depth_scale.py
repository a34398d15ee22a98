"""Scale and distance of an estimated hand from a depth map.

A single image fixes a hand only up to a factor: scaled about the camera's centre, hand and distance together, it
projects to the same pixels. One measured depth on its skin fixes that factor. Here it is estimated from all visible
vertices, robustly: a depth map has holes, invents values between near and far at edges, and shows what is in front of
the hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.types import WRIST, Camera, FloatArray, Hand

SCALE_RANGE = (0.5, 2.0)
"""Smallest and largest factor: some hands are predicted at almost twice their distance."""

MIN_VERTICES = 25
"""Fewer vertices with a measured depth do not suffice."""

MIN_AGREEMENT = 0.3
"""Minimum fraction of their weight that must agree on the factor."""

_LOG_SCALE_STD = 0.15  # of predicted hands, so that of two candidates the plausible size wins
_BAND = 0.012  # metres: half width of the band in which vertices agree on a factor
_SURFACE_STD = 0.005  # metres: of a vertex relative to the nearest joint, and of the depth
_TILT_STD = 0.3  # radians: of the hand's predicted orientation
_INDEPENDENT = 20  # vertices per independent measurement of the tilt: errors of neighbours are alike
_TILT_ITERATIONS = 4

_CELL = 0.012  # metres: cells of the visibility test, larger than the distance between neighbouring vertices
_HIDDEN = 0.012  # metres: a vertex that is farther behind the nearest one of its cell is hidden
_TAP_DISTANCE = 0.003  # metres on the skin from a vertex to the four neighbours that must be on the same surface
_TAP_RANGE = 0.015  # metres: larger differences between these depths are an edge
_TAPS = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])


class DepthScale(NamedTuple):
    """Factor by which a hand must be scaled about the camera's centre to agree with a depth map.

    Args:
        factor: None if the depth does not determine it.
        measured: number of vertices with a depth; agreeing: those that agree on the factor.
        problem: why there is no factor; empty if there is one.
    """

    factor: float | None
    measured: int = 0
    agreeing: int = 0
    problem: str = ""


def measure_scale(hand: Hand, others: Sequence[FloatArray], depth: FloatArray, camera: Camera) -> DepthScale:
    r"""Measure a hand's factor.

    1. Visible vertices: facing the camera, inside the image, and nearest in their cell of a coarse z-buffer that
       contains all hands.
    2. Depth at a vertex: the median of its pixel and four neighbours, if all are valid and on one surface; this leaves
       out edges.
    3. The band of ratios of measured to predicted depth that contains the most weight. A vertex weighs the inverse
       variance of its nearest joint relative to the wrist, whose depth is wanted. What is in front of the hand, or
       behind it where the prediction misses it, is outside of the band.
    4. In the band, ratio = factor + tilt: the prediction's error of orientation, which changes the ratios linearly over
       the hand, must not be taken for one of the distance. Robust least squares with a prior on the tilt.

    Args:
        hand: metric, in the frame of ``camera``.
        others: vertices of the other hands, which may hide this one.
        depth: registered to the image of ``camera``, metres; 0, NaN or infinite where nothing was measured.

    Shapes:
        others: (V', 3) each; depth: (H, W).
    """
    vertices = hand.vertices
    if vertices[:, 2].min() <= 0:
        return DepthScale(None, problem="the hand reaches behind the camera")
    distance = float(np.median(vertices[:, 2]))
    pixels = project_distorted(vertices, camera)
    index = (_faces_camera(pixels, hand.faces) & _nearest(vertices, others, _CELL / distance)).nonzero()[0]
    taps = max(1, round(_TAP_DISTANCE * float(np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1])) / distance))
    ratios = _sample(depth, pixels[index], taps) / vertices[index, 2]
    measured = (ratios > SCALE_RANGE[0]) & (ratios < SCALE_RANGE[1])
    index, ratios = index[measured], ratios[measured]
    if len(ratios) < MIN_VERTICES:
        return DepthScale(None, len(ratios), problem="too little of the hand has a depth")
    to_joints = np.linalg.norm(vertices[index, None] - hand.joints, axis=-1)  # (N, 21)
    weights = 1 / (hand.joint_std[to_joints.argmin(1)] ** 2 + _SURFACE_STD**2)
    band = _BAND / distance
    centre, agreement = _densest_band(ratios, weights, band)
    if agreement < MIN_AGREEMENT:
        return DepthScale(None, len(ratios), problem="the depths on the hand contradict each other")
    offsets = (vertices[index, :2] - hand.joints[WRIST, :2]) / distance
    factor, agreeing = _fit_with_tilt(ratios, weights, offsets, centre, band)
    return DepthScale(factor, len(ratios), agreeing)


def _densest_band(ratios: FloatArray, weights: FloatArray, band: float) -> tuple[float, float]:
    """Centre of the band of ``2 * band`` with the most weight times prior, and its fraction of the weight."""
    order = np.argsort(ratios)
    ordered = ratios[order]
    total = np.concatenate([[0.0], np.cumsum(weights[order])])
    ends = np.searchsorted(ordered, ordered + 2 * band, side="right")
    inside = total[ends] - total[:-1]
    prior = np.exp(-0.5 * (np.log(ordered + band) / _LOG_SCALE_STD) ** 2)
    start = int((inside * prior).argmax())
    return float(np.median(ordered[start : ends[start]])), float(inside[start] / total[-1])


def _fit_with_tilt(
    ratios: FloatArray, weights: FloatArray, offsets: FloatArray, centre: float, band: float
) -> tuple[float, int]:
    """The factor at the wrist, and the number of vertices that agree with it.

    Args:
        offsets: of the vertices from the wrist across the optical axis, over the hand's distance.

    Shapes: ratios, weights: (N,); offsets: (N, 2).
    """
    design = np.column_stack([np.ones(len(ratios)), offsets])
    # Ridge regression: residuals of _SURFACE_STD against tilts of _TILT_STD; `band` converts metres to ratios.
    ridge = np.diag([0.0, 1.0, 1.0]) * (band * _SURFACE_STD / _BAND / _TILT_STD) ** 2 * _INDEPENDENT
    residuals = ratios - centre
    limit = 3 * band
    for _ in range(_TILT_ITERATIONS):
        use = np.abs(residuals) < limit
        weighted = design[use] * (weights[use] / weights[use].mean())[:, None]
        solution = np.linalg.solve(weighted.T @ design[use] + ridge, weighted.T @ (ratios[use] - centre))
        residuals = ratios - centre - design @ solution
        spread = 1.4826 * float(np.median(np.abs(residuals[np.abs(residuals) < 3 * band])))
        limit = max(2 * spread, 0.3 * band)
    return centre + float(solution[0]), int(np.count_nonzero(np.abs(residuals) < limit))


def _faces_camera(pixels: FloatArray, faces: FloatArray) -> FloatArray:
    """(V,) bool: whether all faces of a vertex face the camera, which leaves out the silhouette."""
    u, v = pixels.T
    first, second, third = faces.T
    u0, v0 = u[first], v[first]
    area = (u[second] - u0) * (v[third] - v0) - (u[third] - u0) * (v[second] - v0)
    facing = np.ones(len(pixels), bool)
    facing[faces[area >= 0]] = False  # v points down: counter-clockwise faces have a negative area
    return facing


def _nearest(vertices: FloatArray, others: Sequence[FloatArray], cell: float) -> FloatArray:
    """(V,) bool: whether nothing is clearly in front of a vertex in its cell, ``cell`` wide in ray coordinates."""
    low = (vertices[:, :2] / vertices[:, 2:]).min(0)
    cells = [np.floor((points[:, :2] / points[:, 2:] - low) / cell).astype(np.int64) for points in (vertices, *others)]
    size = cells[0].max(0) + 1
    nearest = np.full(int(size.prod()), np.inf)
    for points, index in zip((vertices, *others), cells):
        inside = (index >= 0).all(1) & (index < size).all(1) & (points[:, 2] > 0)
        np.minimum.at(nearest, index[inside, 1] * size[0] + index[inside, 0], points[inside, 2])
    visible: FloatArray = vertices[:, 2] <= nearest[cells[0][:, 1] * size[0] + cells[0][:, 0]] + _HIDDEN
    return visible


def _sample(depth: FloatArray, pixels: FloatArray, distance: int) -> FloatArray:
    """(N,) metres at pixels (N, 2), NaN where the depth is missing or at an edge."""
    height, width = depth.shape
    # Clipped before rounding: what is beside the image may be infinitely far outside.
    nearest = np.rint(np.clip(pixels, -1e6, 1e6)).astype(np.int64)
    margin = distance
    inside = ((nearest >= margin) & (nearest < np.array([width, height]) - margin)).all(1)
    taps = np.where(inside[:, None], nearest, margin)[:, None] + distance * _TAPS  # (N, 5, 2)
    values = depth[taps[..., 1], taps[..., 0]].astype(np.float64)
    values = np.sort(np.where(np.isfinite(values), values, 0), axis=1)
    good = inside & (values[:, 0] > 0) & (values[:, -1] - values[:, 0] <= _TAP_RANGE)
    return np.where(good, values[:, 2], np.nan)
