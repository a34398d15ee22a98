"""Launch the hands node and activate it.

    ros2 launch lgnet_ros hands.launch.py image:=/camera/color/image_raw
    ros2 launch lgnet_ros hands.launch.py demo:=true rviz:=true

`ros2 launch lgnet_ros hands.launch.py --show-args` lists all arguments.
"""

import sys
from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessStart
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription

try:
    import lgnet_ros  # noqa: F401
except ImportError:  # installed into a virtual environment, whose packages the Python of `ros2` may not see
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    sys.path.extend(map(str, Path(__file__).parent.glob("../../../lib/python3*/site-packages")))
from lgnet_ros.process.arguments import OVERRIDES, check_parameter_file
from lgnet_ros.process.resources import fast_dds_environment

PACKAGE = "lgnet_ros"

ARGUMENTS = (
    ("image", "image", "image topic; for image_transport: compressed, without the suffix /compressed"),
    ("camera_info", "", "camera calibration topic; empty: camera_info beside the image topic"),
    ("depth", "", "depth image topic, sets use_depth; empty: value of the parameter file"),
    ("depth_camera_info", "", "calibration of the depth images; empty: camera_info beside the depth topic"),
    ("namespace", "", "namespace of the node and its topics; empty: /hands/mesh etc."),
    ("params_file", None, "YAML file with parameters of the node"),
    ("device", "", "auto, cpu, cuda, cuda:0, ...; empty: value of the parameter file"),
    ("weights", "", "weights file of the network; empty: value of the parameter file"),
    ("hand_model", "", "output folder of `lgnet mano convert`; empty: value of the parameter file"),
    ("frame_prefix", "", "prefix of all frame names, e.g. left_arm/; empty: value of the parameter file"),
    ("image_transport", "", "raw or compressed; empty: value of the parameter file"),
    ("image_qos", "", "auto, reliable or best_effort; empty: value of the parameter file"),
    ("camera_model", "", "auto, raw or rectified; empty: value of the parameter file"),
    ("hand_length", "", "wrist to middle fingertip, metres; empty: value of the parameter file"),
    ("use_sim_time", "false", "use the time of /clock"),
    ("autostart", "true", "configure and activate the node; false: leave that to a lifecycle manager"),
    ("respawn", "false", "start the node again if it dies; false: its end also ends the launch"),
    ("rviz", "false", "start RViz with config/hands.rviz"),
    ("view", "false", "show image and hands in the browser (needs the extra live)"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
    ("demo", "false", "start a camera that publishes the bundled clip, with depth images if depth is given"),
)
RESPAWN_DELAY = 2.0  # seconds


def share_file(*parts: str) -> PathJoinSubstitution:
    """Path of a file in share/lgnet_ros."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *parts])


def sim_time() -> dict:
    return {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}


def remappings(context: LaunchContext, *names: str) -> list:
    """Remappings of the topics that are given as launch arguments."""
    topics = {name: LaunchConfiguration(name).perform(context) for name in names}
    return [(name, topic) for name, topic in topics.items() if topic]


def camera_topics(context: LaunchContext) -> list:
    return remappings(context, "image", "camera_info")


def depth_topics(context: LaunchContext) -> list:
    return remappings(context, "depth", "depth_camera_info")


def overrides(context: LaunchContext) -> dict:
    """Parameters given as launch arguments, which take precedence over the parameter file.

    Raises:
        ValueError: a value has the wrong type.
    """
    values = {name: LaunchConfiguration(name).perform(context) for name in OVERRIDES}
    parameters = {"use_depth": True} if depth_topics(context) else {}
    for name, value in values.items():
        kind, _ = OVERRIDES[name]
        if not value:
            continue
        try:
            parameters[name] = kind(value) if kind is not str else ParameterValue(value, value_type=str)
        except ValueError:
            raise ValueError(f"Launch argument {name}: expected a number, got {value!r}") from None
    return parameters


def shut_down(reason: str) -> list:
    return [LogInfo(msg=reason), EmitEvent(event=Shutdown(reason=reason))]


def launch_nodes(context: LaunchContext) -> list:
    """The nodes and, with autostart, the event handler that brings the hands node up each time it starts."""
    params_file = LaunchConfiguration("params_file").perform(context)
    check_parameter_file(params_file)  # launch would start the node without a file that is missing
    respawn = IfCondition(LaunchConfiguration("respawn")).evaluate(context)

    def on_exit(event, context) -> list:
        expected = respawn or context.is_shutdown
        return [] if expected else shut_down(f"hands: The node ended with exit code {event.returncode}, shutting down")

    node = LifecycleNode(
        package=PACKAGE,
        executable="hands_node",
        name="hands",
        namespace=LaunchConfiguration("namespace"),
        parameters=[params_file, overrides(context), sim_time()],
        remappings=camera_topics(context) + depth_topics(context),
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        output="screen",
        emulate_tty=True,
        respawn=respawn,
        respawn_delay=RESPAWN_DELAY,
        on_exit=on_exit,
    )

    def bring_up(event, context) -> list:
        """A process that configures and activates the node; it reports what fails."""

        def on_exit(event, context) -> list:
            failed = event.returncode > 0 and not respawn and not context.is_shutdown
            return shut_down("hands: The node could not be activated, shutting down") if failed else []

        return [
            Node(
                package=PACKAGE,
                executable="bring_up",
                arguments=[node.node_name, "--ros-args", "--log-level", LaunchConfiguration("log_level")],
                output="screen",
                on_exit=on_exit,
            )
        ]

    autostart = RegisterEventHandler(
        OnProcessStart(target_action=node, on_start=bring_up),
        condition=IfCondition(LaunchConfiguration("autostart")),
    )
    demo_camera = Node(
        package=PACKAGE,
        executable="demo_camera",
        namespace=LaunchConfiguration("namespace"),
        parameters=[{"depth": bool(depth_topics(context))}, sim_time()],
        remappings=camera_topics(context) + depth_topics(context),
        output="screen",
        condition=IfCondition(LaunchConfiguration("demo")),
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", share_file("config", "hands.rviz")],
        parameters=[sim_time()],
        remappings=camera_topics(context),
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    of_view = {name: value for name, value in overrides(context).items() if name in ("image_transport", "camera_model")}
    view = Node(
        package=PACKAGE,
        executable="hands_view",
        namespace=LaunchConfiguration("namespace"),
        parameters=[of_view, sim_time()],
        remappings=camera_topics(context),
        output="screen",
        condition=IfCondition(LaunchConfiguration("view")),
    )
    return [autostart, node, demo_camera, rviz, view]  # the handler first, so that it misses no event


def generate_launch_description() -> LaunchDescription:
    defaults = {"params_file": share_file("config", "hands.yaml")}
    arguments = [
        DeclareLaunchArgument(name, default_value=defaults.get(name, default), description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription(
        [
            *arguments,
            *(SetEnvironmentVariable(name, value) for name, value in fast_dds_environment().items()),
            OpaqueFunction(function=launch_nodes),
        ]
    )
