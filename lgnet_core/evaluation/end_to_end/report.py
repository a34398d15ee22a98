"""Comparison of complete methods as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from lgnet_core.evaluation.report.report import without_nan
from lgnet_core.io.output import write_text

_ONE_DECIMAL_UNITS = (", px", ", mm", ", ms", "%")
"""Metrics with one of these in their name have one decimal; others are counts, or fractions with three decimals."""

MetricTable = dict[str, dict[str, dict[str, float]]]
"""Group, metric, method: value. NaN or missing where a metric is undefined for a method."""


def collect(groups: Mapping[str, Mapping[str, Mapping[str, float]]]) -> MetricTable:
    """Reorder metrics from (group, method, metric) to (group, metric, method), keeping their order."""
    table: MetricTable = {}
    for group, methods in groups.items():
        rows = table.setdefault(group, {})
        for method, values in methods.items():
            for name, value in values.items():
                rows.setdefault(name, {})[method] = value
    return table


@dataclass(frozen=True)
class EndToEndReport:
    """Results of an end-to-end evaluation.

    Args:
        data: description of the evaluation data.
        details: further content of the JSON, e.g. a row for each image.
        notes: for the reader of the table.
    """

    data: str
    metrics: MetricTable
    provenance: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        """Names of the methods, i.e. the columns."""
        names: dict[str, None] = {}
        for rows in self.metrics.values():
            for values in rows.values():
                names |= dict.fromkeys(values)
        return list(names)

    def table(self) -> Table:
        """Table for a terminal."""
        table = Table("metric", title=f"lgnet eval: {self.data}")
        for method in self.methods:
            table.add_column(method, justify="right")
        for group, rows in self.metrics.items():
            table.add_section()
            table.add_row(group, style="bold")
            for name, values in rows.items():
                cells = (_format_value(name, values.get(method, math.nan)) for method in self.methods)
                table.add_row(f"  {name}", *cells)
        return table

    def write_json(self, path: Path) -> None:
        """Write all results; null where nothing was measured."""
        document = {
            "format": "lgnet end-to-end evaluation",
            "data": self.data,
            "provenance": self.provenance,
            "figures": self.metrics,
            **self.details,
        }
        write_text(path, json.dumps(without_nan(document), indent=1, allow_nan=False) + "\n")


def _format_value(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}" if any(unit in name for unit in _ONE_DECIMAL_UNITS) else f"{value:.3f}"
