"""The node, in a process of its own, with hands that are fixed: what it publishes, refuses, survives and says."""

from __future__ import annotations

import array
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lgnet_ros.msg import HandJoints, HandJointsArray, HandMeshArray, InterHandTransform
from lifecycle_msgs.msg import State, Transition
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from support.fixed_hands import FixedTracker
from support.ros_matrices import to_matrix
from support.ros_world import HandsProcess, World, wait_for
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from lgnet_ros.process.lifecycle import LifecycleError

RELIABLE, BEST_EFFORT = (QoSProfile(depth=5, reliability=policy) for policy in (
    ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
))  # fmt: skip

FRAME_ID = "camera_äöü optical/frame"


class TestCamera:
    """Publishes images one at a time; the first pixel tells the fixed tracker what to do."""

    __test__ = False
    time_ns = 1_700_000_000_000_000_123  # of all cameras, so that no two images have the same stamp

    def __init__(self, world: World, qos: QoSProfile = RELIABLE, image: str = "image") -> None:
        self.node = world.node
        self.images = self.node.create_publisher(Image, image, qos)
        self.infos = self.node.create_publisher(CameraInfo, "camera_info", qos)

    def close(self) -> None:
        self.node.destroy_publisher(self.images)
        self.node.destroy_publisher(self.infos)

    def shoot(
        self, mark: int = 255, size: tuple[int, int] = (640, 480), info: bool = True, focal: float = 560.0
    ) -> tuple[int, int]:
        """Publish an image 1/30 s after the last one, and its calibration; its stamp."""
        TestCamera.time_ns += 33_333_333
        width, height = size
        message = Image(width=width, height=height, step=3 * width, encoding="rgb8")
        message.data = array.array("B", bytes([mark]) * (3 * width * height))
        message.header.frame_id = FRAME_ID
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(self.time_ns, 1_000_000_000)
        if info:
            calibration = CameraInfo(header=message.header, width=width, height=height)
            calibration.k = [focal, 0.0, (width - 1) / 2, 0.0, focal, (height - 1) / 2, 0.0, 0.0, 1.0]
            self.infos.publish(calibration)
        self.images.publish(message)
        return key(message)

    def wait_until_heard(self, infos: bool = True) -> None:
        publishers = [self.images, self.infos] if infos else [self.images]
        wait_for(lambda: all(p.get_subscription_count() for p in publishers), "the node's subscriptions")


class Outputs:
    """Everything the node publishes, by the stamp of its image."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.joints = world.hear(HandJointsArray, "hands/joints")
        self.mesh = world.hear(HandMeshArray, "hands/mesh")
        self.inter_hand = world.hear(InterHandTransform, "hands/inter_hand")
        self.tf = world.hear(TFMessage, "/tf", QoSProfile(depth=100))
        self.diagnostics = world.hear(DiagnosticArray, "/diagnostics", QoSProfile(depth=10))

    def shoot(self, camera: TestCamera, **how: Any) -> tuple[int, int]:
        """Publish images until one has come through, as discovery may lose a first one; its stamp."""

        def through() -> tuple[int, int] | None:
            stamp = camera.shoot(**how)
            end = time.monotonic() + 1.0
            while not (find(self.joints, stamp) and find(self.mesh, stamp)):
                if time.monotonic() > end:
                    return None
                time.sleep(0.005)
            return stamp

        return wait_for(through, "joints and mesh")

    def of(self, stamp: tuple[int, int]) -> tuple[HandJointsArray, HandMeshArray]:
        """Joints and mesh of an image."""
        return find(self.joints, stamp), find(self.mesh, stamp)

    def transforms(self, stamp: tuple[int, int]) -> list[Any]:
        return [t for message in self.tf for t in message.transforms if key(t) == stamp]

    def status(self) -> DiagnosticStatus:
        """The last diagnostics."""
        return self.diagnostics[-1].status[0]

    def figure(self, name: str) -> str:
        """One of the last diagnostics' values."""
        return next(value.value for value in self.status().values if value.key == name)


