"""HOT3D-Clips as a data set of labelled crops.

::

    ROOT/{train_aria,train_quest3}/clip-NNNNNN.tar
        NNNNNN.image_{stream}.jpg   fisheye images, taken by a camera that is turned by 90 degrees
        NNNNNN.cameras.json         calibration and pose of each stream
        NNNNNN.hands.json           poses and visibility of the hands (train only)
        __hand_shapes.json__        the person's hand

Every image becomes a pinhole view of its hands, upright, by a camera in the same place. The joints are those of the
UmeTrack annotations, which need no MANO and which the authors recommend; they lack the first joint of the thumb.
Archives are read in place; nothing is extracted, and JSON and JPEG are all that is parsed.

Sources: facebookresearch/hot3d, hot3d/clips/README.md; facebookresearch/hand_tracking_toolkit, dataset.py.
"""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.annotated_images import (
    DAMAGED,
    HAND_TYPES,
    INTERACTING,
    NO_HAND,
    OTHER_SIZE,
    TOO_WIDE,
    ImageLabels,
)
from lgnet_core.data.annotated_set import AnnotatedSet, invalid_file, joint_labels, number_array
from lgnet_core.data.hot3d.fisheye import MODEL, FisheyeCamera, pinhole_view
from lgnet_core.data.hot3d.umetrack import UmeTrackHand
from lgnet_core.data.poses import pose_matrix, transform
from lgnet_core.io.files import InputError
from lgnet_core.types import NUM_KEYPOINTS, FloatArray, ImageArray, Side

SPLITS = ("train_aria", "train_quest3")
_UNLABELLED = ("test_aria", "test_quest3")

MIN_VISIBILITY = 0.1
"""Visible fraction of a hand above which it is present, as in the set's crops of hands."""

_NAME = "HOT3D"
_MARGIN = 1.5  # half side of a view over the largest distance of a joint from its centre: crops have surroundings
_MAX_TANGENT = 2.0  # of the angle between a joint and the axis of a view, 63 degrees
_SHAPES = "__hand_shapes.json__"


@dataclass(frozen=True)
class _Clip:
    """A tar archive. Args: members: (offset, size) of every file in it, bytes, by name."""

    path: Path
    members: dict[str, tuple[int, int]]

    def read(self, name: str) -> bytes:
        offset, size = self.members[name]
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def read_json(self, name: str) -> Any:
        """Raises InputError if the file is missing or damaged."""
        try:
            return json.loads(self.read(name))
        except (KeyError, OSError, ValueError) as error:
            raise invalid_file(self.path, _NAME, f"{name}: {type(error).__name__}: {error}") from error


class _UnusableError(Exception):
    """An image that cannot be used, for the reason ``fault`` of :mod:`lgnet_core.data.annotated_images`."""

    def __init__(self, fault: int) -> None:
        super().__init__(fault)
        self.fault = fault


class _View(NamedTuple):
    """A pinhole view of the hands in an image. Shapes: rotation, matrix (3, 3); joints (2, 21, 3) metres, in the view,
    NaN if unknown."""

    camera: FisheyeCamera
    rotation: FloatArray
    matrix: FloatArray
    size: int
    joints: FloatArray


