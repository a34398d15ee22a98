"""``lgnet urdf``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.options import HandLength, HandModelPath, print_line


class SideName(str, Enum):
    """Anatomical sides."""

    right = "right"
    left = "left"


def urdf(
    side: Annotated[SideName, typer.Argument(help="Anatomical side of the hand.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="URDF file to write.")],
    hand_length: HandLength = None,
    hand_model: HandModelPath = None,
) -> None:
    """Write the URDF of a hand's skeleton, for robot_state_publisher and the joint angles of hands/joint_states."""
    from lgnet_core.hand_model import load_hand_model
    from lgnet_core.io.output import check_output_file, write_text
    from lgnet_core.robotics.urdf import hand_urdf
    from lgnet_core.types import Side

    check_output_file(out)
    write_text(out, hand_urdf(load_hand_model(hand_model), Side[side.name.upper()], hand_length))
    print_line(f"wrote {out}")
