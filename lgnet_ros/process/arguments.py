"""Command-line arguments of the programs: separating parameter overrides, validating parameter files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from lgnet_core.io.output import explain_os_error

OVERRIDES: dict[str, tuple[type[str] | type[float], str]] = {
    "device": (str, "auto, cpu, cuda, cuda:0, ..."),
    "weights": (str, "weights file of the network"),
    "hand_model": (str, "output folder of `lgnet mano convert`"),
    "frame_prefix": (str, "prefix of all frame names, e.g. left_arm/"),
    "image_transport": (str, "raw or compressed"),
    "image_qos": (str, "auto, reliable or best_effort"),
    "camera_model": (str, "auto, raw or rectified"),
    "hand_length": (float, "length of the hand from wrist to middle fingertip, metres"),
}
"""Parameters that are arguments of hands.launch.py and lgnet-hands too: type and description.

Arguments take precedence over the parameter file.
"""


class StartupError(Exception):
    """Invalid arguments or parameters that prevent a program from starting; the message is one line for the user."""


def startup_error(error: RuntimeError) -> StartupError:
    """Convert an rcl error about arguments, omitting the locations in its C code."""
    return StartupError("Invalid ROS arguments: " + str(error).partition(", at /")[0].splitlines()[0])


def split_parameters(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split off the parameter overrides (``-p NAME:=VALUE``), to be passed to the node itself as ROS arguments.

    If a parameter file and a ``-p`` override have different types, rcl keeps both values and returns one depending on
    the requested type: ``smoothing: true`` in a file hides ``-p smoothing:=0``. The arguments of a node are parsed
    separately from those of the process and take precedence.

    Returns:
        The other arguments, and the overrides.
    """
    other: list[str] = []
    parameters: list[str] = []
    in_ros_arguments = False
    arguments = iter(args)
    for argument in arguments:
        in_ros_arguments = argument == "--ros-args" or (in_ros_arguments and argument != "--")
        if in_ros_arguments and argument in ("-p", "--param"):
            parameters += [argument, *([value] if (value := next(arguments, None)) is not None else [])]
        else:
            other.append(argument)
    return other, ["--ros-args", *parameters] if parameters else []


def check_parameter_files(args: Sequence[str]) -> None:
    """Validate every ``--params-file``: rcl silently accepts any text as a file without parameters.

    Raises:
        StartupError: which file is invalid, and why.
    """
    for option, path in pairwise(args):
        if option == "--params-file":
            check_parameter_file(path)


def check_parameter_file(path: str) -> None:
    """Validate one parameter file.

    Raises:
        StartupError: it is missing, unreadable or no parameter file.
    """
    try:
        content = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise StartupError(f"Parameter file {explain_os_error(error, path)}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StartupError(f"Parameter file {path}: invalid YAML: {' '.join(str(error).split())}") from error
    if content is not None and not _has_parameters(content):
        raise StartupError(f"Parameter file {path}: contains no ros__parameters; see config/hands.yaml")


def _has_parameters(content: Any) -> bool:
    return isinstance(content, dict) and ("ros__parameters" in content or any(map(_has_parameters, content.values())))
