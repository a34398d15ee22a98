"""Tests of the node in a separate process with constant hands: outputs, parameters, lifecycle, errors, logs."""

from __future__ import annotations

import array
import itertools
import operator
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lgnet_ros.msg import HandJoints, HandJointsArray, HandMeshArray, InterHandTransform, OpenXRHandJoints
from lifecycle_msgs.msg import State, Transition
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, JointState
from support.fixed_hands import FixedTracker
from support.ros_domain import HandsProcess, RosDomain
from support.ros_matrices import to_matrix
from support.urdf import link_poses
from support.waiting import TIMEOUT, poll, wait_for
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.robotics.urdf import hand_urdf
from lgnet_core.types import JOINT_NAMES
from lgnet_ros.process.lifecycle import LifecycleError

RELIABLE, BEST_EFFORT = (QoSProfile(depth=5, reliability=policy) for policy in (
    ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
))  # fmt: skip

FRAME_ID = "camera_äöü optical/frame"


class TestCamera:
    """Publishes single images; the first pixel controls the fixed tracker, see :mod:`support.fixed_hands`."""

    __test__ = False
    time_ns = 1_700_000_000_000_000_123  # shared by all cameras, so that stamps are unique

    def __init__(self, ros_domain: RosDomain, qos: QoSProfile = RELIABLE, image: str = "image") -> None:
        self.node = ros_domain.node
        self.images = self.node.create_publisher(Image, image, qos)
        self.infos = self.node.create_publisher(CameraInfo, "camera_info", qos)

    def close(self) -> None:
        self.node.destroy_publisher(self.images)
        self.node.destroy_publisher(self.infos)

    def publish(
        self, value: int = 255, size: tuple[int, int] = (640, 480), info: bool = True, focal: float = 560.0
    ) -> tuple[int, int]:
        """Publish an image 1/30 s after the previous one, with its calibration, and return its stamp."""
        TestCamera.time_ns += 33_333_333
        width, height = size
        message = Image(width=width, height=height, step=3 * width, encoding="rgb8")
        message.data = array.array("B", bytes([value]) * (3 * width * height))
        message.header.frame_id = FRAME_ID
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(self.time_ns, 1_000_000_000)
        if info:
            calibration = CameraInfo(header=message.header, width=width, height=height)
            calibration.k = [focal, 0.0, (width - 1) / 2, 0.0, focal, (height - 1) / 2, 0.0, 0.0, 1.0]
            self.infos.publish(calibration)
        self.images.publish(message)
        return key(message)

    def wait_for_subscriptions(self) -> None:
        publishers = [self.images, self.infos]
        wait_for(lambda: all(p.get_subscription_count() for p in publishers), "the node's subscriptions")


class Outputs:
    """Received outputs of the node, by the stamp of their image."""

    def __init__(self, ros_domain: RosDomain) -> None:
        self.ros_domain = ros_domain
        self.joints = ros_domain.subscribe(HandJointsArray, "hands/joints")
        self.mesh = ros_domain.subscribe(HandMeshArray, "hands/mesh")
        self.inter_hand = ros_domain.subscribe(InterHandTransform, "hands/inter_hand")
        self.tf = ros_domain.subscribe(TFMessage, "/tf", QoSProfile(depth=100))
        self.diagnostics = ros_domain.subscribe(DiagnosticArray, "/diagnostics", QoSProfile(depth=10))

    def publish_image(self, camera: TestCamera, **options: Any) -> tuple[int, int]:
        """Publish images until one is processed, since discovery may lose the first, and return its stamp."""
        stamps: list[tuple[int, int]] = []

        def processed() -> tuple[int, int] | None:
            return next((s for s in stamps if find(self.joints, s) and find(self.mesh, s)), None)

        def publish_and_wait() -> tuple[int, int] | None:
            stamps.append(camera.publish(**options))
            return poll(processed, 1.0)

        return wait_for(publish_and_wait, "joints and mesh")

    def of(self, stamp: tuple[int, int]) -> tuple[HandJointsArray, HandMeshArray]:
        """Joints and meshes of an image."""
        return find(self.joints, stamp), find(self.mesh, stamp)

    def transforms(self, stamp: tuple[int, int]) -> list[Any]:
        return [t for message in self.tf for t in message.transforms if key(t) == stamp]

    def status(self) -> DiagnosticStatus:
        """Latest diagnostics."""
        return self.diagnostics[-1].status[0]

    def reported(self, text: str) -> DiagnosticStatus | None:
        """The first diagnostics that contain a text."""
        statuses = (status for message in self.diagnostics for status in message.status)
        return next((status for status in statuses if text in status.message), None)


