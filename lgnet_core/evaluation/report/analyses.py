"""What an evaluation measures besides its figures: published protocols, asymmetric poses, penetration, jitter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from lgnet_core.evaluation.annotated import AnnotatedImages
from lgnet_core.evaluation.asymmetry import AsymmetryScore, Bin
from lgnet_core.evaluation.evaluate import Observer
from lgnet_core.evaluation.image_sets import Images
from lgnet_core.evaluation.jitter import FRAMES, JitterScore
from lgnet_core.evaluation.penetration import PenetrationScore
from lgnet_core.evaluation.published import CAVEATS, HIC, INTERHAND26M, published_on
from lgnet_core.evaluation.published_protocols import (
    INTERWILD_ON_HIC,
    PUBLISHED_PROTOCOLS,
    PublishedProtocol,
    PublishedProtocolFigures,
    PublishedProtocolScore,
)
from lgnet_core.evaluation.sets import Choice
from lgnet_core.network import HandsNetwork

_PROTOCOLS: dict[str, tuple[PublishedProtocol, ...]] = {INTERHAND26M: PUBLISHED_PROTOCOLS, HIC: (INTERWILD_ON_HIC,)}
_MEASURED = 1000  # images of a large set, evenly spread, whose pairs' penetration is measured
_HANDS = {"said": "as predicted", "true": "true"}


@dataclass(frozen=True)
class Analyses:
    """What was found.

    Args:
        data: name of the set that published figures are looked up by.
        named: figures by protocol, and whether they are of the images that it was published on.
        asymmetry, penetration, jitter: see the modules of these names.
        notes: what to know about the figures. skipped: images and rows left out, by reason.
    """

    data: str
    named: dict[PublishedProtocol, tuple[PublishedProtocolFigures, bool]] = field(default_factory=dict)
    asymmetry: list[Bin] = field(default_factory=list)
    penetration: dict[str, dict[str, float | int]] = field(default_factory=dict)
    jitter: dict[str, dict[str, float | int]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    skipped: dict[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """For JSON; NaN where nothing was measured."""
        return {
            "named_protocols": {
                protocol.name: {
                    "protocol": protocol.describe(),
                    "averages": protocol.describe_averages(),
                    "published_on": f"{protocol.annotation}, {protocol.subset}",
                    "on_the_images_it_was_published_on": same,
                    **asdict(figures),
                }
                for protocol, (figures, same) in self.named.items()
            },
            "published": [asdict(row) for row in published_on(self.data)],
            "caveats_of_the_published": CAVEATS if self.data == INTERHAND26M else [],
            "asymmetry": [asdict(one) for one in self.asymmetry],
            "penetration": self.penetration,
            "jitter": self.jitter,
            "notes": list(self.notes),
            "skipped": self.skipped,
        }

    def tables(self) -> list[Table]:
        """For a terminal; what was not measured has none."""
        made = [self._published(), self._asymmetry(), self._penetration(), self._jitter()]
        return [table for table in made if table is not None and table.row_count]

    def _published(self) -> Table | None:
        if not self.named:
            return None
        table = Table(
            title="under the protocols of published figures, mm; figures of different protocols do not compare",
            caption="\n".join(CAVEATS) if self.data == INTERHAND26M else None,
            caption_justify="left",
        )
        for column in ("method", "MPJPE", "MPVPE", "MRRPE"):
            table.add_column(column, justify="left" if column == "method" else "right", no_wrap=True)
        table.add_column("protocol", no_wrap=True)
        table.add_column("source")
        measured = {p: found for p, found in self.named.items() if not _nothing(found[0])}
        for protocol, (figures, same) in measured.items():
            cells = [_text(value) for value in (figures.mpjpe, figures.mpvpe, figures.mrrpe)]
            if len(figures.groups) > 1:
                cells[0] += f" ({' / '.join(_text(value) for value in figures.groups)})"
            published = f" (published figures are of {protocol.annotation}, {protocol.subset}, test)"
            images = f"{figures.images} images" + ("" if same else published)
            table.add_row("[bold]these weights[/]", *cells, f"{protocol.name}: {protocol.describe()}", images)
        table.add_section()
        for row in published_on(self.data):
            cells = ["-" if value is None else f"{value:.2f}" for value in (row.mpjpe, row.mpvpe, row.mrrpe)]
            source = row.source + (f" ({row.note})" if row.note else "")
            table.add_row(row.method, *cells, row.protocol, source)
        return table

    def _asymmetry(self) -> Table:
        table = Table(title="MPJPE of pairs by how differently the two hands are posed, mm")
        for column in ("pose difference, mm", "pairs", *(self.asymmetry[0].mpjpe if self.asymmetry else ())):
            table.add_column(column, justify="right")
        for one in self.asymmetry:
            if one.pairs:
                high = "" if math.isinf(one.high) else f"{one.high:.0f}"
                errors = (_text(value) for value in one.mpjpe.values())
                table.add_row(f"{one.low:.0f} - {high}", str(one.pairs), *errors)
        return table

    def _penetration(self) -> Table:
        table = Table(title="hands that go through each other, mean of the pairs")
        for column in ("hands", "pairs", "depth of the deepest vertex, mm", "vertices inside, %", "pairs that do, %"):
            table.add_column(column, justify="right")
        for name, found in self.penetration.items():
            if found["pairs"]:
                values = (found[key] for key in ("depth_mm", "vertices_percent", "pairs_percent"))
                table.add_row(_HANDS[name], str(found["pairs"]), *(_text(value) for value in values))
        return table

    def _jitter(self) -> Table:
        table = Table(title="acceleration of the joints in films, mm per frame squared")
        for column in ("joints", "counted", "as predicted", "true", "difference"):
            table.add_column(column, justify="right")
        for name, found in self.jitter.items():
            if found["joints"]:
                values = (found[key] for key in ("said", "true", "difference"))
                table.add_row(FRAMES[name], str(found["joints"]), *(_text(value) for value in values))
        return table


class AnalysisScores:
    """Measures while an evaluation runs.

    Args:
        network: that is judged, on its device. images, choice: on what. count: how many of the images are judged.
    """

    def __init__(self, network: HandsNetwork, images: Images, choice: Choice, count: int) -> None:
        device = next(network.parameters()).device
        self._network, self._images, self._choice, self._count = network, images, choice, count
        self._same_surfaces = images.hand_model.digest == network.hand_model.digest
        protocols = _PROTOCOLS.get(choice.data, ())
        self._named = {p: PublishedProtocolScore(p, network.hand_model, images.hand_model, device) for p in protocols}
        self._asymmetry, self._jitter = AsymmetryScore(device), JitterScore(device)
        self._penetration = PenetrationScore(network.hand_model, every=max(1, count // _MEASURED))

    @property
    def observers(self) -> list[Observer]:
        """To be shown every batch, in the order of the images."""
        return [*self._named.values(), self._asymmetry, self._jitter, self._penetration]

    def found(self) -> Analyses:
        """What was measured so far."""
        named = {p: (score.compute(), self._is_published_on(p)) for p, score in self._named.items()}
        skipped = self._images.set.skipped() if isinstance(self._images, AnnotatedImages) else {}
        return Analyses(
            self._choice.data,
            named,
            self._asymmetry.compute(),
            self._penetration.compute(),
            self._jitter.compute(),
            self._notes(),
            skipped,
        )

    def _is_published_on(self, protocol: PublishedProtocol) -> bool:
        choice, images = self._choice, self._images
        unread = images.set.faults.unread() if isinstance(images, AnnotatedImages) else 0
        whole = self._count == len(images) and not unread
        wanted = (protocol.annotation, protocol.subset, "test", INTERHAND26M)
        return whole and (choice.annotation.value, choice.subset.value, choice.split, choice.data) == wanted

    def _notes(self) -> list[str]:
        notes = []
        if self._images.metadata.get("labels") == "joint_3d":
            notes.append(
                "joints only, the measured ones (joint_3d): without MANO there are no surfaces, and no figures of the "
                "protocols that take their joints from the fits; give your MANO with --hand-model DIR"
            )
        elif not self._same_surfaces:
            notes.append(
                f"joints only: the labels' surfaces are of {self._images.hand_model.name!r}, those of the weights of "
                f"{self._network.hand_model.name!r}, whose vertices are others; train with --hand-model to compare them"
            )
        return notes


def _nothing(figures: PublishedProtocolFigures) -> bool:
    return all(math.isnan(value) for value in (figures.mpjpe, figures.mpvpe, figures.mrrpe, *figures.groups))


def _text(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
