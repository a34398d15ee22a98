"""Bags of camera images, and reading of any bag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from lgnet_core.bags.definitions import message_types
from lgnet_core.types import Camera

TYPES = get_typestore(Stores.ROS2_HUMBLE)
FRAME_ID = "camera_optical"
PERIOD = 40_000_000
"""Nanoseconds between images."""
FIRST_STAMP = 1_700_000_000_000_000_000
DELAY = 3_000_000
"""Nanoseconds from the stamp of an image to its recording."""


def make(name: str, /, **fields: Any) -> Any:
    package, kind = name.split("/")
    return TYPES.types[f"{package}/msg/{kind}"](**fields)


def header(stamp: int, frame_id: str = FRAME_ID) -> Any:
    time = make("builtin_interfaces/Time", sec=stamp // 10**9, nanosec=stamp % 10**9)
    return make("std_msgs/Header", stamp=time, frame_id=frame_id)


def image(pixels: np.ndarray, stamp: int) -> Any:
    height, width, _ = pixels.shape
    layout = {"height": height, "width": width, "encoding": "rgb8", "is_bigendian": 0, "step": 3 * width}
    return make("sensor_msgs/Image", header=header(stamp), **layout, data=pixels.reshape(-1))


def compressed_image(pixels: np.ndarray, stamp: int) -> Any:
    data = cv2.imencode(".png", pixels[..., ::-1])[1].ravel()
    return make("sensor_msgs/CompressedImage", header=header(stamp), format="rgb8; png compressed bgr8", data=data)


def camera_info(camera: Camera, stamp: int, frame_id: str = FRAME_ID) -> Any:
    roi = make("sensor_msgs/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return make(
        "sensor_msgs/CameraInfo",
        header=header(stamp, frame_id),
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=camera.matrix.flatten(),
        r=np.eye(3).reshape(-1),
        p=np.column_stack([camera.matrix, np.zeros(3)]).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def write_bag(path: Path, messages: Sequence[tuple[str, Any]], storage: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """Write (topic, message) in this order, each recorded :data:`DELAY` after its stamp."""
    with Writer(path, version=8, storage_plugin=storage) as writer:
        connections = {}
        for topic, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
            stamp = message.header.stamp
            time = stamp.sec * 10**9 + stamp.nanosec + DELAY
            writer.write(connections[topic], time, TYPES.serialize_cdr(message, kind))
    return path


def camera_messages(
    frames: Sequence[np.ndarray], camera: Camera, namespace: str = "/camera", compressed: bool = False
) -> list[tuple[str, Any]]:
    """Images and the camera_info of each."""
    messages = []
    for k, pixels in enumerate(frames):
        stamp = FIRST_STAMP + k * PERIOD
        messages.append((f"{namespace}/camera_info", camera_info(camera, stamp)))
        topic = f"{namespace}/image_raw" + ("/compressed" if compressed else "")
        messages.append((topic, (compressed_image if compressed else image)(pixels, stamp)))
    return messages


def read_bag(path: Path) -> list[tuple[str, int, str, bytes, Any]]:
    """Topic, time, type, serialised and deserialised message of each message."""
    with AnyReader([path], default_typestore=message_types()) as reader:
        return [
            (connection.topic, time, connection.msgtype, bytes(data), reader.deserialize(data, connection.msgtype))
            for connection, time, data in reader.messages()
        ]