class HOT3D(AnnotatedSet):
    """The images of a split, ordered by clip, stream and frame; a sequence is a clip in one stream.

    Images in which no hand is visible are skipped and counted when they are read, as are those whose hands are too far
    apart for one pinhole view.

    Args:
        root: the folder of the splits. split: one of :data:`SPLITS`; the labels of the test clips are not public.

    Raises:
        InputError: if the split is unknown or has no labelled clip.
    """

    def __init__(self, root: str | Path, split: str) -> None:
        if split in _UNLABELLED or split == "test":
            raise InputError(f"{_NAME}: the hand labels of its test clips are not public; use --split {SPLITS[0]}")
        if split not in SPLITS:
            raise InputError(f"{_NAME}: unknown split {split!r}; choose from {', '.join(SPLITS)}")
        skipped: Counter[str] = Counter()
        folder = Path(root) / split
        self._clips: list[_Clip] = []
        self._rows: list[tuple[int, str, str]] = []  # clip, stream, frame
        for path in sorted(folder.glob("clip-*.tar")):
            clip = _open_clip(path)
            images = [] if clip is None else _labelled_images(clip)
            if clip is None or not images:
                skipped["clip is damaged" if clip is None else "clip has no labels"] += 1
                continue
            self._rows += [(len(self._clips), stream, frame) for stream, frame in images]
            self._clips.append(clip)
        if not self._rows:
            raise InputError(
                f"{_NAME}: no labelled clips (clip-*.tar) in {folder} ({dict(skipped) or 'none at all'}); --root must "
                f"be the folder that contains {split}/"
            )
        super().__init__(len(self._rows))
        self.skipped_rows.update(skipped)
        self._streams = sorted({stream for _, stream, _ in self._rows})
        self._hands: dict[int, UmeTrackHand] = {}

    def hand_type(self, indices: Sequence[int]) -> FloatArray:
        views = [self._view(int(index)) for index in indices]
        present = np.stack([_known(view.joints).any(1) for view in views])
        single = np.where(present[:, Side.RIGHT], HAND_TYPES.index("right"), HAND_TYPES.index("left"))
        return np.where(present.all(1), INTERACTING, single)

    def sequence_and_frame(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        rows = [self._rows[int(index)] for index in indices]
        sequences = [clip * len(self._streams) + self._streams.index(stream) for clip, stream, _ in rows]
        return torch.tensor(sequences), torch.tensor([int(frame) for *_, frame in rows])

    def labels(self, indices: Sequence[int]) -> ImageLabels:
        views = [self._view(int(index)) for index in indices]
        joints, matrices = (np.stack(values) for values in zip(*((view.joints, view.matrix) for view in views)))
        return joint_labels(*(torch.from_numpy(values) for values in (joints, _known(joints), matrices)))

    def _image(self, index: int) -> ImageArray | None:
        if self.faults.is_faulty(index):
            return None
        clip, stream, frame = self._rows[index]
        try:
            view = self._view(index)
            image = _decode(self._clips[clip], f"{frame}.image_{stream}.jpg", view.camera.size)
        except _UnusableError as error:
            self.faults.mark(index, error.fault)
            return None
        return pinhole_view(image, view.camera, view.rotation, view.matrix, view.size)

    def _view(self, index: int) -> _View:
        """Raises _UnusableError if no view shows the hands."""
        clip_number, stream, frame = self._rows[index]
        camera, world_from_camera = _read_camera(self._clips[clip_number], frame, stream)
        in_camera = transform(np.linalg.inv(world_from_camera), self._visible_joints(clip_number, stream, frame))
        known = _known(in_camera)
        if not known.any():
            raise _UnusableError(NO_HAND)
        rotation = _towards(in_camera[known])
        in_view = in_camera @ rotation.T
        x_y, depth = in_view[known][:, :2], in_view[known][:, 2:]
        tangent = float(np.abs(x_y / depth).max()) if depth.min() > 0 else np.inf
        if tangent > _MAX_TANGENT:
            raise _UnusableError(TOO_WIDE)
        focal = float(camera.focal.mean())
        size = int(np.ceil(2 * _MARGIN * tangent * focal))
        centre = (size - 1) / 2
        return _View(camera, rotation, np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]]), size, in_view)

    def _visible_joints(self, clip_number: int, stream: str, frame: str) -> FloatArray:
        """(2, 21, 3) world; NaN for joints of hands that cannot be seen, and for joints that are not defined."""
        clip = self._clips[clip_number]
        if clip_number not in self._hands:
            shapes = clip.read_json(_SHAPES)
            self._hands[clip_number] = UmeTrackHand.from_json(shapes["umetrack"], clip.path, _NAME)
        joints = np.full((2, NUM_KEYPOINTS, 3), np.nan)
        name = f"{frame}.hands.json"
        hands = clip.read_json(name)
        try:
            for side in Side:
                hand = hands.get(side.label)
                if not hand or hand["visibilities_modeled"].get(stream, 0) <= MIN_VISIBILITY:
                    continue
                pose = hand["umetrack_pose"]
                angles = number_array(pose["joint_angles"], (-1,), clip.path, _NAME, "joint_angles")
                wrist = _rigid(pose["T_world_from_wrist"], clip.path)
                joints[side] = self._hands[clip_number].joints(angles, wrist, side)
        except (KeyError, TypeError, AttributeError) as error:
            raise invalid_file(clip.path, _NAME, f"{name}: {type(error).__name__}: {error}") from error
        return joints


