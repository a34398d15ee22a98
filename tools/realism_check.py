"""Whether another network takes our images for hands: the share of them in which MediaPipe finds one.

MediaPipe 0.10.21 (Apache-2.0, its models are in the wheel) needs numpy 1, so it gets an environment of its own:

    python tools/realism_check.py draw out/realism --count 200
    python -m venv /tmp/mediapipe && /tmp/mediapipe/bin/pip install mediapipe==0.10.21
    /tmp/mediapipe/bin/python tools/realism_check.py find out/realism

``draw`` writes full images (640x480), with what is in them as JSON; ``find`` prints for images
with one and with two hands how often at least one hand, and as many as there are, are found, and the same for images
without a hand. A look at the generator, never a rule for choosing weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2

WIDTH, HEIGHT = 640, 480


def draw(folder: Path, count: int, seed: int) -> None:
    import torch

    from lgnet_core.synthetic.generator import GENERATOR_VERSION, SyntheticHands

    folder.mkdir(parents=True, exist_ok=True)
    generator = SyntheticHands(seed)
    hands = {}
    for indices in torch.arange(count).split(16):
        batch = generator.images(indices, WIDTH, HEIGHT)
        for index, image, presence in zip(indices.tolist(), batch.image.permute(0, 2, 3, 1), batch.presence):
            cv2.imwrite(str(folder / f"{index:05d}.png"), image.flip(-1).contiguous().numpy())
            hands[f"{index:05d}.png"] = int(presence.sum())
    about = {"generator_version": GENERATOR_VERSION, "seed": seed, "hands": hands}
    (folder / "images.json").write_text(json.dumps(about, indent=1) + "\n")


def find(folder: Path) -> None:
    import mediapipe

    about = json.loads((folder / "images.json").read_text())
    print(f"{folder}: generator {about['generator_version']}, seed {about['seed']}; MediaPipe {mediapipe.__version__}")
    found: dict[int, list[int]] = {0: [], 1: [], 2: []}
    with mediapipe.solutions.hands.Hands(static_image_mode=True, max_num_hands=2) as detector:
        for name, count in about["hands"].items():
            pixels = cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB)
            found[count].append(len(detector.process(pixels).multi_hand_landmarks or ()))
    for count, numbers in found.items():
        if numbers:
            some = sum(n > 0 for n in numbers) / len(numbers)
            full = sum(n >= count for n in numbers) / len(numbers)
            print(f"{count} hands: {len(numbers)} images; any found in {some:.0%}, all found in {full:.0%}")


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
