"""The lifecycle node: connects parameters, tracker, pipeline, publishers and diagnostics."""

from __future__ import annotations

import functools
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from lgnet_core.hand_model import HandModel
from lgnet_core.inference import free_memory
from lgnet_core.io.output import explain
from lgnet_ros.diagnostics.diagnostics import Diagnostics
from lgnet_ros.output.hands_publisher import HandsPublisher
from lgnet_ros.parameters.settings import Settings, check_changes, declare_parameters
from lgnet_ros.perception.hand_measurement import HandMeasurement
from lgnet_ros.perception.tracker import Tracker, TrackerFactory, load_tracker
from lgnet_ros.pipeline import Pipeline
from lgnet_ros.process.arguments import StartupError, split_parameters, startup_error
from lgnet_ros.process.runner import NodeRunner
from lgnet_ros.worker import POLL_PERIOD, run_interruptibly

DEACTIVATE_TIMEOUT = 5.0  # seconds to finish the current image when the node is deactivated
SHUTDOWN_TIMEOUT = 1.0  # seconds to finish it when the process ends
MONITOR_PERIOD = 0.5  # seconds between checks of the topics' publishers

Method = Callable[["HandsNode", LifecycleState], None]
Callback = Callable[["HandsNode", LifecycleState], TransitionCallbackReturn]


def lifecycle_callback(on_exception: TransitionCallbackReturn) -> Callable[[Method], Callback]:
    """Turn a method into a lifecycle callback that logs exceptions, which rclpy discards silently.

    Args:
        on_exception: ``FAILURE`` keeps the node in its previous state; ``ERROR`` makes rclpy call ``on_error``.
    """

    def decorate(method: Method) -> Callback:
        @functools.wraps(method)
        def callback(self: HandsNode, state: LifecycleState) -> TransitionCallbackReturn:
            try:
                method(self, state)
            except Exception as error:
                message = f"{method.__name__}: {explain(error)}"
                self.get_logger().error(message)
                self.get_logger().debug(traceback.format_exc())
                self.diagnostics.set_fault(message)
                return on_exception
            return TransitionCallbackReturn.SUCCESS

        return callback

    return decorate


