"""InterHand2.6M v1.0 on disk: which files there are, how joints are ordered, and the sets that papers name.

::

    ROOT/annotations/{train,val,test}/InterHand2.6M_{split}_{data,camera,joint_3d,MANO_NeuralAnnot}.json
    ROOT/images/{train,val,test}/Capture{N}/{sequence}/cam{camera}/image{frame}.jpg
    ROOT/annotations/aid_human_annot_{train,test}.txt       (only needed to tell H from M)

Lengths are millimetres in the files but for the fits' translations (metres), world coordinates; everything that leaves
this package is metres.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import NoReturn

import numpy as np

from lgnet_core.io.images import InputError

SPLITS = ("train", "val", "test")

OPENPOSE_FROM_INTERHAND = np.array([20, *(4 * finger + k for finger in range(5) for k in (3, 2, 1, 0))])
"""Our 21 joints as indices into a hand's 21: the dataset lists each finger from its tip, and the wrist last."""

BOTH_FROM_INTERHAND = np.concatenate([OPENPOSE_FROM_INTERHAND, OPENPOSE_FROM_INTERHAND + 21])
"""Both hands' 42 joints as indices into the dataset's 42: right, then left."""

DARKEST = 10.0
"""Mean grey value below which an image is left out of LGNet's subset. Source: IntagHand's selection."""


class AnnotationSet(str, Enum):
    """Who annotated: humans, machines, or either. The rows of H are named by ``aid_human_annot_{split}.txt``."""

    HUMAN = "H"
    MACHINE = "M"
    ALL = "H+M"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"annotation set {value!r}: unknown; choose of {', '.join(cls)}")


class Subset(str, Enum):
    """Which images of an annotation set.

    ``lgnet`` is the rule that LGNet shares with IntagHand: both hands, their type marked as valid, both fitted with
    MANO, and the image not dark (:data:`DARKEST`); of H+M 366,000 images for training and 261,000 for testing.
    """

    ALL = "all"
    SINGLE = "SH"
    INTERACTING = "IH"
    LGNET = "lgnet"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"subset {value!r}: unknown; choose of {', '.join(cls)}")


@dataclass(frozen=True)
class Sources:
    """The files of one split.

    Args:
        data: boxes, validity and hand types of every image. camera: of every capture. joints: measured 3D joints of
            every time step. fits: MANO's parameters of every time step; None: there are none.
        images: the folder that the images' names are relative to.
        human: annotation ids of H, one a line; None: not told. all_machine: nothing in this split is of H.
    """

    data: Path
    camera: Path
    joints: Path
    images: Path
    fits: Path | None = None
    human: Path | None = None
    all_machine: bool = False

    @classmethod
    def of_split(cls, root: str | Path, split: str) -> Sources:
        """The files of a split in the dataset's own layout.

        Raises:
            InputError: if the split is unknown or a file that is needed is not there.
        """
        if split not in SPLITS:
            raise InputError(f"InterHand2.6M: split {split!r}: unknown; choose of {', '.join(SPLITS)}")
        root = Path(root)
        annotations = root / "annotations"

        def file(kind: str) -> Path:
            return annotations / split / f"InterHand2.6M_{split}_{kind}.json"

        data, camera, joints = (file(kind) for kind in ("data", "camera", "joint_3d"))
        missing = [path for path in (data, camera, joints) if not path.is_file()]
        if missing:
            raise InputError(
                f"InterHand2.6M: {missing[0]} is not there ({len(missing)} of 3 files are missing); --root is "
                "the folder that holds annotations/ and images/ of v1.0 (5 fps)"
            )
        fits, name = file("MANO_NeuralAnnot"), f"aid_human_annot_{split}.txt"
        lists = [folder / name for folder in (annotations, annotations / split, root) if (folder / name).is_file()]
        return cls(
            data,
            camera,
            joints,
            images=root / "images" / split,
            fits=fits if fits.is_file() else None,
            human=lists[0] if lists else None,
            all_machine=split == "val",
        )

    def files(self) -> dict[str, Path]:
        """What the index is made of, by role: everything but the images."""
        paths = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("images", "all_machine")}
        return {name: path for name, path in paths.items() if path is not None}
