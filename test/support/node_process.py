"""Program that runs the node with a tracker: ``node_process.py fixed|small|bundled|endless [ROS arguments]``."""

from __future__ import annotations

import sys
import time

import torch

from lgnet_core.hand_model import load_hand_model
from lgnet_core.inference import HandEstimator, HandTracker
from lgnet_ros.node import main
from lgnet_ros.parameters import Settings
from lgnet_ros.tracker import Tracker, load_tracker
from support.fixed_hands import FixedTracker
from support.small_network import small_network


def small_tracker(settings: Settings) -> HandTracker:
    """Tracker with a network small enough for hundreds of lifecycles."""
    network = small_network(load_hand_model())
    return HandTracker(HandEstimator.from_network(network, "eager", "cpu", threads=1, size=64))


def fixed_tracker(settings: Settings) -> Tracker:
    return FixedTracker()


def endless_tracker(settings: Settings) -> Tracker:
    """Never finishes loading."""
    print("loading", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    torch.set_num_threads(1)
    trackers = {"fixed": fixed_tracker, "small": small_tracker, "bundled": load_tracker, "endless": endless_tracker}
    sys.exit(main(sys.argv[2:], trackers[sys.argv[1]]))
