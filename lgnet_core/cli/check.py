"""``lgnet check``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from lgnet_core.cli.options import DeviceOption, HandModelPath, Weights, console


def check(
    weights: Weights = None,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
    full: Annotated[
        bool, typer.Option("--full", help="Also import every library and estimate the hands of one image.")
    ] = False,
) -> None:
    """Check the installation, the weights and the hand model; print each problem with its remedy.

    Takes less than a second, since it reads versions and files only; --full also runs the networks. The exit code is 1
    if there is a problem.
    """
    from lgnet_core.commands.check import Level, check_files, check_runtime

    findings = check_files(weights, hand_model)
    if full and all(finding.level is not Level.PROBLEM for finding in findings):
        findings += check_runtime(weights, hand_model, device)
    signs = {Level.OK: ("ok", "green"), Level.NOTE: ("note", "yellow"), Level.PROBLEM: ("PROBLEM", "bold red")}
    table = Table(show_header=False, box=None, pad_edge=False)
    for finding in findings:
        sign, style = signs[finding.level]
        detail = finding.detail + (f"\n-> {finding.remedy}" if finding.remedy else "")
        table.add_row(Text(sign, style), finding.subject, Text(detail))
    console.print(table)
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    if problems:
        console.print(f"{problems} problem(s); see the remedy below each", style="bold red")
        raise typer.Exit(1)
    console.print("ready" if full else "files and versions are fine; --full also runs the networks", style="bold green")
