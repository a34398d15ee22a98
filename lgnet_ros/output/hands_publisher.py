"""Everything that goes out, built only where somebody listens."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.geometry.inter_hand import inter_hand
from lgnet_core.types import TwoHands
from lgnet_core.visualization.drawing import draw_overlay
from lgnet_ros import topics
from lgnet_ros.interop import TransformSender
from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform
from lgnet_ros.output.markers import MarkerWriter
from lgnet_ros.output.messages import to_image, to_points
from lgnet_ros.output.publisher import Output, problems
from lgnet_ros.output.serialized import HandsWriter, InterHandWriter
from lgnet_ros.output.transforms import TransformWriter
from lgnet_ros.parameters import Settings
from lgnet_ros.perception import PerceptionResult, RateLimit, nanoseconds

NOBODY = TwoHands(None, None, None, metric=True)


class Publishers:
    """The node's outputs, each with the stamp and the frame of its image.

    Args:
        node: whose publishers they are.
        frames: of the hand model in use.
        prefix: of all names of frames.
    """

    def __init__(self, node: LifecycleNode, frames: HandFrames, prefix: str) -> None:
        self._node = node
        self._frames = frames
        self._outputs: list[Output] = []
        try:
            self._joints = self._output(HandJointsArray, topics.JOINTS)
            self._mesh = self._output(HandMeshArray, topics.MESH)
            self._inter_hand = self._output(InterHandTransform, topics.INTER_HAND)
            self._markers = self._output(MarkerArray, topics.MARKERS)
            self._points = self._output(PointCloud2, topics.POINTS)
            self._overlay = self._output(Image, topics.OVERLAY)
            self._transforms = TransformSender(node)
        except Exception:  # a wrong qos_override: the next attempt must not find this one's
            self._destroy_outputs()
            raise
        self._hands_writer, self._marker_writer = HandsWriter(), MarkerWriter(lifetime=0.0)
        self._inter_hand_writer, self._transform_writer = InterHandWriter(prefix), TransformWriter(prefix)
        self._marked: Header | None = None  # of the markers that RViz may still show
        self._overlay_limit = RateLimit()

    def publish(self, seen: PerceptionResult, settings: Settings) -> None:
        """All that is wanted of one image; of hands without a place in space only the overlay."""
        header: Header = seen.message.header
        if seen.hands.metric:
            self._publish_metric(seen.hands, header, settings)
        if self.overlay_wanted(settings) and self._overlay_limit.allows(
            nanoseconds(header.stamp), settings.overlay_rate
        ):
            self._overlay.publish(to_image(draw_overlay(seen.image, seen.hands, seen.camera), header))

    def overlay_wanted(self, settings: Settings) -> bool:
        """Whether anybody would look at an overlay."""
        return settings.publish_overlay and self._overlay.wanted

    def clear(self) -> None:
        """Delete the markers that are shown."""
        if self._marked is not None:
            self._markers.publish(self._marker_writer.write(NOBODY, self._marked))
            self._marked = None

    def watch(self) -> None:
        """To be called now and then: warn of subscribers that cannot hear an output."""
        for output in self._outputs:
            output.watch()

    def problems(self) -> list[str]:
        """A sentence for each subscriber that cannot hear an output."""
        found = [problem for output in self._outputs for problem in output.problems()]
        return found + problems(self._node, self._transforms.publisher)

    def destroy(self) -> None:
        """Give every publisher back to the node."""
        self._destroy_outputs()
        self._transforms.destroy()

    def _output(self, message_type: type[Any], topic: str) -> Output:
        self._outputs.append(Output(self._node, message_type, topic))
        return self._outputs[-1]

    def _destroy_outputs(self) -> None:
        for output in self._outputs:
            output.destroy()

    def _publish_metric(self, hands: TwoHands, header: Header, settings: Settings) -> None:
        seen = hands.hands
        poses = self._frames.poses(seen)
        # Frames first: who gets a mesh can look its frame up.
        if settings.publish_tf and seen:
            joints = {hand.side: self._frames.joint_poses(hand) for hand in seen if settings.publish_joint_frames}
            transforms = self._transform_writer.write(hands, header, poses, joints)
            if transforms is not None:
                self._transforms.send(transforms)
        self._mesh.publish(self._hands_writer.mesh(hands, header, poses))
        self._joints.publish(self._hands_writer.joints(hands, header, poses))
        relation = inter_hand(hands, poses) if self._inter_hand.wanted else None  # the distance is worth some effort
        if relation is not None:
            self._inter_hand.publish(self._inter_hand_writer.write(relation, header))
        if settings.publish_markers and self._markers.wanted:
            self._marker_writer.lifetime = settings.marker_lifetime
            self._markers.publish(self._marker_writer.write(hands, header))
            self._marked = header
        elif not settings.publish_markers:
            self.clear()
        if settings.publish_points and self._points.wanted:
            self._points.publish(to_points(hands, header))