def key(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


def find(messages: list[Any], stamp: tuple[int, int]) -> Any:
    return next((message for message in messages if key(message) == stamp), None)


@pytest.fixture(scope="module")
def node(world: World, tmp_path_factory: pytest.TempPathFactory) -> HandsProcess:
    log = tmp_path_factory.mktemp("node") / "log"
    arguments = ["-p", "image_timeout:=1.0", "-p", "frame_prefix:=arm/"]
    return HandsProcess(world, log, "fixed", *arguments).bring_up()


@pytest.fixture(scope="module")
def outputs(world: World, node: HandsProcess) -> Outputs:
    outputs = Outputs(world)
    for topic in ("/hands/joints", "/hands/mesh", "/hands/inter_hand", "/tf"):
        wait_for(lambda topic=topic: world.node.count_publishers(topic))
    return outputs


@pytest.fixture
def camera(world: World, node: HandsProcess) -> Iterator[TestCamera]:
    camera = TestCamera(world)
    camera.wait_until_heard()
    yield camera
    camera.close()


@pytest.fixture(scope="module")
def truth() -> FixedTracker:
    return FixedTracker()


def test_hands_with_stamp_and_frame_of_their_image(camera, outputs, truth):
    stamp = outputs.shoot(camera)
    joints, mesh = outputs.of(stamp)
    inter_hand = wait_for(lambda: find(outputs.inter_hand, stamp))
    transforms = wait_for(lambda: outputs.transforms(stamp))
    for message in (joints, mesh, inter_hand, *transforms):
        assert key(message) == stamp
        assert message.header.frame_id == FRAME_ID
    hands = truth.update(np.full((480, 640, 3), 255, np.uint8), object(), 0)
    for hand, j, m in zip(hands.hands, joints.hands, mesh.hands, strict=True):
        assert j.side == m.side == hand.side
        np.testing.assert_array_equal([(p.x, p.y, p.z) for p in j.joints], hand.joints)
        np.testing.assert_array_equal(np.reshape(m.vertices, (-1, 3)), hand.vertices.astype(np.float32))
        np.testing.assert_array_equal(np.reshape(m.triangles, (-1, 3)), hand.faces)
    assert [h.side for h in joints.hands] == [HandJoints.RIGHT, HandJoints.LEFT]


def test_tf_agrees_with_inter_hand(camera, outputs):
    """T_right_left = T_camera_right^-1 T_camera_left: what a TF buffer's lookup composes."""
    stamp = outputs.shoot(camera)
    inter_hand = wait_for(lambda: find(outputs.inter_hand, stamp))
    transforms = {t.child_frame_id: to_matrix(t.transform) for t in wait_for(lambda: outputs.transforms(stamp))}
    assert set(transforms) == {"arm/hand_right", "arm/hand_left"} == {inter_hand.right_frame, inter_hand.left_frame}
    lookup = np.linalg.inv(transforms[inter_hand.right_frame]) @ transforms[inter_hand.left_frame]
    np.testing.assert_allclose(to_matrix(inter_hand.transform), lookup, atol=1e-12)


def test_no_hands_are_said_and_leave_nothing_behind(world, camera, outputs):
    """An empty message says that the image was looked at; TF is silent, the markers are deleted."""
    markers = world.hear(MarkerArray, "hands/markers")
    wait_for(lambda: world.node.count_publishers("/hands/markers"))
    wait_for(lambda: outputs.shoot(camera) and markers, "markers")
    shown = {(m.ns, m.id) for message in markers for m in message.markers if m.action == Marker.ADD}
    assert len(shown) == 2
    stamp = outputs.shoot(camera, mark=0)
    joints, mesh = outputs.of(stamp)
    assert (list(joints.hands), list(mesh.hands)) == ([], [])
    deleted = wait_for(lambda: [m for message in markers for m in message.markers if m.action == Marker.DELETE])
    assert {(m.ns, m.id) for m in deleted} == shown
    outputs.shoot(camera)  # what was published for the image before is here by now
    assert find(outputs.inter_hand, stamp) is None
    assert outputs.transforms(stamp) == []


def test_overlay_only_while_subscribed(world, camera, outputs):
    assert world.node.count_subscribers("/hands/overlay") == 0
    heard: list[Image] = []
    subscription = world.node.create_subscription(Image, "hands/overlay", heard.append, RELIABLE)
    wait_for(lambda: outputs.shoot(camera) and heard, "an overlay")
    assert (heard[0].width, heard[0].height, heard[0].encoding) == (640, 480, "rgb8")
    assert heard[0].header.frame_id == FRAME_ID
    world.node.destroy_subscription(subscription)


@pytest.mark.parametrize(
    ("message_type", "topic"), [(HandMeshArray, "/hands/mesh"), (Image, "/hands/overlay"), (TFMessage, "/tf")]
)
def test_a_subscriber_that_cannot_hear_is_named(world, node, outputs, message_type, topic):
    """It asks for latched messages, which a stream of hands does not offer: in the log and in the diagnostics."""
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    subscription = world.node.create_subscription(message_type, topic, lambda _: None, latched)
    problem = f"{topic}: /test cannot hear it: it asks for reliable, transient_local"
    wait_for(lambda: outputs.diagnostics and problem in outputs.status().message)
    assert outputs.status().level != DiagnosticStatus.OK
    if topic != "/tf":  # whose publisher is tf2_ros's where that is installed
        wait_for(lambda: node.says(problem))
    world.node.destroy_subscription(subscription)
    wait_for(lambda: problem not in outputs.status().message)


def test_parameters_take_effect_with_the_next_image(node, camera, outputs):
    assert all(result.successful for result in node.set(publish_tf=False))
    before = len(outputs.tf)
    outputs.shoot(camera)
    outputs.shoot(camera)
    assert len(outputs.tf) == before
    assert all(result.successful for result in node.set(publish_tf=True))
    stamp = outputs.shoot(camera)
    wait_for(lambda: outputs.transforms(stamp))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("presence_threshold", 1.5, "presence_threshold"),
        ("detection_interval", 0, "detection_interval"),
        ("device", "cpu", "read-only"),
        ("max_rate", "x", "Wrong parameter type"),
    ],
)
def test_parameters_are_refused_with_a_reason(node, name, value, reason):
    (result,) = node.set(**{name: value})
    assert not result.successful
    assert reason in result.reason


