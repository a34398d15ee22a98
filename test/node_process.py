"""The node as a program of the tests: ``node_process.py fixed|small|bundled [ROS arguments]``."""

from __future__ import annotations

import sys

import numpy as np
import torch
from fixed_hands import FixedTracker
from small_network import small_network

from lgnet_core.hand_model import load_hand_model
from lgnet_core.inference import HandEstimator, HandTracker, Region, RegionDetector
from lgnet_core.inference.eager import EagerEngine
from lgnet_core.types import Side
from lgnet_ros.node import main
from lgnet_ros.parameters import Settings
from lgnet_ros.perception import Tracker, load_tracker


class Everywhere(RegionDetector):
    """The whole picture, for both hands."""

    def find(self, image, camera):
        return [Region(np.array([0, 0, image.shape[1], image.shape[0]]), tuple(Side))]


def small_tracker(settings: Settings) -> HandTracker:
    """A network small enough for hundreds of lifecycles, which believes in both hands."""
    hand_model = load_hand_model()
    network = small_network(hand_model)
    engine = EagerEngine(network, "cpu", inputs=network.example_inputs(64))
    return HandTracker(HandEstimator(engine, hand_model, Everywhere(), presence_threshold=0.01, smallest_hand=0.0))


def fixed_tracker(settings: Settings) -> Tracker:
    return FixedTracker()


if __name__ == "__main__":
    torch.set_num_threads(1)
    trackers = {"fixed": fixed_tracker, "small": small_tracker, "bundled": load_tracker}
    sys.exit(main(sys.argv[2:], trackers[sys.argv[1]]))
