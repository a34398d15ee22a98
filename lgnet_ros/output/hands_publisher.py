"""Publishes all outputs of an image; expensive ones only while they have subscribers."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image, JointState, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.geometry.inter_hand import inter_hand
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Camera, ImageHands
from lgnet_core.visualization.drawing import draw_overlay
from lgnet_ros import topics
from lgnet_ros.interop import TransformPublisher
from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform, OpenXRHandJoints
from lgnet_ros.output.lazy_publisher import LazyPublisher, qos_problems
from lgnet_ros.output.markers import MarkerSerializer
from lgnet_ros.output.messages import to_image, to_joint_states, to_points, to_qualities
from lgnet_ros.output.openxr import OpenXRSerializer
from lgnet_ros.output.planning_scene import PlanningScenePublisher, collision_object_type
from lgnet_ros.output.serializers import HandsSerializer, InterHandSerializer
from lgnet_ros.output.transforms import TransformSerializer
from lgnet_ros.parameters.settings import Settings
from lgnet_ros.perception.perception import PerceptionResult
from lgnet_ros.rate_limit import RateLimiter, stamp_to_ns

NO_HANDS = ImageHands([], metric=True)


class HandsPublisher:
    """Publishes the outputs of the node with the stamp and frame of their image.

    Args:
        node: owner of the publishers.
        hand_model: the model of the hands.
        prefix: of all frame names.
    """

    def __init__(self, node: LifecycleNode, hand_model: HandModel, prefix: str) -> None:
        self._node = node
        self._frames = HandFrames(hand_model)
        self._publishers: list[LazyPublisher] = []
        try:
            self._joints = self._create_publisher(HandJointsArray, topics.JOINTS)
            self._mesh = self._create_publisher(HandMeshArray, topics.MESH)
            self._joint_states = self._create_publisher(JointState, topics.JOINT_STATES)
            self._inter_hand = self._create_publisher(InterHandTransform, topics.INTER_HAND)
            self._markers = self._create_publisher(MarkerArray, topics.MARKERS)
            self._points = self._create_publisher(PointCloud2, topics.POINTS)
            self._openxr = self._create_publisher(OpenXRHandJoints, topics.OPENXR)
            self._overlay = self._create_publisher(Image, topics.OVERLAY)
            self._planning_scene = self._create_planning_scene_publisher(hand_model, prefix)
            self._transforms = TransformPublisher(node)
        except Exception:  # e.g. an invalid qos_override: leave no publishers behind for the next attempt
            self._destroy_publishers()
            raise
        self._hands_serializer, self._marker_serializer = HandsSerializer(), MarkerSerializer(lifetime=0.0)
        self._inter_hand_serializer = InterHandSerializer(prefix)
        self._openxr_serializer = OpenXRSerializer(hand_model)
        self._transform_serializer = TransformSerializer(prefix)
        self._marker_header: Header | None = None  # of the markers that RViz may still show
        self._overlay_rate_limiter = RateLimiter()

    def publish(self, result: PerceptionResult, settings: Settings) -> None:
        """Publish all requested outputs of an image; without calibration only the overlay."""
        header = result.header
        if result.hands.metric:
            assert result.camera is not None  # else the hands were not metric
            self._publish_metric(result.hands, result.camera, header, settings)
        if self.overlay_requested(settings) and self._overlay_rate_limiter.allows(
            stamp_to_ns(header.stamp), settings.overlay_rate
        ):
            self._overlay.publish(to_image(draw_overlay(result.image, result.hands, result.camera), header))

    def requested(self, settings: Settings) -> bool:
        """Whether any enabled output, /tf included, has subscribers."""
        optional = {
            self._markers: settings.publish_markers,
            self._points: settings.publish_points,
            self._overlay: settings.publish_overlay,
        }
        return (settings.publish_tf and self._transforms.has_subscribers) or any(
            publisher.has_subscribers and optional.get(publisher, True) for publisher in self._publishers
        )

    def overlay_requested(self, settings: Settings) -> bool:
        """Whether overlays are enabled and have subscribers."""
        return settings.publish_overlay and self._overlay.has_subscribers

    def clear(self) -> None:
        """Delete what RViz and MoveIt may still show."""
        self.delete_markers()
        if self._planning_scene is not None:
            self._planning_scene.clear()

    def expire(self, timeout: float) -> None:
        """Remove the hands from MoveIt's planning scene if none were published for ``timeout`` seconds."""
        if self._planning_scene is not None:
            self._planning_scene.expire(timeout)

    def delete_markers(self) -> None:
        """Delete the markers shown in RViz."""
        if self._marker_header is not None:
            self._markers.publish(self._marker_serializer.serialize(NO_HANDS, self._marker_header))
            self._marker_header = None

    def report_qos_problems(self) -> None:
        """Log subscribers whose QoS is incompatible with an output. Call periodically."""
        for publisher in self._publishers:
            publisher.report_qos_problems()

    def qos_problems(self) -> list[str]:
        """Describe each subscriber whose QoS is incompatible with an output."""
        problems = [problem for publisher in self._publishers for problem in publisher.qos_problems()]
        return problems + qos_problems(self._node, self._transforms.publisher)

    def destroy(self) -> None:
        """Destroy all publishers."""
        self._destroy_publishers()
        self._transforms.destroy()

    def _age(self, header: Header) -> float:
        """Seconds from the stamp of an image until now, on the node's clock, which may be that of a simulation."""
        return (self._node.get_clock().now().nanoseconds - stamp_to_ns(header.stamp)) / 1e9

    def _create_publisher(self, message_type: type[Any], topic: str) -> LazyPublisher:
        self._publishers.append(LazyPublisher(self._node, message_type, topic))
        return self._publishers[-1]

    def _create_planning_scene_publisher(self, hand_model: HandModel, prefix: str) -> PlanningScenePublisher | None:
        message_type = collision_object_type()
        if message_type is None:
            return None
        publisher = self._create_publisher(message_type, topics.PLANNING_SCENE)
        return PlanningScenePublisher(publisher, message_type, hand_model, prefix)

    def _destroy_publishers(self) -> None:
        for publisher in self._publishers:
            publisher.destroy()

    def _publish_metric(self, hands: ImageHands, camera: Camera, header: Header, settings: Settings) -> None:
        present = hands.hands
        poses = self._frames.poses(present)
        # Transforms first, so that a subscriber to the mesh can look up its frame.
        if settings.publish_tf and present:
            joint_poses = {
                hand.key: self._frames.joint_poses(hand) for hand in present if settings.publish_joint_frames
            }
            transforms = self._transform_serializer.serialize(hands, header, poses, joint_poses)
            if transforms is not None:
                self._transforms.publish(transforms)
        self._mesh.publish(self._hands_serializer.mesh(hands, header, self._age(header), poses))
        qualities = to_qualities(hands, camera)
        self._joints.publish(self._hands_serializer.joints(hands, header, self._age(header), poses, qualities))
        if present and self._joint_states.has_subscribers:
            self._joint_states.publish(to_joint_states(hands.first, header))
        for person in hands.people if self._inter_hand.has_subscribers else ():  # mesh distance is costly
            relation = inter_hand(person, poses)
            if relation is not None:
                self._inter_hand.publish(self._inter_hand_serializer.serialize(relation, header, self._age(header)))
        if settings.publish_markers and self._markers.has_subscribers:
            self._marker_serializer.lifetime = settings.marker_lifetime
            # Never fewer, so that the markers of people that are no longer reported are deleted.
            self._marker_serializer.max_people = max(self._marker_serializer.max_people, settings.max_people)
            self._markers.publish(self._marker_serializer.serialize(hands, header))
            self._marker_header = header
        elif not settings.publish_markers:
            self.delete_markers()
        if settings.publish_points and self._points.has_subscribers:
            self._points.publish(to_points(hands, header))
        if self._openxr.has_subscribers:
            self._openxr.publish(self._openxr_serializer.serialize(hands.first, header))
        if self._planning_scene is not None:
            self._planning_scene.publish(hands, header, settings)
