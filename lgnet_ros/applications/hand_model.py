"""The parameter ``hand_model`` of nodes that read ``hands/mesh``."""

from __future__ import annotations

from lgnet_core.hand_model import load_hand_model
from lgnet_core.robotics.capsules import HandCapsules
from lgnet_ros.parameters.parameter import Parameter

HAND_MODEL = Parameter(
    "hand_model",
    "",
    "Hand model of `hands/mesh`: output folder of `lgnet mano convert`; empty: bundled.",
    read_only=True,
)


def load_capsules(path: str) -> HandCapsules:
    """The capsules of the hand model that the parameter names.

    Raises:
        ValueError: the hand model cannot be loaded.
    """
    try:
        return HandCapsules(load_hand_model(path or None))
    except (OSError, ValueError) as error:
        raise ValueError(f"{HAND_MODEL.name}: {error}") from error
