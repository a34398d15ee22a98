"""The node's health: which level for which reason, and that all figures are told."""

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
from support.ros_node import lone_node

from lgnet_core.network.checkpoint import weights_digest
from lgnet_ros.diagnostics import Diagnostics, figures, judge
from lgnet_ros.parameters import Settings, declare_parameters
from lgnet_ros.statistics import Statistics

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
    lost=0.01,
    latency={"network": (0.02, 0.03), "total": (0.025, 0.04)},
    since_received=0.01,
    since_processed=0.05,
    waiting=0.02,
    last_stamp=10,
)


def test_a_healthy_node_says_its_rate_and_drops_are_normal() -> None:
    assert judge(HEALTHY, [], 10.0, 3.0) == (OK, "hands published at 27.0 Hz")
    assert judge(replace(HEALTHY, dropped=10**6), [], 10.0, 3.0)[0] == OK


@pytest.mark.parametrize(
    ("changes", "problems", "active_for", "level", "text"),
    [
        ({"since_received": 5.0}, [], 10.0, STALE, "no image for 5.0 s"),
        ({"since_received": None}, [], 4.0, STALE, "no image for 4.0 s"),
        ({"since_received": None}, [], 1.0, WARN, "waiting for the first image"),
        ({"since_received": 500.0}, [], 1.0, WARN, "waiting for the first image"),  # since it was activated again
        ({"waiting": 5.0}, [], 10.0, ERROR, "images arrive, but none was done with for 5.0 s"),
        ({"waiting": 50.0}, [], 1.0, OK, "hands published"),  # it was activated again
        ({"waiting": 50.0, "since_received": 49.0}, [], 60.0, STALE, "no image for 49.0 s"),
        ({"lately_uncalibrated": 3}, [], 10.0, WARN, "no calibration on camera_info"),
        ({"lately_failed": 2, "last_failure": "boom"}, [], 10.0, ERROR, "2 image(s) lost to errors.*boom"),
        ({"lately_rejected": {"image_step": 4, "image_data": 1}}, [], 10.0, WARN, "image_data 1, image_step 4"),
        ({"lost": 0.42}, [], 10.0, WARN, "42% of the images are lost.*fastdds.xml"),
        ({}, ["/image: best_effort, reliable"], 10.0, WARN, "/image: best_effort, reliable"),
        ({"since_received": None, "lately_failed": 9}, ["/image: x"], None, OK, "not active"),
    ],
)
def test_levels_and_reasons(
    changes: dict[str, Any], problems: list[str], active_for: float | None, level: bytes, text: str
) -> None:
    told_level, told_text = judge(replace(HEALTHY, **changes), problems, active_for, 3.0)
    assert told_level == level
    assert re.search(text.replace("(s)", r"\(s\)"), told_text), told_text


def test_the_worst_comes_first_and_no_reason_is_left_out() -> None:
    ill = replace(HEALTHY, since_received=9.0, lately_failed=1, last_failure="boom", lately_uncalibrated=1)
    level, text = judge(ill, ["/image: incompatible"], 60.0, 3.0, "on_activate: no luck")
    assert level == ERROR
    places = [text.index(part) for part in ("no luck", "boom", "no image", "no calibration", "incompatible")]
    assert places[:3] == sorted(places)[:3]


def test_a_fault_of_a_node_that_is_not_active_is_an_error() -> None:
    assert judge(HEALTHY, [], None, 3.0, "on_configure: no weights")[0] == ERROR


def test_figures_have_units() -> None:
    told = figures(replace(HEALTHY, rejected={"image_size": 2}), 0.123)
    assert told["publishing rate (Hz)"] == "27.0"
    assert told["latency of network, p50 (ms)"] == "20.00"
    assert told["latency of total, p95 (ms)"] == "40.00"
    assert told["lost before they arrive (%)"] == "1.00"
    assert told["messages rejected"] == "image_size 2"
    assert told["age of the last image's stamp (s)"] == "0.12"
    assert figures(Statistics().snapshot(), None)["last image received (s ago)"] == "-"


class Active:
    """A node that is active, with one topic."""

    qos = {"/image": "reliable, volatile, 1 publisher(s)"}  # noqa: RUF012
    qos_problems: list[str] = []  # noqa: RUF012


@pytest.fixture
def node() -> Iterator[Node]:
    with lone_node() as node:
        declare_parameters(node)
        yield node


def told(message: DiagnosticArray) -> tuple[bytes, str, dict[str, str]]:
    (status,) = deserialize_message(serialize_message(message), DiagnosticArray).status
    assert status.name == "/left/hands: hands"
    return status.level, status.message, {value.key: value.value for value in status.values}


def estimator() -> Any:
    engine = types.SimpleNamespace(name="onnx", device="cpu", precision="fp32")
    return types.SimpleNamespace(engines={"hands": engine}, hand_model=types.SimpleNamespace(digest="1929a1da9700"))


def test_a_nodes_life(node: Node) -> None:
    time = [100.0]
    diagnostics = Diagnostics(node, lambda: time[0])
    assert told(diagnostics.message(None, 0))[:2] == (OK, "not active")
    diagnostics.fault("on_configure: no weights")
    assert told(diagnostics.message(None, 0))[:2] == (ERROR, "on_configure: no weights; not active")
    diagnostics.clear()
    diagnostics.describe(Settings(), estimator())
    values = told(diagnostics.message(None, 0))[2]
    assert (values["device"], values["engine"], values["hand model (digest)"]) == ("cpu", "onnx, fp32", "1929a1da9700")
    assert values["weights (sha256)"] == weights_digest()[:12]

    active = Active()
    time[0] += 1000
    level, text, values = told(diagnostics.message(active, 0))
    assert (level, text) == (WARN, "waiting for the first image")
    assert values["QoS of /image"] == Active.qos["/image"]
    time[0] += 3.5
    assert told(diagnostics.message(active, 0))[0] == STALE
    node.set_parameters([Parameter("image_timeout", value=5.0)])
    assert told(diagnostics.message(active, 0))[0] == WARN
    for _ in range(3):
        time[0] += 0.1
        diagnostics.statistics.received(0)
        diagnostics.statistics.processed({"total": 0.03}, 2_000_000_000)
    level, text, values = told(diagnostics.message(active, 2_500_000_000))
    assert (level, text) == (OK, "hands published at 10.0 Hz")
    assert values["age of the last image's stamp (s)"] == "0.50"

    time[0] += 60
    diagnostics.message(None, 0)
    assert told(diagnostics.message(Active(), 0))[:2] == (WARN, "waiting for the first image")


def test_weights_that_are_gone_do_not_matter(node: Node) -> None:
    diagnostics = Diagnostics(node)
    diagnostics.describe(Settings(weights="/nowhere/x.safetensors"), estimator())
    assert "nowhere" in told(diagnostics.message(None, 0))[2]["weights (sha256)"]


def test_it_is_heard_on_diagnostics(node: Node) -> None:
    heard: list[DiagnosticArray] = []
    node.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 1)
    diagnostics = Diagnostics(node)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    for _ in range(200):
        diagnostics.publish(None)
        executor.spin_once(timeout_sec=0.05)
        if heard:
            break
    executor.shutdown()
    assert heard[0].status[0].name == "/left/hands: hands"
    assert heard[0].header.stamp.sec > 0
