"""The node: images in, hands out. Wiring only; every part is a module of its own."""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.inference import free_memory
from lgnet_ros.diagnostics import Diagnostics
from lgnet_ros.output.publishers import Publishers
from lgnet_ros.parameters import Settings, declare_parameters, validate
from lgnet_ros.perception import Tracker, TrackerFactory, load_tracker
from lgnet_ros.pipeline import Pipeline
from lgnet_ros.process.arguments import RefusedError, refusal, split_parameters
from lgnet_ros.process.main import Program

STOP_SECONDS = 5.0  # for the image at work when the node is deactivated
END_SECONDS = 1.0  # for it when the process ends
WATCH_SECONDS = 0.5  # between two looks at who publishes

Method = Callable[["HandsNode", LifecycleState], None]
Callback = Callable[["HandsNode", LifecycleState], TransitionCallbackReturn]


def transition(on_exception: TransitionCallbackReturn) -> Callable[[Method], Callback]:
    """Make a lifecycle callback of a method that returns nothing; rclpy swallows exceptions without a word.

    Args:
        on_exception: ``FAILURE``: the node stays in the state it was in; ``ERROR``: ``on_error`` comes next.
    """

    def wrap(method: Method) -> Callback:
        @functools.wraps(method)
        def callback(self: HandsNode, state: LifecycleState) -> TransitionCallbackReturn:
            try:
                method(self, state)
            except Exception as error:
                self.get_logger().error(f"{method.__name__}: {error}")
                self.get_logger().debug(traceback.format_exc())
                self.diagnostics.fault(f"{method.__name__}: {error}")
                return on_exception
            return TransitionCallbackReturn.SUCCESS

        return callback

    return wrap


class HandsNode(LifecycleNode):
    """Two hands from a camera's images, as a managed node: others take it through its states, it never does.

    Args:
        make_tracker: loads the network; tests have smaller ones.
        options: of rclpy's node.

    Raises:
        RefusedError: from arguments or parameters that are wrong.
    """

    def __init__(self, make_tracker: TrackerFactory = load_tracker, **options: Any) -> None:
        try:
            super().__init__("hands", **options)
        except RuntimeError as error:
            raise refusal(error) from error
        self._make_tracker = make_tracker
        self._tracker: Tracker | None = None
        self._outputs: Publishers | None = None  # rclpy has a _publishers of its own
        self._session: Pipeline | None = None
        try:
            declare_parameters(self)
            self._settings = Settings.from_node(self)
            self._settings.check()
        except ValueError as error:
            raise RefusedError(f"parameter {error}") from error
        self.add_on_set_parameters_callback(self._on_parameters)
        self._guard_transitions()
        self.diagnostics = Diagnostics(self)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still; these must not
        self.create_timer(1.0, self._report, clock=steady)
        self.create_timer(WATCH_SECONDS, self._watch, clock=steady)

    @transition(TransitionCallbackReturn.FAILURE)
    def on_configure(self, state: LifecycleState) -> None:
        """Read the parameters, load and warm up the network, make the publishers."""
        self.diagnostics.clear()
        try:
            self._tracker = self._make_tracker(self._settings)
            self._tracker.estimator.warm_up()
            frames = HandFrames(self._tracker.estimator.hand_model)
            self._outputs = Publishers(self, frames, self._settings.frame_prefix)
        except Exception:
            self._release()
            raise
        self.diagnostics.describe(self._settings, self._tracker.estimator)
        self.get_logger().info(f"configured: {self._tracker.estimator.engines['hands']}")

    @transition(TransitionCallbackReturn.ERROR)
    def on_activate(self, state: LifecycleState) -> None:
        """Subscribe, and start to look."""
        super().on_activate(state)
        assert self._tracker is not None
        assert self._outputs is not None
        self._session = Pipeline(
            self, self._tracker, self._outputs, self.diagnostics.statistics, lambda: self._settings
        )
        self._session.start()

    @transition(TransitionCallbackReturn.ERROR)
    def on_deactivate(self, state: LifecycleState) -> None:
        """Unsubscribe, let the image at work end, delete the markers; the network stays."""
        self._stop(STOP_SECONDS)
        super().on_deactivate(state)

    @transition(TransitionCallbackReturn.ERROR)
    def on_cleanup(self, state: LifecycleState) -> None:
        """Free the network's memory, take back the publishers."""
        super().on_cleanup(state)
        self._release()

    @transition(TransitionCallbackReturn.ERROR)
    def on_shutdown(self, state: LifecycleState) -> None:
        """As deactivate and cleanup, from any state."""
        self._stop(STOP_SECONDS)
        super().on_shutdown(state)
        self._release()

    @transition(TransitionCallbackReturn.FAILURE)
    def on_error(self, state: LifecycleState) -> None:
        """After a failed transition: free everything, so that the node can be configured again."""
        try:
            self._stop(STOP_SECONDS)
        finally:
            self._release()

    def destroy_node(self) -> None:
        """Whatever the state: stop, say good-bye, free everything."""
        try:
            self._stop(END_SECONDS)
        except RuntimeError as error:  # nobody is left who could do anything about it
            self.get_logger().error(str(error))
        finally:
            self._release()
            super().destroy_node()

    def _stop(self, timeout: float) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        stopped = session.stop(timeout)
        if self._outputs is not None:
            self._outputs.clear()
        if not stopped:
            raise RuntimeError(f"an image is still at work after {timeout:g} s; its network does not come back")

    def _release(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy()
        tracker, self._outputs, self._tracker = self._tracker, None, None
        if tracker is not None:
            device = tracker.estimator.engines["hands"].device
            del tracker
            free_memory(device)

    def _on_parameters(self, changes: Iterable[Parameter]) -> SetParametersResult:
        """Take over what may be changed; the worker reads it with its next image."""
        changes = list(changes)
        result = validate(self._settings, changes)
        if result.successful:
            self._settings = self._settings.changed(changes)
        return result

    def _guard_transitions(self) -> None:
        """Refuse transitions that the state does not allow.

        rclpy raises from the service's callback, out of spin, which ends the process (rclpy#1209, mended in Kilted).
        """
        answer = self._service_change_state.callback

        def guarded(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
            try:
                return answer(request, response)
            except Exception as error:
                self.get_logger().error(f"transition {request.transition.id} {request.transition.label}: {error}")
                response.success = False
                return response

        self._service_change_state.callback = guarded

    def _watch(self) -> None:
        if self._session is not None:
            self._session.watch()

    def _report(self) -> None:
        self.diagnostics.publish(self._session)


def main(args: Sequence[str] | None = None, make_tracker: TrackerFactory = load_tracker) -> int:
    rest, parameters = split_parameters(sys.argv[1:] if args is None else args)
    with Program(rest) as program:
        return program.spin([HandsNode(make_tracker, cli_args=parameters)])


if __name__ == "__main__":
    sys.exit(main())
