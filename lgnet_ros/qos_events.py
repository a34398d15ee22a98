"""Endpoints of others that do not meet one of ours: told in the log, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from lgnet_ros.throttle import Throttle


class Incompatible:
    """Warns of what the middleware notices, once it is known who it is.

    The middleware's event comes when the other endpoint is found, its node's name only when discovery has got further.

    Args:
        node: whose log is used.
        problems: a sentence for each endpoint that does not fit, as far as they are known now.
    """

    def __init__(self, node: Node, problems: Callable[[], list[str]]) -> None:
        self._node = node
        self._problems = problems
        self._throttle = Throttle()
        self._noticed = False

    def notice(self, event: Any) -> None:
        """For ``incompatible_qos`` of rclpy's event callbacks."""
        self._noticed = True

    def tell(self) -> None:
        """To be called now and then: warn of what was noticed."""
        if not self._noticed:
            return
        problems = self._problems()
        self._noticed = not problems
        for problem in problems:
            if self._throttle.due(problem):
                self._node.get_logger().warning(problem)