def _known(joints: FloatArray) -> FloatArray:
    """Shapes: (..., 3) -> (...) bool."""
    return np.asarray(np.isfinite(joints).all(-1))


def _open_clip(path: Path) -> _Clip | None:
    try:
        with tarfile.open(path, "r:") as archive:
            return _Clip(
                path, {member.name: (member.offset_data, member.size) for member in archive if member.isfile()}
            )
    except (tarfile.TarError, OSError):
        return None


def _labelled_images(clip: _Clip) -> list[tuple[str, str]]:
    """(stream, frame) of the images with hand labels, ordered by stream and frame."""
    if _SHAPES not in clip.members:
        return []
    names = [name.split(".image_") for name in clip.members if ".image_" in name and name.endswith(".jpg")]
    images = [(stream.removesuffix(".jpg"), frame) for frame, stream in names]
    return sorted(image for image in images if f"{image[1]}.hands.json" in clip.members)


def _read_camera(clip: _Clip, frame: str, stream: str) -> tuple[FisheyeCamera, FloatArray]:
    """The camera of an image, and its pose (4, 4) in the world."""
    name = f"{frame}.cameras.json"
    content = clip.read_json(name)
    try:
        calibration = content[stream]["calibration"]
        if calibration["projection_model_type"] != MODEL:
            raise ValueError(f"camera model {calibration['projection_model_type']}, expected {MODEL}")
        size = int(calibration["image_width"]), int(calibration["image_height"])
        parameters = number_array(calibration["projection_params"], (-1,), clip.path, _NAME, "projection_params")
        return FisheyeCamera.from_parameters(size, parameters), _rigid(
            content[stream]["T_world_from_camera"], clip.path
        )
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise invalid_file(clip.path, _NAME, f"{name}: {type(error).__name__}: {error}") from error


def _rigid(content: dict[str, Any], path: Path) -> FloatArray:
    translation = number_array(content["translation_xyz"], (3,), path, _NAME, "translation_xyz")
    return pose_matrix(translation, number_array(content["quaternion_wxyz"], (4,), path, _NAME, "quaternion_wxyz"))


def _towards(points: FloatArray) -> FloatArray:
    """(3, 3) rotation of a camera frame into that of an upright view towards the middle of points (N, 3).

    The images are upright after a clockwise turn by 90 degrees: their right is the bottom of the upright image.
    """
    rays = points / np.linalg.norm(points, axis=-1, keepdims=True)
    forward = rays.mean(0) / np.linalg.norm(rays.mean(0))
    right = np.cross([1.0, 0, 0], forward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def _decode(clip: _Clip, name: str, size: tuple[int, int]) -> ImageArray:
    """An image (H, W, 3) RGB; raises _UnusableError if it is damaged or not of the size (width, height)."""
    data = np.frombuffer(clip.read(name), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise _UnusableError(DAMAGED)
    if image.shape[1::-1] != size:
        raise _UnusableError(OTHER_SIZE)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
