"""Results table of an ablation, with notes where it contradicts the published results."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import rich.table

from lgnet_core.io.output import write_text
from lgnet_core.training.ablation.published import PUBLISHED, PublishedErrors

REFERENCE = "lgnet"
"""Every row is compared with the complete LGNet of the same size; one with one crop per hand with ``lgnet-hand``."""
FULL_IMAGE_COUNT, FULL_IMAGE_SIZE = 40_000, 256
"""A comparison with fewer images per row, or smaller ones, is labelled as reduced."""

COLUMNS: dict[str, str] = {
    "mpjpe_mm/wrist-raw": "MPJPE wrist-raw",
    "mpvpe_mm/wrist-raw": "MPVPE wrist-raw",
    "mpjpe_mm/wrist-scaled": "MPJPE wrist-scaled",
    "mpvpe_mm/wrist-scaled": "MPVPE wrist-scaled",
    "mrrpe_mm/regressed": "MRRPE regressed",
    "presence/at-half": "presence accuracy",
}
"""Metrics of the evaluation with their protocols, and their column headings."""
COMPARED = ("mpjpe_mm/wrist-scaled", "mpvpe_mm/wrist-scaled", "mrrpe_mm/regressed")
"""Metrics that are compared with the published ones: LGNet's paper states wrist alignment with scaling."""


@dataclass(frozen=True)
class Run:
    """Result of one training.

    Args:
        row: ``PRESET`` or ``PRESET:LOSSES``.
        macs: multiply-accumulate operations for one input of the training size.
        images: number of training images.
        commit: commit of the training code.
        figures: metrics by name and protocol.
        mean_pose: the same metrics of a constant mean-pose prediction.
    """

    row: str
    seed: int
    parameters: int
    macs: int
    images: int
    commit: str
    figures: dict[str, float | None]
    mean_pose: dict[str, float | None]