def test_a_failure_costs_its_image_only(node, camera, outputs):
    lost = []
    wait_for(lambda: lost.append(camera.shoot(mark=1)) or node.says("no hand at all fits this image"))
    outputs.shoot(camera)
    assert not any(find(outputs.joints, stamp) for stamp in lost)
    assert node.says("Traceback"), "the log shows where it happened"


def test_a_full_memory_is_freed_once_and_the_image_tried_again(node, camera, outputs):
    outputs.shoot(camera, mark=2)
    outputs.shoot(camera)
    lost = camera.shoot(mark=3)
    wait_for(lambda: outputs.diagnostics and "the memory of cuda:0 is full" in outputs.status().message)
    assert outputs.status().level == DiagnosticStatus.ERROR
    outputs.shoot(camera)
    assert find(outputs.joints, lost) is None


def test_transitions_that_the_state_does_not_allow_are_refused(node, camera, outputs):
    for transition in (
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_CLEANUP,
        99,
    ):
        with pytest.raises(LifecycleError):
            node.lifecycle.change(transition)
    assert node.lifecycle.state() == State.PRIMARY_STATE_ACTIVE
    outputs.shoot(camera)


def test_the_clock_jumps_back(camera, outputs):
    outputs.shoot(camera)
    TestCamera.time_ns -= 9_999_999_999
    for _ in range(3):
        joints, _ = outputs.of(outputs.shoot(camera))
        assert len(joints.hands) == 2


