"""Log files of ROS 2, without which a process should run all the same."""

from __future__ import annotations

import logging

from rclpy.logging import get_logging_directory

from lgnet_core.io.output import OutputError, make_folder


def log_arguments() -> list[str]:
    """ROS arguments that switch log files off if their folder cannot be written, where ``rclpy.init`` would fail.

    The reason and the remedy are logged then. Typical are containers that run under a user id without a home folder.
    """
    try:
        make_folder(get_logging_directory())
    except (OutputError, RuntimeError) as error:
        reason = str(error) if isinstance(error, OutputError) else "there is no home folder, since HOME is not set"
        logging.getLogger("lgnet_ros").warning(
            f"No log file, only the terminal and /rosout: {reason}. Set ROS_LOG_DIR to a writable folder"
        )
        return ["--ros-args", "--disable-external-lib-logs"]
    return []
