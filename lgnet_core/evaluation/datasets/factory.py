"""The sets of images that ``lgnet eval --data`` names, opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from lgnet_core.data.interhand26m.layout import AnnotationSet, Sources, Subset
from lgnet_core.evaluation.annotated import AnnotatedImages
from lgnet_core.evaluation.image_sets import HeldOutImages, Images, StoredImages
from lgnet_core.evaluation.published import HIC, INTERHAND26M
from lgnet_core.hand_model import HandModel

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Choice:
    """Which images are evaluated.

    Args:
        data: ``synthetic`` (the frozen held-out set), ``interhand26m``, ``hic``, or a folder of ``lgnet synth``.
        root: of InterHand2.6M or HIC. split, annotation, subset: of InterHand2.6M.
    """

    data: str = SYNTHETIC
    root: Path | None = None
    split: str = "test"
    annotation: AnnotationSet = AnnotationSet.ALL
    subset: Subset = Subset.ALL


def open_images(
    choice: Choice, hand_model: HandModel, mano: HandModel | None = None, console: Console | None = None
) -> Images:
    """Open a set.

    Args:
        hand_model: of the network. mano: the user's MANO; None: not at hand.
        console: shows the progress of an index that has to be made.

    Raises:
        ValueError: if there is no such set, something that it needs was not given, or its labels are of another hand
            model.
    """
    if choice.data == SYNTHETIC:
        return HeldOutImages(hand_model)
    if choice.data not in (INTERHAND26M, HIC):
        return StoredImages(Path(choice.data), hand_model)
    if choice.root is None:
        raise ValueError(f"--data {choice.data}: say with --root where the data set is")
    if choice.data == HIC:
        return _open_hic(choice.root, mano)
    return _open_interhand(choice, choice.root, hand_model, mano, console)


def _open_hic(root: Path, mano: HandModel | None) -> Images:
    from lgnet_core.data.hic import HIC as HICSet

    if mano is None:
        raise ValueError(
            "--data hic: its labels are meshes of MANO, whose regressor makes joints of them; give your MANO with "
            "--hand-model DIR (lgnet mano convert)"
        )
    images = HICSet(root, mano)
    return AnnotatedImages(images, mano, "HIC", {"root": str(root), "crop": "around the projected meshes"})


def _open_interhand(
    choice: Choice, root: Path, hand_model: HandModel, mano: HandModel | None, console: Console | None
) -> Images:
    from lgnet_core.data.interhand26m import InterHand26M

    sources = Sources.of_split(root, choice.split)
    usable = mano if sources.fits is not None else None
    images = InterHand26M(sources, choice.annotation, choice.subset, usable, console=console)
    metadata = {
        "root": str(root),
        "split": choice.split,
        "annotation": choice.annotation.value,
        "subset": choice.subset.value,
        "labels": "MANO fits" if usable is not None else "joint_3d",
        "crop": "around the projected meshes" if usable is not None else "around the annotated boxes",
        "hands_without_fit": images.unfitted,
        "index": images.index.about["sources"],
    }
    name = f"InterHand2.6M {choice.split}, {choice.annotation.value}, {choice.subset.value}"
    return AnnotatedImages(images, usable or hand_model, name, metadata)
