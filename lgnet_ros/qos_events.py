"""Reporting of incompatible QoS in the node's log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from lgnet_ros.throttle import LogThrottle


class IncompatibleQoSReporter:
    """Logs incompatible endpoints after the middleware reported an incompatible-QoS event.

    The event arrives as soon as the remote endpoint is discovered, the name of its node only later. So the event only
    sets a flag, and :meth:`report` is called periodically.

    Args:
        node: whose logger is used.
        find_problems: returns a description of each incompatible endpoint known so far.
    """

    def __init__(self, node: Node, find_problems: Callable[[], list[str]]) -> None:
        self._node = node
        self._find_problems = find_problems
        self._throttle = LogThrottle()
        self._pending = False

    def on_event(self, event: Any) -> None:
        """Handle rclpy's ``incompatible_qos`` event."""
        self._pending = True

    def report(self) -> None:
        """Log the incompatible endpoints if an event is pending. Call periodically."""
        if not self._pending:
            return
        problems = self._find_problems()
        self._pending = not problems
        for problem in problems:
            if self._throttle.allows(problem):
                self._node.get_logger().warning(problem)
