"""Program that runs the node with a tracker: ``node_process.py fixed|small|bundled|endless [ROS arguments]``."""

from __future__ import annotations

import sys
import time

from lgnet_ros.process.signals import exit_on_signals

exit_on_signals()  # before the imports that take seconds, like the installed program

import torch  # noqa: E402

from lgnet_core.hand_model import load_hand_layer  # noqa: E402
from lgnet_core.inference import HandEstimator, HandTracker  # noqa: E402
from lgnet_ros.node import main  # noqa: E402
from lgnet_ros.parameters.settings import Settings  # noqa: E402
from lgnet_ros.perception.tracker import Tracker, load_tracker  # noqa: E402
from support.fixed_hands import FixedTracker  # noqa: E402
from support.small_network import small_network  # noqa: E402


def small_tracker(settings: Settings) -> HandTracker:
    """Tracker with a network small enough for hundreds of lifecycles."""
    network = small_network(load_hand_layer())
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
