"""Tests of the diagnostics: levels, reasons, values and the published message."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message
from support.ros_node import isolated_node

from lgnet_core.io.checkpoint_files import weights_digest
from lgnet_ros.diagnostics.diagnostics import Diagnostics, evaluate, to_values
from lgnet_ros.diagnostics.statistics import Statistics
from lgnet_ros.parameters.settings import Settings, declare_parameters

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)
HEALTHY = replace(
    Statistics().snapshot(),
    received=100,
    processed=90,
    dropped=10,
    received_rate=30.0,
    processed_rate=27.0,
    lost=1,
    loss_fraction=0.01,
    latency={"network": (0.02, 0.03), "total": (0.025, 0.04)},
    time_since_received=0.01,
    time_since_processed=0.05,
    pending_time=0.02,
    last_stamp=10,
)


def test_healthy_node_reports_rate_and_tolerates_drops() -> None:
    assert evaluate(HEALTHY, [], 10.0, 3.0) == (OK, "Publishing hands at 27.0 Hz")
    assert evaluate(replace(HEALTHY, dropped=10**6), [], 10.0, 3.0)[0] == OK


@pytest.mark.parametrize(
    ("changes", "problems", "active_for", "level", "text"),
    [
        ({"time_since_received": 5.0}, [], 10.0, STALE, "No image received for 5.0 s"),
        ({"time_since_received": None}, [], 4.0, STALE, "No image received for 4.0 s"),
        ({"time_since_received": None}, [], 1.0, WARN, "Waiting for the first image"),
        ({"time_since_received": 500.0}, [], 1.0, WARN, "Waiting for the first image"),  # none since activation
        ({"pending_time": 5.0}, [], 10.0, ERROR, "none was processed for 5.0 s"),
        ({"pending_time": 50.0}, [], 1.0, OK, "Publishing hands"),  # pending since before activation
        ({"pending_time": 50.0, "time_since_received": 49.0}, [], 60.0, STALE, "No image received for 49.0 s"),
        (
            {"recent_uncalibrated": 3, "uncalibrated_reason": "No camera_info received on /camera_info"},
            [],
            10.0,
            WARN,
            "Uncalibrated, metric outputs are not published: No camera_info received on /camera_info",
        ),
        ({"recent_warnings": {"stamp_zero": "Stamps are zero"}}, [], 10.0, WARN, "^Stamps are zero$"),
        ({"recent_failed": 2, "last_error": "boom"}, [], 10.0, ERROR, "2 image(s) failed.*boom"),
        ({"recent_rejected": {"image_step": 4, "image_data": 1}}, [], 10.0, WARN, "image_data 1, image_step 4"),
        ({"loss_fraction": 0.42}, [], 10.0, WARN, "42% of the images are lost.*fastdds.xml"),
        ({"loss_fraction": None, "lost": None}, [], 10.0, OK, "Publishing hands"),
        ({}, ["/image: best_effort, reliable"], 10.0, WARN, "/image: best_effort, reliable"),
        ({"time_since_received": None, "recent_failed": 9}, ["/image: x"], None, OK, "Node is not active"),
    ],
)
def test_levels_and_reasons(
    changes: dict[str, Any], problems: list[str], active_for: float | None, level: bytes, text: str
) -> None:
    actual_level, actual_text = evaluate(replace(HEALTHY, **changes), problems, active_for, 3.0)
    assert actual_level == level
    assert re.search(text.replace("(s)", r"\(s\)"), actual_text), actual_text


def test_all_reasons_are_listed_with_the_worst_first() -> None:
    snapshot = replace(HEALTHY, time_since_received=9.0, recent_failed=1, last_error="boom", recent_uncalibrated=1)
    level, text = evaluate(snapshot, ["/image: incompatible"], 60.0, 3.0, "on_activate: no memory")
    assert level == ERROR
    positions = [text.index(part) for part in ("no memory", "boom", "No image", "Uncalibrated", "incompatible")]
    assert positions[:3] == sorted(positions)[:3]


def test_fault_of_inactive_node_is_an_error() -> None:
    assert evaluate(HEALTHY, [], None, 3.0, "on_configure: no weights")[0] == ERROR


def test_values_have_units() -> None:
    values = to_values(replace(HEALTHY, rejected={"image_size": 2}), 0.123)
    assert values["publishing rate (Hz)"] == "27.0"
    assert values["latency of network, p50 (ms)"] == "20.00"
    assert values["latency of total, p95 (ms)"] == "40.00"
    assert (values["images lost in transport"], values["images lost in transport (%)"]) == ("1", "1.00")
    assert values["messages rejected"] == "image_size 2"
    assert values["age of last image stamp (s)"] == "0.12"
    assert to_values(Statistics().snapshot(), None)["time since last image received (s)"] == "-"
    values = to_values(replace(HEALTHY, lost=None, loss_fraction=None), 0.123)
    assert (values["images lost in transport"], values["images lost in transport (%)"]) == ("unknown", "unknown")


def test_a_node_without_subscribers_rests() -> None:
    level, text = evaluate(HEALTHY, [], 10.0, 3.0, idle=True)
    assert (level, text) == (OK, "Idle: no output has subscribers (parameter lazy)")


class PipelineStub:
    """Active pipeline with one topic."""

    idle = False
    qos_status = {"/image": "reliable, volatile, 1 publisher(s)"}  # noqa: RUF012
    qos_problems: list[str] = []  # noqa: RUF012


@pytest.fixture
def node() -> Iterator[Node]:
    with isolated_node() as node:
        declare_parameters(node)
        yield node


def received(message: DiagnosticArray) -> tuple[bytes, str, dict[str, str]]:
    (status,) = deserialize_message(serialize_message(message), DiagnosticArray).status
    assert status.name == "/left/hands: hands"
    return status.level, status.message, {value.key: value.value for value in status.values}


def estimator_stub() -> Any:
    engine = types.SimpleNamespace(name="onnx", device="cpu", precision="fp32")
    return types.SimpleNamespace(engines={"hands": engine}, hand_model=types.SimpleNamespace(digest="1929a1da9700"))


def test_lifecycle_of_a_node(node: Node) -> None:
    time = [100.0]
    diagnostics = Diagnostics(node, lambda: time[0])
    assert received(diagnostics.create_message(None, 0))[:2] == (OK, "Node is not active")
    diagnostics.set_fault("on_configure: no weights")
    assert received(diagnostics.create_message(None, 0))[:2] == (ERROR, "on_configure: no weights; Node is not active")
    diagnostics.reset()
    diagnostics.set_configuration(Settings(), estimator_stub())
    values = received(diagnostics.create_message(None, 0))[2]
    assert (values["device"], values["engine"], values["hand model (digest)"]) == ("cpu", "onnx, fp32", "1929a1da9700")
    assert values["weights (sha256)"] == weights_digest()[:12]

    pipeline = PipelineStub()
    time[0] += 1000
    level, text, values = received(diagnostics.create_message(pipeline, 0))
    assert (level, text) == (WARN, "Waiting for the first image")
    assert values["QoS of /image"] == PipelineStub.qos_status["/image"]
    time[0] += 3.5
    assert received(diagnostics.create_message(pipeline, 0))[0] == STALE
    node.set_parameters([Parameter("image_timeout", value=5.0)])
    assert received(diagnostics.create_message(pipeline, 0))[0] == WARN
    for _ in range(3):
        time[0] += 0.1
        diagnostics.statistics.record_received()
        diagnostics.statistics.record_processed({"total": 0.03}, 2_000_000_000)
    level, text, values = received(diagnostics.create_message(pipeline, 2_500_000_000))
    assert (level, text) == (OK, "Publishing hands at 10.0 Hz")
    assert values["age of last image stamp (s)"] == "0.50"

    time[0] += 60
    diagnostics.create_message(None, 0)
    assert received(diagnostics.create_message(PipelineStub(), 0))[:2] == (WARN, "Waiting for the first image")


def test_missing_weights_file_is_reported(node: Node) -> None:
    diagnostics = Diagnostics(node)
    diagnostics.set_configuration(Settings(weights="/nowhere/x.safetensors"), estimator_stub())
    assert "nowhere" in received(diagnostics.create_message(None, 0))[2]["weights (sha256)"]


def test_messages_are_published(node: Node) -> None:
    messages: list[DiagnosticArray] = []
    node.create_subscription(DiagnosticArray, "/diagnostics", messages.append, 1)
    diagnostics = Diagnostics(node)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    for _ in range(200):
        diagnostics.publish(None)
        executor.spin_once(timeout_sec=0.05)
        if messages:
            break
    executor.shutdown()
    assert messages[0].status[0].name == "/left/hands: hands"
    assert messages[0].header.stamp.sec > 0
