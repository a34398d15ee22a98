"""The ROS 2 face of lgnet_core: messages, topics, TF and the node. No mathematics and no torch in here."""

from pathlib import Path
from pkgutil import extend_path

# This package has two halves: these modules, and the messages that the build generates. They may lie in two folders (a
# checkout, or links to it, beside an installation), so both are searched, whichever was found first.
__path__ = extend_path([*__path__, str(Path(__file__).resolve().parent)], __name__)
