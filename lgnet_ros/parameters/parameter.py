"""Definition of a ROS parameter: its descriptor and the validation of its values; declaration of those of a node."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.parameter import Parameter as RosParameter

if TYPE_CHECKING:
    from rclpy.node import Node

Value = bool | int | float | str

_TYPE_NAMES: dict[type[Value], str] = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}
LOAD_TIME_NOTE = "Can be changed while the node is unconfigured."


@dataclass(frozen=True)
class Parameter:
    """Definition of one parameter.

    Args:
        default: also determines the type.
        description: one or two sentences.
        unit: of numeric values; empty if there is none.
        limits: minimum and maximum, inclusive; None: unlimited.
        choices: allowed strings; None: any.
        load_time: takes effect when the node is configured and is fixed until clean-up; other parameters can be changed
            at any time.
        read_only: takes effect when the program starts, and is fixed from then on.
    """

    name: str
    default: Value
    description: str
    unit: str = ""
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] | None = None
    load_time: bool = False
    read_only: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """Descriptor for ``declare_parameter``, as shown by ``ros2 param describe``."""
        text = self.description + (f" Unit: {self.unit}." if self.unit else "")
        constraints = [f"One of: {', '.join(self.choices)}."] if self.choices else []
        constraints += [LOAD_TIME_NOTE] if self.load_time else []
        descriptor = ParameterDescriptor(
            name=self.name,
            type=RosParameter.Type.from_parameter_value(self.default).value,
            description=text,
            additional_constraints=" ".join(constraints),
            dynamic_typing=False,
            read_only=self.read_only,
        )
        if self.limits is not None and isinstance(self.default, float):
            low, high = self.limits
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
        elif self.limits is not None:
            low, high = (int(limit) for limit in self.limits)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        return descriptor

    def check(self, value: Value) -> None:
        """Validate a value.

        Raises:
            ValueError: which parameter is invalid, why, and the remedy.
        """
        if type(value) is not type(self.default):
            shown = str(value).lower() if isinstance(value, bool) else repr(value)
            raise ValueError(f"{self.name}: expected {_TYPE_NAMES[type(self.default)]}, got {shown}")
        if self.choices is not None and value not in self.choices:
            raise ValueError(f"{self.name}: invalid value {value!r}; set one of {', '.join(self.choices)}")

        if self.limits is not None:
            low, high = self.limits
            if not low <= float(value) <= high:
                raise ValueError(f"{self.name}: {value} is out of range; set {low:g} to {high:g} {self.unit}")


def declare(node: Node, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Declare parameters with their descriptors, and return their values.

    Integers are accepted for floating-point parameters. Unknown parameter names are logged as warnings.

    Raises:
        ValueError: an override (parameter file, ``-p``) has an invalid value.
    """
    overrides = node._parameter_overrides  # no public access before declaration
    values: dict[str, Any] = {}
    for parameter in parameters:
        value: Any = overrides[parameter.name].value if parameter.name in overrides else parameter.default
        if isinstance(parameter.default, float) and type(value) is int:
            value = float(value)
        parameter.check(value)
        node.declare_parameter(parameter.name, value, parameter.descriptor(), ignore_override=True)
        values[parameter.name] = value
    for name in overrides:
        if not node.has_parameter(name) and not name.startswith("qos_overrides."):  # those are declared per topic
            matches = difflib.get_close_matches(name, [p.name for p in parameters], n=1)
            suggestion = f"; did you mean {matches[0]}?" if matches else ""
            node.get_logger().warning(f"Unknown parameter {name} is ignored{suggestion}")
    return values
