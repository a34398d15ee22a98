"""How often errors of hand poses are within one and two of their standard deviations."""

from __future__ import annotations

import numpy as np
import roma
import torch

from lgnet_core.geometry.pose_covariance import pose_covariance
from lgnet_core.types import WRIST, FloatArray, Hand

QUANTILES = {1: {1: 1.0, 2: 2.296, 3: 3.527}, 2: {1: 4.0, 2: 6.180, 3: 8.025}}
"""Squared Mahalanobis distances within which 68.3 and 95.4 % of normal errors are, by number of standard deviations and
dimensions: quantiles of the chi-squared distribution."""


class PoseCalibration:
    """Errors of poses relative to their covariances: of the wrist along its ray and across, and of the rotation."""

    def __init__(self) -> None:
        self._squares: dict[str, list[float]] = {"along the ray": [], "across the ray": [], "rotation": []}

    def add(self, hand: Hand, wrist: FloatArray, root: FloatArray) -> None:
        """Add a metric hand.

        Args:
            wrist: true position, metres, camera frame. root: true rotation of the hand model's root.

        Shapes: wrist: (3,); root: (3, 3).
        """
        covariance = pose_covariance(hand)
        basis = np.linalg.svd(hand.joints[WRIST][None])[2].T  # columns: along the ray, and across
        error, position = (wrist - hand.joints[WRIST]) @ basis, basis.T @ covariance[:3, :3] @ basis
        turn = roma.rotmat_to_rotvec(torch.from_numpy(root.astype(np.float64) @ hand.rotations[0].T)).numpy()
        parts = (error[:1], position[:1, :1]), (error[1:], position[1:, 1:]), (turn, covariance[3:, 3:])
        for squares, (part, block) in zip(self._squares.values(), parts):
            squares.append(float(part @ np.linalg.solve(block, part)))

    def compute(self) -> dict[str, float]:
        """Fractions; 0.683 and 0.954 if the errors are normal and the covariances right."""
        return {
            f"{part}: within {count} standard deviation{'s' * (count > 1)}": float(
                np.mean(np.array(squares) <= QUANTILES[count][dimensions])
            )
            for dimensions, (part, squares) in enumerate(self._squares.items(), 1)
            for count in QUANTILES
            if squares
        }
