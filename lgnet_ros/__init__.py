"""ROS 2 interface of lgnet_core: messages, topics, TF and the node. Contains no mathematics and no torch."""

from pathlib import Path
from pkgutil import extend_path

# The package has two halves: these modules and the generated messages. They may be in two directories (a checkout, or
# links to it, and an installation), so both are searched, whichever is imported first.
__path__ = extend_path([*__path__, str(Path(__file__).resolve().parent)], __name__)
