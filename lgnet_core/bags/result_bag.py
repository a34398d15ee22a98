"""A bag of results, as ``ros2 bag record`` would write it of the node."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from lgnet_core.bags import hand_messages
from lgnet_core.bags.definitions import message_types
from lgnet_core.bags.hand_messages import HandMessages
from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.geometry.inter_hand import inter_hand
from lgnet_core.hand_model import HandModel
from lgnet_core.io.extras import needs_extra
from lgnet_core.io.output import OutputError, explain_os_error
from lgnet_core.recording.jpeg import encode_jpeg
from lgnet_core.types import Camera, ImageArray, ImageHands

with needs_extra("writing bags", "bags"):
    from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

TOPICS = {
    "/hands/joints": hand_messages.JOINTS,
    "/hands/mesh": hand_messages.MESH,
    "/hands/inter_hand": hand_messages.INTER_HAND,
    "/tf": hand_messages.TRANSFORMS,
    "/hands/overlay/compressed": hand_messages.OVERLAY,
}
"""Message type of each topic."""

_FORMAT_VERSION: Literal[8] = 8  # of metadata.yaml: the oldest that the library writes, for the sake of older ROS 2


def check_new_bag(path: Path) -> None:
    """Check that a bag can be written here: one that exists is not replaced.

    Raises:
        OutputError: if the path exists.
    """
    if path.exists():
        raise OutputError(f"{path}: exists already; delete it, or choose another folder with --out")


class ResultBag:
    """Writer of a bag (folder with metadata and MCAP), as a context manager.

    On exit the bag is complete, also after an interruption, with the images until then. If it cannot be written,
    nothing is left of it.

    Args:
        hand_model: of the hands.

    Raises:
        OutputError: if the folder exists already, or cannot be written.
    """

    def __init__(self, path: Path, hand_model: HandModel) -> None:
        self.path = path
        self._types = message_types()
        self._messages = HandMessages(self._types)
        self._frames = HandFrames(hand_model)

    def __enter__(self) -> ResultBag:
        check_new_bag(self.path)
        self._writer = Writer(self.path, version=_FORMAT_VERSION, storage_plugin=StoragePlugin.MCAP)
        try:
            self._writer.open()
            self._connections = {
                topic: self._writer.add_connection(topic, kind, typestore=self._types) for topic, kind in TOPICS.items()
            }
        except (OSError, WriterError) as error:
            self._remove()
            raise self._explained(error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is not None and issubclass(kind, OutputError):
            self._remove()
            return
        try:
            self._writer.close()
        except (OSError, WriterError) as error:
            self._remove()
            raise self._explained(error) from error

    def add(self, time: int, header: Any, camera: Camera | None, hands: ImageHands, overlay: ImageArray) -> None:
        """Add the results of an image.

        Args:
            time: of the recording, nanoseconds.
            header, camera: of the image.
            overlay: (H, W, 3) RGB; the only output without a camera.
        """
        if camera is not None:
            poses = self._frames.poses(hands.hands)
            if poses and header.frame_id:  # TF rejects an empty parent
                self._write("/tf", time, self._messages.transforms(header, poses))
            self._write("/hands/mesh", time, self._messages.mesh(hands, header, poses))
            self._write("/hands/joints", time, self._messages.joints(hands, header, poses, camera))
            for relation in filter(None, (inter_hand(person, poses) for person in hands.people)):
                self._write("/hands/inter_hand", time, self._messages.inter_hand(relation, header))
        jpeg = encode_jpeg(overlay)
        self._write("/hands/overlay/compressed", time, self._messages.compressed_image(jpeg, header))

    def _write(self, topic: str, time: int, message: Any) -> None:
        data = self._types.serialize_cdr(message, TOPICS[topic])
        try:
            self._writer.write(self._connections[topic], time, data)
        except (OSError, WriterError) as error:
            raise self._explained(error) from error

    def _remove(self) -> None:
        with suppress(OSError, WriterError):
            self._writer.abort()
        shutil.rmtree(self.path, ignore_errors=True)

    def _explained(self, error: Exception) -> OutputError:
        reason = explain_os_error(error, self.path) if isinstance(error, OSError) else f"{self.path}: {error}"
        return OutputError(f"cannot write {reason}")
