"""What a user gives a program on its command line: parameters told apart from the rest, and files that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml


class RefusedError(Exception):
    """What a program was given and cannot start with; the message is one line for its user."""


def refusal(error: RuntimeError) -> RefusedError:
    """An error of rcl's about its arguments, less the places in its C code."""
    return RefusedError("wrong ROS arguments: " + str(error).partition(", at /")[0].splitlines()[0])


def split_parameters(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments less ``-p NAME:=VALUE``, and those, as ROS arguments for the node itself.

    Where rcl reads a file's parameter and a ``-p`` of another type together, it keeps both values and hands out one by
    its type: ``smoothing: true`` in a file hides ``-p smoothing:=0``. A node's own arguments it reads apart from those
    of the process, and they win.
    """
    rest: list[str] = []
    parameters: list[str] = []
    ros = False
    arguments = iter(args)
    for argument in arguments:
        ros = argument == "--ros-args" or (ros and argument != "--")
        if ros and argument in ("-p", "--param"):
            parameters += [argument, *([value] if (value := next(arguments, None)) is not None else [])]
        else:
            rest.append(argument)
    return rest, ["--ros-args", *parameters] if parameters else []


def check_parameter_files(args: Sequence[str]) -> None:
    """Look into every ``--params-file``: rcl takes any text for a file without parameters, and says nothing.

    Raises:
        RefusedError: which file is wrong, and why.
    """
    for option, path in pairwise(args):
        if option != "--params-file":
            continue
        try:
            content = yaml.safe_load(Path(path).read_text())
        except OSError as error:
            raise RefusedError(f"parameter file {path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise RefusedError(f"parameter file {path}: no YAML: {' '.join(str(error).split())}") from error
        if content is not None and not _has_parameters(content):
            raise RefusedError(
                f"parameter file {path}: nothing in it stands under ros__parameters; see config/hands.yaml"
            )


def _has_parameters(content: Any) -> bool:
    return isinstance(content, dict) and ("ros__parameters" in content or any(map(_has_parameters, content.values())))
