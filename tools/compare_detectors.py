"""Compare ways to find the regions of a picture, by what the estimator then finds in them.

    python tools/compare_detectors.py [--weights FILE] [--count N]

Full synthetic pictures (640x480, each with its camera) of a seed that no training draws; the trained region detector,
the network's own look at the whole picture, and, as the limit of both, regions cut from the truth. Prints for each:
hands found of those that are there, hands reported that are not there, and over the hands that were found the mean
error of the joints in the picture and from the wrist (raw, wrist-aligned).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lgnet_core.camera import project_distorted
from lgnet_core.data.sample import HandsBatch
from lgnet_core.data.synthetic.generator import SyntheticHands
from lgnet_core.evaluation.estimates import hand_errors
from lgnet_core.inference import HandEstimator, Region, WholePictureDetector
from lgnet_core.inference.detection import RegionDetector
from lgnet_core.inference.regions import box_of_hand, share_crops
from lgnet_core.types import Camera, FloatArray, Side, TwoHands

SEED = 20_262


class TrueRegions(RegionDetector):
    """Regions from the truth of the picture that comes next."""

    def __init__(self) -> None:
        self.joints: dict[Side, FloatArray] = {}

    def find(self, image: FloatArray, camera: Camera | None) -> list[Region]:
        return share_crops([Region(box_of_hand(joints), (side,)) for side, joints in self.joints.items()])


def compare(estimator: HandEstimator, pictures: list[HandsBatch], detectors: dict[str, RegionDetector]) -> Table:
    """A row for each detector."""
    table = Table("regions", "found", "not there", "error in the picture, px", "error from the wrist, mm")
    for name, detector in detectors.items():
        estimator.detector = detector
        there = found = extra = 0
        pixels, millimetres = [], []
        for batch in track(pictures, name):
            height, width = batch.image.shape[-2:]
            camera = Camera(batch.intrinsics[0].numpy(), width, height)
            truth = batch.labels(estimator.hand_model).joints[0].double().numpy()
            present = [side for side in Side if batch.presence[0, side]]
            if isinstance(detector, TrueRegions):
                detector.joints = {side: project_distorted(truth[side], camera) for side in present}
            hands: TwoHands = estimator.estimate(batch.image[0].permute(1, 2, 0).contiguous().numpy(), camera)
            there += len(present)
            for hand in hands.hands:
                if hand.side not in present:
                    extra += 1
                    continue
                found += 1
                errors = hand_errors(hand, truth[hand.side], camera)
                pixels.append(errors.pixels.mean())
                millimetres.append(errors.relative.mean())
        table.add_row(name, f"{found} of {there}", str(extra), f"{np.mean(pixels):.1f}", f"{np.mean(millimetres):.1f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="default: the bundled ones")
    parser.add_argument("--count", type=int, default=200)
    arguments = parser.parse_args()
    estimator = HandEstimator.load(arguments.weights)
    generator = SyntheticHands(SEED, estimator.hand_model)
    pictures = [generator.pictures(torch.tensor([k])) for k in track(range(arguments.count), "drawing")]
    detectors = {
        "trained detector": estimator.detector,
        "whole picture": WholePictureDetector(estimator.engine, threshold=estimator.presence_threshold),
        "from the truth": TrueRegions(),
    }
    Console().print(compare(estimator, pictures, detectors))


if __name__ == "__main__":
    main()
