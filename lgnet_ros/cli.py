"""The command ``lgnet-hands``: what hands.launch.py does, where there is no launch."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from rclpy.node import Node

from lgnet_ros.node import HandsNode
from lgnet_ros.process.arguments import split_parameters
from lgnet_ros.process.lifecycle import LifecycleClient, LifecycleError
from lgnet_ros.process.main import Program


def parse(args: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the arguments that they and the user give to ROS."""
    parser = argparse.ArgumentParser(
        prog="lgnet-hands",
        description="Start the hands node and bring it up: from images to /hands/mesh, TF and markers.",
        epilog="ROS arguments may follow: --ros-args -p smoothing:=false -r hands/mesh:=/arm/mesh",
    )
    parser.add_argument("--image", metavar="TOPIC", help="images (default: image)")
    parser.add_argument("--camera-info", metavar="TOPIC", help="calibration of the camera (default: camera_info)")
    parser.add_argument("--namespace", metavar="NAME", help="of the node and of its topics")
    parser.add_argument(
        "--params-file", metavar="YAML", help="parameters of the node (default: those of config/hands.yaml)"
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:0, ...")
    parser.add_argument("--weights", metavar="FILE", help="of the network")
    parser.add_argument("--hand-model", metavar="FOLDER", help="that `lgnet mano convert` wrote")
    parser.add_argument("--use-sim-time", action="store_true", help="take the time from /clock")
    parser.add_argument("--no-autostart", action="store_true", help="leave configure and activate to somebody else")
    parser.add_argument("--log-level", choices=["debug", "info", "warn", "error", "fatal"], default="info")
    parser.add_argument(
        "--demo", metavar="FOLDER", type=Path, help="play the bundled clip to the node, listen, write images, end"
    )
    args = list(args)
    split = args.index("--ros-args") if "--ros-args" in args else len(args)
    options = parser.parse_args(args[:split])
    ros = ["--ros-args", "--log-level", options.log_level]
    if options.params_file:
        ros += ["--params-file", options.params_file]
    ros += remappings(options)
    for name in ("device", "weights", "hand_model"):
        if getattr(options, name):
            ros += ["-p", f"{name}:='{getattr(options, name)}'"]
    if options.use_sim_time:
        ros += ["-p", "use_sim_time:=true"]
    return options, [*ros, *args[split:]]


def remappings(options: argparse.Namespace) -> list[str]:
    """ROS arguments for where the camera's topics and the namespace are."""
    names = {"image": options.image, "camera_info": options.camera_info}
    if options.namespace:
        names["__ns"] = f"/{options.namespace.strip('/')}"
    return [part for name, value in names.items() if value for part in ("-r", f"{name}:={value}")]


def bring_up(program: Program, node: Node, target: str) -> None:
    """Take the node to active from outside; end the program if that fails."""
    client = LifecycleClient(node, target)
    try:
        client.bring_up()
    except LifecycleError as error:
        if not program.stopping:
            node.get_logger().error(str(error))
            program.stop(1)


def main(args: Sequence[str] | None = None) -> int:
    options, ros_arguments = parse(sys.argv[1:] if args is None else args)
    if options.demo is not None:
        from lgnet_ros.demo.system import run_demo

        return run_demo(options.demo, node_arguments=ros_arguments, remappings=remappings(options))
    rest, parameters = split_parameters(ros_arguments)
    with Program(rest) as program:
        hands = HandsNode(cli_args=parameters)
        nodes: list[Node] = [hands]
        if not options.no_autostart:
            # Not named by remapping __node, which is meant for the node itself.
            helper = Node("lgnet_hands_lifecycle", use_global_arguments=False, namespace=hands.get_namespace())
            nodes.append(helper)
            target = f"{hands.get_namespace().rstrip('/')}/{hands.get_name()}"
            threading.Thread(target=bring_up, args=[program, helper, target], daemon=True).start()
        return program.spin(nodes)


if __name__ == "__main__":
    sys.exit(main())
