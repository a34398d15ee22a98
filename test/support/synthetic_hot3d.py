"""A small data set in the format of HOT3D-Clips: fisheye images with a dot at each joint.

The projection and the hands are written out here, point by point, and share no code with the reader.
"""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from lgnet_core.types import Side
from support.dotted_views import apply, dotted_image, look_at, quaternion_wxyz

SIZE = 320
FOCAL, CENTRE = 150.0, (158.0, 163.0)
COEFFICIENTS = [-0.02, 0.03, -0.01, 0.002, 0, 0, 1e-3, -2e-3, 5e-4, 1e-4, -4e-4, 1e-4]
"""k0..k5, p0, p1, s0..s3."""

STREAMS = ("1201-1", "214-1")
NUM_FRAMES = 3

KNOWN = [0, *range(2, 21)]
"""OpenPose's joints that UmeTrack has: all but the first of the thumb."""

_BASES = np.array([[-30, 25], [-18, 85], [2, 90], [20, 84], [36, 72]], float)
"""Millimetres: first hinges of the fingers, palm down in the x-y plane."""

_LENGTHS = (12.0, 30.0, 24.0, 20.0)
"""Millimetres from a hinge to the next, and from the last to the tip."""


def write_user_profile() -> dict[str, Any]:
    """Skeleton of a flat hand whose fingers point to +y; twenty-two hinges, of which the last two are the wrist's."""
    positions, axes, landmarks, bones = [], [], {}, {}
    for finger, base in enumerate(_BASES):
        along = np.cumsum([0.0, *_LENGTHS])
        points = np.array([[base[0], base[1] + d, 0] for d in along])
        positions += points[:4].tolist()
        axes += [[0, 0, 1], [1, 0, 0], [1, 0, 0], [1, 0, 0]]
        first = 2 + 3 * finger
        landmarks[finger], bones[finger] = points[4], [first + 2, first + 2]
        rest = (points[1], points[2], points[3])
        if finger == 0:
            for k in (0, 1):
                landmarks[6 + k], bones[6 + k] = rest[k + 1], [first + k + 1, first + k]
        else:
            for k in range(3):
                number = 8 + 3 * (finger - 1) + k
                landmarks[number], bones[number] = rest[k] + [1.0, 0, 2], [first + k, max(first, first + k - 1)]
    landmarks[5], bones[5] = np.zeros(3), [1, 0]
    landmarks[20], bones[20] = np.array([0, 50.0, 0]), [1, 1]
    order = sorted(landmarks)
    return {
        "joint_rotation_axes": [*axes, [1, 0, 0], [0, 0, 1]],
        "joint_rest_positions": [*positions, [0, 0, 0], [0, 0, 0]],
        "landmark_rest_positions": [np.asarray(landmarks[k]).tolist() for k in order],
        "landmark_rest_bone_indices": [bones[k] for k in order],
        "landmark_rest_bone_weights": [[0.75, 0.25] if bones[k][0] != bones[k][1] else [1, 0] for k in order],
        "hand_scale": 1.0,
    }


def pose_landmark(
    profile: dict[str, Any], number: int, angles: np.ndarray, wrist: np.ndarray, side: Side
) -> np.ndarray:
    """A landmark in the world, metres: turned about the hinges from the last to the first, then mirrored if right."""
    point = np.array(profile["landmark_rest_positions"][number]) / 1000
    result = np.zeros(3)
    for bone, weight in zip(
        profile["landmark_rest_bone_indices"][number], profile["landmark_rest_bone_weights"][number]
    ):
        moved = point.copy()
        if bone >= 2:
            finger, segment = divmod(bone - 2, 3)
            for hinge in reversed(range(4 * finger, 4 * finger + segment + 2)):
                turn = Rotation.from_rotvec(np.array(profile["joint_rotation_axes"][hinge], float) * angles[hinge])
                position = np.array(profile["joint_rest_positions"][hinge]) / 1000
                moved = turn.apply(moved - position) + position
        if side is Side.RIGHT:
            moved[0] = -moved[0]
        result += weight * apply(wrist, moved)
    return result


def openpose_joints(profile: dict[str, Any], angles: np.ndarray, wrist: np.ndarray, side: Side) -> np.ndarray:
    """(21, 3) world, NaN for the first joint of the thumb; the correspondence is written out."""
    numbers = [5, None, 6, 7, 0, 8, 9, 10, 1, 11, 12, 13, 2, 14, 15, 16, 3, 17, 18, 19, 4]
    joints = np.full((21, 3), np.nan)
    for k, number in enumerate(numbers):
        if number is not None:
            joints[k] = pose_landmark(profile, number, angles, wrist, side)
    return joints


