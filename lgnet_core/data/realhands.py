"""Index of realhands: real hand images from four sources, with coarse boxes around the hands and no joints.

``index.json`` holds a row for each image: ``file`` (in the folder ``images``), ``width``, ``height``, ``source``,
``split`` (``train`` or ``dev``) and ``boxes``, [left, top, right, bottom] in pixels, or null where none are annotated.

Meaning of the boxes by source:
    subhih: one box for each raised hand.
    lebanese: one coarse box around the only hand.
    rf100: the *sign*: one box around both hands if both make it. Lowered hands have no box.
    asl: one hand, no box.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lgnet_core.io.files import InputError
from lgnet_core.io.images import load_image
from lgnet_core.io.output import reason_of
from lgnet_core.types import FloatArray, ImageArray

SPLITS = ("dev", "train")
_SINGLE_HAND_SOURCES = ("asl", "lebanese")


class RealImage(NamedTuple):
    """One image of the data set.

    Args:
        path: of the file.
        source: ``subhih``, ``rf100``, ``asl`` or ``lebanese``.
        boxes: pixels.

    Shapes:
        boxes: (N, 4); N is 0 where there are no annotations.
    """

    path: Path
    source: str
    boxes: FloatArray

    @property
    def hand_count(self) -> int | None:
        """Number of hands in the image; None if the annotations do not say."""
        if self.source in _SINGLE_HAND_SOURCES:
            return 1
        return len(self.boxes) if self.source == "subhih" else None

    def read(self) -> ImageArray:
        """Load as (H, W, 3) uint8 RGB.

        Raises:
            InputError: if the file cannot be read.
        """
        return load_image(self.path).image


def read_index(root: Path, split: str) -> list[RealImage]:
    """The images of a split, in the order of their names.

    Raises:
        InputError: if the folder is not such a data set or has no such split.
    """
    path = root / "index.json"
    try:
        rows = [row for row in json.loads(path.read_text()) if row["split"] == split]
        images = [
            RealImage(root / "images" / row["file"], row["source"], np.array(row["boxes"] or [], float).reshape(-1, 4))
            for row in rows
        ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: missing, or not an index of realhands ({reason_of(error)}); pass its folder as root"
        ) from error
    if not images:
        raise InputError(f"{path}: has no images of the split {split!r}; the splits are {', '.join(SPLITS)}")
    return sorted(images, key=lambda image: image.path.name)
