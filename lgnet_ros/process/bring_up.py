"""Program ``bring_up NODE``: configures and activates a managed node once, for hands.launch.py.

Unlike launch's event handlers it acts once per start of the node, so that a node which is cleaned up and configured
manually stays inactive; and it never waits for a node that has ended.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

import rclpy.utilities
from rclpy.node import Node

from lgnet_ros.process.lifecycle import LifecycleClient, LifecycleError
from lgnet_ros.process.runner import NodeRunner


def bring_up(runner: NodeRunner, node: Node, target: str) -> bool:
    """Configure and activate the target node; if that fails, end the process with exit code 1 and return False.

    Args:
        node: spun by the runner.
        target: full name of the managed node.
    """
    try:
        LifecycleClient(node, target).bring_up()
    except Exception as error:
        if not runner.stopping:  # otherwise the client is being destroyed
            text = str(error) if isinstance(error, LifecycleError) else repr(error)
            node.get_logger().error(text)
            runner.stop(1)
        return False
    return True


def start_bring_up(runner: NodeRunner, target: str, namespace: str = "", stop: bool = False) -> Node:
    """Bring up the target node in a background thread and return the node to be spun for that.

    Args:
        stop: end the process when the target node is active.
    """
    # Without global arguments, since a remapping of __node applies to the managed node only.
    node = Node("hands_bring_up", use_global_arguments=False, namespace=namespace or None)

    def run() -> None:
        if bring_up(runner, node, target) and stop:
            runner.stop()

    threading.Thread(target=run, name="bring up", daemon=True).start()
    return node


def main(args: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if args is None else args)
    with NodeRunner(arguments) as runner:
        names = rclpy.utilities.remove_ros_args(["bring_up", *arguments])[1:]
        if len(names) != 1:
            sys.exit("usage: bring_up NODE, e.g. bring_up /hands")
        return runner.spin([start_bring_up(runner, names[0], stop=True)])


if __name__ == "__main__":
    sys.exit(main())
