"""Matrices of messages, by scipy, for tests of what the node says about frames."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Pose, Transform
from scipy.spatial.transform import Rotation

from lgnet_core.types import FloatArray


def to_matrix(message: Pose | Transform) -> FloatArray:
    """(4, 4) of a pose or transform: takes points of its frame into that of its header; metres.

    The quaternion goes in as it is; that it is a unit one is for the tests to say.
    """
    if isinstance(message, Transform):
        place, turn = message.translation, message.rotation
    else:
        place, turn = message.position, message.orientation
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
    matrix[:3, 3] = place.x, place.y, place.z
    return matrix
