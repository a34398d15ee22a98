"""Command ``lgnet-hands``: starts the node and brings it up, as hands.launch.py does, without launch."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rclpy.node import Node

    from lgnet_ros.process.runner import NodeRunner


def parse_arguments(args: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse the options; return them, and the ROS arguments resulting from them and from ``--ros-args``."""
    parser = argparse.ArgumentParser(
        prog="lgnet-hands",
        description="Start the hands node and activate it: publishes /hands/mesh, TF and markers from camera images.",
        epilog="ROS arguments may follow: --ros-args -p smoothing:=false -r hands/mesh:=/arm/mesh",
    )
    parser.add_argument("--image", metavar="TOPIC", help="image topic (default: image)")
    parser.add_argument("--camera-info", metavar="TOPIC", help="camera calibration topic (default: camera_info)")
    parser.add_argument("--namespace", metavar="NAME", help="namespace of the node and its topics")
    parser.add_argument("--params-file", metavar="YAML", help="parameter file (default: values of config/hands.yaml)")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:0, ...")
    parser.add_argument("--weights", metavar="FILE", help="weights of the network")
    parser.add_argument("--hand-model", metavar="FOLDER", help="output folder of `lgnet mano convert`")
    parser.add_argument("--use-sim-time", action="store_true", help="use the time of /clock")
    parser.add_argument("--no-autostart", action="store_true", help="do not configure and activate the node")
    parser.add_argument("--log-level", choices=["debug", "info", "warn", "error", "fatal"], default="info")
    parser.add_argument(
        "--demo", metavar="FOLDER", type=Path, help="run the node on the bundled clip, write images to FOLDER, exit"
    )
    args = list(args)
    split = args.index("--ros-args") if "--ros-args" in args else len(args)
    options = parser.parse_args(args[:split])
    ros_arguments = ["--ros-args", "--log-level", options.log_level]
    if options.params_file:
        ros_arguments += ["--params-file", options.params_file]
    ros_arguments += remappings(options)
    for name in ("device", "weights", "hand_model"):
        if getattr(options, name):
            ros_arguments += ["-p", f"{name}:='{getattr(options, name)}'"]
    if options.use_sim_time:
        ros_arguments += ["-p", "use_sim_time:=true"]
    return options, [*ros_arguments, *args[split:]]


def remappings(options: argparse.Namespace) -> list[str]:
    """ROS arguments that remap the camera's topics and the namespace."""
    names = {"image": options.image, "camera_info": options.camera_info}
    if options.namespace:
        names["__ns"] = f"/{options.namespace.strip('/')}"
    return [part for name, value in names.items() if value for part in ("-r", f"{name}:={value}")]


def bring_up(runner: NodeRunner, node: Node, target: str) -> None:
    """Configure and activate the target node; end the process if that fails."""
    from lgnet_ros.process.lifecycle import LifecycleClient, LifecycleError

    client = LifecycleClient(node, target)
    try:
        client.bring_up()
    except LifecycleError as error:
        if not runner.stopping:
            node.get_logger().error(str(error))
            runner.stop(1)


def main(args: Sequence[str] | None = None) -> int:
    options, ros_arguments = parse_arguments(sys.argv[1:] if args is None else args)
    if options.demo is not None:
        from lgnet_ros.demo.system import run_demo

        return run_demo(options.demo, node_arguments=ros_arguments, remappings=remappings(options))
    from rclpy.node import Node  # the libraries take seconds to import, which --help and the demo need not wait for

    from lgnet_ros.node import HandsNode
    from lgnet_ros.process.arguments import split_parameters
    from lgnet_ros.process.runner import NodeRunner

    other_arguments, parameters = split_parameters(ros_arguments)
    with NodeRunner(other_arguments) as runner:
        hands_node = HandsNode(cli_args=parameters)
        nodes: list[Node] = [hands_node]
        if not options.no_autostart:
            namespace = hands_node.get_namespace()
            # Without global arguments, since a remapping of __node applies to the hands node only.
            client_node = Node("lgnet_hands_lifecycle", use_global_arguments=False, namespace=namespace)
            nodes.append(client_node)
            target = f"{namespace.rstrip('/')}/{hands_node.get_name()}"
            threading.Thread(target=bring_up, args=[runner, client_node, target], daemon=True).start()
        return runner.spin(nodes)


if __name__ == "__main__":
    sys.exit(main())
