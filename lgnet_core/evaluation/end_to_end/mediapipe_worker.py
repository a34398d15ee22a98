"""MediaPipe's own hands program behind a pipe, run by an interpreter that has mediapipe 0.10.21 and numpy 1.

Standard input: for each image a line with its height and width, then its RGB bytes. Standard output: first a line of
JSON with the version, then a line for each image: seconds, and the hands as MediaPipe gives them: label, landmarks
(21, 2) as parts of width and height, world landmarks (21, 3) in metres.

Arguments: ``static`` finds the hands of each image anew; ``video`` follows them.
"""

from __future__ import annotations

import json
import sys
import time

import mediapipe
import numpy as np


def main() -> None:
    images, answers = sys.stdin.buffer, sys.stdout
    static = {"static": True, "video": False}[sys.argv[1]]
    program = mediapipe.solutions.hands.Hands(static_image_mode=static, max_num_hands=2, model_complexity=1)
    print(json.dumps({"version": mediapipe.__version__}), file=answers, flush=True)
    while line := images.readline():
        height, width = map(int, line.split())
        image = np.frombuffer(images.read(height * width * 3), np.uint8).reshape(height, width, 3)
        start = time.perf_counter()
        found = program.process(image)
        seconds = time.perf_counter() - start
        hands = [
            {
                "label": sides.classification[0].label,
                "landmarks": [[point.x, point.y] for point in points.landmark],
                "world_landmarks": [[point.x, point.y, point.z] for point in world.landmark],
            }
            for sides, points, world in zip(
                found.multi_handedness or (), found.multi_hand_landmarks or (), found.multi_hand_world_landmarks or ()
            )
        ]
        print(json.dumps({"seconds": seconds, "hands": hands}), file=answers, flush=True)


if __name__ == "__main__":
    main()
