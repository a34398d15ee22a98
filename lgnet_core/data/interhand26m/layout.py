"""File layout, joint order, annotation sets and subsets of InterHand2.6M v1.0.

::

    ROOT/annotations/{train,val,test}/InterHand2.6M_{split}_{data,camera,joint_3d,MANO_NeuralAnnot}.json
    ROOT/images/{train,val,test}/Capture{N}/{sequence}/cam{camera}/image{frame}.jpg
    ROOT/annotations/aid_human_annot_{train,test}.txt       (only needed for the annotation sets H and M)

Lengths in the files are millimetres except for the translations of the fits (metres), world coordinates; this package
returns metres.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import NoReturn

import numpy as np

from lgnet_core.io.files import InputError

SPLITS = ("train", "val", "test")

OPENPOSE_FROM_INTERHAND = np.array([20, *(4 * finger + k for finger in range(5) for k in (3, 2, 1, 0))])
"""OpenPose joint order as indices into the data set's 21 joints per hand: tip to base for each finger, the wrist last.
"""

BOTH_FROM_INTERHAND = np.concatenate([OPENPOSE_FROM_INTERHAND, OPENPOSE_FROM_INTERHAND + 21])
"""Joint order of both hands as indices into the data set's 42 joints: right, then left."""

MIN_BRIGHTNESS = 10.0
"""Mean grey value below which an image is excluded from LGNet's subset. Source: IntagHand's selection."""


class AnnotationSet(str, Enum):
    """Annotated by humans, machines, or either. The rows of H are listed in ``aid_human_annot_{split}.txt``."""

    HUMAN = "H"
    MACHINE = "M"
    ALL = "H+M"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"unknown annotation set {value!r}; choose from {', '.join(cls)}")


class Subset(str, Enum):
    """Subset of an annotation set.

    ``lgnet`` is the selection that LGNet shares with IntagHand: both hands, their type marked as valid, both with a
    MANO fit, and the image not dark (:data:`MIN_BRIGHTNESS`); of H+M 366,000 images for training, 261,000 for testing.
    """

    ALL = "all"
    SINGLE = "SH"
    INTERACTING = "IH"
    LGNET = "lgnet"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"unknown subset {value!r}; choose from {', '.join(cls)}")


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split.

    Args:
        data: boxes, validity and hand types of every image. camera: of every capture. joints: measured 3D joints of
            every time step. fits: MANO parameters of every time step; None: not available.
        images: the folder that image names are relative to.
        human: ids of the human annotations (H), one per line; None: not available. all_machine: the split has no human
            annotations.
    """

    data: Path
    camera: Path
    joints: Path
    images: Path
    fits: Path | None = None
    human: Path | None = None
    all_machine: bool = False

    @classmethod
    def from_root(cls, root: str | Path, split: str) -> SplitFiles:
        """The files of a split in the data set's own layout.

        Raises:
            InputError: if the split is unknown or a required file is missing.
        """
        if split not in SPLITS:
            raise InputError(f"InterHand2.6M: unknown split {split!r}; choose from {', '.join(SPLITS)}")
        root = Path(root)
        annotations = root / "annotations"

        def file(kind: str) -> Path:
            return annotations / split / f"InterHand2.6M_{split}_{kind}.json"

        data, camera, joints = (file(kind) for kind in ("data", "camera", "joint_3d"))
        missing = [path for path in (data, camera, joints) if not path.is_file()]
        if missing:
            raise InputError(
                f"InterHand2.6M: {missing[0]} not found ({len(missing)} of 3 files are missing); --root must be "
                "the folder that contains annotations/ and images/ of v1.0 (5 fps)"
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
        """The annotation files that the index is built from, by role."""
        paths = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("images", "all_machine")}
        return {name: path for name, path in paths.items() if path is not None}
