"""Shared memory of ROS 2 processes that belong to other users of this machine."""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")


def other_users(folder: Path = SHARED_MEMORY) -> list[str]:
    """Names of the other users who have segments of Fast DDS in shared memory, in alphabetical order.

    Fast DDS finds participants of other users, but neither side can write to the other's segments: messages get lost
    without an error or event.
    """
    uids = set()
    for pattern in ("fastdds_*", "fastrtps_*"):
        for path in folder.glob(pattern):
            with contextlib.suppress(FileNotFoundError):  # its process ended meanwhile
                uids.add(path.stat().st_uid)
    return sorted(_user_name(uid) for uid in uids - {os.geteuid()})


def explain_other_users(folder: Path = SHARED_MEMORY) -> str:
    """The cause and the remedy if processes of other users communicate through shared memory; otherwise empty."""
    users = other_users(folder)
    if not users:
        return ""
    return (
        f"ROS 2 processes of user {', '.join(users)} use shared memory on this machine, and this process runs as "
        f"{_user_name(os.geteuid())}: different users cannot exchange messages through it. Run the camera driver and "
        "this node as the same user, or start one of them with FASTDDS_BUILTIN_TRANSPORTS=UDPv4 (without effect if "
        "ROS_AUTOMATIC_DISCOVERY_RANGE is LOCALHOST)"
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # users of containers need not have an entry
        return str(uid)
