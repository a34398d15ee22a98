"""Opening of the evaluation data sets named by ``lgnet eval --data``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from lgnet_core.data.interhand26m.layout import AnnotationSet, SplitFiles, Subset
from lgnet_core.evaluation.datasets.annotated import AnnotatedImages
from lgnet_core.evaluation.datasets.base import CONTACTPOSE, FREIHAND, HIC, HOT3D, INTERHAND26M, EvaluationImages
from lgnet_core.evaluation.datasets.synthetic import HeldOutImages, StoredImages
from lgnet_core.hand_model import HandLayer

SYNTHETIC = "synthetic"
PUBLIC_DATASETS = (INTERHAND26M, HIC, FREIHAND, CONTACTPOSE, HOT3D)
_JOINTS_ONLY = "joints only: no meshes of this data set are read"


@dataclass(frozen=True)
class DatasetConfig:
    """Images to evaluate on.

    Args:
        data: ``synthetic`` (the frozen held-out set), one of :data:`PUBLIC_DATASETS`, or a folder written by ``lgnet
            synth``.
        root: of a public data set. split: of one that has splits. annotation, subset: of InterHand2.6M.
    """

    data: str = SYNTHETIC
    root: Path | None = None
    split: str = "test"
    annotation: AnnotationSet = AnnotationSet.ALL
    subset: Subset = Subset.ALL


def open_images(
    config: DatasetConfig, hand_model: HandLayer, mano: HandLayer | None = None, console: Console | None = None
) -> EvaluationImages:
    """Open a data set.

    Args:
        hand_model: of the network. mano: the user's MANO; None: not available.
        console: shows the progress of building an index.

    Raises:
        ValueError: if the data set does not exist, an input that it requires is missing, or its labels are of another
            hand model.
    """
    if config.data == SYNTHETIC:
        return HeldOutImages(hand_model)
    if config.data not in PUBLIC_DATASETS:
        return StoredImages(Path(config.data), hand_model)
    if config.root is None:
        raise ValueError(f"--data {config.data}: pass the folder of the data set with --root")
    if config.data == HIC:
        return _open_hic(config.root, mano)
    if config.data == FREIHAND:
        return _open_freihand(config, config.root, mano)
    if config.data == CONTACTPOSE:
        return _open_contactpose(config, config.root)
    if config.data == HOT3D:
        return _open_hot3d(config, config.root)
    return _open_interhand(config, config.root, hand_model, mano, console)


def _open_hic(root: Path, mano: HandLayer | None) -> EvaluationImages:
    from lgnet_core.data.hic import HIC as HICSet

    if mano is None:
        raise ValueError(
            "--data hic: its labels are MANO meshes, and joints require MANO's regressor; pass your MANO model with "
            "--hand-model DIR (see lgnet mano convert)"
        )
    images = HICSet(root, mano)
    return AnnotatedImages(images, mano, "HIC", {"root": str(root), "crop": "around the projected meshes"})


def _open_freihand(config: DatasetConfig, root: Path, mano: HandLayer | None) -> EvaluationImages:
    from lgnet_core.data.freihand import FreiHAND

    metadata = {
        "root": str(root),
        "split": config.split,
        "crop": "around the projected joints",
        "note": "vertices are compared only if the weights were trained with the MANO given by --hand-model; F-scores "
        "compare any two meshes",
    }
    return AnnotatedImages(FreiHAND(root, config.split, mano), mano, f"FreiHAND {config.split}", metadata)


def _open_contactpose(config: DatasetConfig, root: Path) -> EvaluationImages:
    from lgnet_core.data.contactpose import ContactPose

    metadata = {
        "root": str(root),
        "split": config.split,
        "crop": "around the projected joints",
        "note": _JOINTS_ONLY,
    }
    return AnnotatedImages(ContactPose(root, config.split), None, f"ContactPose {config.split}", metadata)


def _open_hot3d(config: DatasetConfig, root: Path) -> EvaluationImages:
    from lgnet_core.data.hot3d import HOT3D as HOT3DSet

    metadata = {
        "root": str(root),
        "split": config.split,
        "crop": "of pinhole views, around the projected joints",
        "note": f"{_JOINTS_ONLY}; its joints are UmeTrack's, without the first of the thumb",
    }
    return AnnotatedImages(HOT3DSet(root, config.split), None, f"HOT3D {config.split}", metadata)


def _open_interhand(
    config: DatasetConfig, root: Path, hand_model: HandLayer, mano: HandLayer | None, console: Console | None
) -> EvaluationImages:
    from lgnet_core.data.interhand26m import InterHand26M

    sources = SplitFiles.from_root(root, config.split)
    fitted_model = mano if sources.fits is not None else None
    images = InterHand26M(sources, config.annotation, config.subset, fitted_model, console=console)
    metadata = {
        "root": str(root),
        "split": config.split,
        "annotation": config.annotation.value,
        "subset": config.subset.value,
        "labels": "MANO fits" if fitted_model is not None else "joint_3d",
        "crop": "around the projected meshes" if fitted_model is not None else "around the annotated boxes",
        "hands_without_fit": images.unfitted,
        "index": images.index.about["sources"],
    }
    name = f"InterHand2.6M {config.split}, {config.annotation.value}, {config.subset.value}"
    return AnnotatedImages(images, fitted_model or hand_model, name, metadata)
