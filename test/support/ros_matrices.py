"""Conversion of pose and transform messages to matrices with SciPy."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Pose, Transform
from scipy.spatial.transform import Rotation

from lgnet_core.types import FloatArray


def to_matrix(message: Pose | Transform) -> FloatArray:
    """(4, 4) homogeneous transform from the pose's frame to the frame of its header, metres.

    SciPy normalises the quaternion, so tests have to check separately that it is a unit quaternion.
    """
    if isinstance(message, Transform):
        position, quaternion = message.translation, message.rotation
    else:
        position, quaternion = message.position, message.orientation
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat([quaternion.x, quaternion.y, quaternion.z, quaternion.w]).as_matrix()
    matrix[:3, 3] = position.x, position.y, position.z
    return matrix
