"""The 3D scene of the page: both hands in the camera frame, the camera's frustum, the line between the hands."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
import viser

from lgnet_core.geometry.mesh_distance import ClosestPoints
from lgnet_core.types import JOINT_PARENTS, Camera, Hand, HandKey, ImageArray, ImageHands, Side
from lgnet_core.visualization.drawing import SIDE_COLOURS

MESHES, JOINTS, CAMERA, DISTANCE = "/meshes", "/joints", "/camera", "/distance"
"""Names of the parts, which the page shows and hides."""

_IMAGE_DEPTH = 0.15  # metres from the camera to the image in its frustum
_IMAGE_WIDTH = 320  # pixels of that image
_LINE = (200, 30, 30)
_BONES = np.array([(parent, joint) for joint, parent in enumerate(JOINT_PARENTS) if parent >= 0])


class HandsScene:
    """Elements of a viser scene, in the camera frame: x right, y down, z forward, metres.

    Args:
        server: whose scene is empty.

    Attributes:
        parts: the roots of the parts by name, which can be hidden.
    """

    def __init__(self, server: viser.ViserServer) -> None:
        self._scene = scene = server.scene
        scene.set_up_direction("-y")
        server.initial_camera.position = (0.3, -0.25, -0.1)
        server.initial_camera.look_at = (0.05, 0.0, 0.4)
        server.initial_camera.up = (0.0, -1.0, 0.0)
        scene.add_frame("/axes", axes_length=0.04, axes_radius=0.001)
        self.parts = {name: scene.add_frame(name, show_axes=False) for name in (MESHES, JOINTS, CAMERA, DISTANCE)}
        self._hands: dict[HandKey, _HandElements] = {}
        self._distances: dict[int, _DistanceElements] = {}
        for side in Side:
            self._hands[0, side] = _HandElements(scene, 0, side)
        self._distances[0] = _DistanceElements(scene, 0)
        self._frustum = scene.add_camera_frustum(f"{CAMERA}/frustum", 1.0, 4 / 3, thickness=0.001, visible=False)

    def show_hands(self, hands: ImageHands, closest: Mapping[int, ClosestPoints | None]) -> None:
        """Move the hands and the lines between each person's; those that are missing disappear.

        Args:
            closest: the closest points of the right and the left hand, by the index of the person.
        """
        shown = {hand.key: hand for hand in hands.hands}
        for person, side in shown.keys() - self._hands.keys():
            self._hands[person, side] = _HandElements(self._scene, person, side)
        for person in closest.keys() - self._distances.keys():
            self._distances[person] = _DistanceElements(self._scene, person)
        for key, hand_elements in self._hands.items():
            hand_elements.show(shown.get(key))
        for person, distance_elements in self._distances.items():
            distance_elements.show(closest.get(person))

    def show_camera(self, image: ImageArray, camera: Camera) -> None:
        """Draw the frustum of a camera with its image (H, W, 3); an off-centre principal point is not shown."""
        height, width = image.shape[:2]
        tangent = camera.height / 2 / camera.matrix[1, 1]
        fov, aspect = 2 * math.atan(tangent), camera.width / camera.height
        if (self._frustum.fov, self._frustum.aspect) != (fov, aspect):
            self._frustum.fov, self._frustum.aspect = fov, aspect
            # viser draws the image at the distance of the scale, divided by the cube root of the frustum's volume.
            self._frustum.scale = _IMAGE_DEPTH * (tangent * tangent * aspect / 3) ** (1 / 3)
        size = _IMAGE_WIDTH, max(1, round(height * _IMAGE_WIDTH / width))
        self._frustum.image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        self._frustum.visible = True

    def hide_camera(self) -> None:
        self._frustum.visible = False


def _suffix(person: int) -> str:
    """Of the names of a person's elements; that of the first is empty."""
    return f"_{person}" if person else ""


class _DistanceElements:
    """Line between the hands of one person, and its length."""

    def __init__(self, scene: viser.SceneApi, person: int) -> None:
        suffix = _suffix(person)
        self._line = scene.add_line_segments(
            f"{DISTANCE}/line{suffix}", np.zeros((1, 2, 3), np.float32), _LINE, thickness=0.002, visible=False
        )
        self._label = scene.add_label(f"{DISTANCE}/label{suffix}", "", visible=False)

    def show(self, closest: ClosestPoints | None) -> None:
        self._line.visible = self._label.visible = closest is not None
        if closest is not None:
            self._line.points = np.stack([closest.a, closest.b])[None].astype(np.float32)
            self._label.position = (closest.a + closest.b) / 2
            self._label.text = f"{1000 * closest.distance:.0f} mm"


class _HandElements:
    """Mesh, joints and bones of one hand."""

    def __init__(self, scene: viser.SceneApi, person: int, side: Side) -> None:
        colour, name = SIDE_COLOURS[side], side.label + _suffix(person)
        self._mesh = scene.add_mesh_simple(
            f"{MESHES}/{name}",
            np.zeros((3, 3), np.float32),
            np.arange(3, dtype=np.uint32)[None],
            color=colour,
            opacity=0.75,
            side="double",
            visible=False,
        )
        self._joints = scene.add_point_cloud(
            f"{JOINTS}/{name}",
            np.zeros((len(JOINT_PARENTS), 3), np.float32),
            colour,
            point_size=0.004,
            point_shape="circle",
            precision="float32",
            visible=False,
        )
        self._bones = scene.add_line_segments(
            f"{JOINTS}/{name}_bones", np.zeros((len(_BONES), 2, 3), np.float32), colour, thickness=0.002, visible=False
        )

    def show(self, hand: Hand | None) -> None:
        for element in (self._mesh, self._joints, self._bones):
            element.visible = hand is not None
        if hand is not None:
            joints = hand.joints.astype(np.float32)
            self._mesh.vertices = hand.vertices.astype(np.float32)
            self._mesh.faces = hand.faces.astype(np.uint32)  # sent only when they change
            self._joints.points = joints
            self._bones.points = joints[_BONES]
