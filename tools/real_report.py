"""What the estimator makes of real pictures: four frames of InterHand2.6M with their cameras, and one photograph.

    python tools/real_report.py -o DIR [--weights FILE] [--data ../shared/testdata] [--threshold 0.5]

Prints for each picture which hands were found, whether their sides are right, and the mean 2D joint error over the
annotated joints; writes overlays (annotated joints as green dots) and views in space into DIR. The frames are
InterHand2.6M's (CC-BY-NC 4.0): they are read where they lie and belong in no release.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from lgnet_core.camera import project_distorted
from lgnet_core.data.images import read_picture
from lgnet_core.data.interhand26m import InterHand26M, Sources
from lgnet_core.drawing import draw_3d, draw_overlay, write_png
from lgnet_core.evaluation.estimates import hand_errors
from lgnet_core.predict import Estimator, make_folder
from lgnet_core.types import Camera, FloatArray, Side, TwoHands

TEST_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "testdata"

PHOTOGRAPH_SIDE = Side.LEFT  # hands/one_thumb.jpg, by its look: a thumb held up, palm side and fingertips to the viewer


@dataclass(frozen=True, eq=False)
class RealPicture:
    """A picture with what is known of it.

    Args:
        camera: None where it is not known.
        sides: the hands that are there.
        joints: (2, 21, 3) metres, camera frame; NaN where not annotated; None for no annotation at all.
    """

    name: str
    image: FloatArray
    camera: Camera | None
    sides: tuple[Side, ...]
    joints: FloatArray | None


def read_interhand(folder: Path) -> list[RealPicture]:
    """The frames of a folder with InterHand2.6M's three JSON files (data, camera, joint_3d)."""
    data, camera, joints = (next(folder.glob(f"*_{kind}.json")) for kind in ("data", "camera", "joint_3d"))
    with tempfile.TemporaryDirectory() as cache:
        frames = InterHand26M(Sources(data, camera, joints, images=folder), cache=Path(cache) / "index")
    labels = frames.labels(range(len(frames)))
    known = labels.truth.joints_known[..., None]
    points = torch.where(known, labels.truth.joints.double(), torch.nan).numpy()
    pictures = []
    for k, row in enumerate(frames.rows):
        name, (width, height) = frames.index.name(int(row)), frames.index.size[row]
        pictures.append(
            RealPicture(
                name=Path(name).stem,
                image=read_picture(folder / name).image,
                camera=Camera(labels.intrinsics[k].double().numpy(), int(width), int(height)),
                sides=tuple(side for side in Side if labels.presence[k, side]),
                joints=points[k],
            )
        )
    return pictures


def real_pictures(data: Path) -> list[RealPicture]:
    """All of them."""
    photograph = read_picture(data / "hands" / "one_thumb.jpg").image
    return [
        *read_interhand(data / "interhand2.6m"),
        RealPicture("one_thumb", photograph, None, (PHOTOGRAPH_SIDE,), None),
    ]


def judge(hands: TwoHands, picture: RealPicture) -> dict[str, str]:
    """One row of the report."""
    found = {hand.side: hand for hand in hands.hands}
    row = {
        "picture": picture.name,
        "there": ", ".join(side.label for side in picture.sides),
        "found": ", ".join(f"{side.label} {hand.presence:.2f}" for side, hand in found.items()) or "none",
    }
    missed, extra = set(picture.sides) - set(found), set(found) - set(picture.sides)
    wrong = [f"missed {s.label}" for s in sorted(missed)] + [f"{s.label} is not there" for s in sorted(extra)]
    row["sides"] = ", ".join(wrong) or "right"
    pixels, millimetres = [], []
    for side in picture.sides:
        if picture.joints is None or picture.camera is None or side not in found:
            continue
        errors = hand_errors(found[side], picture.joints[side], picture.camera)
        pixels.append(f"{side.label} {np.nanmean(errors.pixels):.1f}")
        if np.isfinite(errors.wrist):
            millimetres.append(f"{side.label} {np.nanmean(errors.relative):.0f}")
    row["2D error, px"] = ", ".join(pixels) or "-"
    row["3D error from the wrist, mm"] = ", ".join(millimetres) or "-"
    return row


def draw_truth(image: FloatArray, picture: RealPicture) -> None:
    """Annotated joints as green dots, in place."""
    if picture.joints is None or picture.camera is None:
        return
    known = picture.joints[np.isfinite(picture.joints).all(-1)]
    for u, v in np.rint(project_distorted(known, picture.camera) * 16).astype(int):
        cv2.circle(image, (int(u), int(v)), 32, (0, 220, 60), -1, cv2.LINE_AA, 4)


def report(estimator: Estimator, data: Path, out: Path) -> list[dict[str, str]]:
    """Estimate every picture, write its overlay and view, and return the rows."""
    make_folder(out)
    rows = []
    for picture in real_pictures(data):
        hands = estimator.estimate(picture.image, picture.camera)
        overlay = draw_overlay(picture.image, hands, picture.camera)
        draw_truth(overlay, picture)
        write_png(out / f"{picture.name}_overlay.png", overlay)
        write_png(out / f"{picture.name}_view.png", draw_3d(hands, 320))
        rows.append(judge(hands, picture))
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--data", type=Path, default=TEST_DATA)
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--engine", default="auto")
    args = parser.parse_args()

    from lgnet_core.inference import HandEstimator

    estimator = HandEstimator.load(args.weights, engine=args.engine, presence_threshold=args.threshold)
    rows = report(estimator, args.data, args.out)
    table = Table(title=f"Real pictures; overlays in {args.out}")
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*row.values())
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
