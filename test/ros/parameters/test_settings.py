"""Tests of the parameters: declaration, descriptors, validation and the parameter file."""

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
from support.ros_node import isolated_node

from lgnet_core.inference.assembly import HAND_LENGTH_RANGE
from lgnet_ros.parameters.settings import PARAMETERS, Settings, check_changes, declare_parameters


@pytest.fixture
def node() -> Iterator[Node]:
    with isolated_node() as node:
        yield node


def declare_with_overrides(**overrides: object) -> None:
    """Declare the parameters of a node with overrides, like from the command line."""
    with isolated_node(parameter_overrides=[ros_parameter(*item) for item in overrides.items()]) as node:
        declare_parameters(node)


def ros_parameter(name: str, value: object) -> RosParameter:
    return RosParameter(name, value=value)


def test_defaults_without_overrides(node: Node) -> None:
    declare_parameters(node)
    settings = Settings.from_node(node)
    assert settings == Settings()
    settings.check()


def test_descriptors_match_the_definitions(node: Node) -> None:
    declare_parameters(node)
    for parameter in PARAMETERS:
        descriptor = node.describe_parameter(parameter.name)
        assert descriptor.name == parameter.name
        assert descriptor.description.startswith(parameter.description)
        assert parameter.unit in descriptor.description
        assert not descriptor.read_only
        assert ("while the node is unconfigured" in descriptor.additional_constraints) == parameter.load_time
        assert not descriptor.dynamic_typing
        assert descriptor.type == node.get_parameter(parameter.name).type_.value
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        assert [(r.from_value, r.to_value) for r in ranges] == ([parameter.limits] if parameter.limits else [])
        assert all(choice in descriptor.additional_constraints for choice in parameter.choices or ())


def test_every_number_has_limits_and_every_parameter_a_description() -> None:
    for parameter in PARAMETERS:
        numeric = isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool)
        assert numeric == (parameter.limits is not None), parameter.name
        assert parameter.description.endswith("."), parameter.name
        assert parameter.default in (parameter.choices or [parameter.default])


@pytest.mark.parametrize(("name", "value"), [("presence_threshold", 1.5), ("detection_interval", 0), ("threads", -1)])
def test_override_out_of_range_is_rejected(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}: .*out of range"):
        declare_with_overrides(**{name: value})


def test_override_of_wrong_type_is_rejected() -> None:
    with pytest.raises(ValueError, match="max_rate: expected a number, got 'fast'"):
        declare_with_overrides(max_rate="fast")
    with pytest.raises(ValueError, match="smoothing: expected true or false, got 0"):
        declare_with_overrides(smoothing=0)


def test_integer_is_accepted_for_a_float() -> None:
    with isolated_node(parameter_overrides=[ros_parameter("max_rate", 10)]) as node:
        declare_parameters(node)
        assert Settings.from_node(node) == Settings(max_rate=10.0)


def test_unknown_parameter_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    declare_with_overrides(**{"smothing": True, "use_sim_time": False, "qos_overrides./tf.publisher.depth": 7})
    text = capfd.readouterr().err
    assert text.count("WARN") == 1
    assert "Unknown parameter smothing is ignored; did you mean smoothing?" in text


LOAD_TIME = {
    "image_transport": "compressed", "image_qos": "reliable", "camera_model": "rectified", "device": "cpu",
    "engine": "eager", "weights": "w.safetensors", "hand_model": "mano", "threads": 1,
    "frame_prefix": "arm/", "use_depth": True,
}  # fmt: skip


@pytest.mark.parametrize("name", LOAD_TIME)
def test_load_time_parameters_are_fixed_while_the_node_is_configured(name: str) -> None:
    """Setting the same value is accepted, so that `ros2 param load` works with a file of all parameters."""
    change = ros_parameter(name, LOAD_TIME[name])
    assert check_changes(Settings(), [change], configured=False).successful
    reason = check_changes(Settings(), [change], configured=True).reason
    assert reason.startswith(f"{name}: fixed while the node is configured")
    assert check_changes(Settings().changed([change]), [change], configured=True).successful


