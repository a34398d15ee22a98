"""The node's parameters: one table, from which descriptors, README's table and config/hands.yaml are made.

:class:`Settings` is the table: a field per parameter, with its default, and what a user must know of it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter as RosParameter

from lgnet_core.engines.base import DEVICES, ENGINES
from lgnet_core.inference.estimator import HAND_LENGTHS
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.tracking.smoothing import Smoothing

if TYPE_CHECKING:
    from rclpy.node import Node

Value = bool | int | float | str

_TYPES: dict[type[Value], str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_SMOOTHING, _THRESHOLDS = Smoothing(), Thresholds()  # lgnet_core's defaults are the node's


@dataclass(frozen=True)
class Parameter:
    """What a user must know of one parameter.

    Args:
        default: its value unless given; also fixes its type.
        description: one sentence or two.
        unit: of numbers; empty for none.
        limits: least and greatest value, both allowed; None: any.
        choices: the values that a text may have; None: any.
        read_only: fixed when the node starts; the others can be set while it runs.
    """

    name: str
    default: Value
    description: str
    unit: str
    limits: tuple[float, float] | None
    choices: tuple[str, ...] | None
    read_only: bool

    def descriptor(self) -> ParameterDescriptor:
        """For ``declare_parameter``; ``ros2 param describe`` shows it."""
        text = self.description + (f" Unit: {self.unit}." if self.unit else "")
        descriptor = ParameterDescriptor(
            name=self.name,
            type=RosParameter.Type.from_parameter_value(self.default).value,
            description=text,
            additional_constraints=f"One of: {', '.join(self.choices)}." if self.choices else "",
            read_only=self.read_only,
            dynamic_typing=False,
        )
        if self.limits is not None and isinstance(self.default, float):
            low, high = self.limits
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
        elif self.limits is not None:
            low, high = (int(limit) for limit in self.limits)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        return descriptor


def _parameter(
    default: Any,
    description: str,
    unit: str = "",
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] | None = None,
    read_only: bool = False,
) -> Any:
    """A field of :class:`Settings`."""
    return field(default=default, metadata=dict(locals()))


@dataclass(frozen=True)
class Settings:
    """The node's parameters as plain values; each field is the parameter of the same name, see :data:`PARAMETERS`."""

    image_transport: str = _parameter(
        "raw",
        "What `image` carries: sensor_msgs/Image, or sensor_msgs/CompressedImage (JPEG or PNG).",
        choices=("raw", "compressed"),
        read_only=True,
    )
    image_qos: str = _parameter(
        "auto",
        "Reliability of the subscriptions to `image` and `camera_info`. `auto` takes each publisher's own.",
        choices=("auto", "reliable", "best_effort"),
        read_only=True,
    )
    camera_model: str = _parameter(
        "auto",
        "Which part of camera_info describes the images: K and D (`raw`) or P (`rectified`). `auto` takes P where a "
        "word of the image topic's name is `rect` or `rectified`, else K and D.",
        choices=("auto", "raw", "rectified"),
        read_only=True,
    )
    device: str = _parameter(
        "auto",
        f"Where the network runs: {', '.join(DEVICES)} or cuda:N. `auto` takes a GPU where torch sees one.",
        read_only=True,
    )
    engine: str = _parameter(
        "auto",
        "What runs the network. `auto` takes cuda-graph on a GPU and onnx on a CPU.",
        choices=ENGINES,
        read_only=True,
    )
    weights: str = _parameter("", "Checkpoint (.safetensors); empty: the bundled weights.", read_only=True)
    hand_model: str = _parameter(
        "", "Folder that `lgnet mano convert` wrote; empty: the bundled hand model.", read_only=True
    )
    threads: int = _parameter(
        0,
        "CPU threads of the networks; 0: as many as the process has cores, by its affinity and its cgroup's quota.",
        limits=(0, 256),
        read_only=True,
    )
    hand_length: float = _parameter(
        0.0,
        "From the wrist to the tip of the middle finger of the user's flat hand, which fixes scale and depth; about "
        f"0.18 for an adult, {HAND_LENGTHS[0]} to {HAND_LENGTHS[1]}; 0: unknown.",
        "m",
        limits=(0.0, HAND_LENGTHS[1]),
        read_only=True,
    )
    presence_threshold: float = _parameter(
        _THRESHOLDS.presence,
        "A hand is reported from this probability on that it is in the image.",
        limits=(0.01, 0.99),
    )
    detection_interval: int = _parameter(
        10,
        "Images from one detection in the whole image to the next while two hands are followed; while fewer are, each "
        "image has one. 1: in each, and no hand is followed.",
        "images",
        limits=(1, 1000),
    )
    tracking_max_gap: float = _parameter(
        0.5, "After a longer gap between two stamps, tracks end and hands are detected anew.", "s", limits=(0.05, 10.0)
    )
    smoothing: bool = _parameter(True, "One-euro filter over the hands; off: each image for itself.")
    smoothing_min_cutoff: float = _parameter(
        _SMOOTHING.min_cutoff,
        "Cut-off of the filter for a hand at rest: lower is steadier.",
        "Hz",
        limits=(0.01, 100.0),
    )
    smoothing_beta: float = _parameter(
        _SMOOTHING.beta,
        "How much the cut-off rises with a joint's speed: higher lags less behind a moving hand.",
        "Hz per m/s",
        limits=(0.0, 1000.0),
    )
    max_rate: float = _parameter(
        0.0, "Images above this rate are skipped; 0: every image that time allows.", "Hz", limits=(0.0, 1000.0)
    )
    frame_prefix: str = _parameter(
        "",
        "Put before the names of all frames, for several cameras: `left_arm/` gives left_arm/hand_right.",
        read_only=True,
    )
    publish_tf: bool = _parameter(True, "Frames hand_right and hand_left on /tf.")
    publish_joint_frames: bool = _parameter(False, "A frame for each joint on /tf too (hand_right_index_1, ...).")
    publish_markers: bool = _parameter(True, "`hands/markers`, while it is subscribed to.")
    publish_points: bool = _parameter(True, "`hands/points`, while it is subscribed to.")
    publish_overlay: bool = _parameter(True, "`hands/overlay`, while it is subscribed to.")
    overlay_rate: float = _parameter(
        10.0, "Overlays above this rate are skipped; 0: one for each image.", "Hz", limits=(0.0, 240.0)
    )
    marker_lifetime: float = _parameter(
        0.3, "A marker disappears from RViz so long after its image; 0: when it is deleted.", "s", limits=(0.0, 60.0)
    )
    image_timeout: float = _parameter(
        3.0, "Without an image for so long, the node says what it sees on its topics.", "s", limits=(0.5, 600.0)
    )

    @classmethod
    def from_node(cls, node: Node) -> Settings:
        """The values that a node's parameters have now; they must have been declared."""
        return cls(**{p.name: node.get_parameter(p.name).value for p in PARAMETERS})

    def changed(self, changes: Iterable[RosParameter]) -> Settings:
        """These settings with some parameters set anew.

        Args:
            changes: as rclpy's callbacks give them; parameters that are not ours (``use_sim_time``) are left out.

        Raises:
            ValueError: see :meth:`check`.
        """
        names = {p.name for p in PARAMETERS}
        settings = replace(self, **{change.name: change.value for change in changes if change.name in names})
        settings.check()
        return settings

    def check(self) -> None:
        """Hold the values against the table and against each other.

        Raises:
            ValueError: which parameter is wrong, why, and what to set.
        """
        for parameter in PARAMETERS:
            _check_one(parameter, getattr(self, parameter.name))
        if 0 < self.hand_length < HAND_LENGTHS[0]:
            raise ValueError(
                f"hand_length: {self.hand_length:g} m is no hand's; measure from the wrist to the tip of the middle "
                f"finger ({HAND_LENGTHS[0]} to {HAND_LENGTHS[1]} m), or set 0"
            )
        if self.engine == "cuda-graph" and self.device == "cpu":
            raise ValueError("engine: cuda-graph does not run on device cpu; set one of the two to auto")
        if not re.fullmatch(r"([A-Za-z0-9_.-][A-Za-z0-9_./-]*)?", self.frame_prefix):
            raise ValueError(
                f"frame_prefix: {self.frame_prefix!r} makes no name of a TF frame; use letters, digits, _ - . and /, "
                "not / first"
            )
        if self.max_rate > 0:
            self._check_against_max_rate("tracking_max_gap", "every image would come too late to follow a hand")
            if self.marker_lifetime > 0:
                self._check_against_max_rate("marker_lifetime", "markers would blink")

    def _check_against_max_rate(self, name: str, harm: str) -> None:
        """A time, seconds, must be longer than that between two images at ``max_rate``."""
        value, period = getattr(self, name), 1 / self.max_rate
        if value <= period:
            raise ValueError(
                f"{name}: {value:g} s is not longer than the {period:g} s between images at max_rate "
                f"{self.max_rate:g} Hz, so {harm}; raise {name} or max_rate (or set both at once)"
            )


