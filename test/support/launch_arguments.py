"""What launch/hands.launch.py declares, read without importing it: `launch` may not be there."""

from __future__ import annotations

import ast

from support.paths import ROOT

FILE = ROOT / "launch" / "hands.launch.py"


def launch_arguments() -> dict[str, str]:
    """Name -> description, from the table ARGUMENTS."""
    for node in ast.parse(FILE.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "ARGUMENTS":
            return {name: text for name, _, text in ast.literal_eval(node.value)}
    raise AssertionError("no table ARGUMENTS")
