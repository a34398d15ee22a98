"""Images of a ROS bag and their calibrations; topics are found by their types."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lgnet_core.bags.definitions import message_types
from lgnet_core.io.extras import needs_extra
from lgnet_core.io.files import InputError
from lgnet_core.io.output import explain
from lgnet_core.messages.camera_info_lookup import CameraInfoLookup
from lgnet_core.messages.names import camera_info_of

with needs_extra("reading bags", "bags"):
    from rosbags.highlevel import AnyReader

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
CAMERA_INFO_TYPE = "sensor_msgs/msg/CameraInfo"
COMPRESSED = "/compressed"
"""What image_transport appends to the topic of an image."""
_URI_CHARACTERS = re.compile(r"[?#]|%[0-9a-fA-F]{2}")


class ImageBag:
    """The images of one topic of a bag, and their calibrations, as a context manager.

    Iterating yields, in the order of the bag, the time in nanoseconds at which each image was recorded, and its
    message, whose fields are those of sensor_msgs.

    Args:
        path: folder of a rosbag2 bag, or its only file (MCAP or sqlite).
        image_topic: None: the only one with images.
        camera_info_topic: None: the one beside the images, as image_transport names it.

    Attributes:
        image_topic: resolved, without ``/compressed``.
        camera_info_topic: resolved.
        camera_infos: their calibrations.

    Raises:
        InputError: on entry, if the bag cannot be read, or it is not clear which topic has the images or their
            calibration; while iterating, if the bag is damaged.
    """

    def __init__(self, path: Path, image_topic: str | None = None, camera_info_topic: str | None = None) -> None:
        self.path = path
        self._wanted_image, self._wanted_info = image_topic, camera_info_topic

    def __enter__(self) -> ImageBag:
        if not self.path.exists():
            raise InputError(f"{self.path}: no such bag; check the path (relative to {Path.cwd()})")
        if self.path.is_dir() and not (self.path / "metadata.yaml").exists():
            raise InputError(
                f"{self.path}: not a bag, since it has no metadata.yaml; pass the folder that ros2 bag record wrote, "
                "or the .mcap or .db3 file in it"
            )
        self._check_names()
        types = message_types()
        with self._explained():
            self._reader = AnyReader([self.path], default_typestore=types)
            self._reader.open()
        try:
            topic = self._choose_image_topic()
            self.image_topic = topic.removesuffix(COMPRESSED)
            self.camera_info_topic = self._choose_camera_info_topic()
            self._images = self._connections(IMAGE_TYPES, topic)
            infos = self._connections([CAMERA_INFO_TYPE], self.camera_info_topic)
            self.camera_infos = CameraInfoLookup([message for _, message in self._messages(infos)], len(self))
        except BaseException:
            self._reader.close()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        self._reader.close()

    def __len__(self) -> int:
        """Number of images."""
        return sum(connection.msgcount for connection in self._images)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return self._messages(self._images)

    def _messages(self, connections: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        with self._explained():
            for connection, time, data in self._reader.messages(connections=connections):
                yield time, self._reader.deserialize(data, connection.msgtype)

    def _connections(self, types: Sequence[str], topic: str | None = None) -> list[Any]:
        return [
            connection
            for connection in self._reader.connections
            if connection.msgtype in types and connection.msgcount and topic in (None, connection.topic)
        ]

    def _topics(self, types: Sequence[str]) -> Counter[str]:
        """Number of messages by topic."""
        counts: Counter[str] = Counter()
        for connection in self._connections(types):
            counts[connection.topic] += connection.msgcount
        return counts

    def _choose_image_topic(self) -> str:
        topics = self._topics(IMAGE_TYPES)
        if not topics:
            raise InputError(
                f"{self.path}: has no images (sensor_msgs/Image or CompressedImage); its topics: "
                f"{', '.join(sorted(self._reader.topics)) or 'none'}"
            )
        if self._wanted_image is not None:
            for topic in (self._wanted_image, self._wanted_image + COMPRESSED):
                if topic in topics:
                    return topic
            raise InputError(f"{self.path}: has no images on {self._wanted_image}; there are {_listed(topics)}")
        if len(topics) > 1:
            raise InputError(
                f"{self.path}: has several topics with images; choose one with --image-topic: {_listed(topics)}"
            )
        return next(iter(topics))

    def _choose_camera_info_topic(self) -> str:
        topics = self._topics([CAMERA_INFO_TYPE])
        topic = self._wanted_info or camera_info_of(self.image_topic)
        if topic in topics:
            return topic
        known = f"there are {_listed(topics)}" if topics else "it has none at all; record it with the images"
        remedy = "; choose one with --camera-info-topic" if topics else ""
        raise InputError(
            f"{self.path}: has no camera_info on {topic}, so the camera is not calibrated: {known}{remedy}"
        )

    def _check_names(self) -> None:
        """The library opens sqlite files by a URI, in which it does not escape special characters."""
        for file in self.path.glob("*.db3") if self.path.is_dir() else [self.path]:
            if file.suffix == ".db3" and _URI_CHARACTERS.search(str(file)):
                raise InputError(f"{file}: the path of an sqlite bag cannot have ?, # or %; rename it")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Convert errors of the library to ours; in damaged files they are of any type."""
        try:
            yield
        except (MemoryError, PermissionError):
            raise
        except Exception as error:
            raise InputError(
                f"{self.path}: cannot be read as a bag of ROS 2, MCAP or sqlite ({explain(error)}); if the recording "
                "was cut off, repair it with: mcap recover, or ros2 bag reindex"
            ) from error


def _listed(topics: Counter[str]) -> str:
    return ", ".join(f"{topic} ({count} messages)" for topic, count in sorted(topics.items()))
