"""Figures of whole programs side by side, as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from lgnet_core.evaluation.report import without_nan

_UNITS = (", px", ", mm", ", ms", "%")
"""A figure whose name holds one of them has one digit; others are counts, or parts of 1 with three."""

Figures = dict[str, dict[str, dict[str, float]]]
"""Group, figure, program: value. A program that cannot be judged so has NaN, or nothing."""


def collect(groups: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figures:
    """Figures from group, program, figure: the order in which they are measured."""
    out: Figures = {}
    for group, programs in groups.items():
        rows = out.setdefault(group, {})
        for program, values in programs.items():
            for name, value in values.items():
                rows.setdefault(name, {})[program] = value
    return out


@dataclass(frozen=True)
class EndToEndReport:
    """What was found out.

    Args:
        data: what was judged on, in words.
        details: whatever belongs into the JSON beside figures: for example a row for each image.
        notes: for the reader of the table.
    """

    data: str
    figures: Figures
    provenance: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def programs(self) -> list[str]:
        """The columns."""
        names: dict[str, None] = {}
        for rows in self.figures.values():
            for values in rows.values():
                names |= dict.fromkeys(values)
        return list(names)

    def table(self) -> Table:
        """For a terminal."""
        table = Table("figure", title=f"lgnet eval: {self.data}")
        for program in self.programs:
            table.add_column(program, justify="right")
        for group, rows in self.figures.items():
            table.add_section()
            table.add_row(group, style="bold")
            for name, values in rows.items():
                table.add_row(f"  {name}", *(_text(name, values.get(program, math.nan)) for program in self.programs))
        return table

    def write_json(self, path: Path) -> None:
        """Everything. What was not measured is null."""
        document = {
            "format": "lgnet end-to-end evaluation",
            "data": self.data,
            "provenance": self.provenance,
            "figures": self.figures,
            **self.details,
        }
        path.write_text(json.dumps(without_nan(document), indent=1, allow_nan=False) + "\n")


def _text(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}" if any(unit in name for unit in _UNITS) else f"{value:.3f}"
