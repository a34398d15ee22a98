"""``lgnet mano``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.interruption import interruptible
from lgnet_core.cli.options import print_line

mano = typer.Typer(
    help="MANO's files (bring your own: register at mano.is.tue.mpg.de; non-commercial licence).", no_args_is_help=True
)


@mano.callback()
def group() -> None:
    """Keep ``convert`` a subcommand, although it is the only one."""


@mano.command()
@interruptible
def convert(
    right: Annotated[Path, typer.Argument(help="MANO_RIGHT.pkl")],
    left: Annotated[Path, typer.Argument(help="MANO_LEFT.pkl")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for hand_right.npz and hand_left.npz.")],
) -> None:
    """Convert MANO's pickle files without executing code from them; pass the folder as --hand-model afterwards."""
    from lgnet_core.hand_model.mano import convert_mano

    for message in convert_mano(right, left, out).messages:
        print_line(message)
