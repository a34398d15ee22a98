"""The index of realhands: real images of hands from four sources, with rough boxes around hands and no joints.

``index.json`` holds a row for each image: ``file`` (in the folder ``images``), ``width``, ``height``, ``source``,
``split`` (``train`` or ``dev``) and ``boxes``, [left, top, right, bottom] in pixels, or null where nobody drew any.

What the boxes of a source are of:
    subhih: every raised hand, one box each.
    lebanese: one hand, one box, rough.
    rf100: the *sign*: one box over both hands where two make it. Other hands hang down without a box.
    asl: one hand, no box.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lgnet_core.io.images import InputError, load_image
from lgnet_core.types import FloatArray

SPLITS = ("dev", "train")


class RealImage(NamedTuple):
    """One image of the set.

    Args:
        path: of the file.
        source: ``subhih``, ``rf100``, ``asl`` or ``lebanese``.
        boxes: pixels.

    Shapes:
        boxes: (N, 4); N is 0 where no box was drawn.
    """

    path: Path
    source: str
    boxes: FloatArray

    def read(self) -> FloatArray:
        """(H, W, 3) uint8 RGB.

        Raises:
            InputError: if the file cannot be used.
        """
        return load_image(self.path).image


def read_index(root: Path, split: str) -> list[RealImage]:
    """The images of a split, in the order of their names.

    Raises:
        InputError: if the folder holds no such set, or the set no such split.
    """
    path = root / "index.json"
    try:
        rows = [row for row in json.loads(path.read_text()) if row["split"] == split]
        images = [
            RealImage(root / "images" / row["file"], row["source"], np.array(row["boxes"] or [], float).reshape(-1, 4))
            for row in rows
        ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is missing or no index of realhands ({error}); give that folder as root") from error
    if not images:
        raise InputError(f"{path}: has no images of the split {split!r}; the splits are {', '.join(SPLITS)}")
    return sorted(images, key=lambda image: image.path.name)
