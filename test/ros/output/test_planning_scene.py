"""Collision objects of the hands: their geometry, when they are added and removed, and that they reach a subscriber."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from shape_msgs.msg import SolidPrimitive
from std_msgs.msg import Header
from support.fixed_hands import two_hands, wrist_relative
from support.ros_domain import RosDomain
from support.ros_hands import no_hands, three_people
from support.waiting import wait_for

from lgnet_core.hand_model import HandModel
from lgnet_core.robotics.capsules import HandCapsules
from lgnet_core.types import ImageHands, Side, TwoHands
from lgnet_ros.output.lazy_publisher import LazyPublisher
from lgnet_ros.output.messages import to_shape_mesh
from lgnet_ros.output.planning_scene import CollisionObjectSerializer, PlanningScenePublisher
from lgnet_ros.parameters.settings import Settings
from lgnet_ros.qos import output_profile

CollisionObject = pytest.importorskip(
    "moveit_msgs.msg", reason="moveit_msgs is not installed; `make` builds the message for tests"
).CollisionObject

HEADER = Header(frame_id="camera")
HEADER.stamp.sec = 42


def serializer(hand_model: HandModel) -> CollisionObjectSerializer:
    return CollisionObjectSerializer(CollisionObject, HandCapsules(hand_model), "arm/")


def inside_primitives(message: Any, points: np.ndarray) -> np.ndarray:
    """Which points (N, 3) the cylinders and spheres of a message contain, within a micrometre."""
    inside = np.zeros(len(points), bool)
    for shape, pose in zip(message.primitives, message.primitive_poses, strict=True):
        p, q = pose.position, pose.orientation
        local = (points - [p.x, p.y, p.z]) @ Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
        if shape.type == SolidPrimitive.SPHERE:
            inside |= np.linalg.norm(local, axis=1) < shape.dimensions[SolidPrimitive.SPHERE_RADIUS] + 1e-6
        else:
            assert shape.type == SolidPrimitive.CYLINDER
            height = shape.dimensions[SolidPrimitive.CYLINDER_HEIGHT]
            radius = shape.dimensions[SolidPrimitive.CYLINDER_RADIUS]
            inside |= (np.hypot(local[:, 0], local[:, 1]) < radius + 1e-6) & (abs(local[:, 2]) < height / 2 + 1e-6)
    return inside


@pytest.mark.parametrize("side", list(Side))
def test_capsules_enclose_the_hand_and_no_more_than_padded(hand_model: HandModel, side: Side) -> None:
    hand = two_hands(hand_model).hands[side]
    messages = [
        deserialize_message(serializer(hand_model).add(hand, HEADER, "capsules", padding), CollisionObject)
        for padding in (0.0, 0.01)
    ]
    for message in messages:
        assert (message.header, message.id) == (HEADER, f"arm/hand_{side.label}")
        assert message.operation == CollisionObject.ADD
        assert message.pose.orientation.w == 1
        assert inside_primitives(message, hand.vertices).all()
    normals = np.random.default_rng(0).normal(size=(778, 3))
    moved = hand.vertices + 0.0095 * normals / np.linalg.norm(normals, axis=1, keepdims=True)
    assert inside_primitives(messages[1], moved).all()
    assert not inside_primitives(messages[1], hand.vertices + np.array([0, 0, 0.3])).any()


@pytest.mark.parametrize("side", list(Side))
def test_mesh_is_that_of_the_hand(hand_model: HandModel, side: Side) -> None:
    hand = two_hands(hand_model).hands[side]
    for padding in (0.0, 0.01):
        data = serializer(hand_model).add(hand, HEADER, "mesh", padding)
        message = deserialize_message(data, CollisionObject)
        (mesh,) = message.meshes
        assert len(message.mesh_poses) == 1
        assert not message.primitives
        vertices = np.array([[p.x, p.y, p.z] for p in mesh.vertices])
        np.testing.assert_allclose(np.linalg.norm(vertices - hand.vertices, axis=1), padding, atol=1e-9)
        np.testing.assert_array_equal([t.vertex_indices for t in mesh.triangles], hand.faces)


def test_serialised_like_the_message(hand_model: HandModel) -> None:
    """The template has the layout that rclpy gives to a message built field by field."""
    hand = two_hands(hand_model).hands[0]
    for geometry in ("capsules", "mesh"):
        data = serializer(hand_model).add(hand, HEADER, geometry, 0.0)
        message = deserialize_message(data, CollisionObject)
        assert deserialize_message(serialize_message(message), CollisionObject) == message
        if geometry == "mesh":
            assert message.meshes[0] == to_shape_mesh(hand.vertices, hand.faces)


def test_shape_meshes_are_independent_messages(hand_model: HandModel) -> None:
    hands = two_hands(hand_model).hands
    meshes = [to_shape_mesh(hand.vertices, hand.faces) for hand in hands]
    for hand, mesh in zip(hands, meshes):
        np.testing.assert_array_equal([[p.x, p.y, p.z] for p in mesh.vertices], hand.vertices)
        np.testing.assert_array_equal([t.vertex_indices for t in mesh.triangles], hand.faces)
        again = deserialize_message(serialize_message(mesh), type(mesh))
        assert again == mesh
    meshes[0].vertices[0].x = 7.0  # a message like any other
    assert to_shape_mesh(hands[0].vertices, hands[0].faces).vertices[0].x != 7.0


class Sent:
    """A publisher that records what it gets."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.has_subscribers = True

    def publish(self, message: Any) -> None:
        is_data = isinstance(message, bytes)
        self.messages.append(deserialize_message(message, CollisionObject) if is_data else message)

    def take(self) -> list[tuple[str, bytes]]:
        taken = [(message.id, message.operation) for message in self.messages]
        self.messages.clear()
        return taken


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def scene(sent: Sent, hand_model: HandModel) -> PlanningScenePublisher:
    return PlanningScenePublisher(sent, CollisionObject, hand_model, "")  # type: ignore[arg-type]