def key(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


def find(messages: list[Any], stamp: tuple[int, int]) -> Any:
    return next((message for message in messages if key(message) == stamp), None)


@pytest.fixture(scope="module")
def node(ros_domain: RosDomain, tmp_path_factory: pytest.TempPathFactory) -> HandsProcess:
    log = tmp_path_factory.mktemp("node") / "log"
    arguments = ["-p", "image_timeout:=1.0", "-p", "frame_prefix:=arm/"]
    return HandsProcess(ros_domain, log, "fixed", *arguments).bring_up()


@pytest.fixture(scope="module")
def outputs(ros_domain: RosDomain, node: HandsProcess) -> Outputs:
    outputs = Outputs(ros_domain)
    for topic in ("/hands/joints", "/hands/mesh", "/hands/inter_hand", "/tf"):
        wait_for(lambda topic=topic: ros_domain.node.count_publishers(topic))
    return outputs


@pytest.fixture
def camera(ros_domain: RosDomain, node: HandsProcess) -> Iterator[TestCamera]:
    camera = TestCamera(ros_domain)
    camera.wait_for_subscriptions()
    yield camera
    camera.close()


@pytest.fixture(scope="module")
def reference() -> FixedTracker:
    return FixedTracker()


def test_outputs_have_stamp_and_frame_of_their_image(camera, outputs, reference):
    stamp = outputs.publish_image(camera)
    joints, mesh = outputs.of(stamp)
    inter_hand = wait_for(lambda: find(outputs.inter_hand, stamp))
    transforms = wait_for(lambda: outputs.transforms(stamp))
    for message in (joints, mesh, inter_hand, *transforms):
        assert key(message) == stamp
        assert message.header.frame_id == FRAME_ID
    hands = reference.update_people(np.full((480, 640, 3), 255, np.uint8), object(), 0)
    for hand, j, m in zip(hands.hands, joints.hands, mesh.hands, strict=True):
        assert j.side == m.side == hand.side
        np.testing.assert_array_equal([(p.x, p.y, p.z) for p in j.joints], hand.joints)
        np.testing.assert_array_equal(np.reshape(m.vertices, (-1, 3)), hand.vertices.astype(np.float32))
        np.testing.assert_array_equal(np.reshape(m.triangles, (-1, 3)), hand.faces)
    assert [h.side for h in joints.hands] == [HandJoints.RIGHT, HandJoints.LEFT]


def test_joint_states_and_the_tf_frame_give_the_joints(camera, outputs, ros_domain, reference):
    """What robot_state_publisher computes from the URDF: its root is the frame that the node publishes."""
    received = ros_domain.subscribe(JointState, "hands/joint_states")
    wait_for(lambda: ros_domain.node.count_publishers("/hands/joint_states"))
    stamps = []

    def publish() -> JointState | None:
        stamps.append(outputs.publish_image(camera))
        return poll(lambda: next((m for m in received if key(m) in stamps), None), 1.0)

    message = wait_for(publish)
    transforms = {t.child_frame_id: to_matrix(t.transform) for t in wait_for(lambda: outputs.transforms(key(message)))}
    angles = dict(zip(message.name, message.position))
    for hand in reference.update_people(np.full((480, 640, 3), 255, np.uint8), object(), 0).hands:
        side = hand.side.label
        urdf = hand_urdf(reference.estimator.hand_model, hand.side)
        poses = link_poses(urdf, {name: angle for name, angle in angles.items() if name.startswith(f"{side}_")})
        found = transforms[f"arm/hand_{side}"] @ poses[f"{side}_index_middle"]
        expected = HandFrames(reference.estimator.hand_model).joint_poses(hand)[JOINT_NAMES.index("index_2")]
        np.testing.assert_allclose(found[:3, :3], expected.rotation, atol=1e-5)
    assert {name.partition("_")[0] for name in angles} == {"right", "left"}


def test_openxr_joints_of_hands_and_of_an_image_without_hands(camera, outputs, ros_domain):
    received = ros_domain.subscribe(OpenXRHandJoints, "hands/openxr")
    wait_for(lambda: ros_domain.node.count_publishers("/hands/openxr"))

    def of_an_image(value: int) -> OpenXRHandJoints:
        def publish() -> OpenXRHandJoints | None:
            stamp = outputs.publish_image(camera, value=value)
            return poll(lambda: find(received, stamp), 1.0)

        return wait_for(publish)

    present, absent = of_an_image(255), of_an_image(0)
    assert (all(present.is_valid), any(absent.is_valid)) == (True, False)
    assert present.header.frame_id == FRAME_ID
    assert present.name == absent.name


def test_collision_objects_come_and_go_with_the_hands(camera, outputs, ros_domain, node):
    collision_object = pytest.importorskip(
        "moveit_msgs.msg", reason="moveit_msgs is not installed; `make` builds the message for tests"
    ).CollisionObject
    received = ros_domain.subscribe(collision_object, "hands/planning_scene")
    wait_for(lambda: ros_domain.node.count_publishers("/hands/planning_scene"))
    sides = {"arm/hand_right", "arm/hand_left"}

    def scene() -> set[str]:
        """Objects in a planning scene that got all messages."""
        objects: set[str] = set()
        for message in list(received):
            objects = objects - {message.id} if message.operation == collision_object.REMOVE else objects | {message.id}
        return objects

    def show(value: int, expected: set[str]) -> None:
        def publish() -> bool:
            outputs.publish_image(camera, value=value)
            return poll(lambda: scene() == expected, 1.0)

        wait_for(publish, f"the objects {expected}")

    show(255, sides)
    show(0, set())
    show(255, sides)
    node.change(Transition.TRANSITION_DEACTIVATE)
    wait_for(lambda: scene() == set(), "the removal by the deactivation")
    node.change(Transition.TRANSITION_ACTIVATE)


def test_tf_is_consistent_with_inter_hand(camera, outputs):
    """T_right_left = T_camera_right^-1 T_camera_left, as composed by a lookup in a TF buffer."""
    stamp = outputs.publish_image(camera)
    inter_hand = wait_for(lambda: find(outputs.inter_hand, stamp))
    transforms = {t.child_frame_id: to_matrix(t.transform) for t in wait_for(lambda: outputs.transforms(stamp))}
    assert set(transforms) == {"arm/hand_right", "arm/hand_left"} == {inter_hand.right_frame, inter_hand.left_frame}
    lookup = np.linalg.inv(transforms[inter_hand.right_frame]) @ transforms[inter_hand.left_frame]
    np.testing.assert_allclose(to_matrix(inter_hand.transform), lookup, atol=1e-12)


def test_image_without_hands(ros_domain, camera, outputs):
    """Joints and meshes are published without hands, TF is not published, the markers are deleted."""
    markers = ros_domain.subscribe(MarkerArray, "hands/markers")
    wait_for(lambda: ros_domain.node.count_publishers("/hands/markers"))
    wait_for(lambda: outputs.publish_image(camera) and markers, "markers")
    shown = {(m.ns, m.id) for message in markers for m in message.markers if m.action == Marker.ADD}
    assert len(shown) == 2
    stamp = outputs.publish_image(camera, value=0)
    joints, mesh = outputs.of(stamp)
    assert (list(joints.hands), list(mesh.hands)) == ([], [])
    deleted = wait_for(lambda: [m for message in markers for m in message.markers if m.action == Marker.DELETE])
    assert {(m.ns, m.id) for m in deleted} == shown
    outputs.publish_image(camera)  # all outputs of the previous image were received by now
    assert find(outputs.inter_hand, stamp) is None
    assert outputs.transforms(stamp) == []


def test_overlay_only_while_subscribed(ros_domain, camera, outputs):
    assert ros_domain.node.count_subscribers("/hands/overlay") == 0
    overlays: list[Image] = []
    subscription = ros_domain.node.create_subscription(Image, "hands/overlay", overlays.append, RELIABLE)
    wait_for(lambda: outputs.publish_image(camera) and overlays, "an overlay")
    assert (overlays[0].width, overlays[0].height, overlays[0].encoding) == (640, 480, "rgb8")
    assert overlays[0].header.frame_id == FRAME_ID
    ros_domain.node.destroy_subscription(subscription)


@pytest.mark.parametrize(
    ("message_type", "topic"), [(HandMeshArray, "/hands/mesh"), (Image, "/hands/overlay"), (TFMessage, "/tf")]
)
def test_incompatible_subscriber_is_reported(ros_domain, node, outputs, message_type, topic):
    """A transient-local subscription to a volatile output is reported in the log and in the diagnostics."""
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    subscription = ros_domain.node.create_subscription(message_type, topic, lambda _: None, latched)
    problem = f"{topic}: incompatible QoS with subscriber /test: it requests reliable, transient_local"
    wait_for(lambda: outputs.diagnostics and problem in outputs.status().message)
    assert outputs.status().level != DiagnosticStatus.OK
    if topic != "/tf":  # published by tf2_ros if that is installed
        wait_for(lambda: node.logged(problem))
    ros_domain.node.destroy_subscription(subscription)
    wait_for(lambda: problem not in outputs.status().message)


def test_parameters_apply_to_the_next_image(node, camera, outputs):
    assert all(result.successful for result in node.set_parameters(publish_tf=False))
    without = [outputs.publish_image(camera) for _ in range(2)]
    assert all(result.successful for result in node.set_parameters(publish_tf=True))
    stamp = outputs.publish_image(camera)
    wait_for(lambda: outputs.transforms(stamp))
    assert not any(map(outputs.transforms, without))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("presence_threshold", 1.5, "presence_threshold"),
        ("detection_interval", 0, "detection_interval"),
        ("device", "cpu", "device: fixed while the node is configured"),
        ("max_rate", "x", "Wrong parameter type"),
    ],
)
def test_invalid_parameters_are_rejected_with_a_reason(node, name, value, reason):
    (result,) = node.set_parameters(**{name: value})
    assert not result.successful
    assert reason in result.reason


