"""``--data realhands``: hands found, missed and extra on real images; agreement with MediaPipe's frozen networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from lgnet_core.data.realhands import RealImage, read_index
from lgnet_core.evaluation.end_to_end.frozen_reference import (
    SINGLE_HANDS,
    Agreement,
    Reference,
    agreement_figures,
    compare,
)
from lgnet_core.evaluation.end_to_end.hand_counts import (
    BOXED_HANDS,
    ImageCount,
    count_hands,
    figures_of,
    touching_hands,
)
from lgnet_core.evaluation.end_to_end.hand_sheets import draw_tile, write_sheet
from lgnet_core.evaluation.end_to_end.program_report import Figures, collect
from lgnet_core.evaluation.evaluate import chosen
from lgnet_core.evaluation.reported import Method
from lgnet_core.geometry.camera import box_of_points
from lgnet_core.types import FloatArray, Side

_ALL_SINGLE = "single hands"


def evaluate_realhands(
    out: Path,
    root: Path,
    split: str,
    programs: Mapping[str, Method],
    reference: Callable[[FloatArray], Reference | None],
    count: int | None = None,
    console: Console | None = None,
) -> tuple[Figures, dict[str, Any]]:
    """Judge programs, and draw what the first one reports: a contact sheet for each source, faults first.

    Args:
        root: folder of the set. split: ``dev`` or ``train``.
        programs: by name. They are not told the camera: it is unknown.
        count: only so many images, spread evenly over the split.

    Returns:
        The figures by source, and for the JSON a row for each image and program.

    Raises:
        InputError: if the set or an image of it cannot be read.
    """
    images = read_index(root, split)
    images = [images[k] for k in chosen(len(images), count).tolist()]
    touching = touching_hands()
    counts: dict[str, list[ImageCount]] = {name: [] for name in programs}
    agreements: dict[str, list[tuple[str, Agreement | None]]] = {name: [] for name in programs}
    sheets: dict[str, list[tuple[bool, FloatArray]]] = {}
    for image in track(images, "judging", console=console or Console(quiet=True), transient=True):
        pixels, pair = image.read(), touching.get(image.path.name)
        sure = reference(pixels) if _shows_one_hand(image) else None
        for number, (name, program) in enumerate(programs.items()):
            hands = program(pixels, None)
            row = count_hands(image, hands, pair)
            counts[name].append(row)
            if sure is not None:
                agreements[name].append((image.source, compare(hands, sure)))
            if number == 0:
                tile = draw_tile(pixels, hands, list(image.boxes), title=_title(row))
                sheets.setdefault(image.source, []).append((row.fault, tile))
                if pair is not None:
                    tile = draw_tile(pixels, hands, title=_title(row), region=_around(pair))
                    sheets.setdefault(f"{image.source}_touching", []).append((not row.touching, tile))
    for name, tiles in sheets.items():
        write_sheet(out / f"{name}.png", [tile for _, tile in sorted(tiles, key=lambda pair: not pair[0])])
    groups: dict[str, dict[str, Mapping[str, float]]] = {
        source: {name: figures_of(source, [c for c in rows if c.source == source]) for name, rows in counts.items()}
        for source in sorted({image.source for image in images})
    }
    for group in (*SINGLE_HANDS, _ALL_SINGLE):
        of_group = {
            name: [agreement for source, agreement in rows if group in (source, _ALL_SINGLE)]
            for name, rows in agreements.items()
        }
        if any(of_group.values()):
            groups[f"{group} against MediaPipe's frozen networks"] = {
                name: agreement_figures(rows) for name, rows in of_group.items()
            }
    return collect(groups), {"images": {name: [asdict(row) for row in rows] for name, rows in counts.items()}}


def _shows_one_hand(image: RealImage) -> bool:
    return image.source in SINGLE_HANDS and len(image.boxes) < 2


def _around(pair: Mapping[Side, Sequence[float]]) -> FloatArray:
    return box_of_points(np.array(list(pair.values())).reshape(-1, 2))


def _title(row: ImageCount) -> str:
    parts = [Path(row.file).stem, f"{row.hands} reported"]
    if row.source in BOXED_HANDS:
        parts.append(f"{row.missed} missed, {row.extra} extra")
    return ", ".join(parts + ["one twice"] * row.twice)