PARAMETERS: tuple[Parameter, ...] = tuple(Parameter(name=f.name, **f.metadata) for f in fields(Settings))
"""All parameters, in the order in which README and config/hands.yaml tell of them."""


def declare_parameters(node: Node) -> None:
    """Declare every parameter with its descriptor.

    A whole number does where a number is asked for. Names that nobody knows are warned of.

    Raises:
        ValueError: from a value that the user gave (a parameter file, ``-p``) and that the table rules out.
    """
    given = node._parameter_overrides  # rclpy shows them nowhere else before they are declared
    for parameter in PARAMETERS:
        value: Any = given[parameter.name].value if parameter.name in given else parameter.default
        if isinstance(parameter.default, float) and type(value) is int:
            value = float(value)
        _check_one(parameter, value)
        node.declare_parameter(parameter.name, value, parameter.descriptor(), ignore_override=True)
    for name in given:
        if not node.has_parameter(name) and not name.startswith("qos_overrides."):  # which each topic declares
            near = difflib.get_close_matches(name, [p.name for p in PARAMETERS], n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            node.get_logger().warning(f"parameter {name} is not known and has no effect{meant}")


def validate(current: Settings, changes: Iterable[RosParameter]) -> SetParametersResult:
    """Whether parameters may change, and the reason if not: for ``add_on_set_parameters_callback``."""
    try:
        current.changed(changes)
    except ValueError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)


def _check_one(parameter: Parameter, value: Value) -> None:
    if type(value) is not type(parameter.default):
        shown = str(value).lower() if isinstance(value, bool) else repr(value)
        raise ValueError(f"{parameter.name}: expected {_TYPES[type(parameter.default)]}, got {shown}")
    if parameter.choices is not None and value not in parameter.choices:
        raise ValueError(f"{parameter.name}: {value!r} is not known; set one of {', '.join(parameter.choices)}")
    if parameter.limits is not None:
        low, high = parameter.limits
        if not low <= float(value) <= high:
            raise ValueError(f"{parameter.name}: {value} is out of range; set {low:g} to {high:g} {parameter.unit}")
