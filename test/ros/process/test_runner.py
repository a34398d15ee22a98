"""From main() to the exit code: signals end a program once, in time, with 0."""

from __future__ import annotations

import signal
import time

import pytest
from support.ros_world import wait_for

PROGRAM = """
import sys, threading, time
from rclpy.node import Node
from lgnet_ros.process.main import Program
from lgnet_ros.worker import WORKER

class Busy(Node):
    def __init__(self):
        super().__init__("busy")
        self.timer = self.create_timer(0.01, self.work)

    def work(self):
        print("up", flush=True)
        if sys.argv[1] == "raises":
            raise ValueError("broken")
        if sys.argv[1] == "stuck":
            time.sleep(60)
        if sys.argv[1] == "left at work":
            self.destroy_timer(self.timer)
            threading.Thread(target=time.sleep, args=[60], name=WORKER, daemon=True).start()

    def destroy_node(self):
        if sys.argv[1] == "slow":
            time.sleep(0.5)
        super().destroy_node()
        print("destroyed", flush=True)

with Program([]) as program:
    sys.exit(program.spin([Busy()]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("manner", ["quick", "slow", "stuck", "left at work"])
def test_signals_end_it_with_0_within_2_seconds(world, tmp_path, manner, number):
    """Also twice, also in the middle of the clean-up, also when a callback or a worker's image does not come back."""
    log = tmp_path / "log"
    process = world.start("-c", PROGRAM, manner, log=log)
    wait_for(lambda: "up" in log.read_text())
    start = time.monotonic()
    process.send_signal(number)
    time.sleep(0.2)  # a terminal's Ctrl-C reaches the process, and launch sends it another one a little later
    process.send_signal(number)
    assert process.wait(10) == 0
    assert time.monotonic() - start < 2
    text = log.read_text()
    assert "Traceback" not in text
    assert ("destroyed" in text) is (manner != "stuck")
    assert ("ending without it" in text) is (manner in ("stuck", "left at work"))


def test_a_burst_of_signals(world, tmp_path):
    """Signals that arrive while the first one is being handled: no dead lock, and still 0."""
    for burst in (2, 3, 50):
        log = tmp_path / f"log{burst}"
        process = world.start("-c", PROGRAM, "quick", log=log)
        wait_for(lambda log=log: "up" in log.read_text())
        for _ in range(burst):
            process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert "Traceback" not in log.read_text()


def test_an_exception_in_a_callback_is_shown_and_ends_it_with_1(world, tmp_path):
    log = tmp_path / "log"
    assert world.start("-c", PROGRAM, "raises", log=log).wait(30) == 1
    assert "ValueError: broken" in log.read_text()
