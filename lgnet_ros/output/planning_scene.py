"""The hands as collision objects for MoveIt: moveit_msgs/CollisionObject, where that package is installed."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Quaternion
from geometry_msgs.msg import Pose as PoseMessage
from shape_msgs.msg import SolidPrimitive
from std_msgs.msg import Header

from lgnet_core.geometry.normals import padded
from lgnet_core.hand_model import HandModel
from lgnet_core.messages.names import hand_frame_name
from lgnet_core.robotics.capsules import SEGMENTS, Capsules, HandCapsules
from lgnet_core.types import Hand, HandKey, Hands
from lgnet_ros.interop import load_optional
from lgnet_ros.output.lazy_publisher import LazyPublisher
from lgnet_ros.output.messages import require_metric, to_shape_mesh
from lgnet_ros.output.serialization_template import Field, TemplateCache, placeholder, placeholder_header, stamp_fields
from lgnet_ros.parameters.settings import Settings
from lgnet_ros.rate_limit import RateLimiter, stamp_to_ns

ADD, REMOVE = b"\x00", b"\x01"  # CollisionObject.ADD and REMOVE, which are of the type byte
IDENTITY = PoseMessage(orientation=Quaternion(w=1.0))


def collision_object_type() -> type[Any] | None:
    """moveit_msgs/CollisionObject; None where moveit_msgs is not installed."""
    return load_optional("moveit_msgs.msg", lambda module: module.CollisionObject)


class CollisionObjectSerializer:
    """Serialises collision objects of hands; their ids are the names of the hands' TF frames.

    MoveIt has no capsule: each becomes a cylinder and two spheres.

    Args:
        message_type: :func:`collision_object_type`.
        capsules: of the hand model in use.
        prefix: value of the parameter ``frame_prefix``.
    """

    def __init__(self, message_type: type[Any], capsules: HandCapsules, prefix: str) -> None:
        self._type = message_type
        self._capsules = capsules
        self._prefix = prefix
        self._templates = TemplateCache()

    def add(self, hand: Hand, header: Header, geometry: str, padding: float) -> bytes:
        """A message that adds a hand, or replaces it.

        Args:
            geometry: ``capsules`` or ``mesh``.
            padding: metres.
        """
        if geometry == "mesh":
            vertices = padded(hand.vertices, hand.faces, padding)
            fields: list[Field] = [(np.uint32, hand.faces), (np.float64, vertices)]
            key = (header.frame_id, hand.key, len(hand.faces))
        else:
            fitted = self._capsules(hand.vertices, hand.side)
            fields = _capsule_fields(fitted._replace(radii=fitted.radii + padding))
            key = (header.frame_id, hand.key, 0)

        def placeholder_message() -> Any:
            message = self._message(hand.key, placeholder_header(header), ADD)
            if geometry == "mesh":
                faces = np.full(hand.faces.shape, placeholder(np.uint32))
                message.meshes = [to_shape_mesh(np.full(hand.vertices.shape, placeholder(np.float64)), faces)]
                message.mesh_poses = [IDENTITY]
            else:
                message.primitives = _placeholder_primitives()
                message.primitive_poses = [_placeholder_pose()] * len(message.primitives)
            return message

        return self._templates.serialize(key, [*stamp_fields(header), *fields], placeholder_message)

    def remove(self, key: HandKey, header: Header) -> Any:
        """A message that removes a hand."""
        return self._message(key, header, REMOVE)

    def _message(self, key: HandKey, header: Header, operation: bytes) -> Any:
        person, side = key
        name = hand_frame_name(self._prefix, side, person)
        return self._type(header=header, pose=IDENTITY, id=name, operation=operation)


class PlanningScenePublisher:
    """Publishes ``hands/planning_scene`` while it has subscribers.

    A hand that is gone is removed by the next image, and if nothing is published for some time by :meth:`expire`.

    Args:
        publisher: of ``message_type``.
        message_type: :func:`collision_object_type`.
        hand_model: the model of the published meshes.
        prefix: value of the parameter ``frame_prefix``.
    """

    def __init__(self, publisher: LazyPublisher, message_type: type[Any], hand_model: HandModel, prefix: str) -> None:
        self._publisher = publisher
        self._serializer = CollisionObjectSerializer(message_type, HandCapsules(hand_model), prefix)
        self._rate_limiter = RateLimiter()
        self._shown: dict[HandKey, Header] = {}
        self._last_published = time.monotonic()
        self._lock = threading.Lock()  # between the worker and the executor, which calls expire()

    def publish(self, hands: Hands, header: Header, settings: Settings) -> None:
        """Add or replace the hands of an image at ``collision_rate``; remove those that it does not show, at once.

        An image without frame_id is ignored: MoveIt would take its coordinates for those of the planning frame.

        Raises:
            ValueError: see :func:`lgnet_ros.output.messages.require_metric`.
        """
        require_metric(hands)
        if not header.frame_id or not self._publisher.has_subscribers:
            return
        with self._lock:
            self._last_published = time.monotonic()
            for key in sorted(self._shown.keys() - {hand.key for hand in hands.hands}):
                self._remove(key, header)
            if hands.hands and self._rate_limiter.allows(stamp_to_ns(header.stamp), settings.collision_rate):
                for hand in hands.hands:
                    geometry, padding = settings.collision_geometry, settings.collision_padding
                    self._publisher.publish(self._serializer.add(hand, header, geometry, padding))
                    self._shown[hand.key] = header

    def expire(self, timeout: float) -> None:
        """Remove all hands if no image was published for ``timeout`` seconds, whatever the cause."""
        if time.monotonic() - self._last_published >= timeout:
            self.clear()

    def clear(self) -> None:
        """Remove all hands."""
        with self._lock:
            for key, header in list(self._shown.items()):
                self._remove(key, header)

    def _remove(self, key: HandKey, header: Header) -> None:
        self._publisher.publish(self._serializer.remove(key, header))
        del self._shown[key]


def _capsule_fields(capsules: Capsules) -> list[Field]:
    """Numbers of the primitives and of their poses: a cylinder and two spheres of each capsule."""
    dimensions: list[Field] = []
    for length, radius in zip(capsules.lengths.tolist(), capsules.radii.tolist()):
        dimensions += [(np.float64, [length, radius]), (np.float64, [radius]), (np.float64, [radius])]
    poses = np.zeros((len(SEGMENTS), 3, 7))
    poses[:, 0, :3] = (capsules.start + capsules.end) / 2
    poses[:, 1, :3], poses[:, 2, :3] = capsules.start, capsules.end
    poses[:, 0, 3:] = capsules.quaternions
    poses[:, 1:, 6] = 1
    return [*dimensions, (np.float64, poses)]


def _placeholder_primitives() -> list[SolidPrimitive]:
    number = placeholder(np.float64)
    cylinder = SolidPrimitive(type=SolidPrimitive.CYLINDER, dimensions=[number, number])  # height, radius
    sphere = SolidPrimitive(type=SolidPrimitive.SPHERE, dimensions=[number])
    return [cylinder, sphere, sphere] * len(SEGMENTS)


def _placeholder_pose() -> PoseMessage:
    number = placeholder(np.float64)
    return PoseMessage(
        position=Point(x=number, y=number, z=number), orientation=Quaternion(x=number, y=number, z=number, w=number)
    )