def test_the_resolution_changes_in_mid_stream(camera, outputs):
    for size in ((640, 480), (320, 240), (1280, 720), (640, 480)):
        joints, _ = outputs.of(outputs.shoot(camera, size=size))
        assert len(joints.hands) == 2


def test_deactivated_it_is_deaf_and_activated_it_hears_again(world, node, camera, outputs):
    node.lifecycle.change(Transition.TRANSITION_DEACTIVATE)
    wait_for(lambda: camera.images.get_subscription_count() == 0)
    node.lifecycle.change(Transition.TRANSITION_ACTIVATE)
    camera.wait_until_heard()
    outputs.shoot(camera)


def test_without_calibration_nothing_metric_and_then_all(world, node, camera, outputs):
    """camera_info comes late: the topic is named, overlays can be had, and with it hands get their place."""
    node.lifecycle.change(Transition.TRANSITION_DEACTIVATE)
    node.lifecycle.change(Transition.TRANSITION_ACTIVATE)
    overlays: list[Image] = []
    subscription = world.node.create_subscription(Image, "hands/overlay", overlays.append, RELIABLE)
    camera.wait_until_heard()
    bare = []
    wait_for(lambda: bare.append(camera.shoot(info=False)) or any(key(o) in bare for o in overlays), "an overlay")
    assert node.says("/camera_info has brought nothing yet")
    # WARN, as soon as the failures that earlier tests provoked are no longer recent.
    wait_for(lambda: outputs.diagnostics and "no calibration" in outputs.status().message)
    wait_for(
        lambda: bare.append(camera.shoot(info=False)) or outputs.status().level == DiagnosticStatus.WARN, "a warning"
    )

    def caught_up() -> Any:
        bare.append(camera.shoot(info=False))
        end = time.monotonic() + 1.0
        while not (seen := find(overlays, bare[-1])) and time.monotonic() < end:
            time.sleep(0.005)
        return seen

    # Some may still be on their way, and a calibration that comes now would be theirs. Not every one has an overlay.
    wait_for(caught_up, "the node to catch up")
    outputs.shoot(camera)
    for stamp in bare:
        assert not find(outputs.joints, stamp)
        assert not find(outputs.mesh, stamp)
        assert not outputs.transforms(stamp)
    camera.shoot(focal=0.0)
    wait_for(lambda: camera.shoot(focal=0.0) and node.says("K is zero"))
    world.node.destroy_subscription(subscription)


def test_a_publisher_of_another_reliability_is_met_on_its_terms(world, node, camera, outputs):
    """`image_qos: auto`: after a reliable camera comes a best-effort one, and the other way round."""
    camera.close()
    wait_for(lambda: world.node.count_publishers("/image") == 0)
    other = TestCamera(world, BEST_EFFORT)
    shot: list[tuple[int, int]] = []
    try:
        # Small ones, so that best effort loses nothing.
        wait_for(lambda: shot.append(other.shoot(size=(64, 48))) or any(find(outputs.joints, s) for s in shot[-9:]))
        wait_for(lambda: node.says("/image: subscribing anew, now best_effort"))
    finally:
        other.close()


def test_silence_is_explained(world, node):
    wait_for(lambda: world.node.count_publishers("/image") == 0)
    wait_for(lambda: node.says("/image: nobody publishes there"))
    elsewhere = TestCamera(world, image="arm/color/image_raw")
    try:
        wait_for(lambda: node.says("sensor_msgs/msg/Image is published on /arm/color/image_raw"))
    finally:
        elsewhere.close()


def test_two_signals_end_it_with_0_within_2_seconds(node, world):
    start = time.monotonic()
    node.process.send_signal(signal.SIGINT)
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(10) == 0
    assert time.monotonic() - start < 2
    assert "Traceback" not in Path(node.log).read_text().rpartition("subscribing anew")[2]
