"""Alignment of a predicted hand with the true one before its error is measured; part of the name of every metric.

Published tables mix four conventions, and the results of one method differ by a third between them (DIR: 7.5 mm with
middle-finger root and scaling, 10.2 mm with the wrist). So the convention is a value here, and part of each name.
"""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import array_namespace

from lgnet_core.types import MIDDLE_MCP, WRIST, Array

MILLIMETRES = 1000.0
_MIN_BONE_LENGTH = 1e-4  # metres; keeps the scale of a degenerate prediction finite


@dataclass(frozen=True)
class Alignment:
    r"""Both hands are translated so that their roots coincide, and the predicted one may be scaled about its root:

    .. math:: e = \| s (x - r) - (x^{GT} - r^{GT}) \|, \quad s = |MCP - wrist|^{GT} / |MCP - wrist|

    with the wrist and the root (MCP) of the middle finger, for each hand separately; s = 1 without scaling.

    Args:
        name: e.g. ``wrist-raw``.
        root: index of the joint that is aligned.
        scaled: whether the predicted hand is scaled to the size of the true one.

    Source: the protocols of InterNet (wrist, raw), of IntagHand and InterShape (middle MCP, scaled), of LGNet according
    to its supplement (wrist, scaled).
    """

    name: str
    root: int
    scaled: bool

    def measurable(self, known: Array) -> Array:
        """Joints that have an error: those that are known, if the joints required for the alignment are known too.

        Shapes:
            known: (..., 21) bool; returns (..., 21) bool.
        """
        required = known[..., self.root, None]
        if self.scaled:
            required = required & known[..., WRIST, None] & known[..., MIDDLE_MCP, None]
        return known & required

    def errors(self, points: Array, joints: Array, true_points: Array, true_joints: Array) -> Array:
        """Distances of a hand's points (joints, vertices) from the true ones, millimetres.

        Args:
            points, true_points: of the hand, metres, each in the frame of its joints; the frames have the same axes.
            joints, true_joints: of the same hands; they define the root and the bone length.

        Shapes:
            points, true_points: (..., P, 3); joints, true_joints: (..., 21, 3); leading dimensions broadcast;
            returns (..., P).
        """
        aligned = points - joints[..., self.root, None, :]
        if self.scaled:
            aligned = aligned * (bone_length(true_joints) / bone_length(joints))[..., None, None]
        true_aligned = true_points - true_joints[..., self.root, None, :]
        xp = array_namespace(points, true_points)
        return xp.linalg.vector_norm(aligned - true_aligned, axis=-1) * MILLIMETRES


def bone_length(joints: Array) -> Array:
    """Length from the wrist to the root of the middle finger, metres. Shapes: (..., 21, 3) -> (...)."""
    xp = array_namespace(joints)
    bone = joints[..., MIDDLE_MCP, :] - joints[..., WRIST, :]
    return xp.linalg.vector_norm(bone, axis=-1).clip(_MIN_BONE_LENGTH)


WRIST_RAW = Alignment("wrist-raw", WRIST, scaled=False)
WRIST_SCALED = Alignment("wrist-scaled", WRIST, scaled=True)
MCP_RAW = Alignment("mcp-raw", MIDDLE_MCP, scaled=False)
MCP_SCALED = Alignment("mcp-scaled", MIDDLE_MCP, scaled=True)

ALIGNMENTS = (WRIST_RAW, WRIST_SCALED, MCP_RAW, MCP_SCALED)
"""{wrist, root of the middle finger} x {raw, scaled by the bone between them}: every report contains all four."""
