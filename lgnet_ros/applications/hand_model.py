"""The parameter ``hand_model`` of nodes that read ``hands/mesh``."""

from __future__ import annotations

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from lgnet_core.hand_model import load_hand_model
from lgnet_core.robotics.capsules import HandCapsules
from lgnet_ros.process.arguments import StartupError


def load_capsules(node: Node) -> HandCapsules:
    """Declare the parameter and load the capsules of its hand model.

    Raises:
        StartupError: the hand model cannot be loaded.
    """
    description = "Hand model of `hands/mesh`: output folder of `lgnet mano convert`; empty: bundled."
    path = str(node.declare_parameter("hand_model", "", ParameterDescriptor(description=description)).value)
    try:
        return HandCapsules(load_hand_model(path or None))
    except (OSError, ValueError) as error:
        raise StartupError(f"Parameter hand_model: {error}") from error
