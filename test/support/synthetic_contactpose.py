"""A small data set in the format of ContactPose: images with a dot at each joint."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lgnet_core.hand_model import HandModel
from lgnet_core.types import Side
from support.dotted_views import apply, dotted_image, look_at, pairs_of_hands, quaternion_wxyz
from support.image_files import write_image

SIZE = (320, 180)
"""Of the cameras; the images of two of them are turned by 90 degrees."""

FOCAL, CENTRE = (200.0, 210.0), (155.0, 92.0)
NUM_FRAMES = 3

UPRIGHT = {
    "kinect2_left": lambda x, y: (SIZE[1] - y, x),
    "kinect2_middle": lambda x, y: (SIZE[0] - x, SIZE[1] - y),
    "kinect2_right": lambda x, y: (y, SIZE[0] - x),
}
"""Where a pixel of the camera is in the stored image."""

GRASPS = (
    ("full5_use", "mug", (True, True)),
    ("full15_handoff", "bowl", (False, True)),
    ("full2_use", "mug", (True, True)),
)
"""Session, object, and whether the left and the right hand take part; the first two are of the test split."""


@dataclass
class SyntheticContactPose:
    """Root of the data set, its annotations by folder, and camera-frame joints by (folder, camera): (T, 2, 21, 3)."""

    root: Path
    annotations: dict[str, dict[str, Any]]
    joints: dict[tuple[str, str], np.ndarray]

    def copied(self, root: Path) -> SyntheticContactPose:
        """A copy that a test may modify."""
        shutil.copytree(self.root, root)
        return replace(self, root=root)

    def image(self, folder: str, camera: str, frame: int) -> Path:
        return self.root / folder / "images_full" / camera / "color" / f"frame{frame:03d}.png"


def write_contactpose(root: Path, hand_model: HandModel) -> SyntheticContactPose:
    """Write the grasps; the left hand of the first moves relative to the object, all others are fixed to it."""
    hands = pairs_of_hands(hand_model, len(GRASPS))
    rng = np.random.default_rng(0)
    dataset = SyntheticContactPose(root, {}, {})
    for number, (session, name, valid) in enumerate(GRASPS):
        folder = f"{session}/{name}"
        moves = number == 0
        poses = [_random_pose(rng, 0.02) for _ in range(NUM_FRAMES)]  # of the object in the world
        hand_poses = [_random_pose(rng, 0.01) for _ in range(NUM_FRAMES)]  # of the object in the moving hand
        joints = hands[number]
        in_object = np.stack([joints] * NUM_FRAMES)
        if moves:
            in_object[:, Side.LEFT] = [apply(np.linalg.inv(h), joints[Side.LEFT]) for h in hand_poses]
        annotation: dict[str, Any] = {
            "object": name,
            "frames": [
                {
                    "oTw": _pose(np.linalg.inv(pose)),
                    "hTo": [_pose(hand_poses[k]) if moves else None, None],
                    "object_pose_optimized": True,
                }
                for k, pose in enumerate(poses)
            ],
            "cameras": {},
            "hands": [
                {
                    "valid": valid[k],
                    "moving": moves and side == Side.LEFT,
                    "joints": joints[side].tolist() if valid[k] else None,
                }
                for k, side in enumerate((Side.LEFT, Side.RIGHT))
            ],
        }
        for angle, (camera, upright) in zip((-0.8, 0.0, 0.8), UPRIGHT.items()):
            position = 0.7 * np.array([np.sin(angle), 0.2, -np.cos(angle)])
            in_world = look_at(position, np.zeros(3), roll=angle)
            annotation["cameras"][camera] = {
                "valid": camera != "kinect2_right" or number != 1,
                "K": {
                    **dict(zip(("fx", "fy"), FOCAL)),
                    **dict(zip(("cx", "cy"), CENTRE)),
                    "width": SIZE[0],
                    "height": SIZE[1],
                },
                "wTc": _pose(in_world),
            }
            in_camera = np.stack([apply(np.linalg.inv(in_world) @ p, x) for p, x in zip(poses, in_object)])
            dataset.joints[folder, camera] = in_camera
            for frame in range(NUM_FRAMES):
                _write(dataset.image(folder, camera, frame), in_camera[frame], valid, upright, camera)
        dataset.annotations[folder] = annotation
        (root / folder / "annotations.json").write_text(json.dumps(annotation))
    (root / "full5_use" / "palm_print").mkdir()
    return dataset


def shown_at(in_camera: np.ndarray, camera: str) -> np.ndarray:
    """Pixels (..., 2) of points of a camera in its stored image."""
    x = FOCAL[0] * in_camera[..., 0] / in_camera[..., 2] + CENTRE[0]
    y = FOCAL[1] * in_camera[..., 1] / in_camera[..., 2] + CENTRE[1]
    return np.stack(UPRIGHT[camera](x, y), -1)


def _write(path: Path, in_camera: np.ndarray, valid: tuple[bool, bool], upright, camera: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = SIZE if camera == "kinect2_middle" else SIZE[::-1]
    shown = shown_at(in_camera, camera)
    sides = [side for side, there in zip((Side.LEFT, Side.RIGHT), valid) if there]
    write_image(path, dotted_image(width, height, {side: shown[side] for side in sides}))


def _random_pose(rng: np.random.Generator, size: float) -> np.ndarray:
    pose = look_at(np.array([0.0, 0, -1]), rng.normal(0, 0.1, 3), roll=rng.normal(0, 0.3))
    pose[:3, 3] = rng.normal(0, size, 3)
    return pose


def _pose(matrix: np.ndarray) -> dict[str, list[float]]:
    return {"translation": matrix[:3, 3].tolist(), "rotation": quaternion_wxyz(matrix)}
