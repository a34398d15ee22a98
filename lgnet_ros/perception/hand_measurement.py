"""Service ``~/measure_hand``: measures the user's hand over about a second and sets the parameter ``hand_length``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_srvs.srv import Trigger

from lgnet_core.hand_model import HandModel
from lgnet_core.robotics.hand_length import MIN_IMAGES, HandLength, HandLengthError, HandLengthMeter
from lgnet_core.types import Camera, Hands
from lgnet_ros.parameters.settings import Settings

DURATION = 1.0  # seconds of images
TIMEOUT = 5.0  # seconds until the request is answered, if fewer images than needed are processed
POLL_PERIOD = 0.05  # seconds


class HandMeasurement:
    """Answers requests one after the other, while the node continues to process images.

    Args:
        node: owner of the service.
        settings: returns the current parameters.
        hand_model: returns that of the hands; None while the node processes no images.
    """

    def __init__(
        self, node: Node, settings: Callable[[], Settings], hand_model: Callable[[], HandModel | None]
    ) -> None:
        self._node, self._settings, self._hand_model = node, settings, hand_model
        self._lock = threading.Lock()
        self._meter: HandLengthMeter | None = None
        # A group of its own: a callback that waits blocks all others of its group, among them those of the images.
        node.create_service(Trigger, "~/measure_hand", self._answer, callback_group=MutuallyExclusiveCallbackGroup())

    @property
    def running(self) -> bool:
        """Whether a request waits for images."""
        return self._meter is not None

    def add(self, hands: Hands, camera: Camera | None, depth_problem: str = "") -> None:
        """Add the hands of an image, see :meth:`HandLengthMeter.add`. Thread-safe; no effect without a request."""
        with self._lock:
            if self._meter is not None:
                self._meter.add(hands, camera, depth_problem)

    async def _answer(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message = self._set_parameter(await self._measure())
            response.success = True
            self._node.get_logger().info(response.message)
        except HandLengthError as error:
            response.message = f"hand_length is unchanged: {error}"
            self._node.get_logger().warning(response.message)
        return response

    async def _measure(self) -> HandLength:
        """Collect images and return the length.

        Raises:
            HandLengthError: why it cannot be measured, and the remedy.
        """
        meter = self._create_meter()
        self._meter = meter
        try:
            await self._enough_images(meter)
        finally:
            with self._lock:
                self._meter = None
        return meter.result()

    def _create_meter(self) -> HandLengthMeter:
        settings, hand_model = self._settings(), self._hand_model()
        if hand_model is None:
            raise HandLengthError("the node is not active; activate it first")
        if not settings.use_depth and settings.measure_distance == 0:
            raise HandLengthError(
                "the distance of the hand is not known; set measure_distance to that from the camera to the palm, or "
                "start the node with use_depth:=true and a depth camera"
            )
        return HandLengthMeter(hand_model, None if settings.use_depth else settings.measure_distance)

    def _enough_images(self, meter: HandLengthMeter) -> Future:
        """Done after enough images or :data:`TIMEOUT`.

        A timer of the executor completes it: whoever awaits it would otherwise resume only with the executor's next
        event (rclpy#1467). It also runs while simulated time is paused.
        """
        enough: Future = Future()
        start = time.monotonic()

        def poll() -> None:
            elapsed = time.monotonic() - start
            if (elapsed >= DURATION and meter.images >= MIN_IMAGES) or elapsed >= TIMEOUT:
                self._node.destroy_timer(timer)
                enough.set_result(None)

        timer = self._node.create_timer(POLL_PERIOD, poll, clock=Clock(clock_type=ClockType.STEADY_TIME))
        return enough

    def _set_parameter(self, length: HandLength) -> str:
        """Set the parameter as any client would; the message for the user.

        Raises:
            HandLengthError: the node rejects the value.
        """
        value = round(length.metres, 4)
        (result,) = self._node.set_parameters([Parameter("hand_length", value=value)])
        if not result.successful:
            raise HandLengthError(result.reason)
        name = self._node.get_fully_qualified_name()
        return (
            f"hand_length is now {value:.4f} m (standard deviation of {length.images} images: {length.spread:.4f} m). "
            f"To keep it, save the parameters with `ros2 param dump {name} > hands.yaml`, and start the node with "
            "params_file:=hands.yaml"
        )
