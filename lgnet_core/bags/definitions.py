"""Types of the messages in bags, those of this package included."""

from __future__ import annotations

from pathlib import Path

from lgnet_core.io.extras import needs_extra

with needs_extra("reading bags", "bags"):
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    from rosbags.typesys.store import Typestore

PACKAGE = "lgnet_ros"


def message_types() -> Typestore:
    """The types of ROS 2 and of :data:`PACKAGE`.

    Raises:
        FileNotFoundError: if the definitions are not installed.
    """
    store = get_typestore(Stores.LATEST)
    types = {}
    for path in sorted(_definitions().glob("*.msg")):
        types.update(get_types_from_msg(path.read_text(), f"{PACKAGE}/msg/{path.stem}"))
    store.register(types)
    return store


def _definitions() -> Path:
    """Folder of the definitions: ``msg`` of a checkout, or where an installation has it below its prefix."""
    package = Path(__file__).resolve().parents[1]
    candidates = [package.parent / "msg", *(parent / "share" / PACKAGE / "msg" for parent in package.parents)]
    for folder in candidates:
        if (folder / "HandMesh.msg").exists():
            return folder
    raise FileNotFoundError(
        f"{package.parent}: no message definitions (share/{PACKAGE}/msg); install lgnet_ros with make, pip or colcon"
    )
