r"""Less jitter in hands that are followed from image to image: the one-euro filter, on what a hand is made of.

A low pass whose cutoff grows with speed: a still hand is held still, a fast one lags little. With the time :math:`T`
since the last image and the share :math:`a(f) = 1 / (1 + 1 / (2 \pi f T))` that a cutoff f gives to what is new,

.. math:: \dot x \leftarrow \dot x + a(f_d) ((x_{new} - x) / T - \dot x), \quad
          x \leftarrow x + a(f_{min} + \beta |\dot x|) (x_{new} - x)

Source: Casiez, Roussel, Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems", CHI 2012. It is made for scalars; here :math:`|\dot x|` is the root mean square over points that share a
cutoff, so that the filter of a set of points turns and moves with them.

A hand's parts are noisy to different degrees and each has a cutoff of its own:

- the ray to the wrist, which the image shows to a millimetre or so;
- its depth, which the image shows only through the hand's size, several times noisier: were wrist and depth one
  point, the noise in depth would open the filter for all three coordinates;
- the wrist-relative shape: joints, vertices, rotations and shape coefficients take one share, that of the joints, so
  that the mesh, its joints and the hand frame still belong together. Points are averaged along the chord instead of the
  arc, which at half a turn per second and 30 images per second shrinks a hand by less than 1 mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import roma
import torch

from lgnet_core.types import WRIST, FloatArray, Hand


@dataclass(frozen=True)
class Smoothing:
    """Settings of the one-euro filter.

    The defaults are from ``lgnet eval --data jitter``: with noise of known size, about the least jitter of a still hand
    at which hands that wave, turn and bend their fingers are no further from the truth than without smoothing.

    Args:
        min_cutoff: f_min, Hz: cutoff at rest. Lower: less jitter of a still hand, more lag when it starts to move.
        beta: 1 / m: how many Hz the cutoff rises per m/s. Higher: less lag of a moving hand, more of its jitter.
        derivative_cutoff: f_d, Hz: of the speed itself; the paper's 1 Hz serves.

    Raises:
        ValueError: for a cutoff that is not positive, or a negative beta.
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


class OneEuro:
    """The filter of points that share a cutoff.

    Attributes:
        share: in [0, 1], how much of the last values went into the answer; 1 for the first ones.
    """

    def __init__(self) -> None:
        self.share = 1.0
        self._value: FloatArray | None = None
        self._velocity: FloatArray | float = 0.0

    def __call__(self, points: FloatArray, interval: float, settings: Smoothing, metres: float = 1.0) -> FloatArray:
        """Filter the points of one image.

        Args:
            points: in metres, or in another unit of which one is ``metres`` metres, for ``beta`` to mean the same.
            interval: seconds since the last call, positive; not used by the first one.

        Shapes:
            points: (N, D), N and D the same in every call; returns (N, D).
        """
        if self._value is None:
            self._value = np.array(points, np.float64)
            return self._value
        velocity = (points - self._value) / interval
        self._velocity = self._velocity + _share(settings.derivative_cutoff, interval) * (velocity - self._velocity)
        speed = math.sqrt((self._velocity**2).sum(-1).mean()) * metres
        self.share = _share(settings.min_cutoff + settings.beta * speed, interval)
        self._value = self._value + self.share * (points - self._value)
        return self._value


class HandSmoother:
    """Filters one hand for as long as it is followed; a new one for each track."""

    def __init__(self) -> None:
        self._ray, self._depth, self._pixel, self._joints = OneEuro(), OneEuro(), OneEuro(), OneEuro()
        self._followers: dict[str, FloatArray] = {}

    def __call__(self, hand: Hand, interval: float, settings: Smoothing, metric: bool) -> Hand:
        """The smoothed hand.

        Args:
            interval: seconds since the last image, positive.
            metric: whether the hand stands in the camera frame; otherwise its wrist is the origin, and only what is
                relative to it is filtered, and its place in the image.
        """
        wrist, pixel = hand.joints[WRIST], hand.joints_2d[WRIST]
        relative, flat = hand.joints - wrist, hand.joints_2d - pixel
        metres_per_pixel = math.sqrt((relative[:, :2] ** 2).sum() / max((flat**2).sum(), 1e-9))
        if metric:
            ray = wrist[:2] / wrist[2]
            depth = self._depth(wrist[None, 2:], interval, settings)[0]  # (1,)
            ray = self._ray(ray[None], interval, settings, metres=float(depth[0]))[0]
            place = np.concatenate([ray, [1.0]]) * depth
        else:
            place = wrist
        joints = self._joints(relative, interval, settings)
        seen = self._pixel(pixel[None], interval, settings, metres=metres_per_pixel)
        return replace(
            hand,
            joints=joints + place,
            vertices=self._follow("vertices", hand.vertices - wrist) + place,
            joints_2d=self._follow("flat", flat) + seen,
            rotations=self._turn(hand.rotations),
            shape=self._follow("shape", hand.shape),
        )

    def _follow(self, name: str, values: FloatArray) -> FloatArray:
        """What moves with the joints: filtered with their share."""
        before = self._followers.get(name, values)
        self._followers[name] = before + self._joints.share * (values - before)
        return self._followers[name]

    def _turn(self, rotations: FloatArray) -> FloatArray:
        """The same on SO(3): R exp(share log(R^T R_new)), along the shortest arc."""
        before = self._followers.get("rotations")
        if before is not None:
            share = torch.tensor(self._joints.share, dtype=torch.float64)
            ends = (torch.tensor(turns, dtype=torch.float64) for turns in (before, rotations))
            rotations = roma.rotmat_slerp(*ends, share).numpy()
        self._followers["rotations"] = rotations
        return rotations


def _share(cutoff: float, interval: float) -> float:
    """Of a first-order low pass: how much of what is new it takes in ``interval`` seconds."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * interval))
