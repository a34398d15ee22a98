"""Results of the additional analyses (published protocols, asymmetry, proximity, penetration, ...), their tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from lgnet_core.evaluation.datasets.base import INTERHAND26M
from lgnet_core.evaluation.metrics.asymmetry import AsymmetryBin
from lgnet_core.evaluation.metrics.jitter import FRAMES
from lgnet_core.evaluation.metrics.proximity import ProximityBin
from lgnet_core.evaluation.protocols.freihand_protocol import FreiHANDFScores
from lgnet_core.evaluation.protocols.published_protocols import PublishedProtocol, PublishedProtocolMetrics
from lgnet_core.evaluation.protocols.published_results import CAVEATS, published_results


@dataclass(frozen=True)
class Analyses:
    """Results of the additional analyses.

    Args:
        data: name of the data set, for the lookup of published results.
        protocols: metrics by published protocol, and whether they are of the images that its results were published on.
        asymmetry, proximity, penetration, jitter: see the modules of these names.
        f_scores: of FreiHAND's meshes; None: others.
        notes: restrictions of the results. skipped: number of skipped images and rows by reason.
    """

    data: str
    protocols: dict[PublishedProtocol, tuple[PublishedProtocolMetrics, bool]] = field(default_factory=dict)
    asymmetry: list[AsymmetryBin] = field(default_factory=list)
    proximity: list[ProximityBin] = field(default_factory=list)
    penetration: dict[str, dict[str, float | int]] = field(default_factory=dict)
    jitter: dict[str, dict[str, float | int]] = field(default_factory=dict)
    f_scores: FreiHANDFScores | None = None
    notes: Sequence[str] = ()
    skipped: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable results; NaN without data."""
        return {
            "published_protocols": {
                protocol.name: {
                    "protocol": protocol.describe(),
                    "averages": protocol.describe_averages(),
                    "published_on": f"{protocol.annotation}, {protocol.subset}",
                    "same_images_as_published": same_images,
                    **asdict(metrics),
                }
                for protocol, (metrics, same_images) in self.protocols.items()
            },
            "published_results": [asdict(row) for row in published_results(self.data)],
            "published_caveats": CAVEATS if self.data == INTERHAND26M else [],
            "asymmetry": [asdict(pose_bin) for pose_bin in self.asymmetry],
            "proximity": [asdict(distance_bin) for distance_bin in self.proximity],
            "penetration": self.penetration,
            "jitter": self.jitter,
            "f_scores": None if self.f_scores is None else asdict(self.f_scores),
            "notes": list(self.notes),
            "skipped": self.skipped,
        }

    def tables(self) -> list[Table]:
        """Tables for a terminal; analyses without results have none."""
        pairs = [self._asymmetry(), self._proximity(), self._penetration()]
        tables = [self._published(), *pairs, self._jitter(), self._f_scores()]
        return [table for table in tables if table is not None and table.row_count]

    def _published(self) -> Table | None:
        if not self.protocols:
            return None
        table = Table(
            title="Published protocols, mm; results under different protocols are not comparable",
            caption="\n".join(CAVEATS) if self.data == INTERHAND26M else None,
            caption_justify="left",
        )
        for column in ("method", "MPJPE", "MPVPE", "MRRPE"):
            table.add_column(column, justify="left" if column == "method" else "right", no_wrap=True)
        table.add_column("protocol", no_wrap=True)
        table.add_column("source")
        for protocol, (metrics, same_images) in self.protocols.items():
            if _is_empty(metrics):
                continue
            cells = [_format(value) for value in (metrics.mpjpe, metrics.mpvpe, metrics.mrrpe)]
            if len(metrics.groups) > 1:
                cells[0] += f" ({' / '.join(_format(value) for value in metrics.groups)})"
            published = f" (published results are on {protocol.annotation}, {protocol.subset}, test)"
            images = f"{metrics.images} images" + ("" if same_images else published)
            table.add_row("[bold]these weights[/]", *cells, f"{protocol.name}: {protocol.describe()}", images)
        table.add_section()
        for row in published_results(self.data):
            cells = ["-" if value is None else f"{value:.2f}" for value in (row.mpjpe, row.mpvpe, row.mrrpe)]
            source = row.source + (f" ({row.note})" if row.note else "")
            table.add_row(row.method, *cells, row.protocol, source)
        return table

    def _asymmetry(self) -> Table:
        table = Table(title="MPJPE of pairs by pose difference of the two hands, mm")
        for column in ("pose difference, mm", "pairs", *(self.asymmetry[0].mpjpe if self.asymmetry else ())):
            table.add_column(column, justify="right")
        for pose_bin in self.asymmetry:
            if pose_bin.pairs:
                errors = (_format(value) for value in pose_bin.mpjpe.values())
                table.add_row(_range(pose_bin), str(pose_bin.pairs), *errors)
        return table

    def _proximity(self) -> Table:
        table = Table(title="Errors of pairs by the distance between the hands, mm")
        for column in ("distance, mm", "pairs", "MPJPE, wrist-raw", "MRRPE, placed"):
            table.add_column(column, justify="right")
        for distance_bin in self.proximity:
            if distance_bin.pairs:
                errors = (_format(value) for value in (distance_bin.mpjpe, distance_bin.mrrpe))
                table.add_row(_range(distance_bin), str(distance_bin.pairs), *errors)
        return table

    def _penetration(self) -> Table:
        table = Table(title="Interpenetration of the hands, mean over pairs")
        for column in (
            "hands",
            "pairs",
            "maximum depth, mm",
            "volume, cm³",
            "penetrating vertices, %",
            "penetrating pairs, %",
        ):
            table.add_column(column, justify="right")
        for name, result in self.penetration.items():
            if result["pairs"]:
                values = (result[key] for key in ("depth_mm", "volume_cm3", "vertices_percent", "pairs_percent"))
                table.add_row(name, str(result["pairs"]), *(_format(value) for value in values))
        return table

    def _jitter(self) -> Table:
        table = Table(title="Acceleration of the joints in image sequences, mm per frame squared")
        for column in ("joints", "count", "predicted", "true", "difference"):
            table.add_column(column, justify="right")
        for name, result in self.jitter.items():
            if result["joints"]:
                values = (result[key] for key in ("predicted", "true", "difference"))
                table.add_row(FRAMES[name], str(result["joints"]), *(_format(value) for value in values))
        return table

    def _f_scores(self) -> Table | None:
        if self.f_scores is None or not self.f_scores.hands:
            return None
        table = Table(title="FreiHAND's F-scores, mean over hands, after Procrustes alignment")
        for column in ("hands", "aligned by", "F@5 mm", "F@15 mm"):
            table.add_column(column, justify="right")
        scores = self.f_scores
        aligned_by = "vertices" if scores.aligned_by_vertices else "joints"
        table.add_row(str(scores.hands), aligned_by, f"{scores.f_5mm:.3f}", f"{scores.f_15mm:.3f}")
        return table


def _is_empty(metrics: PublishedProtocolMetrics) -> bool:
    return all(math.isnan(value) for value in (metrics.mpjpe, metrics.mpvpe, metrics.mrrpe, *metrics.groups))


def _range(pairs: AsymmetryBin | ProximityBin) -> str:
    """Limits of a bin; the last one is open."""
    return f"{pairs.low:.0f} - " + ("" if math.isinf(pairs.high) else f"{pairs.high:.0f}")


def _format(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
