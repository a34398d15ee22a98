"""Program that publishes best-effort VGA images, most of which Fast DDS loses: ``image_process.py TOPIC COUNT``."""

from __future__ import annotations

import array
import os
import sys
import time

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from support.waiting import TIMEOUT


def main(topic: str, count: int) -> None:
    for variable in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        os.environ.pop(variable, None)  # the default shared memory segment is smaller than an image
    rclpy.init()
    node = Node("lossy_camera")
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = node.create_publisher(Image, topic, qos)
    message = Image(width=640, height=480, step=1920, encoding="rgb8", data=array.array("B", bytes(640 * 480 * 3)))
    end = time.monotonic() + TIMEOUT
    while not publisher.get_subscription_count() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)  # the subscription may know the publisher later than the publisher the subscription
    for _ in range(count):
        publisher.publish(message)
        time.sleep(1 / 60)
    time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
