"""Launch the hands node and activate it.

    ros2 launch lgnet_ros hands.launch.py image:=/camera/color/image_raw camera_info:=/camera/color/camera_info
    ros2 launch lgnet_ros hands.launch.py demo:=true rviz:=true

`ros2 launch lgnet_ros hands.launch.py --show-args` lists all arguments.
"""

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
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition

from launch import LaunchContext, LaunchDescription
from lgnet_ros.resources import fast_dds_environment

PACKAGE = "lgnet_ros"

ARGUMENTS = (
    ("image", "image", "image topic; for image_transport: compressed, without the suffix /compressed"),
    ("camera_info", "camera_info", "camera calibration topic"),
    ("namespace", "", "namespace of the node and its topics; empty: /hands/mesh etc."),
    ("params_file", None, "YAML file with parameters of the node"),
    ("device", "", "auto, cpu, cuda, cuda:0, ...; empty: value of the parameter file"),
    ("weights", "", "weights file of the network; empty: value of the parameter file"),
    ("hand_model", "", "output folder of `lgnet mano convert`; empty: value of the parameter file"),
    ("use_sim_time", "false", "use the time of /clock"),
    ("autostart", "true", "configure and activate the node; false: leave that to a lifecycle manager"),
    ("rviz", "false", "start RViz with config/hands.rviz"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
    ("demo", "false", "start a camera that publishes the bundled clip"),
)
OVERRIDES = ("device", "weights", "hand_model")  # on the command line they take precedence over the parameter file


def share_file(*parts: str) -> PathJoinSubstitution:
    """Path of a file in share/lgnet_ros."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *parts])


def sim_time() -> dict:
    return {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}


def camera_topics() -> list:
    return [(name, LaunchConfiguration(name)) for name in ("image", "camera_info")]


def hands_node(context: LaunchContext) -> list:
    """The node and, with autostart, the event handlers that configure and activate it."""
    overrides = {name: LaunchConfiguration(name).perform(context) for name in OVERRIDES}
    node = LifecycleNode(
        package=PACKAGE,
        executable="hands_node",
        name="hands",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            {name: ParameterValue(value, value_type=str) for name, value in overrides.items() if value},
            sim_time(),
        ],
        remappings=camera_topics(),
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        output="screen",
        emulate_tty=True,
    )
    autostart = IfCondition(LaunchConfiguration("autostart"))
    configure = RegisterEventHandler(
        OnProcessStart(target_action=node, on_start=[change_state(node, Transition.TRANSITION_CONFIGURE)]),
        condition=autostart,
    )
    # Only after configuring: a node that was deactivated manually stays inactive.
    activate = RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state="configuring",
            goal_state="inactive",
            entities=[
                LogInfo(msg="hands: Configured, activating"),
                change_state(node, Transition.TRANSITION_ACTIVATE),
            ],
        ),
        condition=autostart,
    )
    return [configure, activate, node]  # the handlers first, so that they miss no events


def change_state(node: LifecycleNode, transition: int) -> EmitEvent:
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))


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
            OpaqueFunction(function=hands_node),
            Node(
                package=PACKAGE,
                executable="demo_camera",
                namespace=LaunchConfiguration("namespace"),
                parameters=[sim_time()],
                remappings=camera_topics(),
                output="screen",
                condition=IfCondition(LaunchConfiguration("demo")),
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=LaunchConfiguration("namespace"),
                arguments=["-d", share_file("config", "hands.rviz")],
                parameters=[sim_time()],
                remappings=camera_topics(),
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )
