"""Input of dex-retargeting (https://github.com/dexsuite/dex-retargeting), which moves robot hands like human ones.

Its optimisers take the 21 joints of a hand in OpenPose's order, relative to the wrist, in what it calls the operator
frame in MANO's convention: x out of the palm, z towards the fingers, y = z x x. The frame is estimated from wrist,
index and middle knuckle, as in the package's example, so that the result does not depend on how the hand is turned.
"""

from __future__ import annotations

import numpy as np

from lgnet_core.types import MIDDLE_MCP, WRIST, FloatArray, Side

_INDEX_MCP = 5


def operator_joints(joints: FloatArray, side: Side) -> FloatArray:
    """The joints as ``SeqRetargeting.retarget`` and ``joint_pos`` of the package's examples expect them.

    Args:
        joints: (21, 3) metres in any frame, as :attr:`lgnet_core.types.Hand.joints`.

    Returns:
        (21, 3) metres in the operator frame.
    """
    relative = joints - joints[WRIST]
    fingers = relative[MIDDLE_MCP] / np.linalg.norm(relative[MIDDLE_MCP])
    palm = np.cross(relative[MIDDLE_MCP], relative[_INDEX_MCP]) * (-1 if side is Side.RIGHT else 1)
    palm /= np.linalg.norm(palm)
    return relative @ np.stack([palm, np.cross(fingers, palm), fingers], -1)
