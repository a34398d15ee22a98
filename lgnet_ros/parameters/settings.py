"""ROS parameters of the node: declaration, validation and descriptions.

:class:`Settings` defines them, one field per parameter with its default, description and limits. The descriptors, the
table in the documentation and config/hands.yaml are generated from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter as RosParameter

from lgnet_core.engines.base import DEVICES, ENGINES
from lgnet_core.inference.assembly import HAND_LENGTH_RANGE
from lgnet_core.inference.thresholds import PEOPLE_RANGE, Thresholds
from lgnet_core.inference.tracking.smoothing import Smoothing
from lgnet_ros.parameters.parameter import Parameter, declare

if TYPE_CHECKING:
    from rclpy.node import Node


COLLISION_GEOMETRIES = ("capsules", "mesh")
_SMOOTHING, _THRESHOLDS = Smoothing(), Thresholds()  # the node has lgnet_core's defaults


def _parameter(
    default: Any,
    description: str,
    unit: str = "",
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] | None = None,
    load_time: bool = False,
) -> Any:
    """Define a field of :class:`Settings`."""
    return field(default=default, metadata=dict(locals()))


@dataclass(frozen=True)
class Settings:
    """Values of all parameters; each field is the parameter of the same name, see :data:`PARAMETERS`."""

    image_transport: str = _parameter(
        "raw",
        "Transport of `image`: sensor_msgs/Image (`raw`), or JPEG or PNG in sensor_msgs/CompressedImage "
        "(`compressed`).",
        choices=("raw", "compressed"),
        load_time=True,
    )
    image_qos: str = _parameter(
        "auto",
        "Reliability of the subscriptions to `image`, `depth` and their camera_info. `auto` matches the publishers.",
        choices=("auto", "reliable", "best_effort"),
        load_time=True,
    )
    camera_model: str = _parameter(
        "auto",
        "Part of camera_info that describes the images: K and D (`raw`) or P (`rectified`). `auto` uses P if a word "
        "of the image topic's name is `rect` or `rectified`, otherwise K and D.",
        choices=("auto", "raw", "rectified"),
        load_time=True,
    )
    device: str = _parameter(
        "auto",
        f"Device of the networks: {', '.join(DEVICES)} or cuda:N. `auto` uses a GPU if PyTorch finds one.",
        load_time=True,
    )
    engine: str = _parameter(
        "auto",
        "Inference engine. `auto` uses cuda-graph on a GPU and onnx on a CPU.",
        choices=ENGINES,
        load_time=True,
    )
    weights: str = _parameter("", "Checkpoint file (.safetensors); empty: bundled weights.", load_time=True)
    hand_model: str = _parameter(
        "", "Output folder of `lgnet mano convert`; empty: bundled hand model.", load_time=True
    )
    threads: int = _parameter(
        0,
        "CPU threads for inference; 0: number of cores available to the process (CPU affinity and cgroup quota).",
        limits=(0, 256),
        load_time=True,
    )
    hand_length: float = _parameter(
        0.0,
        "Length of the user's flat hand from wrist to middle fingertip, which determines scale and depth; about "
        f"0.18 for an adult, {HAND_LENGTH_RANGE[0]} to {HAND_LENGTH_RANGE[1]}; 0: unknown. `~/measure_hand` measures "
        "and sets it.",
        "m",
        limits=(0.0, HAND_LENGTH_RANGE[1]),
    )
    measure_distance: float = _parameter(
        0.0,
        "Distance along the optical axis from the camera to the skin of the hand that `~/measure_hand` measures, if "
        "`use_depth` is not set. 0: unknown, depth images are needed.",
        "m",
        limits=(0.0, 5.0),
    )
    use_depth: bool = _parameter(
        False,
        "Scale the hands to the depth images on `depth`. Without a depth image, and where it does not show a hand's "
        "skin, the node continues without; `size_source` of each hand states which was used.",
        load_time=True,
    )
    depth_max_age: float = _parameter(
        0.1,
        "Maximum difference between the stamps of an image and its depth image. Equal stamps are preferred; tracked "
        "hands are compared with an older depth image as they were then.",
        "s",
        limits=(0.0, 1.0),
    )
    presence_threshold: float = _parameter(
        _THRESHOLDS.presence,
        "Minimum probability of a hand being in the image for it to be published.",
        limits=(0.01, 0.99),
    )
    max_people: int = _parameter(
        _THRESHOLDS.max_people,
        "Number of people whose hands are published. With 1, all hands are taken for one person's; with more, they are "
        "grouped by side and distance. The time per image grows with the number of hands.",
        limits=PEOPLE_RANGE,
    )
    detection_interval: int = _parameter(
        10,
        "Number of images between full-image detections while two hands per person are tracked; with fewer tracked "
        "hands, images have one at 20 Hz at most. 1: detection in every image, no tracking.",
        "images",
        limits=(1, 1000),
    )
    tracking_max_gap: float = _parameter(
        0.5,
        "Maximum gap between image stamps; after a longer one, tracking restarts. At least two periods of `max_rate` "
        "are used.",
        "s",
        limits=(0.05, 10.0),
    )
    smoothing: bool = _parameter(True, "Temporal smoothing of the hands with the One Euro filter.")
    smoothing_min_cutoff: float = _parameter(
        _SMOOTHING.min_cutoff,
        "Cutoff frequency of the filter for a hand at rest; lower values reduce jitter.",
        "Hz",
        limits=(0.01, 100.0),
    )
    smoothing_beta: float = _parameter(
        _SMOOTHING.beta,
        "Increase of the cutoff frequency with joint speed; higher values reduce lag.",
        "Hz per m/s",
        limits=(0.0, 1000.0),
    )
    max_rate: float = _parameter(
        0.0, "Maximum processing rate; images above it are skipped. 0: unlimited.", "Hz", limits=(0.0, 1000.0)
    )
    frame_prefix: str = _parameter(
        "",
        "Prefix of all frame names, e.g. for several cameras: `left_arm/` gives left_arm/hand_right.",
        load_time=True,
    )
    publish_tf: bool = _parameter(True, "Publish the frames hand_right and hand_left on /tf.")
    publish_joint_frames: bool = _parameter(
        False, "Also publish a frame for each joint on /tf (hand_right_index_1, ...)."
    )
    publish_markers: bool = _parameter(True, "Publish `hands/markers` while it has subscribers.")
    publish_points: bool = _parameter(True, "Publish `hands/points` while it has subscribers.")
    publish_overlay: bool = _parameter(True, "Publish `hands/overlay` while it has subscribers.")
    overlay_rate: float = _parameter(10.0, "Maximum rate of overlays. 0: one per image.", "Hz", limits=(0.0, 240.0))
    marker_lifetime: float = _parameter(
        0.3,
        "Time until RViz removes a marker. 0: it stays until it is deleted. At least two periods of `max_rate` "
        "are used.",
        "s",
        limits=(0.0, 60.0),
    )
    collision_geometry: str = _parameter(
        "capsules",
        "Geometry of the hands in `hands/planning_scene`: the 21 capsules that enclose the mesh, as cylinders and "
        "spheres (`capsules`), or the mesh (`mesh`).",
        choices=COLLISION_GEOMETRIES,
    )
    collision_padding: float = _parameter(
        0.01, "Distance by which that geometry is larger than the hand.", "m", limits=(0.0, 0.2)
    )
    collision_rate: float = _parameter(
        10.0, "Maximum rate of updates of each hand in it. 0: one per image.", "Hz", limits=(0.0, 240.0)
    )
    lazy: bool = _parameter(
        True,
        "Process images only while an output has subscribers, /tf included if `publish_tf` is set. `hands/mesh` etc. "
        "start with the first image after a subscription.",
    )
    image_timeout: float = _parameter(
        3.0,
        "Time without images after which the node warns and explains the likely cause, and removes the hands from "
        "`hands/planning_scene`.",
        "s",
        limits=(0.5, 600.0),
    )

    @classmethod
    def from_node(cls, node: Node) -> Settings:
        """Read the current values of a node's declared parameters."""
        return cls(**{p.name: node.get_parameter(p.name).value for p in PARAMETERS})

    def changed(self, changes: Iterable[RosParameter], configured: bool = False) -> Settings:
        """Return a copy with changed parameters.

        Args:
            changes: as passed to rclpy's callbacks; parameters not defined here (``use_sim_time``) are ignored.
            configured: whether the node is configured, so that load-time parameters must keep their values.

        Raises:
            ValueError: see :meth:`check_values`; or a load-time parameter would change.
        """
        names = {p.name for p in PARAMETERS}
        settings = replace(self, **{change.name: change.value for change in changes if change.name in names})
        settings.check_values()
        for p in PARAMETERS if configured else ():
            if p.load_time and getattr(settings, p.name) != getattr(self, p.name):
                raise ValueError(
                    f"{p.name}: fixed while the node is configured; clean up the node first (ros2 lifecycle set NODE "
                    "deactivate, then cleanup), set the parameter and configure the node again"
                )
        return settings

    def check_values(self) -> None:
        """Validate each value by itself, so that parameters can be set one after the other, in any order.

        Raises:
            ValueError: which parameter is invalid, why, and the remedy.
        """
        for parameter in PARAMETERS:
            parameter.check(getattr(self, parameter.name))
        if 0 < self.hand_length < HAND_LENGTH_RANGE[0]:
            raise ValueError(
                f"hand_length: {self.hand_length:g} m is too short; measure from the wrist to the tip of the middle "
                f"finger ({HAND_LENGTH_RANGE[0]} to {HAND_LENGTH_RANGE[1]} m), or set 0"
            )
        if not re.fullmatch(r"([A-Za-z0-9_.-][A-Za-z0-9_./-]*)?", self.frame_prefix):
            raise ValueError(
                f"frame_prefix: {self.frame_prefix!r} is not valid in TF frame names; use letters, digits, _ - . and "
                "/, but no leading /"
            )

    def check(self) -> None:
        """Validate each value and the combinations that cannot be loaded, at startup and on configure.

        Raises:
            ValueError: which parameter is invalid, why, and the remedy.
        """
        self.check_values()
        if self.engine == "cuda-graph" and self.device == "cpu":
            raise ValueError("engine: cuda-graph does not support device cpu; set one of the two to auto")

    def for_max_rate(self) -> Settings:
        """Copy whose durations are at least two periods of ``max_rate``.

        Otherwise tracking would restart with every image, and markers would flicker.
        """
        if self.max_rate <= 0:
            return self
        minimum = 2 / self.max_rate
        lifetime = max(self.marker_lifetime, minimum) if self.marker_lifetime > 0 else 0.0
        return replace(self, tracking_max_gap=max(self.tracking_max_gap, minimum), marker_lifetime=lifetime)

    def warnings(self) -> list[str]:
        """Describe the durations that :meth:`for_max_rate` extends."""
        used = self.for_max_rate()
        return [
            f"{name}: {getattr(self, name):g} s is too short for max_rate {self.max_rate:g} Hz; "
            f"{getattr(used, name):g} s is used instead"
            for name in ("tracking_max_gap", "marker_lifetime")
            if getattr(self, name) != getattr(used, name)
        ]


PARAMETERS: tuple[Parameter, ...] = tuple(Parameter(name=f.name, **f.metadata) for f in fields(Settings))
"""All parameters, in the order of the documentation and config/hands.yaml."""


def declare_parameters(node: Node) -> None:
    """Declare all parameters; see :func:`lgnet_ros.parameters.parameter.declare`.

    Raises:
        ValueError: an override (parameter file, ``-p``) has an invalid value.
    """
    declare(node, PARAMETERS)


def check_changes(current: Settings, changes: Iterable[RosParameter], configured: bool = False) -> SetParametersResult:
    """Validate parameter changes, for ``add_on_set_parameters_callback``; see :meth:`Settings.changed`."""
    try:
        current.changed(changes, configured)
    except ValueError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)
