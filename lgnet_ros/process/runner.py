"""Runs the nodes of a process on one executor and handles signals, shutdown and the exit code."""

from __future__ import annotations

import faulthandler
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

from lgnet_core.concurrency.worker import WORKER_THREAD_NAME
from lgnet_ros.process.arguments import StartupError, check_parameter_files, startup_error
from lgnet_ros.process.log_folder import log_arguments
from lgnet_ros.process.resources import fast_dds_environment
from lgnet_ros.process.shared_memory import remove_orphaned_segments, remove_own_segments
from lgnet_ros.process.signals import SIGNALS

SHUTDOWN_TIMEOUT = 1.5  # seconds from a signal to the end of all clean-up; the process is documented to end within 2 s
WATCHDOG_TIMEOUT = 5.0  # seconds from a signal to the end of a process in which no Python code can run any more


class NodeRunner:
    """Spins the nodes of a process until SIGINT, SIGTERM or :meth:`stop`.

    rclpy's own signal handlers invalidate the context immediately, so that nodes can no longer publish, and a second
    SIGINT (sent by the terminal in addition to launch's) interrupts their clean-up. Here a signal only requests the
    shutdown, further signals have no effect, and whatever does not finish in time is abandoned. If C++ code hangs while
    it holds Python's lock, which destroying entities of rclpy does, a watchdog without Python code prints the stacks of
    all threads and ends the process with exit code 1.

        with NodeRunner(args) as runner:
            return runner.spin([HandsNode()])

    :func:`lgnet_ros.process.resources.fast_dds_environment` configures Fast DDS and prevents the loss of images.
    A :class:`StartupError` is printed as one line; the exit code is then 1.

    Args:
        args: command-line arguments without the program name; None: ``sys.argv``.
    """

    def __init__(self, args: Sequence[str] | None = None) -> None:
        # A pipe instead of a threading.Event: a second signal handler could interrupt the main thread while it holds
        # the Event's lock, which is a deadlock.
        self._wakeup_read, self._wakeup_write = os.pipe()
        self._stopping = False
        self._exit_code = 0
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        # Without it, the Python logger of lgnet_core (e.g. warnings of engines) has no handler.
        logging.basicConfig(format="[%(levelname)s] [%(name)s]: %(message)s")
        os.environ.update(fast_dds_environment())
        remove_orphaned_segments()  # e.g. of a node that was killed and is being respawned
        # Exclude everything imported so far from garbage collection: with torch, a collection takes 0.1 s, which would
        # otherwise delay images and the shutdown.
        gc.freeze()
        argv = sys.argv if args is None else [sys.argv[0], *args]
        try:
            check_parameter_files(argv)
            rclpy.init(args=[*argv, *log_arguments()], signal_handler_options=SignalHandlerOptions.NO)
        except StartupError as error:
            self._exit_with(error)
        except RuntimeError as error:
            self._exit_with(startup_error(error))

    def __enter__(self) -> NodeRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        rclpy.try_shutdown()
        faulthandler.cancel_dump_traceback_later()
        for number in SIGNALS:  # Python restores the default handlers at exit; a second signal would then kill it
            signal.signal(number, signal.SIG_IGN)
        os.close(self._wakeup_write)
        os.close(self._wakeup_read)
        if isinstance(error, StartupError):
            self._exit_with(error)

    def stop(self, exit_code: int = 0) -> None:
        """End :meth:`spin`. Thread-safe."""
        self._exit_code = self._exit_code or exit_code
        if not self._stopping:
            self._stopping = True
            os.write(self._wakeup_write, b"x")

    @property
    def stopping(self) -> bool:
        return self._stopping

    def spin(self, nodes: Sequence[Node]) -> int:
        """Spin the nodes, destroy them, and return the exit code: 0, or 1 if a callback raised an exception."""
        executor = SingleThreadedExecutor()
        for node in nodes:
            executor.add_node(node)
        # In a separate thread, so that the main thread can handle signals even while a callback loads a network.
        spin_thread = threading.Thread(target=self._spin, args=[executor], name="executor", daemon=True)
        spin_thread.start()
        os.read(self._wakeup_read, 1)
        faulthandler.dump_traceback_later(WATCHDOG_TIMEOUT, exit=True)
        deadline = time.monotonic() + SHUTDOWN_TIMEOUT
        spin_thread.join(SHUTDOWN_TIMEOUT)
        finished = not spin_thread.is_alive()
        if finished:
            executor.shutdown(timeout_sec=0)
            destroy_thread = threading.Thread(target=self._destroy, args=[nodes], name="destroy", daemon=True)
            destroy_thread.start()
            destroy_thread.join(max(0.1, deadline - time.monotonic()))
            finished = not destroy_thread.is_alive()
        # A node may be destroyed while its worker thread is still running inference. At interpreter exit Python would
        # terminate that thread inside C++ code that does not support it, and the process would abort.
        if not finished or any(thread.name == WORKER_THREAD_NAME for thread in threading.enumerate()):
            self._exit_immediately()
        return self._exit_code

    @staticmethod
    def _exit_with(error: StartupError) -> NoReturn:
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

    def _exit_immediately(self) -> None:
        """End the process despite running threads: Python cannot interrupt inference in C++."""
        remove_own_segments()
        print(
            "lgnet_ros: a callback or inference did not finish in time; terminating the process",
            file=sys.stderr,
            flush=True,
        )
        sys.stdout.flush()
        os._exit(self._exit_code)
