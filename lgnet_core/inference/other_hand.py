"""A hand that was taken for the other one: the same picture seen as a left hand instead of a right one, or the reverse.

Seen from far away, a right hand and its mirror image in depth, which is a left hand, look the same: they differ in what
is nearer to the camera. That is how a network that mistakes the side has explained the picture, so the mirror image is
what it would have said of the correct side.
"""

from __future__ import annotations

import numpy as np

from lgnet_core.types import FloatArray

DOUBT = 1.7
"""Standard deviation of its joints, over what the network said of the hand before: the error that was measured, over
that of the other hands (57 mm and 33 mm, the model card)."""

_SIDEWAYS = np.diag([-1.0, 1.0, 1.0])


def mirror_in_depth(ray: FloatArray) -> FloatArray:
    """(3, 3) reflection along the ray (3,) to the hand: in front becomes behind, and the projection stays about the
    same (exactly, to first order of the hand's extent over its distance)."""
    direction = ray / np.linalg.norm(ray)
    return np.eye(3) - 2 * np.outer(direction, direction)


def of_the_other_hand(rotations: FloatArray) -> FloatArray:
    """Rotations of the other hand's joints, whose posed surface is the mirror image.

    The left hand model is the right one's image under M = diag(-1, 1, 1), so a joint that turns by R turns by M R M
    there, and what is posed by a reflection H of the wrist R is posed by H R M.

    Args:
        rotations: of the joints; the first, of the wrist, is already reflected.

    Shapes:
        rotations: (16, 3, 3), and what is returned.
    """
    turned = rotations @ _SIDEWAYS
    turned[1:] = _SIDEWAYS @ turned[1:]
    return turned
