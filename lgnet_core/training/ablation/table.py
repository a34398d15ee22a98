"""The table of an ablation: a row for each training, and in words where it contradicts what is published."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import rich.table

from lgnet_core.training.ablation.published import PRINTED, Printed

REFERENCE = "lgnet"
"""Every row is compared with the whole LGNet of its size."""
FULL_IMAGES, FULL_SIZE = 40_000, 256
"""A comparison with fewer images a row, or smaller ones, is labelled as reduced."""

COLUMNS: dict[str, str] = {
    "mpjpe_mm/wrist-raw": "MPJPE wrist-raw",
    "mpvpe_mm/wrist-raw": "MPVPE wrist-raw",
    "mpjpe_mm/wrist-scaled": "MPJPE wrist-scaled",
    "mpvpe_mm/wrist-scaled": "MPVPE wrist-scaled",
    "mrrpe_mm/regressed": "MRRPE regressed",
    "presence/at-half": "presence right",
}
"""Figures of the evaluation, each with its protocol."""
COMPARED = ("mpjpe_mm/wrist-scaled", "mpvpe_mm/wrist-scaled", "mrrpe_mm/regressed")
"""What the published figures are set beside: wrists laid over each other and scaled is what LGNet's paper states."""


@dataclass(frozen=True)
class Run:
    """One training and what came of it.

    Args:
        row: ``PRESET`` or ``PRESET:LOSSES``. macs: of one crop of the size it was trained at. images: it has seen.
        commit: of the code that trained it. figures: by name and protocol; mean_pose: of a guess that does not look.
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
    """All runs.

    Args:
        conditions: the same for all of them. machine: where the table was made, its command and commit among it.
    """

    conditions: dict[str, Any]
    machine: dict[str, Any]
    runs: list[Run]

    @property
    def reduced(self) -> bool:
        """Whether this is less than a full comparison."""
        return self.conditions["size"] < FULL_SIZE or any(run.images < FULL_IMAGES for run in self.runs)

    @property
    def title(self) -> str:
        """What was compared, and how much of it."""
        c = self.conditions
        label = "REDUCED: " if self.reduced else ""
        budget = f"{c['steps']} steps of {c['batch_size']} images, {c['size']} px"
        return f"lgnet ablate, {label}{budget}, backbone {c['backbone'] or 'of each preset'}, data {c['data']}"

    def write(self, out: Path) -> None:
        """``ablation.json`` and ``ablation.md``."""
        document = {
            "format": "lgnet ablation",
            "reduced": self.reduced,
            "conditions": self.conditions,
            "machine": self.machine,
            "runs": [asdict(run) | {"published": _printed(run.row)} for run in self.runs],
            "notes": list(self.notes()),
        }
        (out / "ablation.json").write_text(json.dumps(document, indent=1) + "\n")
        (out / "ablation.md").write_text(self.markdown())

    def rich(self) -> rich.table.Table:
        """For a terminal."""
        table = rich.table.Table(title=self.title, caption="\n".join(self.notes()), caption_justify="left")
        for k, name in enumerate(self._header()):
            table.add_column(name, justify="right" if k else "left", no_wrap=not k)
        for cells in self._rows():
            table.add_row(*cells)
        return table

    def markdown(self) -> str:
        """The table, its notes, and what it takes to make it again."""
        header = self._header()
        rows = [header, ["---", *["---:"] * (len(header) - 1)], *self._rows()]
        lines = ["| " + " | ".join(cells) + " |" for cells in rows]
        notes = [f"- {note}" for note in self.notes()]
        made = f"Made by `{self.machine['command']}` at commit {self.machine['commit']} ({self.machine['time']})."
        return "\n".join([f"# {self.title}", "", *lines, "", *notes, "", made, ""])

    def notes(self) -> Iterator[str]:
        """What to know before reading a figure, and every contradiction to the publications."""
        if self.reduced:
            yield (
                f"reduced: fewer than {FULL_IMAGES} images a row or smaller than {FULL_SIZE} px; this says which "
                "network learns sooner, not which is better in the end"
            )
        yield "millimetres; published figures are of other data and mixed protocols: only their order can be compared"
        yield "equal for all: data, steps, backbone, optimiser; losses are each network's own, or named after a colon"
        yield "(mean pose): a guess that does not look at the image"
        commits = sorted({run.commit for run in self.runs})
        if len(commits) > 1:
            yield f"trained at several commits: {', '.join(commits)}"
        for row in dict.fromkeys(run.row for run in self.runs):
            yield from self._contradictions(row)

    def _contradictions(self, row: str) -> Iterator[str]:
        """Figures by which a row and its reference differ the other way round than published."""
        reference = reference_of(row)
        ours, theirs = published_name(row), published_name(reference)
        if ours not in PRINTED or ours == theirs or not any(run.row == reference for run in self.runs):
            return
        for name, printed, printed_reference in zip(COMPARED, PRINTED[ours], PRINTED[theirs]):
            mine, its = self._values(row, name), self._values(reference, name)
            if printed is None or printed_reference is None or not mine or not its:
                continue
            difference = statistics.mean(mine) - statistics.mean(its)
            if difference * (printed - printed_reference) < 0:
                more = "worse" if difference > 0 else "better"
                yield (
                    f"contradicts the publications: {row} is {more} than {reference} in {COLUMNS[name]}, "
                    f"{statistics.mean(mine):.1f} against {statistics.mean(its):.1f}; published: {printed} against "
                    f"{printed_reference} ({_certainty(mine, its, abs(difference))})"
                )

    def _values(self, row: str, figure: str) -> list[float]:
        found = [run.figures.get(figure) for run in self.runs if run.row == row]
        return [value for value in found if value is not None]

    @staticmethod
    def _header() -> list[str]:
        return ["preset", "seed", "M params", "GMAC", "images", *COLUMNS.values(), "published MPJPE / MPVPE / MRRPE"]

    def _rows(self) -> Iterator[list[str]]:
        """A row for each run, and one for the guess that does not look."""
        for run in self.runs:
            size = [f"{run.parameters / 1e6:.1f}", f"{run.macs / 1e9:.2f}", str(run.images)]
            printed = _printed(run.row)
            published = " / ".join(_text(value, 2) for value in printed) if printed else "-"
            yield [run.row, str(run.seed), *size, *_figures(run.figures), published]
        if self.runs:
            yield ["(mean pose)", *["-"] * 4, *_figures(self.runs[0].mean_pose), "-"]


def published_name(row: str) -> str:
    """The published network that a row stands for: ours of a smaller size stand for the paper's."""
    return re.sub(r"-mini\b", "", row)


def reference_of(row: str) -> str:
    """The row that a row is compared with: LGNet of the same size."""
    size = re.match(r"\w+(-mini|-light)?", row)
    return REFERENCE + ((size.group(1) if size else None) or "")


def _printed(row: str) -> Printed | None:
    return PRINTED.get(published_name(row))


def _certainty(mine: list[float], its: list[float], difference: float) -> str:
    if min(len(mine), len(its)) < 2:
        return "one seed: how much chance there is in it is not known"
    spread = max(statistics.stdev(mine), statistics.stdev(its))
    return f"{len(mine)} seeds, whose standard deviation is {spread:.1f}" + (
        ", as large" if spread >= difference else ""
    )


def _figures(values: Mapping[str, float | None]) -> list[str]:
    return [_text(values.get(name), 3 if name.startswith("presence") else 1) for name in COLUMNS]


def _text(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
