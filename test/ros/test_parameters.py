"""The table of parameters: descriptors, values that are refused with a reason, and the texts made from it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from support.paths import ROOT
from support.ros_node import lone_node

from lgnet_core.inference.estimator import HAND_LENGTHS
from lgnet_ros.parameters import PARAMETERS, Settings, declare_parameters, validate


@pytest.fixture
def node() -> Iterator[Node]:
    with lone_node() as node:
        yield node


def start(**values: object) -> None:
    """A node that is given values, as from a command line."""
    with lone_node(parameter_overrides=[set_parameter(*value) for value in values.items()]) as node:
        declare_parameters(node)


def set_parameter(name: str, value: object) -> RosParameter:
    return RosParameter(name, value=value)


def test_a_node_with_no_file_has_the_defaults(node: Node) -> None:
    declare_parameters(node)
    settings = Settings.from_node(node)
    assert settings == Settings()
    settings.check()


def test_the_descriptors_say_what_the_table_says(node: Node) -> None:
    declare_parameters(node)
    for parameter in PARAMETERS:
        descriptor = node.describe_parameter(parameter.name)
        assert descriptor.name == parameter.name
        assert descriptor.description.startswith(parameter.description)
        assert parameter.unit in descriptor.description
        assert descriptor.read_only == parameter.read_only
        assert not descriptor.dynamic_typing
        assert descriptor.type == node.get_parameter(parameter.name).type_.value
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        assert [(r.from_value, r.to_value) for r in ranges] == ([parameter.limits] if parameter.limits else [])
        assert all(choice in descriptor.additional_constraints for choice in parameter.choices or ())


def test_every_number_has_limits_and_every_parameter_a_sentence() -> None:
    for parameter in PARAMETERS:
        numeric = isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool)
        assert numeric == (parameter.limits is not None), parameter.name
        assert parameter.description.endswith("."), parameter.name
        assert parameter.default in (parameter.choices or [parameter.default])


@pytest.mark.parametrize(("name", "value"), [("presence_threshold", 1.5), ("detection_interval", 0), ("threads", -1)])
def test_a_value_out_of_range_does_not_start(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}: .*out of range"):
        start(**{name: value})


def test_a_value_of_another_type_does_not_start() -> None:
    with pytest.raises(ValueError, match="max_rate: expected a number, got 'fast'"):
        start(max_rate="fast")
    with pytest.raises(ValueError, match="smoothing: expected true or false, got 0"):
        start(smoothing=0)


def test_a_whole_number_is_a_number() -> None:
    with lone_node(parameter_overrides=[set_parameter("max_rate", 10)]) as node:
        declare_parameters(node)
        assert Settings.from_node(node) == Settings(max_rate=10.0)


def test_an_unknown_name_is_warned_of(capfd: pytest.CaptureFixture[str]) -> None:
    start(**{"smothing": True, "use_sim_time": False, "qos_overrides./tf.publisher.depth": 7})
    text = capfd.readouterr().err
    assert text.count("WARN") == 1
    assert "parameter smothing is not known and has no effect; did you mean smoothing?" in text


def test_rclpy_guards_what_is_read_only(node: Node) -> None:
    declare_parameters(node)
    node.add_on_set_parameters_callback(lambda changes: validate(Settings.from_node(node), changes))
    assert not node.set_parameters([set_parameter("device", "cuda")])[0].successful
    assert node.set_parameters([set_parameter("presence_threshold", 0.7)])[0].successful
    assert Settings.from_node(node) == Settings(presence_threshold=0.7)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"camera_model": "fisheye"}, "auto, raw, rectified"),
        ({"hand_length": 0.05}, "no hand's"),
        ({"hand_length": 0.5}, "out of range"),
        ({"presence_threshold": math.nan}, "out of range"),
        ({"engine": "cuda-graph", "device": "cpu"}, "does not run on device cpu"),
        ({"frame_prefix": "/left/"}, "not / first"),
        ({"frame_prefix": "left arm"}, "TF frame"),
        ({"max_rate": 2.0, "tracking_max_gap": 0.4, "marker_lifetime": 1.0}, "tracking_max_gap.*too late"),
        ({"max_rate": 2.0, "tracking_max_gap": 1.0, "marker_lifetime": 0.3}, "marker_lifetime.*blink"),
        ({"detection_interval": 2.0}, "expected a whole number, got 2.0"),
        ({"smoothing": 1}, "expected true or false, got 1"),
    ],
)
def test_refusals_have_reasons(values: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Settings(**values).check()  # type: ignore[arg-type]


def test_what_goes_together_can_be_set_together() -> None:
    together = [set_parameter("max_rate", 2.0), set_parameter("tracking_max_gap", 1.0)]
    assert "raise tracking_max_gap or max_rate" in validate(Settings(marker_lifetime=0.0), together[:1]).reason
    assert validate(Settings(marker_lifetime=0.0), together).successful


def test_markers_without_a_lifetime_never_blink() -> None:
    Settings(max_rate=2.0, tracking_max_gap=1.0, marker_lifetime=0.0).check()


@pytest.mark.parametrize("prefix", ["", "left_arm/", "cam-2.", "a/b/"])
def test_prefixes_of_frames(prefix: str) -> None:
    Settings(frame_prefix=prefix).check()


@pytest.mark.parametrize("length", [0.0, *HAND_LENGTHS])
def test_lengths_of_hands(length: float) -> None:
    Settings(hand_length=length).check()


def test_parameters_of_others_are_left_alone() -> None:
    assert validate(Settings(), [set_parameter("use_sim_time", True)]).successful


@given(
    name=st.sampled_from([p.name for p in PARAMETERS]),
    value=st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.floats()),
)
def test_any_value_is_taken_or_refused_with_its_name(name: str, value: object) -> None:
    change = RosParameter.__new__(RosParameter)  # rclpy's constructor refuses some values that other clients can send
    change._name, change._value = name, value
    result = validate(Settings(), [change])
    assert result.successful or result.reason.startswith((name, "tracking_max_gap", "marker_lifetime"))


def test_the_parameter_file_says_every_default() -> None:
    path = ROOT / "config" / "hands.yaml"
    content = yaml.safe_load(path.read_text())
    assert content == {"/**": {"ros__parameters": {p.name: p.default for p in PARAMETERS}}}


def test_a_node_takes_the_parameter_file() -> None:
    path = ROOT / "config" / "hands.yaml"
    with lone_node(cli_args=["--ros-args", "--params-file", str(path)]) as node:
        declare_parameters(node)
        assert Settings.from_node(node) == Settings()
