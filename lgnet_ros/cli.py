"""Command ``lgnet-hands``: starts the node and brings it up, as hands.launch.py does, without launch."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lgnet_core.io.output import explain
from lgnet_ros.process.arguments import OVERRIDES, split_parameters
from lgnet_ros.process.signals import exit_on_signals

if TYPE_CHECKING:
    from rclpy.node import Node

VIEW_TIMEOUT = 5.0  # seconds until the page's process is killed


def parse_arguments(args: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse the options; return them, and the ROS arguments resulting from them and from ``--ros-args``."""
    parser = argparse.ArgumentParser(
        prog="lgnet-hands",
        description="Start the hands node and activate it: publishes /hands/mesh, TF and markers from camera images.",
        epilog="ROS arguments may follow: --ros-args -p smoothing:=false -r hands/mesh:=/arm/mesh",
    )
    parser.add_argument("--image", metavar="TOPIC", help="image topic (default: image)")
    parser.add_argument("--camera-info", metavar="TOPIC", help="camera calibration topic (default: beside the images)")
    parser.add_argument("--depth", metavar="TOPIC", help="depth image topic; sets use_depth")
    parser.add_argument("--depth-camera-info", metavar="TOPIC", help="its calibration topic (default: beside depth)")
    parser.add_argument("--namespace", metavar="NAME", help="namespace of the node and its topics")
    parser.add_argument("--params-file", metavar="YAML", help="parameter file (default: values of config/hands.yaml)")
    for name, (kind, description) in OVERRIDES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=description)
    parser.add_argument("--use-sim-time", action="store_true", help="use the time of /clock")
    parser.add_argument("--no-autostart", action="store_true", help="do not configure and activate the node")
    parser.add_argument("--log-level", choices=["debug", "info", "warn", "error", "fatal"], default="info")
    parser.add_argument(
        "--demo", metavar="FOLDER", type=Path, help="run the node on the bundled clip, write images to FOLDER, exit"
    )
    parser.add_argument("--view", action="store_true", help="show image and hands in the browser; needs the extra live")
    args = list(args)
    split = args.index("--ros-args") if "--ros-args" in args else len(args)
    options = parser.parse_args(args[:split])
    if options.view and options.demo is not None:
        parser.error("--view shows a camera's images; to see the bundled clip in the browser: lgnet live --demo")
    ros_arguments = ["--ros-args", "--log-level", options.log_level]
    if options.params_file:
        ros_arguments += ["--params-file", options.params_file]
    ros_arguments += remappings(options)
    if options.depth:
        ros_arguments += ["-p", "use_depth:=true"]
    for name, (kind, _) in OVERRIDES.items():
        if (value := getattr(options, name)) not in (None, ""):
            ros_arguments += ["-p", f"{name}:='{value}'" if kind is str else f"{name}:={value}"]
    if options.use_sim_time:
        ros_arguments += ["-p", "use_sim_time:=true"]
    return options, [*ros_arguments, *args[split:]]


def remappings(options: argparse.Namespace) -> list[str]:
    """ROS arguments that remap the camera's topics and the namespace."""
    names = {name: getattr(options, name) for name in ("image", "camera_info", "depth", "depth_camera_info")}
    if options.namespace:
        names["__ns"] = f"/{options.namespace.strip('/')}"
    return [part for name, value in names.items() if value for part in ("-r", f"{name}:={value}")]


def view_command(options: argparse.Namespace) -> list[str]:
    """Command line of the node ``hands_view`` for the same topics."""
    arguments = ["--ros-args", "--log-level", options.log_level, *remappings(options)]
    for name in ("image_transport", "camera_model"):
        if value := getattr(options, name):
            arguments += ["-p", f"{name}:={value}"]
    if options.use_sim_time:
        arguments += ["-p", "use_sim_time:=true"]
    return [sys.executable, "-m", "lgnet_ros.applications.view", *arguments]


@contextmanager
def running(command: Sequence[str]) -> Iterator[None]:
    """Run a program beside the block; nothing for an empty command. Its end does not end the block."""
    process = subprocess.Popen(command) if command else None
    try:
        yield
    finally:
        if process is not None:
            process.terminate()
            try:
                process.wait(VIEW_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main(args: Sequence[str] | None = None) -> int:
    """Run the command; a file that cannot be read or written ends it with exit code 1 and one line."""
    try:
        return _run(sys.argv[1:] if args is None else args)
    except OSError as error:
        print(f"lgnet-hands: {explain(error)}", file=sys.stderr)
        return 1


def _run(args: Sequence[str]) -> int:
    options, ros_arguments = parse_arguments(args)
    if find_spec("rclpy") is None:
        print(
            "lgnet-hands needs ROS 2: source its setup.bash in this shell, as when this was installed", file=sys.stderr
        )
        return 1
    if options.demo is not None:
        from lgnet_ros.demo.system import run_demo

        topics = remappings(options)
        return run_demo(options.demo, node_arguments=ros_arguments, remappings=topics, depth=bool(options.depth))
    exit_on_signals()
    # Only now, since these imports take seconds.
    from lgnet_ros.node import HandsNode
    from lgnet_ros.process.bring_up import start_bring_up
    from lgnet_ros.process.runner import NodeRunner

    other_arguments, parameters = split_parameters(ros_arguments)
    with running(view_command(options) if options.view else []), NodeRunner(other_arguments) as runner:
        hands_node = HandsNode(interrupted=lambda: runner.stopping, cli_args=parameters)
        nodes: list[Node] = [hands_node]
        if not options.no_autostart:
            target = hands_node.get_fully_qualified_name()
            nodes.append(start_bring_up(runner, target, hands_node.get_namespace()))
        return runner.spin(nodes)


if __name__ == "__main__":
    sys.exit(main())
