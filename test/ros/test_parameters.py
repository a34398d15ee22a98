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
from lgnet_ros.parameters import PARAMETERS, Settings, check_changes, declare_parameters


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
        assert descriptor.read_only == parameter.read_only
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


def test_read_only_parameters_cannot_be_changed(node: Node) -> None:
    declare_parameters(node)
    node.add_on_set_parameters_callback(lambda changes: check_changes(Settings.from_node(node), changes))
    assert not node.set_parameters([ros_parameter("device", "cuda")])[0].successful
    assert node.set_parameters([ros_parameter("presence_threshold", 0.7)])[0].successful
    assert Settings.from_node(node) == Settings(presence_threshold=0.7)


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
        (
            {"max_rate": 2.0, "tracking_max_gap": 0.4, "marker_lifetime": 1.0},
            "tracking_max_gap.*tracking would restart",
        ),
        ({"max_rate": 2.0, "tracking_max_gap": 1.0, "marker_lifetime": 0.3}, "marker_lifetime.*flicker"),
        ({"detection_interval": 2.0}, "expected an integer, got 2.0"),
        ({"smoothing": 1}, "expected true or false, got 1"),
    ],
)
def test_invalid_settings_are_rejected_with_a_reason(values: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Settings(**values).check()  # type: ignore[arg-type]


def test_dependent_parameters_can_be_set_together() -> None:
    changes = [ros_parameter("max_rate", 2.0), ros_parameter("tracking_max_gap", 1.0)]
    assert "increase tracking_max_gap or max_rate" in check_changes(Settings(marker_lifetime=0.0), changes[:1]).reason
    assert check_changes(Settings(marker_lifetime=0.0), changes).successful


def test_unlimited_marker_lifetime_allows_any_rate() -> None:
    Settings(max_rate=2.0, tracking_max_gap=1.0, marker_lifetime=0.0).check()


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
    assert result.successful or result.reason.startswith((name, "tracking_max_gap", "marker_lifetime"))


def test_parameter_file_contains_all_defaults() -> None:
    path = ROOT / "config" / "hands.yaml"
    content = yaml.safe_load(path.read_text())
    assert content == {"/**": {"ros__parameters": {p.name: p.default for p in PARAMETERS}}}


def test_node_accepts_the_parameter_file() -> None:
    path = ROOT / "config" / "hands.yaml"
    with isolated_node(cli_args=["--ros-args", "--params-file", str(path)]) as node:
        declare_parameters(node)
        assert Settings.from_node(node) == Settings()
