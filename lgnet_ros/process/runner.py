"""From main() to the exit code: nodes on one executor, and signals that end them, however often they come."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import NoReturn

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from lgnet_ros.process.arguments import RefusedError, check_parameter_files, refusal
from lgnet_ros.resources import fast_dds_profile
from lgnet_ros.worker import WORKER

SIGNALS = (signal.SIGINT, signal.SIGTERM)
END_SECONDS = 1.5  # for everything that a signal ends; promised are 2 s


class Program:
    """Nodes of one process, spun until SIGINT, SIGTERM or :meth:`stop`.

    rclpy's own handlers take the context away at once, so that the nodes can say nothing more, and the second SIGINT,
    which a terminal sends beside launch's, breaks their clean-up. Here a signal is a request, the second one changes
    nothing, and what does not end in time is left behind.

        with Program(args) as program:
            return program.spin([HandsNode()])

    Fast DDS gets our profile (:func:`lgnet_ros.resources.fast_dds_profile`), which stops the loss of images.

    A :class:`RefusedError` becomes one line for the user and exit code 1.

    Args:
        args: of the command line, without the program's name; None: ``sys.argv``.
    """

    def __init__(self, args: Sequence[str] | None = None) -> None:
        # A pipe and no threading.Event: a second signal finds the main thread inside the Event, which then waits for
        # itself for ever.
        self._woken, self._wake = os.pipe()
        self._stopping = False
        self._exit_code = 0
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        # The Python logger of lgnet_core (warnings of engines and so on) would have no handler otherwise.
        logging.basicConfig(format="[%(levelname)s] [%(name)s]: %(message)s")
        os.environ.update(fast_dds_profile())
        # What is imported by now stays: the garbage collector need not look at it, which takes a tenth of a second with
        # torch, each time in the middle of an image, and again when the process ends.
        gc.freeze()
        argv = sys.argv if args is None else [sys.argv[0], *args]
        try:
            check_parameter_files(argv)
            rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
        except RefusedError as error:
            self._refuse(error)
        except RuntimeError as error:
            self._refuse(refusal(error))

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        rclpy.try_shutdown()
        for number in SIGNALS:  # Python gives signals back to the system when it ends, and the second one would kill
            signal.signal(number, signal.SIG_IGN)
        os.close(self._wake)
        os.close(self._woken)
        if isinstance(error, RefusedError):
            self._refuse(error)

    def stop(self, exit_code: int = 0) -> None:
        """End :meth:`spin`; from any thread."""
        self._exit_code = self._exit_code or exit_code
        if not self._stopping:
            self._stopping = True
            os.write(self._wake, b"x")

    @property
    def stopping(self) -> bool:
        return self._stopping

    def spin(self, nodes: Sequence[Node]) -> int:
        """Run the nodes' callbacks, then destroy the nodes; the exit code: 0, or 1 if a callback failed."""
        executor = SingleThreadedExecutor()
        for node in nodes:
            executor.add_node(node)
        # In a thread of its own: a signal finds the main thread waiting, even while a callback loads a network.
        spinner = threading.Thread(target=self._spin, args=[executor], name="executor", daemon=True)
        spinner.start()
        os.read(self._woken, 1)
        deadline = time.monotonic() + END_SECONDS
        spinner.join(END_SECONDS)
        ended = not spinner.is_alive()
        if ended:
            executor.shutdown(timeout_sec=0)
            closer = threading.Thread(target=self._destroy, args=[nodes], name="closer", daemon=True)
            closer.start()
            closer.join(max(0.1, deadline - time.monotonic()))
            ended = not closer.is_alive()
        # A node can be gone while its worker is still at an image. Python would end that thread in the middle of C++
        # that is not made for it, and the process would abort.
        if not ended or any(thread.name == WORKER for thread in threading.enumerate()):
            self._leave_behind()
        return self._exit_code

    @staticmethod
    def _refuse(error: RefusedError) -> NoReturn:
        sys.exit(f"lgnet_ros: {error}")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop()

    def _spin(self, executor: SingleThreadedExecutor) -> None:
        try:
            while not self.stopping:
                executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            self.stop()
        except Exception:
            traceback.print_exc()
            self.stop(1)

    def _destroy(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            try:
                node.destroy_node()
            except Exception:
                traceback.print_exc()

    def _leave_behind(self) -> None:
        """End the process although a thread is still busy: no Python can interrupt a network in C++."""
        print("lgnet_ros: an image or a network is still at work; ending without it", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(self._exit_code)
