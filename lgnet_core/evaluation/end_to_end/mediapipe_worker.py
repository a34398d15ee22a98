"""Worker process that runs MediaPipe's hand tracker, in an interpreter with mediapipe 0.10.21 and numpy 1.

Standard input: for each image a line with its height and width, then its RGB bytes. Standard output: first a line of
JSON with the version, then a line for each image: seconds, and the hands as returned by MediaPipe: label, landmarks
(21, 2) normalised by width and height, world landmarks (21, 3) in metres.

Arguments: ``static`` detects hands in each image independently; ``video`` tracks them.
"""

from __future__ import annotations

import json
import sys
import time

import mediapipe
import numpy as np


def main() -> None:
    images, responses = sys.stdin.buffer, sys.stdout
    static = {"static": True, "video": False}[sys.argv[1]]
    hand_tracker = mediapipe.solutions.hands.Hands(static_image_mode=static, max_num_hands=2, model_complexity=1)
    print(json.dumps({"version": mediapipe.__version__}), file=responses, flush=True)
    while line := images.readline():
        height, width = map(int, line.split())
        image = np.frombuffer(images.read(height * width * 3), np.uint8).reshape(height, width, 3)
        start = time.perf_counter()
        result = hand_tracker.process(image)
        seconds = time.perf_counter() - start
        hands = [
            {
                "label": sides.classification[0].label,
                "landmarks": [[point.x, point.y] for point in points.landmark],
                "world_landmarks": [[point.x, point.y, point.z] for point in world.landmark],
            }
            for sides, points, world in zip(
                result.multi_handedness or (),
                result.multi_hand_landmarks or (),
                result.multi_hand_world_landmarks or (),
            )
        ]
        print(json.dumps({"seconds": seconds, "hands": hands}), file=responses, flush=True)


if __name__ == "__main__":
    main()
