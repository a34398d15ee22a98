"""Definition of one ROS parameter: its descriptor and the validation of its values."""

from __future__ import annotations

from dataclasses import dataclass

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.parameter import Parameter as RosParameter

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
    """

    name: str
    default: Value
    description: str
    unit: str
    limits: tuple[float, float] | None
    choices: tuple[str, ...] | None
    load_time: bool

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
