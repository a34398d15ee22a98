"""A node for tests that need one in their own process: in a domain of its own, not spun."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.node import Node


@contextmanager
def lone_node(name: str = "hands", namespace: str = "left", **options: Any) -> Iterator[Node]:
    """``options``: of rclpy's node."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    context = Context()
    rclpy.init(context=context, domain_id=random.randint(1, 101))
    try:
        node = Node(
            name,
            namespace=namespace,
            context=context,
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
            **options,
        )
        try:
            yield node
        finally:
            node.destroy_node()
    finally:
        context.shutdown()
