"""Tests of signals before the node exists."""

from __future__ import annotations

import signal

import pytest
from support.ros_domain import wait_for

PROGRAM = """
import time
from lgnet_ros.process.signals import exit_on_signals
exit_on_signals()
print("up", flush=True)
while True:
    time.sleep(3600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_during_imports_end_the_process_with_0(ros_domain, tmp_path, number):
    log = tmp_path / "log"
    process = ros_domain.start("-c", PROGRAM, log=log)
    wait_for(lambda: log.read_text() == "up\n")
    process.send_signal(number)
    assert process.wait(60) == 0
    assert log.read_text() == "up\n"
