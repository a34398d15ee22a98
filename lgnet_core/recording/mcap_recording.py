"""MCAP files for Foxglove, with its own message types, so that no extension or ROS is needed.

Topics are those of :data:`TOPICS`. Specifications: https://mcap.dev/spec and https://docs.foxglove.dev/docs/sdk/schemas
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from lgnet_core.geometry.hand_frame import HandFrames, Pose
from lgnet_core.geometry.inter_hand import InterHand
from lgnet_core.hand_model import HandModel
from lgnet_core.io.extras import needs_extra
from lgnet_core.recording import scene
from lgnet_core.recording.frame import Frame
from lgnet_core.recording.jpeg import encode_jpeg
from lgnet_core.recording.recording_file import RecordingFile
from lgnet_core.types import Camera, FloatArray, Hand, Side
from lgnet_core.visualization.drawing import SIDE_COLOURS

with needs_extra("recording MCAP", "foxglove"):
    from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
    from foxglove_schemas_protobuf.Color_pb2 import Color
    from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
    from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
    from foxglove_schemas_protobuf.ImageAnnotations_pb2 import ImageAnnotations
    from foxglove_schemas_protobuf.LinePrimitive_pb2 import LinePrimitive
    from foxglove_schemas_protobuf.Point2_pb2 import Point2
    from foxglove_schemas_protobuf.Point3_pb2 import Point3
    from foxglove_schemas_protobuf.PointsAnnotation_pb2 import PointsAnnotation
    from foxglove_schemas_protobuf.SceneEntity_pb2 import SceneEntity
    from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
    from google.protobuf.timestamp_pb2 import Timestamp
    from mcap.writer import Writer
    from mcap_protobuf.schema import register_schema

IMAGE, CALIBRATION, ANNOTATIONS = "/camera/image", "/camera/calibration", "/camera/joints"
MESH, JOINTS, LINE = "/hands/mesh", "/hands/joints", "/hands/inter_hand/line"
INTER_HAND, TF = "/hands/inter_hand", "/tf"

TOPICS: dict[str, Any] = {
    IMAGE: CompressedImage,
    CALIBRATION: CameraCalibration,
    ANNOTATIONS: ImageAnnotations,
    MESH: SceneUpdate,
    JOINTS: SceneUpdate,
    LINE: SceneUpdate,
    TF: FrameTransforms,
}
"""Message type of each topic except :data:`INTER_HAND`, which is JSON by :data:`INTER_HAND_SCHEMA`."""

_NUMBER = {"type": "number"}
_VECTOR = {"type": "object", "properties": dict.fromkeys("xyz", _NUMBER)}
_INTER_HAND_NAME = "lgnet.InterHand"
INTER_HAND_SCHEMA = {
    "title": _INTER_HAND_NAME,
    "description": "The left hand in the frame of the right one: metres, unit quaternion",
    "type": "object",
    "properties": {
        "distance": {**_NUMBER, "description": "between the surfaces, metres; 0 if they touch or intersect"},
        "confidence": {**_NUMBER, "description": "probability that both hands are in the image"},
        "translation": _VECTOR,
        "rotation": {"type": "object", "properties": dict.fromkeys("xyzw", _NUMBER)},
        "closest_right": {**_VECTOR, "description": "closest point of the right surface, in the frame of the hands"},
        "closest_left": {**_VECTOR, "description": "closest point of the left surface, in the frame of the hands"},
    },
}

_JOINT_SIZE, _BONE_SIZE, _LINE_SIZE, _TEXT_SIZE = 0.008, 0.003, 0.002, 0.015  # metres
_ANNOTATION_SIZE = 2.0  # pixels
_LINE_COLOUR = (213, 94, 0)
_MAX_DISTORTION = 8  # coefficients that Foxglove's rational_polynomial has


class McapRecording:
    """A :class:`~lgnet_core.recording.frame.Recording` for Foxglove; times count from the start of the video.

    Args:
        hand_model: of the hands.
    """

    def __init__(self, path: Path, hand_model: HandModel) -> None:
        self._file = RecordingFile(path)
        self._frames = HandFrames(hand_model)
        self._channels: dict[str, int] = {}
        self._time = 0  # nanoseconds, of the current frame

    def __enter__(self) -> McapRecording:
        self._file.open()
        with self._file.writing():
            self._stream = self._file.partial.open("wb")
            self._writer = Writer(self._stream)
            self._writer.start()
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            if not self._file.failed:
                with self._file.writing():
                    self._writer.finish()
                    self._stream.close()
        finally:
            with suppress(OSError):  # of what a full disk did not take
                self._stream.close()
            self._file.close()

    def add(self, frame: Frame) -> None:
        """Add a frame; see :class:`~lgnet_core.recording.frame.Recording`."""
        self._time = round(frame.time * 1e9)
        shown = scene.make_scene(frame.hands, self._frames)
        with self._file.writing():
            self._write_image(frame)
            self._write(TF, _transforms(shown, self._stamp))
            self._write(MESH, self._update(shown, "mesh", _add_mesh))
            self._write(JOINTS, self._update(shown, "joints", _add_skeleton))
            self._write(LINE, _line_update(shown, self._stamp))
            if shown.relation is not None:
                self._write_json(INTER_HAND, _inter_hand_fields(shown.relation))

    @property
    def _stamp(self) -> Timestamp:
        return Timestamp(seconds=self._time // 10**9, nanos=self._time % 10**9)

    def _write_image(self, frame: Frame) -> None:
        frame_id = scene.CAMERA
        image = CompressedImage(timestamp=self._stamp, frame_id=frame_id, data=encode_jpeg(frame.image), format="jpeg")
        self._write(IMAGE, image)
        if frame.camera is not None:
            self._write(CALIBRATION, _calibration(frame.camera, self._stamp))
        bones = np.array(scene.BONES).reshape(-1)
        points = [
            PointsAnnotation(
                timestamp=self._stamp,
                type=PointsAnnotation.LINE_LIST,
                points=[Point2(x=u, y=v) for u, v in hand.joints_2d[bones].tolist()],
                outline_color=_side_colour(hand.side),
                thickness=_ANNOTATION_SIZE,
            )
            for hand in frame.hands.hands
        ]
        self._write(ANNOTATIONS, ImageAnnotations(points=points))

    def _update(self, shown: scene.Scene, kind: str, add_parts: Any) -> SceneUpdate:
        """One entity per hand; those of absent hands are deleted."""
        update = SceneUpdate()
        by_side = {hand.side: hand for hand in shown.hands}
        for side in Side:
            name = f"{side.label}_{kind}"
            if side in by_side:
                entity = update.entities.add(timestamp=self._stamp, frame_id=shown.frame_id, id=name)
                add_parts(entity, by_side[side])
            else:
                update.deletions.add(timestamp=self._stamp, id=name)
        return update

    def _write(self, topic: str, message: Any) -> None:
        if topic not in self._channels:
            schema = register_schema(self._writer, type(message))
            self._channels[topic] = self._writer.register_channel(topic, "protobuf", schema)
        self._writer.add_message(self._channels[topic], self._time, message.SerializeToString(), self._time)

    def _write_json(self, topic: str, fields: dict[str, Any]) -> None:
        if topic not in self._channels:
            schema = json.dumps(INTER_HAND_SCHEMA).encode()
            number = self._writer.register_schema(_INTER_HAND_NAME, "jsonschema", schema)
            self._channels[topic] = self._writer.register_channel(topic, "json", number)
        self._writer.add_message(self._channels[topic], self._time, json.dumps(fields).encode(), self._time)


def _calibration(camera: Camera, stamp: Timestamp) -> CameraCalibration:
    """Foxglove knows up to eight coefficients; those of thin prisms and of tilted sensors are left out."""
    distortion = camera.distortion[:_MAX_DISTORTION]
    model = "plumb_bob" if distortion.size <= 5 else "rational_polynomial"
    projection = np.column_stack([camera.matrix, np.zeros(3)])
    return CameraCalibration(
        timestamp=stamp,
        frame_id=scene.CAMERA,
        width=camera.width,
        height=camera.height,
        distortion_model=model,
        D=np.pad(distortion, (0, max(0, 5 - distortion.size))).tolist(),
        K=camera.matrix.reshape(-1).tolist(),
        R=np.eye(3).reshape(-1).tolist(),
        P=projection.reshape(-1).tolist(),
    )


def _transforms(shown: scene.Scene, stamp: Timestamp) -> FrameTransforms:
    message = FrameTransforms()
    named = [(scene.WORLD, shown.frame_id, scene.CAMERA_AXES)]
    named += [(shown.frame_id, f"hand_{hand.side.label}", shown.poses[hand.key]) for hand in shown.hands]
    for parent, child, pose in named:
        transform = message.transforms.add(timestamp=stamp, parent_frame_id=parent, child_frame_id=child)
        _set(transform.translation, pose.position)
        _set(transform.rotation, pose.quaternion)
    return message


def _add_mesh(entity: SceneEntity, hand: Hand) -> None:
    triangles = entity.triangles.add(color=_side_colour(hand.side))
    triangles.pose.orientation.w = 1.0
    triangles.points.extend(_points(hand.vertices))
    triangles.indices.extend(np.asarray(hand.faces).reshape(-1).tolist())


def _add_skeleton(entity: SceneEntity, hand: Hand) -> None:
    colour = _side_colour(hand.side)
    for joint in hand.joints:
        sphere = entity.spheres.add(color=colour)
        sphere.pose.orientation.w = 1.0
        _set(sphere.pose.position, joint)
        _set(sphere.size, np.full(3, _JOINT_SIZE))
    lines = entity.lines.add(type=LinePrimitive.LINE_LIST, thickness=_BONE_SIZE, color=colour)
    lines.pose.orientation.w = 1.0
    lines.points.extend(_points(hand.joints[np.array(scene.BONES).reshape(-1)]))


def _line_update(shown: scene.Scene, stamp: Timestamp) -> SceneUpdate:
    """A line between the closest points of the hands, with its length; deleted unless there are two hands."""
    update, name = SceneUpdate(), "inter_hand"
    if shown.relation is None:
        update.deletions.add(timestamp=stamp, id=name)
        return update
    ends = np.stack([shown.relation.closest_right, shown.relation.closest_left])
    entity = update.entities.add(timestamp=stamp, frame_id=shown.frame_id, id=name)
    colour = _colour(_LINE_COLOUR)
    line = entity.lines.add(type=LinePrimitive.LINE_STRIP, thickness=_LINE_SIZE, color=colour)
    line.pose.orientation.w = 1.0
    line.points.extend(_points(ends))
    text = entity.texts.add(billboard=True, font_size=_TEXT_SIZE, color=colour)
    text.text = f"{1000 * shown.relation.distance:.0f} mm"
    text.pose.orientation.w = 1.0
    _set(text.pose.position, ends.mean(0))
    return update


def _inter_hand_fields(relation: InterHand) -> dict[str, Any]:
    return {
        "distance": float(relation.distance),
        "confidence": float(relation.confidence),
        **_pose_fields(relation.pose),
        "closest_right": _named(relation.closest_right),
        "closest_left": _named(relation.closest_left),
    }


def _pose_fields(pose: Pose) -> dict[str, Any]:
    return {"translation": _named(pose.position), "rotation": _named(pose.quaternion)}


def _named(values: FloatArray) -> dict[str, float]:
    return dict(zip("xyzw", np.asarray(values, np.float64).tolist()))


def _set(message: Any, values: FloatArray) -> None:
    """Set the fields x, y, z(, w) of a message."""
    for name, value in _named(values).items():
        setattr(message, name, value)


def _points(positions: FloatArray) -> Sequence[Point3]:
    return [Point3(x=x, y=y, z=z) for x, y, z in np.asarray(positions, np.float64).tolist()]


def _side_colour(side: Side) -> Color:
    return _colour(SIDE_COLOURS[side])


def _colour(rgb: tuple[int, int, int]) -> Color:
    red, green, blue = (channel / 255 for channel in rgb)
    return Color(r=red, g=green, b=blue, a=1.0)
