"""``--data testdata``: four annotated frames of InterHand2.6M, and the photograph of one hand.

The folder contains ``interhand2.6m`` (images with the data set's three JSON files: data, camera, joint_3d) and
``hands/one_thumb.jpg``. The frames are licensed CC-BY-NC 4.0: they must not be part of a release.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lgnet_core.data.interhand26m import InterHand26M, SplitFiles
from lgnet_core.evaluation.end_to_end.contact_sheets import draw_tile, write_sheet
from lgnet_core.evaluation.end_to_end.hand_errors import hand_errors
from lgnet_core.evaluation.end_to_end.report import MetricTable, collect
from lgnet_core.evaluation.end_to_end.reported_hand import Method, ReportedHand
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.io.files import InputError
from lgnet_core.io.images import load_image
from lgnet_core.types import Camera, FloatArray, ImageArray, Side

PHOTOGRAPH_SIDE = Side.LEFT  # hands/one_thumb.jpg, labelled by eye: thumb up, palm and fingertips towards the viewer


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """An image with its annotations.

    Args:
        camera: None if unknown.
        sides: the present hands.
        joints: metres, camera frame; NaN for joints without annotation; None for images without annotations.

    Shapes:
        image: (H, W, 3) uint8 RGB; joints: (2, 21, 3).
    """

    name: str
    image: ImageArray
    camera: Camera | None
    sides: tuple[Side, ...]
    joints: FloatArray | None


def load_interhand_frames(folder: Path) -> list[AnnotatedImage]:
    """Load the frames of a folder with InterHand2.6M's three JSON files.

    Raises:
        InputError: if one of them is missing.
    """
    data, camera, joints = (_annotation(folder, kind) for kind in ("data", "camera", "joint_3d"))
    with tempfile.TemporaryDirectory() as cache:
        frames = InterHand26M(SplitFiles(data, camera, joints, images=folder), cache=Path(cache) / "index")
    labels = frames.labels(range(len(frames)))
    known = labels.truth.joints_known[..., None]
    points = torch.where(known, labels.truth.joints.double(), torch.nan).numpy()
    images = []
    for k, row in enumerate(frames.rows):
        name, (width, height) = frames.index.name(int(row)), frames.index.size[row]
        images.append(
            AnnotatedImage(
                name=Path(name).stem,
                image=load_image(folder / name).image,
                camera=Camera(labels.intrinsics[k].double().numpy(), int(width), int(height)),
                sides=tuple(side for side in Side if labels.presence[k, side]),
                joints=points[k],
            )
        )
    return images


def load_test_images(root: Path) -> list[AnnotatedImage]:
    """Load all images.

    Raises:
        InputError: if one cannot be read.
    """
    photograph = load_image(root / "hands" / "one_thumb.jpg").image
    return [
        *load_interhand_frames(root / "interhand2.6m"),
        AnnotatedImage("one_thumb", photograph, None, (PHOTOGRAPH_SIDE,), None),
    ]


def evaluate_testdata(out: Path, root: Path, methods: Mapping[str, Method]) -> MetricTable:
    """Evaluate methods; the hands of the first one are drawn in ``testdata.png``, the annotated joints in green."""
    images = load_test_images(root)
    reported = {name: [method(image.image, image.camera) for image in images] for name, method in methods.items()}
    tiles = [
        draw_tile(image.image, hands, points=_annotated_pixels(image), title=image.name)
        for image, hands in zip(images, next(iter(reported.values())))
    ]
    write_sheet(out / "testdata.png", tiles)
    return collect({"testdata": {name: image_metrics(images, hands) for name, hands in reported.items()}})


def image_metrics(images: Sequence[AnnotatedImage], reported: Sequence[Sequence[ReportedHand]]) -> dict[str, float]:
    """Counts over all images, and mean errors of each annotated hand, NaN if it was not found."""
    metrics: dict[str, float] = {"hands": 0, "found with correct side": 0, "extra hands": 0}
    errors: dict[str, float] = {}
    for image, hands in zip(images, reported, strict=True):
        by_side = {hand.side: hand for hand in reversed(hands)}
        correct = [side for side in image.sides if side in by_side]
        metrics["hands"] += len(image.sides)
        metrics["found with correct side"] += len(correct)
        metrics["extra hands"] += len(hands) - len(correct)
        if image.joints is None or image.camera is None:
            continue
        for side in image.sides:
            pixels, relative = (
                f"{what}: {image.name}, {side.label}" for what in ("2D error, px", "error relative to the wrist, mm")
            )
            errors |= {pixels: np.nan, relative: np.nan}
            if side in by_side:
                of_hand = hand_errors(by_side[side], image.joints[side], image.camera)
                errors[pixels] = float(np.nanmean(of_hand.pixels))
                if np.isfinite(of_hand.relative).any():  # otherwise the wrist is not annotated
                    errors[relative] = float(np.nanmean(of_hand.relative))
    return metrics | dict(sorted(errors.items()))


def _annotation(folder: Path, kind: str) -> Path:
    path = next(folder.glob(f"*_{kind}.json"), None)
    if path is None:
        raise InputError(f"{folder}: no *_{kind}.json found; pass its parent folder, which contains the test data")
    return path


def _annotated_pixels(image: AnnotatedImage) -> FloatArray | None:
    if image.joints is None or image.camera is None:
        return None
    return project_distorted(image.joints[np.isfinite(image.joints).all(-1)], image.camera)
