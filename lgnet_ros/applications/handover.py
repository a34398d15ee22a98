"""Node ``hands_handover``: reports when a person holds out an open palm, and the approach pose for a gripper.

    ros2 run lgnet_ros hands_handover

It decides nothing about the robot: a planner moves the gripper to the approach pose once the palm is ready.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from std_msgs.msg import Bool, Header

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.robotics.handover import Handover, HandoverDetector, HandoverSettings, OfferedHand
from lgnet_core.types import Side
from lgnet_ros import topics
from lgnet_ros.applications.hand_model import HAND_MODEL, load_capsules
from lgnet_ros.msg import HandMesh, HandMeshArray
from lgnet_ros.msg import Handover as HandoverMessage
from lgnet_ros.output.messages import to_pose
from lgnet_ros.parameters.parameter import Parameter, declare
from lgnet_ros.process.arguments import StartupError
from lgnet_ros.process.runner import NodeRunner
from lgnet_ros.qos import output_profile
from lgnet_ros.rate_limit import stamp_to_ns

HANDOVER, APPROACH, READY = "hands/handover", "hands/handover/approach", "hands/handover/ready"
CHECK_PERIOD = 0.1  # seconds between checks whether hands/mesh still arrives

_DEFAULTS = HandoverSettings()
_OPENNESS, _SPEED = (0.0, 1.0), (0.0, 10.0)
MAX_AGE = "max_age"

THRESHOLDS = (
    Parameter(
        "open_at",
        _DEFAULTS.open_at,
        "Openness (1: straight fingers, 0: fist) at which a palm becomes open.",
        limits=_OPENNESS,
    ),
    Parameter(
        "close_below", _DEFAULTS.close_below, "Openness below which an open palm is no longer open.", limits=_OPENNESS
    ),
    Parameter("slow_at", _DEFAULTS.slow_at, "Speed of the palm at which it becomes slow.", "m/s", limits=_SPEED),
    Parameter(
        "fast_above", _DEFAULTS.fast_above, "Speed above which a slow palm is no longer slow.", "m/s", limits=_SPEED
    ),
    Parameter(
        "hold_time",
        _DEFAULTS.hold_time,
        "Time for which a palm must be open and slow before it is ready.",
        "s",
        limits=(0.0, 60.0),
    ),
    Parameter("stand_off", _DEFAULTS.stand_off, "Distance from the hand to the approach pose.", "m", limits=(0.0, 2.0)),
)
"""The fields of :class:`lgnet_core.robotics.handover.HandoverSettings`; can be changed at run time."""

PARAMETERS = (
    *THRESHOLDS,
    Parameter(MAX_AGE, 0.5, "Time without `hands/mesh` after which a hand is withdrawn.", "s", limits=(0.0, 60.0)),
    HAND_MODEL,
)


class HandsHandover(Node):
    """Subscribes to ``hands/mesh``; publishes ``hands/handover``, ``hands/handover/approach`` and
    ``hands/handover/ready``.

    ``ready`` becomes false at once when the hand disappears, or when nothing is received for ``max_age`` seconds.

    Its parameters are :data:`PARAMETERS`.

    Args:
        clock: monotonic time, seconds.

    Raises:
        StartupError: invalid parameters.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, **options: Any) -> None:
        super().__init__("hands_handover", **options)
        self._monotonic = clock
        try:
            values = declare(self, PARAMETERS)
            self._detector = HandoverDetector(self._settings([]))
            self._capsules = load_capsules(values[HAND_MODEL.name])
        except ValueError as error:
            raise StartupError(f"Parameter {error}") from error
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._received = self._monotonic()
        self._last_header: Header | None = None  # of the hand that was published last; None: none was
        self._state_publisher = self.create_publisher(HandoverMessage, HANDOVER, output_profile())
        self._approach_publisher = self.create_publisher(PoseStamped, APPROACH, output_profile())
        self._ready_publisher = self.create_publisher(Bool, READY, output_profile())
        self.create_subscription(HandMeshArray, topics.MESH, self._on_mesh, output_profile())
        self.create_timer(CHECK_PERIOD, self._check_age, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _settings(self, changes: Sequence[RosParameter]) -> HandoverSettings:
        values = {parameter.name: self.get_parameter(parameter.name).value for parameter in THRESHOLDS}
        values |= {change.name: change.value for change in changes if change.name in values}
        return HandoverSettings(**{name: float(value) for name, value in values.items()})

    def _on_set_parameters(self, changes: Sequence[RosParameter]) -> SetParametersResult:
        try:
            self._detector.settings = self._settings(changes)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _on_mesh(self, message: HandMeshArray) -> None:
        self._received = self._monotonic()
        hands = {(hand.person, Side(hand.side)): self._offered(hand) for hand in message.hands}
        self._publish(self._detector.update(stamp_to_ns(message.header.stamp) * 1e-9, hands), message.header)

    def _offered(self, hand: HandMesh) -> OfferedHand:
        vertices = np.reshape(hand.vertices, (-1, 3)).astype(np.float64)
        p, q = hand.pose.position, hand.pose.orientation
        pose = Pose(np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w]))
        joints = self._capsules.joints(vertices, Side(hand.side))
        return OfferedHand(hand.track_id, hand.presence, vertices, joints, pose)

    def _check_age(self) -> None:
        """Withdraw a hand that was not updated in time."""
        max_age = float(self.get_parameter(MAX_AGE).value)
        if self._last_header is not None and self._monotonic() - self._received > max_age:
            self._detector.reset()
            self._publish(None, self._last_header)

    def _publish(self, handover: Handover | None, header: Header) -> None:
        self._last_header = None if handover is None else header
        self._ready_publisher.publish(Bool(data=handover is not None and handover.ready))
        if handover is None:
            self._state_publisher.publish(HandoverMessage(header=header, side=HandoverMessage.NONE))
            return
        approach = to_pose(handover.approach)
        self._state_publisher.publish(
            HandoverMessage(
                header=header,
                side=int(handover.side),
                person=handover.person,
                track_id=handover.track_id,
                openness=handover.openness,
                is_open=bool(handover.is_open),
                ready=bool(handover.ready),
                speed=handover.speed,
                palm=to_pose(handover.palm),
                approach=approach,
            )
        )
        self._approach_publisher.publish(PoseStamped(header=header, pose=approach))


def main(args: Sequence[str] | None = None) -> int:
    with NodeRunner(args) as runner:
        return runner.spin([HandsHandover()])


if __name__ == "__main__":
    sys.exit(main())