def test_error_affects_only_its_image(node, camera, outputs):
    failed = []
    wait_for(lambda: failed.append(camera.publish(value=1)) or node.logged("no hand at all fits this image"))
    outputs.publish_image(camera)
    assert not any(find(outputs.joints, stamp) for stamp in failed)
    assert node.logged("Traceback"), "the log must contain the traceback"


def test_out_of_memory_frees_caches_and_retries_once(node, camera, outputs):
    outputs.publish_image(camera, value=2)
    outputs.publish_image(camera)
    failed = []
    status = wait_for(
        lambda: failed.append(camera.publish(value=3)) or outputs.reported("the memory of cuda:0 is full")
    )
    assert status.level == DiagnosticStatus.ERROR
    outputs.publish_image(camera)
    assert not any(find(outputs.joints, stamp) for stamp in failed)


def test_invalid_transitions_are_rejected(node, camera, outputs):
    for transition in (
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_CLEANUP,
        99,
    ):
        with pytest.raises(LifecycleError):
            node.change(transition)
    assert node.lifecycle.state(TIMEOUT) == State.PRIMARY_STATE_ACTIVE
    outputs.publish_image(camera)


def test_clock_jumps_back(camera, outputs):
    outputs.publish_image(camera)
    TestCamera.time_ns -= 9_999_999_999
    for _ in range(3):
        joints, _ = outputs.of(outputs.publish_image(camera))
        assert len(joints.hands) == 2


