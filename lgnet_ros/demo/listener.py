"""Demo listener: measures rate and age of the node's outputs, and writes an overlay and a 3D view."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

from lgnet_core.types import TwoHands
from lgnet_core.visualization.drawing import draw_3d, write_png
from lgnet_ros import topics
from lgnet_ros.input.decode import decode_image
from lgnet_ros.input.hands import to_image_hands
from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform
from lgnet_ros.process.runner import NodeRunner
from lgnet_ros.qos import output_profile, tf_profile


class TopicStatistics:
    """Number, rate and age of the messages received on one topic."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.times: list[float] = []
        self.ages: list[float] = []

    def add(self, age: float) -> None:
        """Record a message that arrives now; ``age``: seconds since its stamp."""
        self.times.append(time.monotonic())
        self.ages.append(age)

    @property
    def rate(self) -> float:
        """Hz; 0 for fewer than two messages."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0]) if len(self.times) > 1 else 0.0

    def age(self, percentile: float) -> float:
        """Percentile of the ages, seconds; NaN without messages."""
        return float(np.percentile(self.ages, percentile)) if self.ages else float("nan")


class DemoListener(Node):
    """Receives meshes for ``seconds``, then waits for an overlay that shows as many hands as the meshes did.

    Waits at most ``patience`` seconds for the first mesh, and for the overlay.

    Attributes ``overlay`` and ``hands`` belong to the same image, one with the maximum number of hands.

    Parameters: ``seconds``, ``patience``.
    """

    def __init__(self, on_done: Callable[[], None]) -> None:
        super().__init__("demo_listener")
        self._on_done = on_done
        self._seconds = float(self.declare_parameter("seconds", 10.0).value)
        self._patience = float(self.declare_parameter("patience", 120.0).value)
        self._start = time.monotonic()
        self.overlay: Image | None = None
        self.hands = TwoHands(None, None, None, metric=True)
        self._max_hands = 0
        self._joints: dict[tuple[int, int], HandJointsArray] = {}
        self._unpaired_hands: dict[tuple[int, int], TwoHands] = {}
        self._unpaired_overlays: dict[tuple[int, int], Image] | None = None  # None until overlays are subscribed to
        self.topic_statistics: list[TopicStatistics] = []
        self._subscribe(HandJointsArray, topics.JOINTS, self._on_joints)
        self._meshes = self._subscribe(HandMeshArray, topics.MESH, self._on_mesh)
        self._subscribe(InterHandTransform, topics.INTER_HAND, lambda message: None)
        self._subscribe(TFMessage, topics.TF, lambda message: None)
        self.create_timer(0.2, self._check_progress, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _subscribe(self, message_type: type[Any], topic: str, callback: Callable[[Any], None]) -> TopicStatistics:
        statistics = TopicStatistics(self.resolve_topic_name(topic))

        def on_message(message: Any) -> None:
            header = message.transforms[0].header if isinstance(message, TFMessage) else message.header
            statistics.add((self.get_clock().now() - Time.from_msg(header.stamp)).nanoseconds / 1e9)
            callback(message)

        profile = tf_profile() if message_type is TFMessage else output_profile()
        self.create_subscription(message_type, topic, on_message, profile)
        self.topic_statistics.append(statistics)
        return statistics

    def _on_joints(self, message: HandJointsArray) -> None:
        self._joints = {_stamp_key(message): message}

    def _on_mesh(self, message: HandMeshArray) -> None:
        key = _stamp_key(message)
        joints = self._joints.get(key)
        self._max_hands = max(self._max_hands, len(message.hands))
        if joints is not None and self._unpaired_overlays is not None:
            self._unpaired_hands[key] = to_image_hands(joints, message).first
            self._pair(key)

    def _on_overlay(self, message: Image) -> None:
        assert self._unpaired_overlays is not None
        key = _stamp_key(message)
        self._unpaired_overlays[key] = message
        self._pair(key)

    def _pair(self, key: tuple[int, int]) -> None:
        """Keep an image's overlay and hands once both were received, unless the previous ones show more hands."""
        if self._unpaired_overlays is None or key not in self._unpaired_overlays or key not in self._unpaired_hands:
            return
        hands, overlay = self._unpaired_hands.pop(key), self._unpaired_overlays.pop(key)
        if self.overlay is None or len(hands.hands) >= len(self.hands.hands):
            self.hands, self.overlay = hands, overlay

    @property
    def _shows_all_hands(self) -> bool:
        return self.overlay is not None and len(self.hands.hands) >= self._max_hands

    def _check_progress(self) -> None:
        now = time.monotonic()
        if not self._meshes.times:
            if now - self._start > self._patience:
                self._on_done()
            return
        elapsed = now - self._meshes.times[0]
        if elapsed < self._seconds:
            return
        # Drawing costs the node time, so overlays are subscribed to only after the measurement.
        if self._unpaired_overlays is None:
            self._unpaired_overlays = {}
            self.create_subscription(Image, topics.OVERLAY, self._on_overlay, output_profile())
        if self._shows_all_hands or elapsed > self._seconds + self._patience:
            self._on_done()


def report(listener: DemoListener, out: Path, console: Console) -> bool:
    """Print the statistics and write ``overlay.png`` and ``view_3d.png``; False if no mesh or overlay was received."""
    table = Table("topic", "messages", "rate (Hz)", "age p50 (ms)", "age p95 (ms)")
    for statistics in listener.topic_statistics:
        ages = [f"{1e3 * statistics.age(p):.0f}" for p in (50, 95)]
        table.add_row(statistics.topic, str(len(statistics.times)), f"{statistics.rate:.1f}", *ages)
    console.print(table)
    console.print("age: time from the image's stamp to the arrival of the message in this process")
    meshes = next(s for s in listener.topic_statistics if s.topic.endswith(topics.MESH))
    if not meshes.times:
        console.print(f"[red]No messages received on {meshes.topic}.[/red] See the node's log above.")
        return False
    out.mkdir(parents=True, exist_ok=True)
    if listener.overlay is not None:
        write_png(out / "overlay.png", decode_image(listener.overlay))
    write_png(out / "view_3d.png", draw_3d(listener.hands))
    sides = " and ".join(hand.side.label for hand in listener.hands.hands) or "no"
    console.print(
        f"[bold]{meshes.topic} received at {meshes.rate:.1f} Hz[/bold], {1e3 * meshes.age(50):.0f} ms after the image "
        f"was captured; {sides} hand detected.\nImages: {out / 'overlay.png'}, {out / 'view_3d.png'}"
    )
    return listener.overlay is not None


def _stamp_key(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


def main(args: Sequence[str] | None = None) -> int:
    with NodeRunner(args) as runner:
        listener = DemoListener(runner.stop)
        out = Path(str(listener.declare_parameter("out", "out/demo_ros").value))
        exit_code = runner.spin([listener])
    return exit_code if report(listener, out, Console()) else 1


if __name__ == "__main__":
    sys.exit(main())
