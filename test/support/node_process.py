"""Program that runs the node with a tracker: ``node_process.py fixed|bundled|endless [ROS arguments]``."""

from __future__ import annotations

import sys
import time

from lgnet_ros.process.signals import exit_on_signals

exit_on_signals()  # before the imports that take seconds, like the installed program

from lgnet_ros.node import main  # noqa: E402
from lgnet_ros.parameters.settings import Settings  # noqa: E402
from lgnet_ros.perception.tracker import Tracker, load_tracker  # noqa: E402


def fixed_tracker(settings: Settings) -> Tracker:
    from support.fixed_hands import FixedTracker  # needs torch, without which the node runs as installed

    return FixedTracker()


def endless_tracker(settings: Settings) -> Tracker:
    """Never finishes loading."""
    print("loading", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    trackers = {"fixed": fixed_tracker, "bundled": load_tracker, "endless": endless_tracker}
    sys.exit(main(sys.argv[2:], trackers[sys.argv[1]]))