@dataclass(frozen=True)
class Table:
    """Results of all trainings.

    Args:
        conditions: settings common to all trainings.
        machine: machine, command and commit that produced the table.
    """

    conditions: dict[str, Any]
    machine: dict[str, Any]
    runs: list[Run]

    @property
    def reduced(self) -> bool:
        """Whether the comparison uses fewer or smaller images than a full one."""
        return self.conditions["size"] < FULL_IMAGE_SIZE or any(run.images < FULL_IMAGE_COUNT for run in self.runs)

    @property
    def title(self) -> str:
        """Conditions of the comparison in one line."""
        c = self.conditions
        label = "REDUCED: " if self.reduced else ""
        budget = f"{c['steps']} steps of {c['batch_size']} images, {c['size']} px"
        return f"lgnet ablate, {label}{budget}, backbone {c['backbone'] or 'of each preset'}, data {c['data']}"

    def write(self, out: Path) -> None:
        """Write ``ablation.json`` and ``ablation.md``."""
        document = {
            "format": "lgnet ablation",
            "reduced": self.reduced,
            "conditions": self.conditions,
            "machine": self.machine,
            "runs": [asdict(run) | {"published": _published(run.row)} for run in self.runs],
            "notes": list(self.notes()),
        }
        write_text(out / "ablation.json", json.dumps(document, indent=1) + "\n")
        write_text(out / "ablation.md", self.markdown())

    def rich(self) -> rich.table.Table:
        """Table for a terminal."""
        table = rich.table.Table(title=self.title, caption="\n".join(self.notes()), caption_justify="left")
        for k, name in enumerate(self._header()):
            table.add_column(name, justify="right" if k else "left", no_wrap=not k)
        for cells in self._rows():
            table.add_row(*cells)
        return table

    def markdown(self) -> str:
        """Table, notes, and the command that reproduces it."""
        header = self._header()
        rows = [header, ["---", *["---:"] * (len(header) - 1)], *self._rows()]
        lines = ["| " + " | ".join(cells) + " |" for cells in rows]
        notes = [f"- {note}" for note in self.notes()]
        provenance = (
            f"Produced by `{self.machine['command']}` at commit {self.machine['commit']} ({self.machine['time']})."
        )
        return "\n".join([f"# {self.title}", "", *lines, "", *notes, "", provenance, ""])

    def notes(self) -> Iterator[str]:
        """Caveats, and every contradiction of the published results."""
        if self.reduced:
            yield (
                f"reduced: fewer than {FULL_IMAGE_COUNT} images per row or smaller than {FULL_IMAGE_SIZE} px; this "
                "shows which network learns faster, not which is better after a full training"
            )
        yield "millimetres; published results use other data and mixed protocols: only their order can be compared"
        yield "equal for all: data, steps, backbone, optimiser; the losses are the default, or named after a colon"
        yield "(mean pose): a constant prediction that ignores the image"
        commits = sorted({run.commit for run in self.runs})
        if len(commits) > 1:
            yield f"trained at several commits: {', '.join(commits)}"
        for row in dict.fromkeys(run.row for run in self.runs):
            yield from self._contradictions(row)

    def _contradictions(self, row: str) -> Iterator[str]:
        """Metrics in which the order of a row and its reference is opposite to the published one."""
        reference = reference_of(row)
        name, reference_name = published_name(row), published_name(reference)
        if name not in PUBLISHED or name == reference_name or not any(run.row == reference for run in self.runs):
            return
        for metric, published, published_reference in zip(COMPARED, PUBLISHED[name], PUBLISHED[reference_name]):
            values, reference_values = self._values(row, metric), self._values(reference, metric)
            if published is None or published_reference is None or not values or not reference_values:
                continue
            mean, reference_mean = statistics.mean(values), statistics.mean(reference_values)
            difference = mean - reference_mean
            if difference * (published - published_reference) < 0:
                order = "worse" if difference > 0 else "better"
                yield (
                    f"contradicts the published results: {row} is {order} than {reference} in {COLUMNS[metric]}, "
                    f"{mean:.1f} against {reference_mean:.1f}; published: {published} against {published_reference} "
                    f"({_certainty(values, reference_values, abs(difference))})"
                )

    def _values(self, row: str, metric: str) -> list[float]:
        """Values of all seeds of a row."""
        values = [run.figures.get(metric) for run in self.runs if run.row == row]
        return [value for value in values if value is not None]

    @staticmethod
    def _header() -> list[str]:
        return ["preset", "seed", "M params", "GMAC", "images", *COLUMNS.values(), "published MPJPE / MPVPE / MRRPE"]

    def _rows(self) -> Iterator[list[str]]:
        """A row for each run, and one for the mean-pose baseline."""
        for run in self.runs:
            size = [f"{run.parameters / 1e6:.1f}", f"{run.macs / 1e9:.2f}", str(run.images)]
            errors = _published(run.row)
            published = " / ".join(_text(value, 2) for value in errors) if errors else "-"
            yield [run.row, str(run.seed), *size, *_cells(run.figures), published]
        if self.runs:
            yield ["(mean pose)", *["-"] * 4, *_cells(self.runs[0].mean_pose), "-"]


def published_name(row: str) -> str:
    """Name of the published network that a row corresponds to: mini presets and those with one crop per hand correspond
    to the paper's full size."""
    return re.sub(r"-(mini|hand)\b", "", row)


def reference_of(row: str) -> str:
    """Row that a row is compared with: LGNet of the same size."""
    size = re.match(r"\w+(-mini|-light|-hand)?", row)
    return REFERENCE + ((size.group(1) if size else None) or "")


def _published(row: str) -> PublishedErrors | None:
    return PUBLISHED.get(published_name(row))


def _certainty(values: list[float], reference: list[float], difference: float) -> str:
    if min(len(values), len(reference)) < 2:
        return "one seed: the variance between seeds is unknown"
    deviation = max(statistics.stdev(values), statistics.stdev(reference))
    return f"{len(values)} seeds with a standard deviation of {deviation:.1f}" + (
        ", not less than the difference" if deviation >= difference else ""
    )


def _cells(values: Mapping[str, float | None]) -> list[str]:
    return [_text(values.get(name), 3 if name.startswith("presence") else 1) for name in COLUMNS]


def _text(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
