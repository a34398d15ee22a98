"""ROS 2 interface of lgnet_core: messages, topics, TF and the node. Contains no mathematics and no torch."""

import os
from contextlib import suppress
from ctypes import CDLL
from pathlib import Path
from pkgutil import extend_path

# The package has two halves: these modules and the generated messages. They may be in two directories (a checkout, or
# links to it, and an installation), so both are searched, whichever is imported first.
__path__ = extend_path([*__path__, str(Path(__file__).resolve().parent)], __name__)


def _load_message_libraries() -> None:
    """Load the messages' libraries of a virtual environment beside a sourced ROS 2.

    rosidl asks the loader for them by name. setup.bash of a colcon workspace and the wheels of ROS 2 tell it the folder
    in LD_LIBRARY_PATH; nothing does for `pip install` beside a sourced ROS 2. What is loaded is found by its name.
    """
    generated = next((Path(folder) for folder in __path__ if Path(folder, "msg", "__init__.py").is_file()), None)
    if generated is None:
        return
    libraries = generated.parents[2]  # lib, of lib/python3.X/site-packages/lgnet_ros
    if str(libraries) in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        return
    # In this order: all others need ..._generator_c. tf2_msgs is here only if ROS 2 lacks it.
    for library in (path for name in (__name__, "tf2_msgs") for path in sorted(libraries.glob(f"lib{name}__*.so"))):
        with suppress(OSError):  # ROS 2 is not sourced; importing rclpy says so
            CDLL(str(library))


_load_message_libraries()
