r"""Temporal smoothing of tracked hands with the one-euro filter.

A first-order low-pass filter whose cutoff rises with speed: a still hand is smoothed strongly, a fast one lags little.
With the time :math:`T` since the last image and the smoothing factor :math:`\alpha(f) = 1 / (1 + 1 / (2 \pi f T))` of a
cutoff f,

.. math:: \dot x \leftarrow \dot x + \alpha(f_d) ((x_{new} - x) / T - \dot x), \quad
          x \leftarrow x + \alpha(f_{min} + \beta |\dot x|) (x_{new} - x)

Source: Casiez, Roussel, Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems", CHI 2012. It is defined for scalars; here :math:`|\dot x|` is the root mean square over a set of points that
share one cutoff, which makes the filter equivariant to rotation and translation of the set.

The parts of a hand differ in their noise, so each has its own filter:

- the ray to the wrist, which the image determines to about a millimetre;
- its depth, which the image determines only through the hand's size and is several times noisier: filtered as one 3D
  point, the noise in depth would raise the cutoff of all three coordinates;
- the wrist-relative geometry: joints, vertices, rotations and shape coefficients share the smoothing factor of the
  joints, so that mesh, joints and hand frame remain consistent. Points are averaged along the chord instead of the arc,
  which at half a turn per second and 30 images per second shrinks a hand by less than 1 mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lgnet_core.types import WRIST, FloatArray, Hand


@dataclass(frozen=True)
class Smoothing:
    """Settings of the one-euro filter.

    The defaults were selected with ``lgnet eval --data jitter``: with noise of known magnitude, approximately the
    lowest jitter of a still hand at which waving, turning and finger-bending hands are as accurate as without
    smoothing.

    Args:
        min_cutoff: f_min, Hz: cutoff at rest. Lower: less jitter of a still hand, more lag when it starts to move.
        beta: 1 / m: increase of the cutoff, Hz per m/s. Higher: less lag of a moving hand, more of its jitter.
        derivative_cutoff: f_d, Hz: cutoff of the speed estimate; the paper's 1 Hz.

    Raises:
        ValueError: if a cutoff is not positive, or beta is negative.
    """

    min_cutoff: float = 1.0
    beta: float = 30.0
    derivative_cutoff: float = 1.0

    def __post_init__(self) -> None:
        for name in ("min_cutoff", "derivative_cutoff"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"smoothing: {name} must be a positive number of Hz, got {value}")
        if not 0 <= self.beta < math.inf:
            raise ValueError(f"smoothing: beta must be 0 or a positive number of Hz per m/s, got {self.beta}")


class OneEuroFilter:
    """One-euro filter of a set of points that share a cutoff.

    Attributes:
        alpha: in [0, 1], weight of the last input in the last output; 1 for the first one.
    """

    def __init__(self) -> None:
        self.alpha = 1.0
        self._value: FloatArray | None = None
        self._velocity: FloatArray | float = 0.0

    def __call__(
        self, points: FloatArray, interval: float, settings: Smoothing, metres_per_unit: float = 1.0
    ) -> FloatArray:
        """Filter the points of one image.

        Args:
            interval: seconds since the last call, positive; ignored in the first call.
            metres_per_unit: of the points, so that ``beta`` has the same meaning in every unit.

        Shapes:
            points: (N, D), the same in every call; returns (N, D).
        """
        if self._value is None:
            self._value = np.array(points, np.float64)
            return self._value
        velocity = (points - self._value) / interval
        self._velocity = self._velocity + _smoothing_factor(settings.derivative_cutoff, interval) * (
            velocity - self._velocity
        )
        speed = math.sqrt((self._velocity**2).sum(-1).mean()) * metres_per_unit
        self.alpha = _smoothing_factor(settings.min_cutoff + settings.beta * speed, interval)
        self._value = self._value + self.alpha * (points - self._value)
        return self._value


class HandSmoother:
    """Smooths one hand over the lifetime of its track."""

    def __init__(self) -> None:
        self._ray, self._depth = OneEuroFilter(), OneEuroFilter()
        self._wrist_pixel, self._joints = OneEuroFilter(), OneEuroFilter()
        self._last: dict[str, FloatArray] = {}

    def __call__(self, hand: Hand, interval: float, settings: Smoothing, metric: bool) -> Hand:
        """Smooth the hand of the next image.

        Args:
            interval: seconds since the last image, positive.
            metric: whether the hand is in the camera frame; otherwise its wrist is the origin, and only the
                wrist-relative geometry and the 2D joints are filtered.
        """
        wrist, wrist_pixel = hand.joints[WRIST], hand.joints_2d[WRIST]
        relative, relative_2d = hand.joints - wrist, hand.joints_2d - wrist_pixel
        metres_per_pixel = math.sqrt((relative[:, :2] ** 2).sum() / max((relative_2d**2).sum(), 1e-9))
        if metric:
            ray = wrist[:2] / wrist[2]
            depth = self._depth(wrist[None, 2:], interval, settings)[0]  # (1,)
            ray = self._ray(ray[None], interval, settings, metres_per_unit=float(depth[0]))[0]
            position = np.concatenate([ray, [1.0]]) * depth
        else:
            position = wrist
        joints = self._joints(relative, interval, settings)
        position_2d = self._wrist_pixel(wrist_pixel[None], interval, settings, metres_per_unit=metres_per_pixel)
        return replace(
            hand,
            joints=joints + position,
            vertices=self._filter_with_joints("vertices", hand.vertices - wrist) + position,
            joints_2d=self._filter_with_joints("joints_2d", relative_2d) + position_2d,
            rotations=self._filter_rotations(hand.rotations),
            shape=self._filter_with_joints("shape", hand.shape),
        )

    def _filter_with_joints(self, name: str, values: FloatArray) -> FloatArray:
        """Filter values with the smoothing factor of the joints."""
        last = self._last.get(name, values)
        self._last[name] = last + self._joints.alpha * (values - last)
        return self._last[name]

    def _filter_rotations(self, rotations: FloatArray) -> FloatArray:
        """The same on SO(3), along the geodesic."""
        last = self._last.get("rotations")
        if last is not None:
            rotations = np.stack([_slerp(*ends, self._joints.alpha) for ends in zip(last, rotations)])
        self._last["rotations"] = rotations
        return rotations


def _slerp(start: FloatArray, end: FloatArray, fraction: float) -> FloatArray:
    """Rotation (3, 3) between two others: R exp(fraction log(R^T R_end))."""
    rotvec, _ = cv2.Rodrigues((start.T @ end).astype(np.float64))
    return start @ cv2.Rodrigues(fraction * rotvec)[0]


def _smoothing_factor(cutoff: float, interval: float) -> float:
    """Weight of a new value in a first-order low-pass filter after ``interval`` seconds."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * interval))