class HandsNode(LifecycleNode):
    """Managed node that estimates two hands in a camera's images. It never triggers its own transitions.

    Args:
        make_tracker: loads the network; tests pass smaller ones.
        interrupted: whether the process is ending; transitions then fail at once instead of waiting for the networks.
        options: keyword arguments of rclpy's node.

    Raises:
        StartupError: invalid arguments or parameters.
    """

    def __init__(
        self,
        make_tracker: TrackerFactory = load_tracker,
        interrupted: Callable[[], bool] = lambda: False,
        **options: Any,
    ) -> None:
        try:
            super().__init__("hands", **options)
        except RuntimeError as error:
            raise startup_error(error) from error
        self._make_tracker = make_tracker
        self._interrupted = interrupted
        self._tracker: Tracker | None = None
        self._hands_publisher: HandsPublisher | None = None
        self._pipeline: Pipeline | None = None
        try:
            declare_parameters(self)
            self._settings = Settings.from_node(self)
            self._settings.check()
        except ValueError as error:
            raise StartupError(f"Parameter {error}") from error
        self._warn(self._settings.warnings())
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._guard_transitions()
        self.diagnostics = Diagnostics(self)
        self._measurement = HandMeasurement(self, lambda: self._settings, self._active_hand_model)
        steady_clock = Clock(
            clock_type=ClockType.STEADY_TIME
        )  # these timers must also run while simulated time is paused
        self.create_timer(1.0, self._publish_diagnostics, clock=steady_clock)
        self.create_timer(MONITOR_PERIOD, self._monitor, clock=steady_clock)

    @lifecycle_callback(TransitionCallbackReturn.FAILURE)
    def on_configure(self, state: LifecycleState) -> None:
        """Load and warm up the network, create the publishers."""
        self.diagnostics.reset()
        try:
            self._settings.check()
            self._tracker = run_interruptibly(self._load_tracker, self._interrupted)
            hand_model = self._tracker.estimator.hand_model
            self._hands_publisher = HandsPublisher(self, hand_model, self._settings.frame_prefix)
        except Exception:
            self._release()
            raise
        self.diagnostics.set_configuration(self._settings, self._tracker.estimator)
        self.get_logger().info(f"Configured with {self._tracker.estimator.engines['hands']}")

    @lifecycle_callback(TransitionCallbackReturn.ERROR)
    def on_activate(self, state: LifecycleState) -> None:
        """Subscribe and start processing images."""
        super().on_activate(state)
        assert self._tracker is not None
        assert self._hands_publisher is not None
        self._pipeline = Pipeline(
            self,
            self._tracker,
            self._hands_publisher,
            self.diagnostics.statistics,
            lambda: self._settings.for_max_rate(),
            self._measurement,
        )
        self._pipeline.start()

    @lifecycle_callback(TransitionCallbackReturn.ERROR)
    def on_deactivate(self, state: LifecycleState) -> None:
        """Unsubscribe, finish the current image, delete markers and collision objects; the network stays loaded."""
        self._stop_pipeline(DEACTIVATE_TIMEOUT)
        super().on_deactivate(state)

    @lifecycle_callback(TransitionCallbackReturn.ERROR)
    def on_cleanup(self, state: LifecycleState) -> None:
        """Destroy the publishers and free the network's memory."""
        super().on_cleanup(state)
        self._release()

    @lifecycle_callback(TransitionCallbackReturn.ERROR)
    def on_shutdown(self, state: LifecycleState) -> None:
        """Deactivate and clean up from any state."""
        self._stop_pipeline(DEACTIVATE_TIMEOUT)
        super().on_shutdown(state)
        self._release()

    @lifecycle_callback(TransitionCallbackReturn.FAILURE)
    def on_error(self, state: LifecycleState) -> None:
        """Release all resources after a failed transition, so that the node can be configured again."""
        try:
            self._stop_pipeline(DEACTIVATE_TIMEOUT)
        finally:
            self._release()

    def destroy_node(self) -> None:
        """Stop, delete markers and collision objects, and release all resources, in any state."""
        try:
            self._stop_pipeline(SHUTDOWN_TIMEOUT)
        except RuntimeError as error:  # the process ends anyway
            self.get_logger().error(str(error))
        finally:
            self._release()
            super().destroy_node()

    def _load_tracker(self) -> Tracker:
        tracker = self._make_tracker(self._settings)
        tracker.estimator.warm_up()
        return tracker

    def _stop_pipeline(self, timeout: float) -> None:
        """Stop the pipeline; if the process is ending, wait :data:`SHUTDOWN_TIMEOUT` at most for the current image."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is None:
            return
        start = time.monotonic()
        while not (stopped := pipeline.stop(POLL_PERIOD)):
            if time.monotonic() - start > (min(timeout, SHUTDOWN_TIMEOUT) if self._interrupted() else timeout):
                break
        if self._hands_publisher is not None:
            self._hands_publisher.clear()
        if not stopped:
            raise RuntimeError(f"Inference did not finish within {time.monotonic() - start:.1f} s")

    def _release(self) -> None:
        if self._hands_publisher is not None:
            self._hands_publisher.destroy()
        tracker, self._hands_publisher, self._tracker = self._tracker, None, None
        if tracker is not None:
            device = tracker.estimator.engines["hands"].device
            del tracker
            free_memory(device)

    def _active_hand_model(self) -> HandModel | None:
        """That of the hands; None unless the node is active."""
        if self._tracker is None or self._pipeline is None:
            return None
        return self._tracker.estimator.hand_model

    def _on_set_parameters(self, changes: Iterable[Parameter]) -> SetParametersResult:
        """Validate and apply parameter changes; the worker uses them from the next image on."""
        changes = list(changes)
        configured = self._tracker is not None
        result = check_changes(self._settings, changes, configured)
        if result.successful:
            before = self._settings.warnings()
            self._settings = self._settings.changed(changes, configured)
            self._warn(warning for warning in self._settings.warnings() if warning not in before)
        return result

    def _warn(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            self.get_logger().warning(f"Parameter {warning}")

    def _guard_transitions(self) -> None:
        """Reject transitions that are invalid in the current state.

        Otherwise rclpy raises from the service callback, out of spin, which ends the process (rclpy#1209, fixed in
        Kilted).
        """
        change_state = self._service_change_state.callback

        def guarded(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
            try:
                return change_state(request, response)
            except Exception as error:
                self.get_logger().error(f"Transition {request.transition.id} {request.transition.label}: {error}")
                response.success = False
                return response

        self._service_change_state.callback = guarded

    def _monitor(self) -> None:
        if self._pipeline is not None:
            self._pipeline.monitor()

    def _publish_diagnostics(self) -> None:
        self.diagnostics.publish(self._pipeline)


def main(args: Sequence[str] | None = None, make_tracker: TrackerFactory = load_tracker) -> int:
    other_arguments, parameters = split_parameters(sys.argv[1:] if args is None else args)
    with NodeRunner(other_arguments) as runner:
        return runner.spin([HandsNode(make_tracker, lambda: runner.stopping, cli_args=parameters)])


if __name__ == "__main__":
    sys.exit(main())
