"""Node ``hands_cloud_filter``: removes the points of hands from a PointCloud2, or keeps only those.

    ros2 run lgnet_ros hands_cloud_filter --ros-args -r cloud_in:=/camera/depth/color/points

So an occupancy map (OctoMap, MoveIt, nav2) does not take a hand for an obstacle that stays.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from lgnet_core.robotics.capsules import Capsules
from lgnet_core.robotics.hand_points import in_hands
from lgnet_core.types import Side
from lgnet_ros import topics
from lgnet_ros.applications.frames import FrameLookup
from lgnet_ros.applications.hand_model import HAND_MODEL, load_capsules
from lgnet_ros.input.point_cloud import keep_points, read_points
from lgnet_ros.input.subscription import QoSMatchingSubscription
from lgnet_ros.msg import HandMeshArray
from lgnet_ros.parameters.parameter import Parameter, declare
from lgnet_ros.process.arguments import StartupError
from lgnet_ros.process.runner import NodeRunner
from lgnet_ros.qos import output_profile
from lgnet_ros.rate_limit import stamp_to_ns
from lgnet_ros.throttle import LogThrottle

CLOUD_IN, CLOUD_OUT = "cloud_in", "cloud_out"
MONITOR_PERIOD = 0.5  # seconds between checks of the topic's publishers
KEEP_HANDS, KEEP_OTHERS = "hands", "others"

PARAMETERS = (
    Parameter("padding", 0.02, "Distance around the capsules that enclose the hands.", "m", limits=(0.0, 0.5)),
    Parameter("max_age", 0.5, "Largest difference of the stamps of hands and cloud.", "s", limits=(0.0, 60.0)),
    Parameter(
        "keep",
        KEEP_OTHERS,
        "`others` removes the hands, `hands` keeps nothing else.",
        choices=(KEEP_OTHERS, KEEP_HANDS),
        read_only=True,
    ),
    HAND_MODEL,
)


class HandsCloudFilter(Node):
    """Subscribes to ``cloud_in`` and ``hands/mesh``, publishes ``cloud_out`` with the header of the input.

    A cloud is filtered with the latest hands whose stamp differs by at most ``max_age`` from its own; otherwise there
    are no hands: nothing stale hides an obstacle.

    Its parameters are :data:`PARAMETERS`.

    Raises:
        StartupError: invalid parameters.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("hands_cloud_filter", **options)
        try:
            values = declare(self, PARAMETERS)
            self._capsules = load_capsules(values[HAND_MODEL.name])
        except ValueError as error:
            raise StartupError(f"Parameter {error}") from error
        self._keep_hands = values["keep"] == KEEP_HANDS
        self._frames = FrameLookup(self)
        self._throttle = LogThrottle()
        self._hands: HandMeshArray | None = None
        self._fitted: list[Capsules] | None = None
        self._publisher = self.create_publisher(PointCloud2, CLOUD_OUT, output_profile())
        self.create_subscription(HandMeshArray, topics.MESH, self._on_hands, output_profile())
        cloud_topic = self.resolve_topic_name(CLOUD_IN)
        self._clouds = QoSMatchingSubscription(self, PointCloud2, cloud_topic, "auto", self._on_cloud)
        self.create_timer(MONITOR_PERIOD, self._clouds.update, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._clouds.update()

    def _on_hands(self, message: HandMeshArray) -> None:
        self._hands, self._fitted = message, None

    def _on_cloud(self, cloud: PointCloud2) -> None:
        if not self._publisher.get_subscription_count():
            return
        try:
            points = read_points(cloud)
        except ValueError as error:
            self._warn("cloud", f"Cloud on {self._clouds.topic} rejected: {error}")
            return
        inside = in_hands(points, self._hands_of(cloud), float(self.get_parameter("padding").value))
        self._publisher.publish(keep_points(cloud, inside if self._keep_hands else ~inside))

    def _hands_of(self, cloud: PointCloud2) -> list[Capsules]:
        """Capsules of the hands at the time of a cloud, in its frame."""
        message = self._hands
        if message is None or not message.hands:
            return []
        age = abs(stamp_to_ns(cloud.header.stamp) - stamp_to_ns(message.header.stamp)) * 1e-9
        if age > float(self.get_parameter("max_age").value):
            self._warn("age", f"The latest hands are {age:.2f} s from the cloud: it is taken to show none")
            return []
        pose = self._frames.lookup(cloud.header.frame_id, message.header.frame_id)
        if pose is None:
            self._warn(
                "frames",
                f"No transform from {message.header.frame_id!r} to {cloud.header.frame_id!r}: hands cannot be found "
                "in the cloud; publish it on /tf or /tf_static",
            )
            return []
        if self._fitted is None:
            self._fitted = [
                self._capsules(np.reshape(hand.vertices, (-1, 3)), Side(hand.side)) for hand in message.hands
            ]
        return [capsules.transformed(pose) for capsules in self._fitted]

    def _warn(self, kind: str, text: str) -> None:
        if self._throttle.allows(kind):
            self.get_logger().warning(text)


def main(args: Sequence[str] | None = None) -> int:
    with NodeRunner(args) as runner:
        return runner.spin([HandsCloudFilter()])


if __name__ == "__main__":
    sys.exit(main())
