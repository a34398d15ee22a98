"""Compare ways to find the regions of a picture, by the hands that the estimator then reports.

    python tools/compare_detectors.py [--weights FILE] [--count N] [--seed N] [-o regions.json]

Full synthetic pictures (640x480, each with its camera) of a seed that no training draws; the trained region detector,
its regions after the picture was followed as if it were a film; the network's own look at the whole picture; and, as
the limit of them, regions cut from the truth. A reported hand is at its place if the box around its joints and that
of a true hand's have an intersection over union of 0.3. Prints, for all hands, for those longer than a tenth of the
picture's width, and for those of them of which the picture shows a third of the joints (the others, behind things,
sleeves or another hand, count neither as missed nor, where one is reported, as wrong): recall and precision of hands
at their place, and of hands at their place on the right side; over the latter, the mean error of the joints in the
picture and from the wrist (raw, wrist-aligned), and, where both hands are there, of the vector between the wrists
(MRRPE); and the time that finding the regions takes (followed: of all six pictures).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lgnet_core.camera import project_distorted
from lgnet_core.data.sample import HandsBatch
from lgnet_core.data.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.data.synthetic.visibility import MIN_JOINTS
from lgnet_core.evaluation.estimates import hand_errors
from lgnet_core.evaluation.metrics import MRRPE
from lgnet_core.inference import HandEstimator, HandTracker, Region, WholePictureDetector
from lgnet_core.inference.bench import machine_description
from lgnet_core.inference.detection import RegionDetector
from lgnet_core.inference.regions import box_of_hand, length, overlap, share_crops
from lgnet_core.types import WRIST, Camera, FloatArray, Side

SEED = 20_262
AT_ITS_PLACE = 0.3  # intersection over union
LARGE = 0.1  # of the picture's width
FOLLOWED = 5


class Hand(NamedTuple):
    """A true hand or a reported one, and whether there is one of the other kind at its place; ``shown``: it is not, or
    it is at the place of a hand of which the picture shows enough."""

    large: bool
    shown: bool
    there: bool
    side_too: bool


class TrueRegions(RegionDetector):
    """Regions from the truth of the picture that comes next."""

    def __init__(self) -> None:
        self.joints: dict[Side, FloatArray] = {}

    def find(self, image: FloatArray, camera: Camera | None) -> list[Region]:
        regions = share_crops([Region(box_of_hand(joints), (side,)) for side, joints in self.joints.items()])
        return [replace(region, sides=tuple(Side)) for region in regions]  # which side is left to the network


class Followed(RegionDetector):
    """Where a tracker looks after a still picture was shown for FOLLOWED pictures more."""

    def __init__(self, estimator: HandEstimator) -> None:
        self.estimator = HandEstimator(estimator.engine, estimator.hand_model, estimator.detector)

    def find(self, image: FloatArray, camera: Camera | None) -> list[Region]:
        tracker = HandTracker(self.estimator, detection_interval=2 * FOLLOWED)
        for k in range(FOLLOWED + 1):
            tracker.update(image, camera, k * 33_000_000)
        return tracker.last_regions


class Timed(RegionDetector):
    """A detector with a stopwatch."""

    def __init__(self, detector: RegionDetector) -> None:
        self.detector = detector
        self.seconds: list[float] = []

    def find(self, image: FloatArray, camera: Camera | None) -> list[Region]:
        start = time.perf_counter()
        regions = self.detector.find(image, camera)
        self.seconds.append(time.perf_counter() - start)
        return regions


def share(part: Sequence[bool]) -> float:
    """Part of the true ones; NaN of nothing."""
    return float(np.mean(part)) if part else float("nan")


def judge(estimator: HandEstimator, pictures: list[HandsBatch], detector: RegionDetector) -> dict[str, float]:
    """The figures of one detector."""
    timed = Timed(detector)
    estimator.detector = timed
    true_hands: list[Hand] = []
    said_hands: list[Hand] = []
    pixels, millimetres, between = [], [], MRRPE()
    for batch in pictures:
        height, width = batch.image.shape[-2:]
        camera = Camera(batch.intrinsics[0].numpy(), width, height)
        joints = batch.labels(estimator.hand_model).joints[0].double().numpy()
        seen = {side: project_distorted(joints[side], camera) for side in Side if batch.presence[0, side]}
        if isinstance(detector, TrueRegions):
            detector.joints = seen
        boxes = {side: box_of_hand(points) for side, points in seen.items()}
        said = estimator.estimate(batch.image[0].permute(1, 2, 0).contiguous().numpy(), camera).hands
        said_boxes = {hand.side: box_of_hand(hand.joints_image) for hand in said}

        def matches(box: FloatArray, others: dict[Side, FloatArray]) -> set[Side]:
            return {side for side, other in others.items() if overlap(box, other) >= AT_ITS_PLACE}

        hidden = {side for side in boxes if batch.visibility[0, side].sum() < MIN_JOINTS}
        for side, box in boxes.items():
            sides = matches(box, said_boxes)
            true_hands.append(Hand(length(box) > LARGE * width, side not in hidden, bool(sides), side in sides))
        for side, box in said_boxes.items():
            sides = matches(box, boxes)
            shown = not sides or bool(sides - hidden)
            said_hands.append(Hand(length(box) > LARGE * width, shown, bool(sides), side in sides))
        placed = [hand for hand in said if hand.side in matches(said_boxes[hand.side], boxes)]
        for hand in placed:
            errors = hand_errors(hand, joints[hand.side], camera)
            pixels.append(errors.pixels.mean())
            millimetres.append(errors.relative.mean())
        if len(placed) == len(Side):
            wrists = torch.from_numpy(np.stack([hand.joints[WRIST] for hand in placed]))
            true_wrists = torch.from_numpy(joints[:, WRIST])
            between.update(wrists.diff(dim=0), true_wrists.diff(dim=0), torch.ones(1, dtype=torch.bool))
    figures: dict[str, float] = {}
    groups: dict[str, Callable[[Hand], bool]] = {
        "all": lambda hand: True,
        "large": lambda hand: hand.large,
        "large and shown": lambda hand: hand.large and hand.shown,
    }
    for name, wanted in groups.items():
        there, reported = ([hand for hand in hands if wanted(hand)] for hands in (true_hands, said_hands))
        figures |= {
            f"hands, {name}": len(there),
            f"recall, {name}": share([hand.there for hand in there]),
            f"precision, {name}": share([hand.there for hand in reported]),
            f"recall with side, {name}": share([hand.side_too for hand in there]),
            f"precision with side, {name}": share([hand.side_too for hand in reported]),
        }
    return figures | {
        "error in the picture, px": float(np.mean(pixels)),
        "error from the wrist, mm": float(np.mean(millimetres)),
        "error between the wrists, mm": float(between.compute()),
        "time, p50 ms": 1e3 * float(np.median(timed.seconds)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="default: the bundled ones")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=SEED, help="of the pictures")
    parser.add_argument("-o", "--out", type=Path, help="JSON of the figures")
    arguments = parser.parse_args()
    estimator = HandEstimator.load(arguments.weights)
    generator = SyntheticHands(arguments.seed, estimator.hand_model)
    pictures = [generator.pictures(torch.tensor([k])) for k in track(range(arguments.count), "drawing")]
    detectors = {
        "trained detector": estimator.detector,
        "followed": Followed(estimator),
        "whole picture": WholePictureDetector(estimator.engine, threshold=estimator.presence_threshold),
        "from the truth": TrueRegions(),
    }
    figures = {name: judge(estimator, pictures, detector) for name, detector in track(detectors.items(), "judging")}
    table = Table("figure", *figures)
    for name in next(iter(figures.values())):
        table.add_row(name, *(f"{column[name]:.3f}".rstrip("0").rstrip(".") for column in figures.values()))
    Console().print(table)
    if arguments.out:
        about = {"generator_version": GENERATOR_VERSION, "seed": arguments.seed, "pictures": arguments.count}
        result = {**about, "machine": machine_description(), "figures": figures}
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
