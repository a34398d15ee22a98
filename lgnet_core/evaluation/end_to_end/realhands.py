"""``--data realhands``: detection counts on real images, and agreement with MediaPipe's frozen networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from lgnet_core.data.realhands import RealImage, read_index
from lgnet_core.evaluation.end_to_end.contact_sheets import draw_tile, write_sheet
from lgnet_core.evaluation.end_to_end.detection_counts import (
    BOXED_HANDS,
    ImageCount,
    count_hands,
    count_metrics,
    touching_hands,
)
from lgnet_core.evaluation.end_to_end.mediapipe_reference import (
    SINGLE_HANDS,
    Agreement,
    Reference,
    agreement_metrics,
    compare_with_reference,
)
from lgnet_core.evaluation.end_to_end.report import MetricTable, collect
from lgnet_core.evaluation.end_to_end.reported_hand import Method
from lgnet_core.evaluation.evaluate import evenly_spaced
from lgnet_core.geometry.crops import bounding_box
from lgnet_core.types import FloatArray, ImageArray, Side

_ALL_SINGLE = "single hands"


def evaluate_realhands(
    out: Path,
    root: Path,
    split: str,
    methods: Mapping[str, Method],
    reference: Callable[[ImageArray], Reference | None],
    count: int | None = None,
    console: Console | None = None,
) -> tuple[MetricTable, dict[str, Any]]:
    """Evaluate methods, and draw the hands of the first one: a contact sheet for each source, faulty images first.

    Args:
        root: folder of the data set. split: ``dev`` or ``train``.
        methods: by name. They get no camera, since it is unknown.
        count: evaluate only this many images, spread evenly over the split.

    Returns:
        The metrics by source, and for the JSON a row for each image and method.

    Raises:
        InputError: if the data set or an image cannot be read.
    """
    images = read_index(root, split)
    images = [images[k] for k in evenly_spaced(len(images), count).tolist()]
    touching = touching_hands()
    counts: dict[str, list[ImageCount]] = {name: [] for name in methods}
    agreements: dict[str, list[tuple[str, Agreement | None]]] = {name: [] for name in methods}
    sheets: dict[str, list[tuple[bool, ImageArray]]] = {}
    for image in track(images, "evaluating", console=console or Console(quiet=True), transient=True):
        pixels, touching_pair = image.read(), touching.get(image.path.name)
        reference_hand = reference(pixels) if _shows_one_hand(image) else None
        for method_index, (name, method) in enumerate(methods.items()):
            hands = method(pixels, None)
            row = count_hands(image, hands, touching_pair)
            counts[name].append(row)
            if reference_hand is not None:
                agreements[name].append((image.source, compare_with_reference(hands, reference_hand)))
            if method_index == 0:
                tile = draw_tile(pixels, hands, list(image.boxes), title=_title(row))
                sheets.setdefault(image.source, []).append((row.is_faulty, tile))
                if touching_pair is not None:
                    tile = draw_tile(pixels, hands, title=_title(row), focus=_box_around(touching_pair))
                    sheets.setdefault(f"{image.source}_touching", []).append((not row.touching, tile))
    for name, tiles in sheets.items():
        faulty_first = sorted(tiles, key=lambda entry: not entry[0])
        write_sheet(out / f"{name}.png", [tile for _, tile in faulty_first])
    groups: dict[str, dict[str, Mapping[str, float]]] = {
        source: {name: count_metrics(source, [c for c in rows if c.source == source]) for name, rows in counts.items()}
        for source in sorted({image.source for image in images})
    }
    for group in (*SINGLE_HANDS, _ALL_SINGLE):
        of_group = {
            name: [agreement for source, agreement in rows if group in (source, _ALL_SINGLE)]
            for name, rows in agreements.items()
        }
        if any(of_group.values()):
            groups[f"{group} compared with MediaPipe's frozen networks"] = {
                name: agreement_metrics(rows) for name, rows in of_group.items()
            }
    return collect(groups), {"images": {name: [asdict(row) for row in rows] for name, rows in counts.items()}}


def _shows_one_hand(image: RealImage) -> bool:
    return image.source in SINGLE_HANDS and len(image.boxes) < 2


def _box_around(touching_pair: Mapping[Side, Sequence[float]]) -> FloatArray:
    return bounding_box(np.array(list(touching_pair.values())).reshape(-1, 2))


def _title(row: ImageCount) -> str:
    parts = [Path(row.file).stem, f"{row.hands} reported"]
    if row.source in BOXED_HANDS:
        parts.append(f"{row.missed} missed, {row.extra} extra")
    return ", ".join(parts + ["duplicate"] * row.duplicates)