def test_all_other_parameters_can_be_changed_at_any_time() -> None:
    assert {p.name for p in PARAMETERS if p.load_time} == LOAD_TIME.keys()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"camera_model": "fisheye"}, "auto, raw, rectified"),
        ({"hand_length": 0.05}, "too short"),
        ({"hand_length": 0.5}, "out of range"),
        ({"presence_threshold": math.nan}, "out of range"),
        ({"engine": "cuda-graph", "device": "cpu"}, "does not support device cpu"),
        ({"frame_prefix": "/left/"}, "no leading /"),
        ({"frame_prefix": "left arm"}, "TF frame names"),
        ({"detection_interval": 2.0}, "expected an integer, got 2.0"),
        ({"smoothing": 1}, "expected true or false, got 1"),
    ],
)
def test_invalid_settings_are_rejected_with_a_reason(values: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Settings(**values).check()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "gap", "lifetime"),
    [
        ({}, 0.5, 0.3),
        ({"max_rate": 30.0}, 0.5, 0.3),
        ({"max_rate": 5.0}, 0.5, 0.4),
        ({"max_rate": 2.0, "tracking_max_gap": 1.5, "marker_lifetime": 0.0}, 1.5, 0.0),
        ({"max_rate": 0.1, "marker_lifetime": 60.0}, 20.0, 60.0),
    ],
)
def test_durations_cover_two_periods_of_the_maximum_rate(values: dict[str, float], gap: float, lifetime: float) -> None:
    """Whatever is set first, and in whatever order; the duration that is used instead is reported."""
    settings = Settings(**values)  # type: ignore[arg-type]
    settings.check()
    used = settings.for_max_rate()
    assert (used.tracking_max_gap, used.marker_lifetime) == pytest.approx((gap, lifetime))
    extended = [
        name for name in ("tracking_max_gap", "marker_lifetime") if getattr(used, name) != getattr(settings, name)
    ]
    assert [warning.partition(":")[0] for warning in settings.warnings()] == extended


def test_parameters_that_exclude_each_other_can_be_set_in_any_order() -> None:
    """The combination counts when the node is configured."""
    settings = Settings(device="cuda").changed([ros_parameter("engine", "cuda-graph")])
    settings = settings.changed([ros_parameter("device", "cpu")])
    with pytest.raises(ValueError, match="does not support device cpu"):
        settings.check()
    settings.changed([ros_parameter("engine", "auto")]).check()


@pytest.mark.parametrize("prefix", ["", "left_arm/", "cam-2.", "a/b/"])
def test_valid_frame_prefixes(prefix: str) -> None:
    Settings(frame_prefix=prefix).check()


@pytest.mark.parametrize("length", [0.0, *HAND_LENGTH_RANGE])
def test_valid_hand_lengths(length: float) -> None:
    Settings(hand_length=length).check()


def test_other_parameters_are_ignored() -> None:
    assert check_changes(Settings(), [ros_parameter("use_sim_time", True)]).successful


@given(
    name=st.sampled_from([p.name for p in PARAMETERS]),
    value=st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.floats()),
)
def test_any_value_is_accepted_or_rejected_with_its_name(name: str, value: object) -> None:
    change = RosParameter.__new__(RosParameter)  # rclpy's constructor rejects some values that other clients can send
    change._name, change._value = name, value
    result = check_changes(Settings(), [change])
    assert result.successful or result.reason.startswith(name)


def test_parameter_file_contains_all_defaults() -> None:
    path = ROOT / "config" / "hands.yaml"
    content = yaml.safe_load(path.read_text())
    assert content == {"/**": {"ros__parameters": {p.name: p.default for p in PARAMETERS}}}


def test_node_accepts_the_parameter_file() -> None:
    path = ROOT / "config" / "hands.yaml"
    with isolated_node(cli_args=["--ros-args", "--params-file", str(path)]) as node:
        declare_parameters(node)
        assert Settings.from_node(node) == Settings()
