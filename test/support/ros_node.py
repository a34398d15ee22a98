"""Node for tests within one process, in an isolated ROS domain."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.node import Node

from support.ros_domain_id import reserved_domain_id


@contextmanager
def isolated_node(name: str = "hands", namespace: str = "left", **options: Any) -> Iterator[Node]:
    """A node that is not spun, in its own context and domain; ``options``: keyword arguments of rclpy's node."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    context = Context()
    with reserved_domain_id() as domain_id:
        rclpy.init(context=context, domain_id=domain_id)
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
