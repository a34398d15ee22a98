r"""How a predicted hand is laid over the true one before its error is measured: named with every figure.

Published tables mix four conventions, and one method's figures differ by a third between them (DIR: 7.5 mm with the
middle finger's root and scaling, 10.2 mm with the wrist). So the convention is a value here, and part of each name.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lgnet_core.types import MIDDLE_MCP, WRIST

MILLIMETRES = 1000.0
_SHORTEST_BONE = 1e-4  # metres: a hand that was predicted as a point is not scaled to infinity


@dataclass(frozen=True)
class Protocol:
    r"""Both hands are moved so that their roots coincide, and the predicted one may be scaled about it:

    .. math:: e = \| s (x - r) - (x^{GT} - r^{GT}) \|, \quad s = |MCP - wrist|^{GT} / |MCP - wrist|

    with the wrist and the root (MCP) of the middle finger, each hand for itself; s = 1 without scaling.

    Args:
        name: ``wrist-raw`` and so on.
        root: index of the joint that is laid over the true one.
        scaled: whether the predicted hand is brought to the true hand's size.

    Source: the protocols of InterNet (wrist, raw), of IntagHand and InterShape (middle MCP, scaled), of LGNet as its
    supplement states it (wrist, scaled).
    """

    name: str
    root: int
    scaled: bool

    def measurable(self, known: Tensor) -> Tensor:
        """Which joints have an error: those that are known, if the joints are that the hand is laid over by.

        Shapes:
            known: (..., 21) bool; returns (..., 21) bool.
        """
        needed = known[..., self.root, None]
        if self.scaled:
            needed = needed & known[..., WRIST, None] & known[..., MIDDLE_MCP, None]
        return known & needed

    def errors(self, points: Tensor, joints: Tensor, true_points: Tensor, true_joints: Tensor) -> Tensor:
        """Distances of a hand's points (joints, vertices) from the true ones, millimetres.

        Args:
            points, true_points: of the hand, metres, each in the frame of its joints; the frames have the same axes.
            joints, true_joints: of the same hands: where the roots are and how long the bone is.

        Shapes:
            points, true_points: (..., P, 3); joints, true_joints: (..., 21, 3); leading dimensions broadcast;
            returns (..., P).
        """
        placed = points - joints[..., self.root, None, :]
        if self.scaled:
            placed = placed * (bone_length(true_joints) / bone_length(joints))[..., None, None]
        true_placed = true_points - true_joints[..., self.root, None, :]
        return (placed - true_placed).norm(dim=-1) * MILLIMETRES


def bone_length(joints: Tensor) -> Tensor:
    """Metres from the wrist to the root of the middle finger. Shapes: (..., 21, 3) -> (...)."""
    return (joints[..., MIDDLE_MCP, :] - joints[..., WRIST, :]).norm(dim=-1).clamp_min(_SHORTEST_BONE)


WRIST_RAW = Protocol("wrist-raw", WRIST, scaled=False)
WRIST_SCALED = Protocol("wrist-scaled", WRIST, scaled=True)
MCP_RAW = Protocol("mcp-raw", MIDDLE_MCP, scaled=False)
MCP_SCALED = Protocol("mcp-scaled", MIDDLE_MCP, scaled=True)

PROTOCOLS = (WRIST_RAW, WRIST_SCALED, MCP_RAW, MCP_SCALED)
"""{wrist, root of the middle finger} x {raw, scaled by the bone between them}: every report gives all four."""
