"""Waiting for conditions. No test may fail because the machine is slow, so the limits only end tests that hang."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

TIMEOUT = 300.0
"""Seconds to wait for anything; only failing tests reach it. pytest's own limit per test is three times that."""

Value = TypeVar("Value")


def wait_for(condition: Callable[[], Value], description: str = "", timeout: float = TIMEOUT) -> Value:
    """Return the condition's value as soon as it is true."""
    value = poll(condition, timeout)
    assert value, f"timeout of {timeout:g} s while waiting for {description or condition}"
    return value


def poll(condition: Callable[[], Value], seconds: float) -> Value:
    """Return the condition's value as soon as it is true, or its last value after some time, to try something else."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.005)
    return value
