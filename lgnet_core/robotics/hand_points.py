"""Which points of a cloud belong to hands: within a distance of the capsules that enclose them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lgnet_core.robotics.capsules import Capsules
from lgnet_core.types import FloatArray

_CHUNK = 8192  # points: their distances to all capsules then stay in the cache


def in_hands(points: FloatArray, hands: Sequence[Capsules], padding: float = 0.0) -> NDArray[np.bool_]:
    """Whether each point is within ``padding`` metres of the capsules of a hand. Points with NaN are not.

    Args:
        points: (N, 3), metres.
        hands: in the frame of the points.

    Returns:
        (N,).
    """
    inside = np.zeros(len(points), bool)
    if not hands:
        return inside
    boxes = [_box(capsules, padding) for capsules in hands]
    lows, highs = (np.stack(corners) for corners in zip(*boxes))
    near_any = _in_box(points, None, lows.min(0), highs.max(0))
    for capsules, (low, high) in zip(hands, boxes):
        near = _in_box(points, near_any[~inside[near_any]], low, high)
        field = _Field(capsules, padding)
        for first in range(0, len(near), _CHUNK):
            chunk = near[first : first + _CHUNK]
            inside[chunk] = field.contains(points[chunk])
    return inside


def _box(capsules: Capsules, padding: float) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest coordinates (3,) of capsules."""
    margin = (capsules.radii + padding)[:, None]
    low = (np.minimum(capsules.start, capsules.end) - margin).min(0)
    high = (np.maximum(capsules.start, capsules.end) + margin).max(0)
    return low, high


def _in_box(
    points: FloatArray, candidates: NDArray[np.intp] | None, low: FloatArray, high: FloatArray
) -> NDArray[np.intp]:
    """Indices of the points in a box, among ``candidates``; None: all. One axis after the other, of what is left."""
    for axis in range(3):
        values = points[:, axis] if candidates is None else points[candidates, axis]
        # Compared in the type of the values: float32 would otherwise be converted to float64 first.
        within = (values >= values.dtype.type(low[axis])) & (values <= values.dtype.type(high[axis]))
        candidates = np.flatnonzero(within) if candidates is None else candidates[within]
    assert candidates is not None
    return candidates


class _Field:
    r"""Evaluates which points the capsules of a hand contain.

    With a the coordinate of a point along a segment from s with direction u, clipped to t, a capsule of radius r
    contains it if |p - s|^2 - r^2 + t (t - 2 a) <= 0. Both a and the first two terms are linear in (p, 1, |p|^2), hence
    one matrix product each. Single precision suffices, since coordinates are relative to the hand.
    """

    def __init__(self, capsules: Capsules, padding: float) -> None:
        self._centre = capsules.start.mean(0)
        start, lengths = capsules.start - self._centre, capsules.lengths
        directions = (capsules.end - capsules.start) / lengths[:, None]
        offsets = (start**2).sum(-1) - (capsules.radii + padding) ** 2
        nothing, one = np.zeros(len(start)), np.ones(len(start))
        self._along = np.column_stack([directions, -(start * directions).sum(-1), nothing]).astype(np.float32)
        self._squared = np.column_stack([-2 * start, offsets, one]).astype(np.float32)
        self._lengths = lengths.astype(np.float32)[:, None]

    def contains(self, points: FloatArray) -> NDArray[np.bool_]:
        """(N,) for points (N, 3)."""
        features = np.empty((5, len(points)), np.float32)
        features[:3] = (points - self._centre.astype(points.dtype)).T
        features[3] = 1
        features[4] = (features[:3] ** 2).sum(0)
        along = self._along @ features  # (C, N)
        value = np.minimum(along, self._lengths)
        np.maximum(value, 0, out=value)
        along *= 2
        np.subtract(value, along, out=along)
        value *= along
        value += self._squared @ features
        return (value <= 0).any(0)
