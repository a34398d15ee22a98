"""Files for rerun's viewer (.rrd), with the arrangement of its views in the file.

Entities: ``world`` (z up), ``world/camera`` (the optical frame) with ``image`` and ``hands`` below it, and
``inter_hand/distance``. Reference: https://rerun.io/docs/reference/types
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lgnet_core.geometry.hand_frame import HandFrames, Pose
from lgnet_core.geometry.normals import vertex_normals
from lgnet_core.hand_model import HandModel
from lgnet_core.io.extras import needs_extra
from lgnet_core.io.output import OutputError
from lgnet_core.recording import scene
from lgnet_core.recording.frame import Frame
from lgnet_core.recording.jpeg import encode_jpeg
from lgnet_core.recording.recording_file import RecordingFile
from lgnet_core.types import Camera, Hand, Side
from lgnet_core.visualization.drawing import SIDE_COLOURS

os.environ.setdefault("RUST_LOG", "off")  # the library would log errors that we report
with needs_extra("recording for rerun", "rerun"):
    import rerun as rr
    import rerun.blueprint as rrb

APPLICATION = "lgnet_ros"
TIME, FRAME = "time", "frame"
"""Timelines: seconds from the start of the video, and numbers of its frames."""

CAMERA = f"{scene.WORLD}/camera"
IMAGE = f"{CAMERA}/image"
HANDS = f"{CAMERA}/hands"
LINE = f"{HANDS}/inter_hand"
DISTANCE = "inter_hand/distance"

_JOINT_RADIUS, _BONE_RADIUS, _LINE_RADIUS, _FRAME_LENGTH = 0.004, 0.0015, 0.001, 0.05  # metres
_LINE_COLOUR = (213, 94, 0)
MIN_FREE = 32_000_000  # bytes
"""Free space of the disk below which a recording ends: on a full disk the library may wait for ever."""


class RrdRecording:
    """A :class:`~lgnet_core.recording.frame.Recording` for rerun's viewer; times count from the start of the video.

    Args:
        hand_model: of the hands.
    """

    def __init__(self, path: Path, hand_model: HandModel) -> None:
        self._file = RecordingFile(path)
        self._frames = HandFrames(hand_model)
        self._camera: Camera | None = None
        self._known: set[Side] = set()  # hands whose triangles are in the file

    def __enter__(self) -> RrdRecording:
        self._file.open()
        self._recording = rr.RecordingStream(APPLICATION, send_properties=False)
        with self._writing():
            self._recording.save(self._file.partial, _blueprint())
        self._recording.set_log_time_enabled(False)  # only our timelines
        self._recording.set_log_tick_enabled(False)
        self._recording.send_recording_name(self._file.path.stem)
        self._log(scene.WORLD, rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        self._log(CAMERA, _transform(scene.CAMERA_AXES), static=True)
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            if not self._file.failed:
                self._flush()
            self._recording.disconnect()
        finally:
            self._file.close()

    def add(self, frame: Frame) -> None:
        """Add a frame; see :class:`~lgnet_core.recording.frame.Recording`."""
        self._recording.set_time(TIME, duration=frame.time)
        self._recording.set_time(FRAME, sequence=frame.number)
        shown = scene.make_scene(frame.hands, self._frames)
        self._log_camera(frame.camera)
        self._log(IMAGE, rr.EncodedImage(contents=encode_jpeg(frame.image), media_type="image/jpeg"))
        present = {hand.side: hand for hand in shown.hands}
        for side in Side:
            if side in present:
                self._log_hand(present[side], shown)
            else:
                for parent in (HANDS, IMAGE):
                    self._log(f"{parent}/{side.label}", rr.Clear(recursive=True))
        self._log_relation(shown)
        self._flush()

    def _log_camera(self, camera: Camera | None) -> None:
        if camera is not None and camera is not self._camera:
            size = (camera.width, camera.height)
            self._log(IMAGE, rr.Pinhole(image_from_camera=camera.matrix, resolution=size, image_plane_distance=0.2))
            self._camera = camera

    def _log_hand(self, hand: Hand, shown: scene.Scene) -> None:
        name, colour = f"{HANDS}/{hand.side.label}", SIDE_COLOURS[hand.side]
        if hand.side not in self._known:  # what does not change, once
            triangles = rr.Mesh3D.from_fields(triangle_indices=hand.faces, albedo_factor=colour)
            self._log(f"{name}/mesh", triangles, static=True)
            self._known.add(hand.side)
        normals = vertex_normals(hand.vertices, hand.faces)
        self._log(f"{name}/mesh", rr.Mesh3D.from_fields(vertex_positions=hand.vertices, vertex_normals=normals))
        self._log(f"{name}/joints", rr.Points3D(hand.joints, radii=_JOINT_RADIUS, colors=colour))
        bones = np.array(scene.BONES)
        self._log(f"{name}/bones", rr.LineStrips3D(hand.joints[bones], radii=_BONE_RADIUS, colors=colour))
        self._log(f"{name}/frame", _transform(shown.poses[hand.key]), rr.TransformAxes3D(axis_length=_FRAME_LENGTH))
        self._log(f"{IMAGE}/{hand.side.label}", rr.LineStrips2D(hand.joints_2d[bones], colors=colour))

    def _log_relation(self, shown: scene.Scene) -> None:
        if shown.relation is None:
            self._log(LINE, rr.Clear(recursive=False))
            self._log(DISTANCE, rr.Clear(recursive=False))  # a gap in the plot
            return
        distance = float(shown.relation.distance)
        ends = [shown.relation.closest_right, shown.relation.closest_left]
        label = f"{1000 * distance:.0f} mm"
        self._log(LINE, rr.LineStrips3D([ends], radii=_LINE_RADIUS, colors=_LINE_COLOUR, labels=label))
        self._log(DISTANCE, rr.Scalars(distance))

    def _log(self, entity: str, *parts: Any, static: bool = False) -> None:
        self._recording.log(entity, *parts, static=static, strict=True)

    def _flush(self) -> None:
        with self._writing():
            if shutil.disk_usage(self._file.path.parent).free < MIN_FREE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._recording.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """For calls that wait for the library's thread, whose errors have no type of their own."""
        with self._file.writing():
            try:
                yield
            except RuntimeError as error:
                problem = f"{self._file.path}: rerun cannot write the file ({error})"
                raise OutputError(f"{problem}; free some space, or choose another folder") from error


def _transform(pose: Pose) -> rr.Transform3D:
    return rr.Transform3D(translation=pose.position, quaternion=rr.Quaternion(xyzw=pose.quaternion))


def _blueprint() -> rrb.Blueprint:
    """Image with projected meshes, 3D view from behind the camera, distance of the hands over time."""
    meshes = [f"+ {HANDS}/{side.label}/mesh" for side in Side]
    skeletons = [f"- {HANDS}/{side.label}/{part}" for side in Side for part in ("joints", "bones")]
    eye = rrb.EyeControls3D(position=(-0.3, -0.4, 0.3), look_target=(0.5, 0.0, 0.0), eye_up=(0.0, 0.0, 1.0))
    views = rrb.Horizontal(
        rrb.Spatial2DView(origin=IMAGE, contents=[f"+ {IMAGE}/**", *meshes], name="Image"),
        rrb.Spatial3DView(origin=scene.WORLD, contents=["+ $origin/**", *skeletons], name="Hands", eye_controls=eye),
    )
    plot = rrb.TimeSeriesView(origin=DISTANCE, name="Distance of the hands, metres")
    return rrb.Blueprint(rrb.Vertical(views, plot, row_shares=[3, 1]), rrb.TimePanel(timeline=TIME))
