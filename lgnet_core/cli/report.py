"""Printing of the summary of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lgnet_core.cli.options import print_line

if TYPE_CHECKING:
    from lgnet_core.commands.report import Report


def print_report(report: Report, out: Path) -> None:
    """Print what was found, how fast, and what could not be used.

    Raises:
        typer.Exit: with code 1 if there were failures.
    """
    from lgnet_core.types import Side

    if report.images:
        sides = ", ".join(f"{report.hands[side]} {side.label}" for side in Side)
        rate = ""
        if report.seconds:
            rate = f", {report.images / report.total_seconds:.1f} images/s (estimation alone: "
            rate += f"{report.images / report.seconds:.1f})"
        print_line(f"{report.images} image(s): hands found: {sides}{rate}; results in {out}")
    for note in report.notes:
        print_line(f"note: {note}", "yellow")
    for failure in report.failures:
        print_line(f"skipped: {failure}", "red")
    if report.failures:
        raise typer.Exit(1)
