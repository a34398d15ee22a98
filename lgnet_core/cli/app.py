"""The ``lgnet`` command: its subcommands, common options and error handling.

Each command parses its options, calls one function and prints the result. Heavy libraries are imported inside the
commands, so that ``lgnet --help`` starts quickly. Errors and interruptions are printed as one line; ``--debug`` or the
environment variable ``LGNET_DEBUG`` shows the traceback of an error.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from lgnet_core import __version__
from lgnet_core.cli.ablate import ablate
from lgnet_core.cli.bench import bench
from lgnet_core.cli.check import check
from lgnet_core.cli.demo import demo
from lgnet_core.cli.evaluate import evaluate
from lgnet_core.cli.export import export
from lgnet_core.cli.interruption import exit_interrupted, interruptible, raise_on_sigterm
from lgnet_core.cli.live import live
from lgnet_core.cli.mano import mano
from lgnet_core.cli.predict import predict
from lgnet_core.cli.replay import replay
from lgnet_core.cli.synth import synth
from lgnet_core.cli.train import train
from lgnet_core.cli.train_palms import train_palms
from lgnet_core.cli.urdf import urdf

DEBUG_VARIABLE = "LGNET_DEBUG"

TORCH_EXTRA = ("torch", "roma", "onnx", "onnxscript")
"""Modules of the extra ``torch``, which training, evaluation and export need."""

app = typer.Typer(
    name="lgnet",
    help="Two hands from one RGB image: 21 joints and a mesh per hand, in metres in the camera frame.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"lgnet {__version__}")
        raise typer.Exit


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options of all commands."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("lgnet_core").setLevel(logging.INFO)  # announces slow first steps


for command in (check, demo, predict, live, replay, synth, train, train_palms, ablate, export, bench, urdf):
    app.command()(interruptible(command))
app.command("eval")(interruptible(evaluate))
app.add_typer(mano, name="mano")


def main() -> None:
    """Console script: run a command and print its error, if any, as one line."""
    raise_on_sigterm()
    try:
        app()
    except KeyboardInterrupt as error:  # before or after the command itself
        exit_interrupted(error)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        Console(stderr=True).print(Text(f"lgnet: {_describe(error)}", "red"), soft_wrap=True)
        sys.exit(1)


def _describe(error: Exception) -> str:
    """One line about an error; those that are no bug already say what is wrong, where, and how to fix it."""
    from safetensors import SafetensorError

    from lgnet_core.io.output import explain

    if isinstance(error, ModuleNotFoundError) and error.name in TORCH_EXTRA:
        return f"this needs {error.name}, which is not installed: pip install 'lgnet_ros[torch]'"
    if isinstance(error, MemoryError):
        return f"out of memory{f' ({error})' if str(error) else ''}; use smaller images, sets or batches"
    expected = isinstance(error, (OSError, ValueError, RuntimeError, ImportError, SafetensorError)) and str(error)
    return explain(error) if expected else f"{type(error).__name__}: {explain(error)} (--debug shows where)"


if __name__ == "__main__":
    main()