def test_resolution_changes(camera, outputs):
    for size in ((640, 480), (320, 240), (1280, 720), (640, 480)):
        joints, _ = outputs.of(outputs.publish_image(camera, size=size))
        assert len(joints.hands) == 2


def test_deactivate_and_activate(ros_domain, node, camera, outputs):
    node.change(Transition.TRANSITION_DEACTIVATE)
    wait_for(lambda: camera.images.get_subscription_count() == 0)
    node.change(Transition.TRANSITION_ACTIVATE)
    camera.wait_for_subscriptions()
    outputs.publish_image(camera)


def test_metric_outputs_start_with_the_first_calibration(ros_domain, node, camera, outputs):
    """Until camera_info arrives, only overlays are published and the missing topic is reported."""
    node.change(Transition.TRANSITION_DEACTIVATE)
    node.change(Transition.TRANSITION_ACTIVATE)
    overlays: list[Image] = []
    subscription = ros_domain.node.create_subscription(Image, "hands/overlay", overlays.append, RELIABLE)
    camera.wait_for_subscriptions()
    uncalibrated = []
    wait_for(
        lambda: uncalibrated.append(camera.publish(info=False)) or any(key(o) in uncalibrated for o in overlays),
        "an overlay",
    )
    assert node.logged("No camera_info received on /camera_info")
    # The level becomes WARN when the errors of earlier tests have left the statistics' window.
    wait_for(lambda: outputs.diagnostics and "Uncalibrated" in outputs.status().message)
    wait_for(
        lambda: uncalibrated.append(camera.publish(info=False)) or outputs.status().level == DiagnosticStatus.WARN,
        "a warning",
    )

    periods = itertools.accumulate(itertools.repeat(2.0), operator.mul, initial=1.0)  # also for slow machines

    def caught_up() -> Any:
        uncalibrated.append(camera.publish(info=False))
        return poll(lambda: find(overlays, uncalibrated[-1]), next(periods))

    # Images still being processed would use a calibration published now. Not every image has an overlay.
    wait_for(caught_up, "the node to catch up")
    outputs.publish_image(camera)
    for stamp in uncalibrated:
        assert not find(outputs.joints, stamp)
        assert not find(outputs.mesh, stamp)
        assert not outputs.transforms(stamp)
    camera.publish(focal=0.0)
    wait_for(lambda: camera.publish(focal=0.0) and node.logged("K is zero"))
    ros_domain.node.destroy_subscription(subscription)


