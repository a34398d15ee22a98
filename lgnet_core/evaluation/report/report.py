"""An evaluation as a table, as JSON and as CSV: the same figures, each with its protocol, data and weights."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from lgnet_core.evaluation.analyses import Analyses
from lgnet_core.evaluation.baselines import HANDS
from lgnet_core.evaluation.calibration import NOMINAL, levels
from lgnet_core.evaluation.evaluate import ALL, CategoryResult, Figure, skill
from lgnet_core.evaluation.pck import thresholds
from lgnet_core.evaluation.scores import FIGURES, TERMS, Key

NEAREST = f"nearest_of_{HANDS}"
CSV_FIELDS = (
    *("category", "images", "hands", "pairs", "figure", "protocol", "unit"),
    *("weights", "mean_pose", NEAREST, "skill_over_mean_pose", f"skill_over_{NEAREST}"),
)


@dataclass(frozen=True)
class Report:
    """What was measured, and where from.

    Args:
        results: by category.
        data, weights: names for the title.
        provenance: everything that a figure depends on, JSON-able.
        studies: what was measured besides.
    """

    results: dict[str, CategoryResult]
    data: str
    weights: str
    provenance: dict[str, Any]
    studies: Analyses = field(default_factory=lambda: Analyses(""))

    def table(self) -> Table:
        """For a terminal: the figures by category, and beside those of all images the baselines and the skill."""
        table = Table(
            title=f"lgnet eval: weights {self.weights} on {self.data}; each figure with its protocol",
            caption="\n".join(f"{name}: {text}" for name, text in TERMS.items()),
            caption_justify="left",
        )
        table.add_column("figure", no_wrap=True)
        table.add_column("protocol", no_wrap=True)
        shown = {name: result for name, result in self.results.items() if result.images}
        for name in shown:
            table.add_column(name, justify="right", no_wrap=True)
        for column in ("mean\npose", f"nearest\nof {HANDS:,}", "skill over\nmean pose", "skill over\nnearest"):
            table.add_column(f"{ALL}:\n{column}", justify="right", no_wrap=True)
        for counted in ("images", "hands", "pairs"):
            table.add_row(counted, "", *(str(getattr(result, counted)) for result in shown.values()))
        table.add_section()
        by_category = [result.figures() for result in shown.values()]
        for key, figure in self.results[ALL].figures().items():
            kind = FIGURES[key.figure]
            values = [figures[key].value for figures in by_category] + [figure.mean_pose, figure.nearest]
            skills = [skill(figure.value, baseline, kind.perfect) for baseline in values[-2:]]
            title, digits = (f"{kind.title}, {kind.unit}", 1) if kind.unit else (kind.title, 3)
            cells = [_text(value, digits) for value in values] + [_text(value, 2) for value in skills]
            table.add_row(title, key.protocol, *cells)
        return table

    def figures(self, category: str = ALL) -> dict[str, dict[str, float | None]]:
        """Figures of a category by name and protocol, of the weights and both baselines; None: not measured."""
        return without_nan({str(key): _values(key, figure) for key, figure in self.results[category].figures().items()})

    def write_json(self, path: Path) -> None:
        """Everything: figures, PCK curves, reliability, provenance. What was not measured is null."""
        document = {
            "format": "lgnet evaluation",
            "provenance": self.provenance,
            "protocols": TERMS,
            "units": {name: kind.unit for name, kind in FIGURES.items()},
            "nominal_coverage": NOMINAL,
            "pck_thresholds_mm": thresholds().tolist(),
            "reliability_levels": levels().tolist(),
            "categories": {name: self._json_of(name) for name in self.results},
            **self.studies.document(),
        }
        path.write_text(json.dumps(without_nan(document), indent=1, allow_nan=False) + "\n")

    def write_csv(self, path: Path) -> None:
        """One row for each category and figure. What was not measured is empty."""
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, CSV_FIELDS)
            writer.writeheader()
            writer.writerows(self._rows())

    def _json_of(self, category: str) -> dict[str, Any]:
        result = self.results[category]
        scored = {"weights": result.weights, "mean_pose": result.mean_pose, NEAREST: result.nearest}
        return {
            "images": result.images,
            "hands": result.hands,
            "pairs": result.pairs,
            "figures": self.figures(category),
            "pck": {
                name: {protocol: _rounded(curve) for protocol, curve in of.pck.items()} for name, of in scored.items()
            },
            "reliability": _rounded(result.weights.reliability),
            "coverage_along_x_y_z": result.weights.axes,
        }

    def _rows(self) -> Iterator[dict[str, Any]]:
        for name, result in self.results.items():
            about = {
                "category": name,
                "images": result.images,
                "hands": result.hands,
                "pairs": result.pairs,
            }
            values = self.figures(name)
            for key in result.figures():
                yield about | key._asdict() | {"unit": FIGURES[key.figure].unit} | values[str(key)]


def _values(key: Key, figure: Figure) -> dict[str, float]:
    perfect = FIGURES[key.figure].perfect
    return {
        "weights": figure.value,
        "mean_pose": figure.mean_pose,
        NEAREST: figure.nearest,
        "skill_over_mean_pose": skill(figure.value, figure.mean_pose, perfect),
        f"skill_over_{NEAREST}": skill(figure.value, figure.nearest, perfect),
    }


def _rounded(curve: list[float]) -> list[float]:
    return [round(value, 5) for value in curve]


def without_nan(value: Any) -> Any:
    """NaN and infinity are no JSON: null in their place, however deep."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