def fisheye_pixel(point: np.ndarray) -> tuple[float, float]:
    """Pixel of a point of the camera."""
    x, y, z = (float(value) for value in point)
    k, (p0, p1, s0, s1, s2, s3) = COEFFICIENTS[:6], COEFFICIENTS[6:]
    theta, phi = math.acos(z / math.sqrt(x * x + y * y + z * z)), math.atan2(y, x)
    length = theta * (1 + sum(c * theta ** (2 * i + 2) for i, c in enumerate(k)))
    u, v = length * math.cos(phi), length * math.sin(phi)
    s = u * u + v * v
    du = 2 * p1 * u * v + p0 * (s + 2 * u * u) + s0 * s + s1 * s * s
    dv = 2 * p0 * u * v + p1 * (s + 2 * v * v) + s2 * s + s3 * s * s
    return FOCAL * (u + du) + CENTRE[0], FOCAL * (v + dv) + CENTRE[1]


@dataclass
class SyntheticHOT3D:
    """Root of the data set; camera-frame joints (2, 21, 3) by (clip, stream, frame), NaN where unknown; its files."""

    root: Path
    split: str
    joints: dict[tuple[int, str, int], np.ndarray] = field(default_factory=dict)
    files: dict[int, dict[str, bytes]] = field(default_factory=dict)

    def path(self, clip: int) -> Path:
        return self.root / self.split / f"clip-{clip:06d}.tar"

    def write(self, clip: int, changes: Mapping[str, bytes | None] | None = None) -> None:
        """Write an archive, with some files changed or left out (None)."""
        files = self.files[clip] | dict(changes or {})
        self.path(clip).parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(self.path(clip), "w") as archive:
            for name, data in files.items():
                if data is not None:
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))


def write_hot3d(root: Path, split: str = "train_aria", clips: tuple[int, ...] = (7, 12)) -> SyntheticHOT3D:
    """Write clips of two hands before a moving camera; in the last frame of each, the left hand is hidden."""
    dataset = SyntheticHOT3D(root, split)
    for clip in clips:
        rng = np.random.default_rng(clip)
        profile = write_user_profile()
        files: dict[str, bytes] = {"__hand_shapes.json__": _encode({"mano": [0.0] * 10, "umetrack": profile})}
        for frame in range(NUM_FRAMES):
            name, visible = f"{frame:06d}", {Side.RIGHT: 0.9, Side.LEFT: 0.8 if frame < NUM_FRAMES - 1 else 0.05}
            hands, world = {}, {}
            for side in Side:
                wrist = np.eye(4)
                wrist[:3, :3] = Rotation.from_rotvec(rng.normal(0, 0.4, 3)).as_matrix()
                wrist[:3, 3] = [0.11 if side is Side.RIGHT else -0.11, 0.0, 0.02 * frame]
                angles = np.concatenate([rng.uniform(-0.1, 0.6, 20), [0.3, 0.3]])
                world[side] = openpose_joints(profile, angles, wrist, side)
                hands[side.label] = {
                    "mano_pose": {"thetas": [0.0] * 15, "wrist_xform": [0.0] * 6},
                    "umetrack_pose": {"joint_angles": angles.tolist(), "T_world_from_wrist": _rigid(wrist)},
                    "boxes_amodal": {},
                    "visibilities_modeled": dict.fromkeys(STREAMS, visible[side]),
                }
            files[f"{name}.hands.json"] = _encode(hands)
            cameras: dict[str, Any] = {}
            for number, stream in enumerate(STREAMS):
                position = np.array([0.15 * number - 0.05, -0.1, -0.55 + 0.01 * frame])
                pose = look_at(position, np.array([0.08, 0.05, 0.0]), roll=0.2 - math.pi / 2)  # mounted turned
                shown = {side: apply(np.linalg.inv(pose), joints) for side, joints in world.items()}
                dataset.joints[clip, stream, frame] = np.stack([shown[side] for side in Side])
                pixels = {side: np.array([fisheye_pixel(p) for p in shown[side][KNOWN]]) for side in Side}
                image = dotted_image(SIZE, SIZE, pixels)
                files[f"{name}.image_{stream}.jpg"] = cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
                parameters = [FOCAL, *CENTRE] if number else [FOCAL, FOCAL, *CENTRE]
                cameras[stream] = {
                    "calibration": {
                        "label": "camera-rgb" if number else "camera-slam-left",
                        "stream_id": stream,
                        "image_width": SIZE,
                        "image_height": SIZE,
                        "projection_model_type": "CameraModelType.FISHEYE624",
                        "projection_params": [*parameters, *COEFFICIENTS],
                    },
                    "T_world_from_camera": _rigid(pose),
                }
            files[f"{name}.cameras.json"] = _encode(cameras)
            files[f"{name}.info.json"] = _encode({"frame_id": frame})
        dataset.files[clip] = files
        dataset.write(clip)
    return dataset


def _rigid(matrix: np.ndarray) -> dict[str, list[float]]:
    return {"quaternion_wxyz": quaternion_wxyz(matrix), "translation_xyz": matrix[:3, 3].tolist()}


def _encode(content: Any) -> bytes:
    return json.dumps(content).encode()
