"""Launch arguments of launch/hands.launch.py, parsed without importing it, since ``launch`` may not be installed."""

from __future__ import annotations

import ast

from support.paths import ROOT

FILE = ROOT / "launch" / "hands.launch.py"


def launch_arguments() -> dict[str, str]:
    """Names and descriptions in the table ARGUMENTS."""
    for node in ast.parse(FILE.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "ARGUMENTS":
            return {name: description for name, _, description in ast.literal_eval(node.value)}
    raise AssertionError("table ARGUMENTS not found")
