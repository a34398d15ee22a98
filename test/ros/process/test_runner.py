"""Tests of the node runner: signals, clean-up, exit codes."""

from __future__ import annotations

import signal

import pytest
from support.waiting import TIMEOUT, wait_for

from lgnet_ros.process.runner import SHUTDOWN_TIMEOUT, WATCHDOG_TIMEOUT

PROGRAM = """
import ctypes, sys, threading, time
from rclpy.node import Node
from lgnet_ros.process import runner as process_runner
from lgnet_ros.process.runner import NodeRunner
from lgnet_ros.worker import WORKER_THREAD_NAME

class TestNode(Node):
    def __init__(self):
        super().__init__("test_node")
        self.timer = self.create_timer(0.01, self.on_timer)

    def on_timer(self):
        print("up", flush=True)
        if sys.argv[1] == "raises":
            raise ValueError("broken")
        if sys.argv[1] == "stuck":
            time.sleep(100_000)
        if sys.argv[1] == "worker running":
            self.destroy_timer(self.timer)
            threading.Thread(target=time.sleep, args=[100_000], name=WORKER_THREAD_NAME, daemon=True).start()

    def destroy_node(self):
        if sys.argv[1] == "slow":
            print("destroying", flush=True)
            time.sleep(0.5)
        if sys.argv[1] == "keeps Python's lock":
            ctypes.PyDLL(None).sleep(100_000)
        super().destroy_node()
        print("destroyed", flush=True)

process_runner.SHUTDOWN_TIMEOUT, process_runner.WATCHDOG_TIMEOUT = map(float, sys.argv[2:])
with NodeRunner([]) as runner:
    sys.exit(runner.spin([TestNode()]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("behaviour", ["quick", "slow", "stuck", "worker running"])
def test_signals_end_the_process(ros_domain, tmp_path, behaviour, number):
    """Also for a second signal, during clean-up, and if a callback or the worker thread does not return.

    Only a callback that never returns uses the whole time limit. The others get a limit that no slow machine reaches.
    """
    log = tmp_path / "log"
    limit = SHUTDOWN_TIMEOUT if behaviour == "stuck" else TIMEOUT
    process = ros_domain.start("-c", PROGRAM, behaviour, str(limit), str(TIMEOUT), log=log)
    wait_for(lambda: "up" in log.read_text())
    process.send_signal(number)
    if behaviour == "slow":  # Ctrl-C reaches the process directly, and launch sends another signal later
        wait_for(lambda: "destroying" in log.read_text())
    process.send_signal(number)
    assert process.wait(TIMEOUT) == 0
    text = log.read_text()
    assert "Traceback" not in text
    assert ("destroyed" in text) is (behaviour != "stuck")
    assert ("terminating the process" in text) is (behaviour in ("stuck", "worker running"))


def test_time_limits_of_the_shutdown():
    """README and launch rely on the process ending within 2 s of a signal; launch and the demo kill it after 10 s."""
    assert 0 < SHUTDOWN_TIMEOUT < 2
    assert SHUTDOWN_TIMEOUT < WATCHDOG_TIMEOUT < 10


def test_process_ends_although_no_python_code_can_run(ros_domain, tmp_path):
    """The stacks show where it hangs."""
    log = tmp_path / "log"
    process = ros_domain.start("-c", PROGRAM, "keeps Python's lock", str(TIMEOUT), "0.5", log=log)
    wait_for(lambda: "up" in log.read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT) == 1
    assert "Timeout (0:00:00.5" in log.read_text()
    assert "in destroy_node" in log.read_text()


def test_burst_of_signals(ros_domain, tmp_path):
    """Signals that arrive while another is being handled cause no deadlock; the exit code is 0."""
    for burst in (2, 3, 50):
        log = tmp_path / f"log{burst}"
        process = ros_domain.start("-c", PROGRAM, "quick", str(TIMEOUT), str(TIMEOUT), log=log)
        wait_for(lambda log=log: "up" in log.read_text())
        for _ in range(burst):
            process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 0
        assert "Traceback" not in log.read_text()


def test_exception_in_a_callback_is_printed_and_gives_exit_code_1(ros_domain, tmp_path):
    log = tmp_path / "log"
    assert ros_domain.start("-c", PROGRAM, "raises", str(TIMEOUT), str(TIMEOUT), log=log).wait(TIMEOUT) == 1
    assert "ValueError: broken" in log.read_text()
