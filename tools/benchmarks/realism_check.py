"""Realism of the synthetic images, measured by the detection rate of MediaPipe Hands.

MediaPipe 0.10.21 (Apache-2.0, models included in the wheel) requires numpy 1 and therefore a separate environment:

    python tools/benchmarks/realism_check.py draw out/realism --count 200
    python -m venv /tmp/mediapipe && /tmp/mediapipe/bin/pip install mediapipe==0.10.21
    /tmp/mediapipe/bin/python tools/benchmarks/realism_check.py find out/realism

``draw`` writes full images (640 x 480) and the number of hands in each as JSON. ``find`` prints, for images with no,
one and two hands, the fractions in which at least one hand and at least that many hands are detected. For inspection of
the generator only, not for model selection.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2

WIDTH, HEIGHT = 640, 480


def draw(folder: Path, count: int, seed: int) -> None:
    """Generate images and their metadata."""
    import torch

    from lgnet_core.synthetic.generator import GENERATOR_VERSION, SyntheticHands

    folder.mkdir(parents=True, exist_ok=True)
    generator = SyntheticHands(seed)
    hand_counts = {}
    for indices in torch.arange(count).split(16):
        batch = generator.images(indices, WIDTH, HEIGHT)
        for index, image, presence in zip(indices.tolist(), batch.image.permute(0, 2, 3, 1), batch.presence):
            cv2.imwrite(str(folder / f"{index:05d}.png"), image.flip(-1).contiguous().numpy())
            hand_counts[f"{index:05d}.png"] = int(presence.sum())
    metadata = {"generator_version": GENERATOR_VERSION, "seed": seed, "hands": hand_counts}
    (folder / "images.json").write_text(json.dumps(metadata, indent=1) + "\n")


def find(folder: Path) -> None:
    """Print the detection rates of MediaPipe."""
    import mediapipe

    metadata = json.loads((folder / "images.json").read_text())
    version, seed = metadata["generator_version"], metadata["seed"]
    print(f"{folder}: generator {version}, seed {seed}; MediaPipe {mediapipe.__version__}")
    detections: dict[int, list[int]] = {0: [], 1: [], 2: []}
    with mediapipe.solutions.hands.Hands(static_image_mode=True, max_num_hands=2) as detector:
        for name, count in metadata["hands"].items():
            pixels = cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB)
            detections[count].append(len(detector.process(pixels).multi_hand_landmarks or ()))
    for count, numbers in detections.items():
        if numbers:
            any_rate = sum(n > 0 for n in numbers) / len(numbers)
            all_rate = sum(n >= count for n in numbers) / len(numbers)
            print(f"{count} hands, {len(numbers)} images: any detected in {any_rate:.0%}, all in {all_rate:.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    drawing = commands.add_parser("draw")
    drawing.add_argument("folder", type=Path)
    drawing.add_argument("--count", type=int, default=200)
    drawing.add_argument("--seed", type=int, default=9)
    drawing.set_defaults(run=lambda options: draw(options.folder, options.count, options.seed))
    finding = commands.add_parser("find")
    finding.add_argument("folder", type=Path)
    finding.set_defaults(run=lambda options: find(options.folder))
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
