"""``--data testdata``: four frames of InterHand2.6M with their cameras and joints, and the photograph of one hand.

The folder holds ``interhand2.6m`` (images with the set's three JSON files: data, camera, joint_3d) and
``hands/one_thumb.jpg``. The frames are CC-BY-NC 4.0: they are read where they lie and belong in no release.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lgnet_core.data.interhand26m import InterHand26M, Sources
from lgnet_core.evaluation.end_to_end.hand_sheets import draw_tile, write_sheet
from lgnet_core.evaluation.end_to_end.program_report import Figures, collect
from lgnet_core.evaluation.estimates import hand_errors
from lgnet_core.evaluation.reported import Method, ReportedHand
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.io.images import InputError, load_image
from lgnet_core.types import Camera, FloatArray, Side

PHOTOGRAPH_SIDE = Side.LEFT  # hands/one_thumb.jpg, by eye: a thumb held up, palm side and fingertips to the viewer


@dataclass(frozen=True, eq=False)
class KnownImage:
    """An image with what is known of it.

    Args:
        camera: None where it is not known.
        sides: the hands that are there.
        joints: metres, camera frame; NaN where not annotated; None for no annotation at all.

    Shapes:
        image: (H, W, 3) uint8 RGB; joints: (2, 21, 3).
    """

    name: str
    image: FloatArray
    camera: Camera | None
    sides: tuple[Side, ...]
    joints: FloatArray | None


def read_interhand(folder: Path) -> list[KnownImage]:
    """The frames of a folder with InterHand2.6M's three JSON files.

    Raises:
        InputError: if one of them is missing.
    """
    data, camera, joints = (_annotation(folder, kind) for kind in ("data", "camera", "joint_3d"))
    with tempfile.TemporaryDirectory() as cache:
        frames = InterHand26M(Sources(data, camera, joints, images=folder), cache=Path(cache) / "index")
    labels = frames.labels(range(len(frames)))
    known = labels.truth.joints_known[..., None]
    points = torch.where(known, labels.truth.joints.double(), torch.nan).numpy()
    images = []
    for k, row in enumerate(frames.rows):
        name, (width, height) = frames.index.name(int(row)), frames.index.size[row]
        images.append(
            KnownImage(
                name=Path(name).stem,
                image=load_image(folder / name).image,
                camera=Camera(labels.intrinsics[k].double().numpy(), int(width), int(height)),
                sides=tuple(side for side in Side if labels.presence[k, side]),
                joints=points[k],
            )
        )
    return images


def known_images(root: Path) -> list[KnownImage]:
    """All of them.

    Raises:
        InputError: if one cannot be read.
    """
    photograph = load_image(root / "hands" / "one_thumb.jpg").image
    return [
        *read_interhand(root / "interhand2.6m"),
        KnownImage("one_thumb", photograph, None, (PHOTOGRAPH_SIDE,), None),
    ]


def evaluate_testdata(out: Path, root: Path, programs: Mapping[str, Method]) -> Figures:
    """Judge programs; what the first one reports is drawn, with the annotated joints in green, as ``testdata.png``."""
    images = known_images(root)
    found = {name: [program(image.image, image.camera) for image in images] for name, program in programs.items()}
    tiles = [
        draw_tile(image.image, hands, points=_places(image), title=image.name)
        for image, hands in zip(images, next(iter(found.values())))
    ]
    write_sheet(out / "testdata.png", tiles)
    return collect({"testdata": {name: figures_of(images, hands) for name, hands in found.items()}})


def figures_of(images: Sequence[KnownImage], found: Sequence[Sequence[ReportedHand]]) -> dict[str, float]:
    """Counts over all images; mean errors of each hand whose joints are annotated, NaN of one that was not found."""
    figures: dict[str, float] = {"hands": 0, "found with their side": 0, "extra hands": 0}
    errors: dict[str, float] = {}
    for image, hands in zip(images, found, strict=True):
        of_side = {hand.side: hand for hand in reversed(hands)}
        right = [side for side in image.sides if side in of_side]
        figures["hands"] += len(image.sides)
        figures["found with their side"] += len(right)
        figures["extra hands"] += len(hands) - len(right)
        if image.joints is None or image.camera is None:
            continue
        for side in image.sides:
            pixels, relative = (
                f"{what}: {image.name}, {side.label}" for what in ("2D error, px", "error from the wrist, mm")
            )
            errors |= {pixels: np.nan, relative: np.nan}
            if side in of_side:
                of_hand = hand_errors(of_side[side], image.joints[side], image.camera)
                errors[pixels] = float(np.nanmean(of_hand.pixels))
                if np.isfinite(of_hand.relative).any():  # else its wrist is not annotated
                    errors[relative] = float(np.nanmean(of_hand.relative))
    return figures | dict(sorted(errors.items()))


def _annotation(folder: Path, kind: str) -> Path:
    found = next(folder.glob(f"*_{kind}.json"), None)
    if found is None:
        raise InputError(f"{folder}: has no *_{kind}.json; name the folder above it, which holds the test data")
    return found


def _places(image: KnownImage) -> FloatArray | None:
    if image.joints is None or image.camera is None:
        return None
    return project_distorted(image.joints[np.isfinite(image.joints).all(-1)], image.camera)
