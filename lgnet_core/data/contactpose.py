"""ContactPose (Brahmbhatt et al., ECCV 2020): one or two hands that hold an object, seen by three cameras.

::

    ROOT/full{participant}_{use|handoff}/{object}/annotations.json
    ROOT/full{participant}_{use|handoff}/{object}/images_full/{camera}/color/frame%03d.png

ROOT is ``data/contactpose_data`` of the authors' scripts. The 21 joints of a hand are in OpenPose's order, in the
centres of the fingers, metres; they are fixed to the object, or to a hand that moves relative to it. Hands are stored
left, then right. The images were turned upright after calibration, which is undone here by turning the camera.

Only joints are read: the set's MANO fits need MANO. Source: facebookresearch/ContactPose, utilities/dataset.py
(annotations, transform tree) and utilities/misc.py (quaternions w first, turned images); the split by participants is
that of samarth-robo/ContactPose-ML, train_test_splits.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.annotated_images import HAND_TYPES, INTERACTING, ImageLabels
from lgnet_core.data.annotated_set import AnnotatedSet, invalid_file, joint_labels, number_array, read_json
from lgnet_core.data.poses import pose_matrix, transform
from lgnet_core.geometry.crops import crop_intrinsics
from lgnet_core.io.files import InputError
from lgnet_core.types import NUM_KEYPOINTS, FloatArray, ImageArray, Side

SPLITS = ("train", "test")
TEST_PARTICIPANTS = (5, 15, 25, 35, 45)
CAMERAS = ("kinect2_left", "kinect2_middle", "kinect2_right")

_NAME = "ContactPose"
_SIDES = (Side.LEFT, Side.RIGHT)
"""Sides of the hands in the order of the files."""

_SESSION = re.compile(r"full(\d+)_(use|handoff)")
_NO_GRASPS = ("hands", "palm_print")
"""Folders beside those of the objects that hold scans instead of grasps."""


@dataclass(frozen=True, eq=False)
class _Camera:
    """One camera of a grasp: the turned images and the pinhole camera that would have taken them.

    Args:
        images: their folder. size: (width, height), pixels.

    Shapes:
        matrix: (3, 3) K; from_object: (T, 4, 4) points of the object -> of the camera in each frame.
    """

    images: Path
    size: tuple[int, int]
    matrix: FloatArray
    from_object: FloatArray


@dataclass(frozen=True, eq=False)
class _Grasp:
    """A grasp. Shapes: joints (T, 2, 21, 3) metres, object frame, by :class:`Side`; valid (2,) the hand takes part."""

    joints: FloatArray
    valid: FloatArray
    cameras: list[_Camera]


class ContactPose(AnnotatedSet):
    """The images of a split's grasps that are there, by grasp, camera and frame; a sequence is a grasp in one camera.

    Grasps without images, which are downloaded separately, and grasps with invalid annotations are left out and
    counted.

    Args:
        root: the folder of the sessions (``full1_use``, ...).
        split: ``test`` (participants 5, 15, 25, 35, 45) or ``train`` (all others).

    Raises:
        InputError: if the split is unknown, or no image of it is there.
    """

    def __init__(self, root: str | Path, split: str = "test") -> None:
        if split not in SPLITS:
            raise InputError(f"{_NAME}: unknown split {split!r}; choose from {', '.join(SPLITS)}")
        self.root = Path(root)
        skipped: Counter[str] = Counter()
        first_problem = ""
        self._grasps: list[_Grasp] = []
        rows = []
        for folder in _grasp_folders(self.root, split):
            try:
                grasp = _read_grasp(folder)
            except InputError as error:
                first_problem = first_problem or f"; {error}"
                skipped["annotations are missing or invalid"] += 1
                continue
            if not grasp.cameras or not grasp.valid.any():
                skipped["grasp has no images" if grasp.valid.any() else "grasp has no annotated hand"] += 1
                continue
            frames = np.arange(len(grasp.joints))
            for camera in range(len(grasp.cameras)):
                ids = np.full_like(frames, len(self._grasps)), np.full_like(frames, camera)
                rows.append(np.stack([*ids, frames], 1))
            self._grasps.append(grasp)
        if not rows:
            raise InputError(
                f"{_NAME}: {self.root} has no images of the split {split} ({dict(skipped) or 'no sessions'})"
                f"{first_problem}; --root must be the folder of full1_use, full1_handoff, ..., and the color images "
                "must have been downloaded (scripts/download_data.py of the data set's authors)"
            )
        self._rows = np.concatenate(rows)
        super().__init__(len(self._rows))
        self.skipped_rows.update(skipped)

    def hand_type(self, indices: Sequence[int]) -> FloatArray:
        valid = np.stack([self._grasps[grasp].valid for grasp in self._rows[list(indices), 0]])
        single = np.where(valid[:, Side.RIGHT], HAND_TYPES.index("right"), HAND_TYPES.index("left"))
        return np.where(valid.all(1), INTERACTING, single)

    def sequence_and_frame(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        grasp, camera, frame = torch.from_numpy(self._rows[list(indices)]).unbind(1)
        return grasp * len(CAMERAS) + camera, frame

    def labels(self, indices: Sequence[int]) -> ImageLabels:
        joints, known, intrinsics = [], [], []
        for number, camera_number, frame in self._rows[list(indices)]:
            grasp = self._grasps[number]
            camera = grasp.cameras[camera_number]
            joints.append(transform(camera.from_object[frame], grasp.joints[frame]))
            known.append(np.broadcast_to(grasp.valid[:, None], (2, NUM_KEYPOINTS)))
            intrinsics.append(camera.matrix)
        arrays = (torch.from_numpy(np.stack(values)) for values in (joints, known, intrinsics))
        return joint_labels(*arrays)

    def _image(self, index: int) -> ImageArray | None:
        grasp, number, frame = self._rows[index]
        camera = self._grasps[grasp].cameras[number]
        return self.faults.read(index, camera.images / f"frame{frame:03d}.png", *camera.size)


def _grasp_folders(root: Path, split: str) -> list[Path]:
    """Folders of the grasps of a split, ordered by participant, intent and object."""
    sessions = []
    for folder in root.iterdir() if root.is_dir() else ():
        match = _SESSION.fullmatch(folder.name)
        if match is not None and (int(match[1]) in TEST_PARTICIPANTS) == (split == "test"):
            sessions.append((int(match[1]), match[2], folder))
    objects = [path for *_, session in sorted(sessions) for path in sorted(session.iterdir())]
    return [path for path in objects if path.is_dir() and path.name not in _NO_GRASPS]


def _read_grasp(folder: Path) -> _Grasp:
    path = folder / "annotations.json"
    content = read_json(path, _NAME, "download the grasps again (scripts/download_data.py --type grasps)")
    try:
        frames = content["frames"]
        hands = list(zip(_SIDES, content["hands"], strict=True))
        object_from_world = _poses([frame["oTw"] for frame in frames], path)
        joints, valid = np.zeros((len(frames), 2, NUM_KEYPOINTS, 3)), np.zeros(2, bool)
        for number, (side, hand) in enumerate(hands):
            valid[side] = bool(hand["valid"])
            if not valid[side]:
                continue
            own = number_array(hand["joints"], (NUM_KEYPOINTS, 3), path, _NAME, "joints")
            if hand["moving"]:  # its joints are in its own frame
                hand_from_object = _poses([frame["hTo"][number] for frame in frames], path)
                joints[:, side] = transform(np.linalg.inv(hand_from_object), own)
            else:
                joints[:, side] = own
        cameras = [
            _read_camera(name, content["cameras"][name], folder, object_from_world, path)
            for name in CAMERAS
            if name in content["cameras"]
            and content["cameras"][name]["valid"]
            and (folder / "images_full" / name / "color").is_dir()
        ]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise invalid_file(path, _NAME, f"{type(error).__name__}: {error}") from error
    return _Grasp(joints, valid, cameras)


def _read_camera(
    name: str, content: dict[str, Any], folder: Path, object_from_world: FloatArray, path: Path
) -> _Camera:
    numbers = content["K"]
    width, height = int(numbers["width"]), int(numbers["height"])
    focal_x, focal_y, centre_x, centre_y = (float(numbers[key]) for key in ("fx", "fy", "cx", "cy"))
    matrix = np.array([[focal_x, 0, centre_x], [0, focal_y, centre_y], [0, 0, 1]])
    world_from_camera = _poses([content["wTc"]], path)[0]
    turned, rotation = crop_intrinsics(_turn(name, width, height), matrix)
    from_object = np.linalg.inv(object_from_world @ world_from_camera)
    from_object[:, :3] = rotation @ from_object[:, :3]
    size = (width, height) if name == "kinect2_middle" else (height, width)
    return _Camera(folder / "images_full" / name / "color", size, turned, from_object)


def _turn(camera: str, width: int, height: int) -> FloatArray:
    """(2, 3) pixels of a camera's calibration -> pixels of its stored images, which are turned by 90 or 180 degrees."""
    return {
        "kinect2_left": np.array([[0.0, -1, height], [1, 0, 0]]),
        "kinect2_middle": np.array([[-1.0, 0, width], [0, -1, height]]),
        "kinect2_right": np.array([[0.0, 1, 0], [-1, 0, width]]),
    }[camera]


def _poses(poses: Sequence[dict[str, Any]], path: Path) -> FloatArray:
    """(T, 4, 4) of ``translation`` and ``rotation``."""
    translation = number_array([pose["translation"] for pose in poses], (-1, 3), path, _NAME, "translation")
    rotation = number_array([pose["rotation"] for pose in poses], (-1, 4), path, _NAME, "rotation")
    return pose_matrix(translation, rotation)
