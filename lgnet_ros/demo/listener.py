"""What a planner would see: counts and times everything under hands/, keeps two images, and sums it up."""

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

from lgnet_core.types import Hand, Side, TwoHands
from lgnet_core.visualization.drawing import draw_3d, write_png
from lgnet_ros import topics
from lgnet_ros.input.intake import decode_image
from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform
from lgnet_ros.process.main import Program
from lgnet_ros.qos import output_profile, tf_profile

OVERLAY_SECONDS = 15.0  # to wait for an overlay with as many hands as were seen, once everything else was counted


class Arrivals:
    """Messages of one topic: how many, how fast, how old when they came."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.times: list[float] = []
        self.ages: list[float] = []

    def add(self, age: float | None) -> None:
        """``age``: seconds since the stamp; None for messages without a stamp of their own."""
        self.times.append(time.monotonic())
        if age is not None:
            self.ages.append(age)

    @property
    def rate(self) -> float:
        """Hz; 0 for fewer than two messages."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0]) if len(self.times) > 1 else 0.0

    def age(self, percentile: float) -> float:
        """Seconds; NaN for no messages."""
        return float(np.percentile(self.ages, percentile)) if self.ages else float("nan")


class DemoListener(Node):
    """Listens until it has heard ``seconds`` of meshes and seen an overlay, or for ``patience`` seconds in vain.

    ``overlay`` and ``hands`` are of one image, of those that show the most hands.

    Parameters: ``seconds``, ``patience``.
    """

    def __init__(self, done: Callable[[], None]) -> None:
        super().__init__("demo_listener")
        self._done = done
        self._seconds = float(self.declare_parameter("seconds", 10.0).value)
        self._patience = float(self.declare_parameter("patience", 120.0).value)
        self._began = time.monotonic()
        self.overlay: Image | None = None
        self.hands = TwoHands(None, None, None, metric=True)
        self._most_hands = 0
        self._joints: dict[tuple[int, int], HandJointsArray] = {}
        self._seen: dict[tuple[int, int], TwoHands] = {}  # since overlays are asked for
        self._overlays: dict[tuple[int, int], Image] | None = None
        self.arrivals: list[Arrivals] = []
        self._listen(HandJointsArray, topics.JOINTS, self._on_joints)
        self._meshes = self._listen(HandMeshArray, topics.MESH, self._on_mesh)
        self._listen(InterHandTransform, topics.INTER_HAND, lambda message: None)
        self._listen(TFMessage, topics.TF, lambda message: None)
        self.create_timer(0.2, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _listen(self, message_type: type[Any], topic: str, callback: Callable[[Any], None]) -> Arrivals:
        arrivals = Arrivals(self.resolve_topic_name(topic))

        def on_message(message: Any) -> None:
            header = message.transforms[0].header if isinstance(message, TFMessage) else message.header
            arrivals.add((self.get_clock().now() - Time.from_msg(header.stamp)).nanoseconds / 1e9)
            callback(message)

        profile = tf_profile() if message_type is TFMessage else output_profile()
        self.create_subscription(message_type, topic, on_message, profile)
        self.arrivals.append(arrivals)
        return arrivals

    def _on_joints(self, message: HandJointsArray) -> None:
        self._joints = {_key(message): message}

    def _on_mesh(self, message: HandMeshArray) -> None:
        joints = self._joints.get(_key(message))
        self._most_hands = max(self._most_hands, len(message.hands))
        if joints is not None and self._overlays is not None:
            self._seen[_key(message)] = to_two_hands(joints, message)
            self._pair(_key(message))

    def _on_overlay(self, message: Image) -> None:
        assert self._overlays is not None
        self._overlays[_key(message)] = message
        self._pair(_key(message))

    def _pair(self, key: tuple[int, int]) -> None:
        """Show an image's overlay and hands once both are here, if it has as many hands as the one shown so far."""
        if self._overlays is None or key not in self._overlays or key not in self._seen:
            return
        hands, overlay = self._seen.pop(key), self._overlays.pop(key)
        if self.overlay is None or len(hands.hands) >= len(self.hands.hands):
            self.hands, self.overlay = hands, overlay

    @property
    def _shows_enough(self) -> bool:
        return self.overlay is not None and len(self.hands.hands) >= self._most_hands

    def _check(self) -> None:
        now = time.monotonic()
        if not self._meshes.times:
            if now - self._began > self._patience:
                self._done()
            return
        heard = now - self._meshes.times[0]
        if heard < self._seconds:
            return
        # Drawing takes the node's time, so the overlay is asked for when the counting is over.
        if self._overlays is None:
            self._overlays = {}
            self.create_subscription(Image, topics.OVERLAY, self._on_overlay, output_profile())
        if self._shows_enough or heard > self._seconds + OVERLAY_SECONDS:
            self._done()


def to_two_hands(joints: HandJointsArray, meshes: HandMeshArray) -> TwoHands:
    """The hands of two messages of one image; rotations and shape, which no message carries, are left neutral."""
    hands = {}
    for j, m in zip(joints.hands, meshes.hands, strict=True):
        hands[Side(m.side)] = Hand(
            side=Side(m.side),
            presence=m.presence,
            joints=np.array([(p.x, p.y, p.z) for p in j.joints]),
            vertices=np.asarray(m.vertices, np.float64).reshape(-1, 3),
            faces=np.asarray(m.triangles, np.int64).reshape(-1, 3),
            joints_2d=np.asarray(j.joints_2d, np.float64).reshape(-1, 2),
            joint_std=np.asarray(j.joint_std, np.float64),
            rotations=np.broadcast_to(np.eye(3), (16, 3, 3)),
            shape=np.zeros(10),
            track_id=m.track_id,
        )
    return TwoHands(hands.get(Side.RIGHT), hands.get(Side.LEFT), None, metric=True)


def summarise(listener: DemoListener, out: Path, console: Console) -> bool:
    """Print what came, write ``overlay.png`` and ``view_3d.png`` to ``out``; False if no mesh came at all."""
    table = Table("topic", "messages", "rate (Hz)", "age p50 (ms)", "age p95 (ms)")
    for arrivals in listener.arrivals:
        ages = [f"{1e3 * arrivals.age(p):.0f}" for p in (50, 95)]
        table.add_row(arrivals.topic, str(len(arrivals.times)), f"{arrivals.rate:.1f}", *ages)
    console.print(table)
    console.print("age: from the stamp of the image to the message's arrival in this process")
    meshes = next(a for a in listener.arrivals if a.topic.endswith(topics.MESH))
    if not meshes.times:
        console.print(f"[red]Nothing arrived on {meshes.topic}.[/red] The node's messages above say why.")
        return False
    out.mkdir(parents=True, exist_ok=True)
    if listener.overlay is not None:
        write_png(out / "overlay.png", decode_image(listener.overlay))
    write_png(out / "view_3d.png", draw_3d(listener.hands))
    seen = " and ".join(hand.side.label for hand in listener.hands.hands) or "no"
    console.print(
        f"[bold]{meshes.topic} arrives at {meshes.rate:.1f} Hz[/bold], {1e3 * meshes.age(50):.0f} ms after the image "
        f"was taken; {seen} hand seen.\nImages: {out / 'overlay.png'}, {out / 'view_3d.png'}"
    )
    return listener.overlay is not None


def _key(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


def main(args: Sequence[str] | None = None) -> int:
    with Program(args) as program:
        listener = DemoListener(program.stop)
        out = Path(str(listener.declare_parameter("out", "out/demo_ros").value))
        exit_code = program.spin([listener])
    return exit_code if summarise(listener, out, Console()) else 1


if __name__ == "__main__":
    sys.exit(main())
