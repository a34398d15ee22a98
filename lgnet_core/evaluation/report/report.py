"""Evaluation report as a table, JSON and CSV, each metric with its protocol, data and weights."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from lgnet_core.evaluation.baselines import NUM_RANDOM_HANDS
from lgnet_core.evaluation.evaluate import ALL, CategoryResult, MetricValues, skill
from lgnet_core.evaluation.metrics.calibration import NOMINAL, levels
from lgnet_core.evaluation.metrics.pck import thresholds
from lgnet_core.evaluation.report.analyses import Analyses
from lgnet_core.evaluation.scores import METRICS, PROTOCOL_DESCRIPTIONS, MetricKey
from lgnet_core.io.output import replacing, write_text

NEAREST = f"nearest_of_{NUM_RANDOM_HANDS}"
CSV_FIELDS = (
    *("category", "images", "hands", "pairs", "figure", "protocol", "unit"),
    *("weights", "mean_pose", NEAREST, "skill_over_mean_pose", f"skill_over_{NEAREST}"),
)


@dataclass(frozen=True)
class EvaluationReport:
    """Results of an evaluation and their provenance.

    Args:
        results: by category.
        data, weights: names for the title.
        provenance: everything that the results depend on, JSON-serialisable.
        analyses: results of the additional analyses.
    """

    results: dict[str, CategoryResult]
    data: str
    weights: str
    provenance: dict[str, Any]
    analyses: Analyses = field(default_factory=lambda: Analyses(""))

    def table(self) -> Table:
        """Table for a terminal: metrics by category; for all images also the baselines and the skill."""
        table = Table(
            title=f"lgnet eval: weights {self.weights} on {self.data}",
            caption="\n".join(f"{name}: {text}" for name, text in PROTOCOL_DESCRIPTIONS.items()),
            caption_justify="left",
        )
        table.add_column("metric", no_wrap=True)
        table.add_column("protocol", no_wrap=True)
        shown = {name: result for name, result in self.results.items() if result.images}
        for name in shown:
            table.add_column(name, justify="right", no_wrap=True)
        for column in (
            "mean\npose",
            f"nearest\nof {NUM_RANDOM_HANDS:,}",
            "skill over\nmean pose",
            "skill over\nnearest",
        ):
            table.add_column(f"{ALL}:\n{column}", justify="right", no_wrap=True)
        for counted in ("images", "hands", "pairs"):
            table.add_row(counted, "", *(str(getattr(result, counted)) for result in shown.values()))
        table.add_section()
        by_category = [result.metrics() for result in shown.values()]
        for key, metric in self.results[ALL].metrics().items():
            info = METRICS[key.metric]
            values = [metrics[key].value for metrics in by_category] + [metric.mean_pose, metric.nearest]
            skills = [skill(metric.value, baseline, info.perfect) for baseline in values[-2:]]
            title, digits = (f"{info.title}, {info.unit}", 1) if info.unit else (info.title, 3)
            cells = [_format_value(value, digits) for value in values] + [_format_value(value, 2) for value in skills]
            table.add_row(title, key.protocol, *cells)
        return table

    def metrics(self, category: str = ALL) -> dict[str, dict[str, float | None]]:
        """Metrics of a category by name and protocol, of the weights and both baselines; None without data."""
        return without_nan({str(key): _values(key, metric) for key, metric in self.results[category].metrics().items()})

    def write_json(self, path: Path) -> None:
        """Write metrics, PCK curves, reliability, analyses and provenance; null without data."""
        document = {
            "format": "lgnet evaluation",
            "provenance": self.provenance,
            "protocols": PROTOCOL_DESCRIPTIONS,
            "units": {name: info.unit for name, info in METRICS.items()},
            "nominal_coverage": NOMINAL,
            "pck_thresholds_mm": thresholds().tolist(),
            "reliability_levels": levels().tolist(),
            "categories": {name: self._category_dict(name) for name in self.results},
            **self.analyses.to_dict(),
        }
        write_text(path, json.dumps(without_nan(document), indent=1, allow_nan=False) + "\n")

    def write_csv(self, path: Path) -> None:
        """Write one row per category and metric; empty without data."""
        with replacing(path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, CSV_FIELDS)
            writer.writeheader()
            writer.writerows(self._rows())

    def _category_dict(self, category: str) -> dict[str, Any]:
        result = self.results[category]
        summaries = {"weights": result.weights, "mean_pose": result.mean_pose, NEAREST: result.nearest}
        return {
            "images": result.images,
            "hands": result.hands,
            "pairs": result.pairs,
            "figures": self.metrics(category),
            "pck": {
                name: {alignment: _rounded(curve) for alignment, curve in summary.pck.items()}
                for name, summary in summaries.items()
            },
            "reliability": _rounded(result.weights.reliability),
            "coverage_along_x_y_z": result.weights.axes,
        }

    def _rows(self) -> Iterator[dict[str, Any]]:
        for name, result in self.results.items():
            row = {
                "category": name,
                "images": result.images,
                "hands": result.hands,
                "pairs": result.pairs,
            }
            values = self.metrics(name)
            for key in result.metrics():
                metric_columns = {"figure": key.metric, "protocol": key.protocol, "unit": METRICS[key.metric].unit}
                yield row | metric_columns | values[str(key)]


def _values(key: MetricKey, metric: MetricValues) -> dict[str, float]:
    perfect = METRICS[key.metric].perfect
    return {
        "weights": metric.value,
        "mean_pose": metric.mean_pose,
        NEAREST: metric.nearest,
        "skill_over_mean_pose": skill(metric.value, metric.mean_pose, perfect),
        f"skill_over_{NEAREST}": skill(metric.value, metric.nearest, perfect),
    }


def _rounded(curve: list[float]) -> list[float]:
    return [round(value, 5) for value in curve]


def without_nan(value: Any) -> Any:
    """Replace NaN and infinity, which JSON does not allow, by None in nested dictionaries and sequences."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _format_value(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