def at(milliseconds: int, frame_id: str = "camera") -> Header:
    header = Header(frame_id=frame_id)
    header.stamp.sec, remainder = divmod(milliseconds, 1000)
    header.stamp.nanosec = remainder * 10**6
    return header


RIGHT, LEFT = "hand_right", "hand_left"
ADD, REMOVE = CollisionObject.ADD, CollisionObject.REMOVE


def test_a_hand_is_removed_once_as_soon_as_it_is_gone(
    scene: PlanningScenePublisher, sent: Sent, hand_model: HandModel
) -> None:
    hands = two_hands(hand_model)
    scene.publish(hands, at(1000), Settings())
    assert sent.take() == [(RIGHT, ADD), (LEFT, ADD)]
    scene.publish(TwoHands(hands.right, None, None, metric=True), at(1010), Settings())  # before the next update
    assert sent.take() == [(LEFT, REMOVE)]
    scene.publish(no_hands(), at(1020), Settings())
    assert sent.take() == [(RIGHT, REMOVE)]
    scene.publish(no_hands(), at(1030), Settings())
    scene.clear()
    assert sent.take() == []


def test_people_have_objects_of_their_own(scene: PlanningScenePublisher, sent: Sent, hand_model: HandModel) -> None:
    hands = three_people(hand_model)
    scene.publish(hands, at(1000), Settings())
    names = [RIGHT, LEFT, "hand_right_1", "hand_left_2"]
    assert sent.take() == [(name, ADD) for name in names]
    scene.publish(ImageHands(hands.people[:2], metric=True), at(1010), Settings())
    assert sent.take() == [("hand_left_2", REMOVE)]


def test_updates_are_limited_in_rate(scene: PlanningScenePublisher, sent: Sent, hand_model: HandModel) -> None:
    hands = two_hands(hand_model)
    for k in range(60):
        scene.publish(hands, at(1000 + round(k * 1000 / 30)), Settings(collision_rate=10.0))
    assert len(sent.take()) == 2 * 20
    for k in range(60, 90):
        scene.publish(hands, at(1000 + round(k * 1000 / 30)), Settings(collision_rate=0.0))
    assert len(sent.take()) == 2 * 30


def test_nothing_without_subscribers_or_frame(scene: PlanningScenePublisher, sent: Sent, hand_model: HandModel) -> None:
    hands = two_hands(hand_model)
    scene.publish(hands, at(1000, ""), Settings())
    sent.has_subscribers = False
    scene.publish(hands, at(2000), Settings())
    assert sent.take() == []
    sent.has_subscribers = True
    scene.publish(hands, at(3000), Settings())
    sent.has_subscribers = False  # the hand goes while nobody listens
    scene.publish(no_hands(), at(4000), Settings())
    sent.has_subscribers = True
    scene.publish(no_hands(), at(5000), Settings())
    assert sent.take() == [(RIGHT, ADD), (LEFT, ADD), (RIGHT, REMOVE), (LEFT, REMOVE)]
    with pytest.raises(ValueError, match="uncalibrated"):
        scene.publish(wrist_relative(hands), at(6000), Settings())


def test_hands_expire(
    scene: PlanningScenePublisher, sent: Sent, hand_model: HandModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    scene.publish(two_hands(hand_model), at(1000), Settings())
    sent.take()
    now = 102.0
    scene.expire(3.0)
    assert sent.take() == []
    now = 103.0
    for _ in range(2):
        scene.expire(3.0)
    assert sorted(sent.take()) == [(LEFT, REMOVE), (RIGHT, REMOVE)]


@pytest.fixture
def node(ros_domain: RosDomain) -> Iterator[LifecycleNode]:
    node = LifecycleNode("hands", context=ros_domain.context, use_global_arguments=False)
    executor = SingleThreadedExecutor(context=ros_domain.context)
    executor.add_node(node)
    node.trigger_configure()
    node.trigger_activate()
    yield node
    executor.shutdown()
    node.destroy_node()


@pytest.mark.parametrize("geometry", ["capsules", "mesh"])
def test_objects_reach_a_subscriber(
    ros_domain: RosDomain, node: LifecycleNode, hand_model: HandModel, geometry: str
) -> None:
    received: list[Any] = []
    subscription = ros_domain.node.create_subscription(
        CollisionObject, "hands/planning_scene", received.append, output_profile()
    )
    publisher = LazyPublisher(node, CollisionObject, "hands/planning_scene")
    publisher._publisher.on_activate(None)
    wait_for(lambda: publisher.has_subscribers, "the subscription")
    scene = PlanningScenePublisher(publisher, CollisionObject, hand_model, "")
    hands = two_hands(hand_model)
    scene.publish(hands, HEADER, Settings(collision_geometry=geometry))
    scene.clear()
    wait_for(lambda: len(received) == 4, "two hands and their removal")
    assert [(m.id, m.operation) for m in received] == [(RIGHT, ADD), (LEFT, ADD), (RIGHT, REMOVE), (LEFT, REMOVE)]
    assert all(m.header == HEADER for m in received)
    assert len(received[0].meshes) == (geometry == "mesh")
    publisher.destroy()
    ros_domain.node.destroy_subscription(subscription)
