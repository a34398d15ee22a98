"""Meshes of both hands in one GLB file: of an image, or moving as in a video.

glTF has metres and right-handed axes as the camera frame has, but y up and the view along -z: one root node, half a
turn about x, leads from the camera frame to the world. Blender then shows the hands upright and in front of its own
origin, which is the camera.

A hand is animated by morph targets: frame k of a mesh has weight 1 for target k. Since weights are stored densely, and
since renderers limit the number of targets, a hand is divided into stretches of at most :data:`MAX_FRAMES` frames, each
a node of its own. A node is hidden by a scale of 0, for which the specification provides. Whoever ignores animations,
such as trimesh, sees the first frame with hands.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lgnet_core.geometry.normals import vertex_normals
from lgnet_core.io.output import OutputError, explain_os_error
from lgnet_core.recording.frame import Frame
from lgnet_core.recording.glb import ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER, GlbFile
from lgnet_core.recording.scene import in_one_frame
from lgnet_core.types import FloatArray, Side, TwoHands
from lgnet_core.visualization.drawing import SIDE_COLOURS

MAX_FRAMES = 128
"""Frames of one mesh. WebGL 2 guarantees 256 layers of an array texture, in which three.js keeps the targets."""

_HALF_TURN_ABOUT_X = [1.0, 0.0, 0.0, 0.0]  # quaternion (x, y, z, w)

_FRAMES = {
    True: "camera optical frame, metres",
    False: "right wrist (or the only hand's), camera axes, metres",
}
"""Frame of the hands below the root node, by whether they are metric."""


@dataclass
class _Stretch:
    """Consecutive frames of one hand.

    Args:
        track_id: of the hand.
        faces: (F, 3) of its mesh.
        times: seconds from the first frame of the file.
        vertices: (V, 3) metres, and normals (V, 3), of each frame.
    """

    track_id: int
    faces: FloatArray
    times: list[float] = field(default_factory=list)
    vertices: list[FloatArray] = field(default_factory=list)
    normals: list[FloatArray] = field(default_factory=list)

    def add(self, time: float, vertices: FloatArray, normals: FloatArray) -> None:
        self.times.append(time)
        self.vertices.append(vertices)
        self.normals.append(normals)


class GlbAnimation:
    """A :class:`~lgnet_core.recording.frame.Recording` of the meshes of both hands, coloured and with normals.

    Times count from the first frame. Hands without a camera are in the frame of the right wrist, or of the only hand's.
    """

    def __init__(self, path: Path) -> None:
        self._file = GlbFile(path)
        self._start: float | None = None
        self._first_hands = 0.0  # time of the first frame with hands
        self._origin: FloatArray | None = None  # (3,) of all nodes; hidden ones shrink to it
        self._metric = True
        self._stretches: dict[Side, _Stretch] = {}
        self._materials: dict[Side, int] = {}
        self._faces: dict[bytes, int] = {}
        self._nodes: list[dict[str, Any]] = []
        self._meshes: list[dict[str, Any]] = []
        self._samplers: list[dict[str, Any]] = []
        self._channels: list[dict[str, Any]] = []

    def __enter__(self) -> GlbAnimation:
        self._file.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        with closing(self._file):
            if kind is None or not issubclass(kind, OutputError):
                for side in list(self._stretches):
                    self._end(side, None)
                self._file.write(self._objects())

    def add(self, frame: Frame) -> None:
        """Add the hands of a frame; see :class:`~lgnet_core.recording.frame.Recording`."""
        self._start = frame.time if self._start is None else self._start
        self.add_hands(frame.time - self._start, frame.hands)

    def add_hands(self, time: float, hands: TwoHands) -> None:
        """Add hands at a time, seconds from the first."""
        placed = in_one_frame(hands).hands
        for side in {*self._stretches} - {hand.side for hand in placed}:
            self._end(side, time)
        self._metric = hands.metric
        for hand in placed:
            vertices = np.asarray(hand.vertices, np.float64)
            if self._origin is None:
                self._first_hands = time
                self._origin = np.asarray(hand.joints[0], np.float64)
            normals = vertex_normals(vertices, hand.faces)
            stretch = self._stretches.get(hand.side)
            if stretch is not None and stretch.track_id == hand.track_id:
                stretch.add(time, vertices, normals)
                if len(stretch.times) < MAX_FRAMES:
                    continue
            if stretch is not None:
                self._end(hand.side, time)
            stretch = self._stretches[hand.side] = _Stretch(hand.track_id, hand.faces)
            stretch.add(time, vertices, normals)

    def _end(self, side: Side, time: float | None) -> None:
        """Write a stretch, which is shown until this time, or to the end of the file."""
        stretch = self._stretches.pop(side)
        assert self._origin is not None
        mesh = self._mesh(side, stretch)
        node: dict[str, Any] = {"name": f"hand_{side.label}", "mesh": mesh, "translation": self._origin.tolist()}
        if stretch.times[0] > self._first_hands:
            node["scale"] = [0.0, 0.0, 0.0]
        self._nodes.append(node)
        number = len(self._nodes)  # the root is node 0
        count = len(stretch.times)
        if count > 1:
            self._animate(number, "weights", "LINEAR", stretch.times, np.eye(count, count - 1, -1).reshape(-1))
        changes = [(stretch.times[0], 1.0)]
        if stretch.times[0] > 0:
            changes.insert(0, (0.0, 0.0))
        if time is not None:
            changes.append((time, 0.0))
        if len(changes) > 1:
            times, scales = zip(*changes)
            self._animate(number, "scale", "STEP", times, np.repeat(np.array(scales)[:, None], 3, 1))

    def _mesh(self, side: Side, stretch: _Stretch) -> int:
        vertices, normals = stretch.vertices[0], stretch.normals[0]
        primitive: dict[str, Any] = {
            "attributes": {
                "POSITION": self._vertex_values(vertices - self._origin, limits=True),
                "NORMAL": self._vertex_values(normals),
            },
            "indices": self._indices(stretch.faces, len(vertices)),
            "material": self._material(side),
        }
        targets = [
            {
                "POSITION": self._vertex_values(moved - vertices, limits=True),
                "NORMAL": self._vertex_values(turned - normals),
            }
            for moved, turned in zip(stretch.vertices[1:], stretch.normals[1:])
        ]
        mesh: dict[str, Any] = {"name": f"hand_{side.label}", "primitives": [primitive]}
        if targets:
            primitive["targets"] = targets
            mesh["weights"] = [0.0] * len(targets)
            mesh["extras"] = {"targetNames": [f"{time:.3f} s" for time in stretch.times[1:]]}
        self._meshes.append(mesh)
        return len(self._meshes) - 1

    def _vertex_values(self, values: FloatArray, limits: bool = False) -> int:
        return self._file.add(values.astype(np.float32), ARRAY_BUFFER, limits)

    def _indices(self, faces: FloatArray, vertices: int) -> int:
        """Accessor of triangles (F, 3), one for all meshes that have them."""
        indices = np.asarray(faces, np.uint16 if vertices < 2**16 else np.uint32).reshape(-1)
        key = indices.tobytes()
        if key not in self._faces:
            self._faces[key] = self._file.add(indices, ELEMENT_ARRAY_BUFFER)
        return self._faces[key]

    def _material(self, side: Side) -> int:
        return self._materials.setdefault(side, len(self._materials))

    def _animate(self, node: int, path: str, interpolation: str, times: Any, values: FloatArray) -> None:
        sampler = {
            "input": self._file.add(np.array(times, np.float32), limits=True),
            "output": self._file.add(values.astype(np.float32)),
            "interpolation": interpolation,
        }
        self._samplers.append(sampler)
        self._channels.append({"sampler": len(self._samplers) - 1, "target": {"node": node, "path": path}})

    def _objects(self) -> dict[str, Any]:
        """The top-level objects of the file."""
        root: dict[str, Any] = {"name": "camera", "rotation": _HALF_TURN_ABOUT_X}
        root["extras"] = {"frame": _FRAMES[self._metric]}
        tree: dict[str, Any] = {"scene": 0, "scenes": [{"nodes": [0]}], "nodes": [root, *self._nodes]}
        if self._nodes:
            root["children"] = list(range(1, len(self._nodes) + 1))
            tree |= {"meshes": self._meshes, "materials": [_material(side) for side in self._materials]}
        if self._channels:
            tree["animations"] = [{"name": "hands", "samplers": self._samplers, "channels": self._channels}]
        return tree


def write_glb(path: Path, hands: TwoHands) -> None:
    """Write the meshes of an image's hands; without hands, remove the file of an earlier result.

    Raises:
        OutputError: if the file cannot be written.
    """
    if not hands.hands:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {explain_os_error(error, path)}") from error
        return
    with GlbAnimation(path) as animation:
        animation.add_hands(0.0, hands)


def _material(side: Side) -> dict[str, Any]:
    """A matt material in the colour of a side. Both sides of its faces are drawn, since the wrist is open."""
    colour = np.array(SIDE_COLOURS[side]) / 255
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)  # glTF's are not sRGB
    return {
        "name": f"hand_{side.label}",
        "doubleSided": True,
        "pbrMetallicRoughness": {
            "baseColorFactor": [*linear.tolist(), 1.0],
            "metallicFactor": 0.0,
            "roughnessFactor": 0.7,
        },
    }