def test_subscription_adapts_to_the_publishers_reliability(ros_domain, node, camera, outputs):
    """`image_qos: auto`: a reliable camera is replaced by a best-effort one."""
    camera.close()
    wait_for(lambda: ros_domain.node.count_publishers("/image") == 0)
    other = TestCamera(ros_domain, BEST_EFFORT)
    published: list[tuple[int, int]] = []
    try:
        # Small images, so that best effort loses none.
        wait_for(
            lambda: (
                published.append(other.publish(size=(64, 48))) or any(find(outputs.joints, s) for s in published[-9:])
            )
        )
        wait_for(lambda: node.logged("/image: QoS of the publishers changed, resubscribing: best_effort"))
    finally:
        other.close()


def test_missing_images_are_explained(ros_domain, node):
    wait_for(lambda: ros_domain.node.count_publishers("/image") == 0)
    wait_for(lambda: node.logged("on /image: no publishers"))
    elsewhere = TestCamera(ros_domain, image="arm/color/image_raw")
    try:
        wait_for(lambda: node.logged("sensor_msgs/msg/Image is published on /arm/color/image_raw"))
    finally:
        elsewhere.close()


def test_two_signals_end_the_process(node, ros_domain):
    node.process.send_signal(signal.SIGINT)
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(TIMEOUT) == 0
    assert "Traceback" not in Path(node.log).read_text().rpartition("resubscribing")[2]
